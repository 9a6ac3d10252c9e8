"""The conventional paradigm that IV-tuning is compared with (Fig. 1a)."""

from typing import Any, Dict, Optional, Tuple

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmivtuning.registry import MODELS


@MODELS.register_module()
class DualBackbone(BaseModule):
    """Two backbones, one a modality, fully fine-tuned; their maps are added.

    Both start from the same pretrained weights. The infrared plane is
    repeated for the second.

    Args:
        backbone (dict): Config of one of this package's backbones, without
            ``tuning``.
        init_cfg (dict, optional): See the base class. Defaults to None.

    Raises:
        ValueError: If ``backbone`` asks for another tuning than
            ``'visible'``.
    """

    def __init__(self,
                 backbone: Dict[str, Any],
                 init_cfg: Optional[Dict] = None) -> None:
        super().__init__(init_cfg)
        if backbone.get('tuning', 'visible') != 'visible':
            raise ValueError('DualBackbone fine-tunes both backbones, found '
                             f'tuning={backbone["tuning"]!r}')
        config = dict(backbone, tuning='visible')
        self.visible_backbone = MODELS.build(config)
        self.infrared_backbone = MODELS.build(config)
        self.infrared_backbone.load_state_dict(
            self.visible_backbone.state_dict())

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Compute features of pairs.

        Args:
            x (Tensor): Normalised R, G, B, infrared, shape (B, 4, H, W).

        Returns:
            tuple[Tensor]: The sums of both backbones' maps.
        """
        infrared = torch.cat((x[:, 3:].expand(-1, 3, -1, -1), x[:, 3:]), 1)
        return tuple(a + b for a, b in zip(
            self.visible_backbone(x), self.infrared_backbone(infrared)))
