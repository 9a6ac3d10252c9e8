"""The loss of salient object detection (METHOD, arXiv 2412.16654)."""

from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn

from mmivtuning.registry import MODELS


@MODELS.register_module()
class SaliencyLoss(nn.Module):
    r"""Binary cross-entropy plus a soft intersection over union.

    .. math::
        \mathrm{BCE}(x, y) + 1 - \frac{I + 1}{U + 1},\quad
        I = \sum p\,y,\quad U = \sum (p + y - p\,y),\quad p = \sigma(x)

    The cross-entropy is the mean over all pixels of the batch, the second
    term is computed for each image and averaged. Ignored pixels are in
    neither.

    Args:
        loss_weight (float): Factor of the sum. Default: 1.0.
        loss_name (str): Key among the losses; must hold ``loss`` to be
            optimised. Default: 'loss_saliency'.
    """

    def __init__(self,
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_saliency') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self._loss_name = loss_name

    def forward(self,
                pred: Tensor,
                target: Tensor,
                weight: Optional[Tensor] = None,
                ignore_index: int = 255,
                **kwargs) -> Tensor:
        """Compute the loss.

        Args:
            pred (Tensor): Logits, shape (B, 1, H, W).
            target (Tensor): 0 background, 1 salient or ``ignore_index``,
                integer (B, H, W).
            weight (Tensor, optional): Weight of each pixel, as a pixel
                sampler of mmseg gives it, float (B, H, W). Default: None.
            ignore_index (int): Label that does not count. Default: 255.
            kwargs: Other arguments of mmseg's losses; unused.

        Returns:
            Tensor: A scalar; 0 if every pixel is ignored.

        Raises:
            ValueError: If there is more than one logit a pixel, the sizes
                differ, or a label is none of the three.
        """
        if pred.dim() != 4 or pred.shape[1] != 1:
            raise ValueError('SaliencyLoss expects one logit a pixel, (B, 1, '
                             f'H, W), got {tuple(pred.shape)}; give the head '
                             'num_classes=2, out_channels=1')
        if target.shape != pred[:, 0].shape:
            raise ValueError(f'labels of shape {tuple(target.shape)} do not '
                             f'fit logits of shape {tuple(pred.shape)}')
        counted = target != ignore_index
        truth = target.masked_fill(~counted, 0)
        if truth.numel() and (truth.min() < 0 or truth.max() > 1):
            raise ValueError(
                'SaliencyLoss expects the labels 0, 1 and '
                f'{ignore_index} (ignored), got {truth.min().item()} to '
                f'{truth.max().item()}; is the mask loaded with '
                'mmivtuning.LoadSaliencyMask?')
        # Sums over an image overflow in half precision.
        logits, truth = pred[:, 0].float(), truth.float()
        share = counted.float()
        if weight is not None:
            share = share * weight.float()

        entropy = F.binary_cross_entropy_with_logits(
            logits, truth, reduction='none')
        entropy = (entropy * share).sum() / share.sum().clamp(min=1e-6)
        probability = logits.sigmoid()
        both = probability * truth
        either = probability + truth - both
        overlap = ((both * share).sum((1, 2)) + 1) / (
            (either * share).sum((1, 2)) + 1)
        return self.loss_weight * (entropy + (1 - overlap).mean())

    @property
    def loss_name(self) -> str:
        """The key of this loss in the log."""
        return self._loss_name
