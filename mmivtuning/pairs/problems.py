"""What a check finds: problems of files, pairs and whole sets."""

from typing import NamedTuple

ERROR, WARNING = 'error', 'warning'


class Problem(NamedTuple):
    """One finding.

    Attributes:
        kind (str): What is wrong, for example ``'size'``; see
            :data:`KINDS`.
        file (str): The file it is about, relative to the data set.
        message (str): What was found and what was expected.
        severity (str): ``'error'`` or ``'warning'``. Default: ``'error'``.
    """

    kind: str
    file: str
    message: str
    severity: str = ERROR

    def line(self) -> str:
        """The finding as one line of text."""
        return f'{self.severity}: {self.kind}: {self.file}: {self.message}'


# What every kind means; the documentation is checked against it.
KINDS = {
    'missing folder': 'a split lacks the folder of a modality or of labels',
    'missing partner': 'a file without the other file of its pair',
    'missing labels': 'a pair without a label map or mask, where others '
    'have one',
    'duplicate stem': 'two files of one folder share their stem',
    'split list': 'a list names a stem that has no files, or lacks one',
    'empty file': 'a file of 0 bytes',
    'unreadable': 'a file that is truncated, damaged, or no image',
    'format': 'channels, depth or values that are none of a pair',
    'orientation': 'only one file of a pair is marked as rotated',
    'size': 'the files of a pair, or its labels, differ in size',
    'label ids': 'a label map with ids out of range',
    'boxes': 'a box that is empty, not finite, or not inside its image',
    'annotations': 'a json that is damaged or contradicts the images',
    'leakage': 'one image in two splits',
    'duplicate': 'one image twice in a split',
    'blank': 'an image of one value',
    'same image': 'the infrared file is a copy of the visible one',
    'misalignment': 'an estimate above --max-misalignment',
    'empty labels': 'a label map, mask or split without anything in it',
    'pseudo-colour': 'an infrared file with a colour map',
    'mixed formats': 'files whose channels or depth differ from the others',
}
