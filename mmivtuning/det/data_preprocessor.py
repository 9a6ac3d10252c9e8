"""mmdet's data preprocessor for pairs."""

from mmdet.models import DetDataPreprocessor

from mmivtuning.models.paired_inputs import PairedInputs
from mmivtuning.registry import MODELS


@MODELS.register_module()
class PairedDetDataPreprocessor(PairedInputs, DetDataPreprocessor):
    """:class:`mmdet.models.DetDataPreprocessor` for pairs.

    Takes the arguments of :class:`PairedInputs` (four values of ``mean`` and
    ``std``, in the order R, G, B, infrared; ``missing``) and all others of the
    stock class: ``pad_size_divisor``, ``pad_value``, ``pad_mask``,
    ``pad_seg``, ``boxtype2tensor``, ``batch_augments``, ...
    """
