"""mmseg's data preprocessor for pairs."""

from mmseg.models import SegDataPreProcessor

from mmivtuning.models.paired_inputs import PairedInputs
from mmivtuning.registry import MODELS


@MODELS.register_module()
class PairedSegDataPreprocessor(PairedInputs, SegDataPreProcessor):
    """:class:`mmseg.models.SegDataPreProcessor` for pairs.

    Takes the arguments of :class:`PairedInputs` (four values of ``mean`` and
    ``std``, in the order R, G, B, infrared; ``missing``) and all others of the
    stock class: ``size``, ``size_divisor``, ``pad_val``, ``seg_pad_val``,
    ``batch_augments``, ``test_cfg``.
    """
