"""A segmentation or saliency model as one function of its input."""

from typing import Any, List, Optional

import torch
from torch import Tensor, nn

from mmivtuning.models.paired_inputs import MODALITY_PLANES, NUM_PLANES

from .traceable import traceable_copy

OUTPUTS = ('logits', 'labels', 'saliency')


class PairNormalisation(nn.Module):
    """What the data preprocessor of pairs does in a test.

    Args:
        preprocessor (nn.Module): A data preprocessor of pairs.
    """

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        order = [2, 1, 0, 3] if preprocessor.swap_colours else [0, 1, 2, 3]
        mean, std = torch.zeros(NUM_PLANES), torch.ones(NUM_PLANES)
        if preprocessor._enable_normalize:
            mean, std = preprocessor.mean, preprocessor.std
        present = torch.ones(NUM_PLANES)
        if preprocessor.missing is not None:
            present[list(MODALITY_PLANES[preprocessor.missing])] = 0
        self.register_buffer('order', torch.tensor(order))
        for name, value in (('mean', mean), ('std', std), ('present',
                                                           present)):
            value = value.detach().clone().view(1, NUM_PLANES, 1, 1)
            self.register_buffer(name, value)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise pairs.

        Args:
            images (Tensor): uint8 (B, H, W, 4): B, G, R, infrared.

        Returns:
            Tensor: float32 (B, 4, H, W): R, G, B, infrared.
        """
        planes = images.permute(0, 3, 1, 2).float()
        planes = planes.index_select(1, self.order)
        return (planes - self.mean) / self.std * self.present


def default_output(model: nn.Module) -> str:
    """Return what a model is asked for: logits, of one a saliency map."""
    return 'saliency' if model.out_channels == 1 else 'logits'


def check_output(model: nn.Module, output: str) -> None:
    """Raise if a model has no such output.

    Raises:
        ValueError: If it has not.
    """
    if output not in OUTPUTS:
        raise ValueError(f'output must be one of {OUTPUTS}, found {output!r}')
    if output == 'saliency' and model.out_channels != 1:
        raise ValueError("output='saliency' needs a model of one logit a "
                         f'pixel, this one has {model.out_channels}: '
                         "'logits' or 'labels'")


class DeployableSegmentor(nn.Module):
    """A segmentation model from input to output, for an exporter.

    Args:
        model (nn.Module): A stock EncoderDecoder on pairs, left as it is.
        output (str, optional): ``'logits'``, ``'labels'`` (class ids; of a
            model with one logit 1 where the probability exceeds the
            threshold of the head) or ``'saliency'`` (probabilities).
            Defaults to None: ``'saliency'`` of a model with one logit a
            pixel, else ``'logits'``.
        with_preprocessing (bool): Whether the input is uint8, and is
            normalised inside. Defaults to True.
    """

    def __init__(self,
                 model: nn.Module,
                 output: Optional[str] = None,
                 with_preprocessing: bool = True) -> None:
        super().__init__()
        self.output = default_output(model) if output is None else output
        check_output(model, self.output)
        self.normalise = (
            PairNormalisation(model.data_preprocessor)
            if with_preprocessing else None)
        self.segmentor = traceable_copy(model)

    def forward(self, inputs: Tensor) -> Tensor:
        """Predict.

        Args:
            inputs (Tensor): uint8 (B, H, W, 4), B, G, R, infrared, 0 to
                255; or float32 (B, 4, H, W), R, G, B, infrared, as the data
                preprocessor gives it.

        Returns:
            Tensor: ``'logits'`` float32 (B, classes, H, W), ``'saliency'``
            float32 (B, 1, H, W), 0 to 1, or ``'labels'`` int64 (B, H, W).
        """
        if self.normalise is not None:
            inputs = self.normalise(inputs)
        size = inputs.shape[2:]
        metas: List[dict] = [
            dict(ori_shape=size, img_shape=size, pad_shape=size)
        ]
        logits = self.segmentor.encode_decode(inputs, metas)
        if self.output == 'logits':
            return logits
        if self.output == 'saliency':
            return logits.sigmoid()
        if logits.shape[1] == 1:
            threshold = self.segmentor.decode_head.threshold
            return (logits[:, 0].sigmoid() > threshold).long()
        return logits.argmax(1)
