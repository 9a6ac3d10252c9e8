"""What the data preprocessors of both toolboxes do with four planes.

The stock ones assert one or three values of mean and std, and their change of
the colour order drops every plane after the third.
"""

from typing import Optional, Sequence

import torch

# Planes of a batch, in the order R, G, B, infrared.
MODALITY_PLANES = dict(visible=(0, 1, 2), infrared=(3, ))
NUM_PLANES = 4


class PairedInputs:
    """Mixin that teaches a stock data preprocessor a fourth plane.

    Inherit from it before the stock class. It gives pairs with the planes
    R, G, B swapped into place to the stock ``forward``, which casts,
    normalises, pads and stacks as ever, and then sets a missing modality to
    0, its padding included.

    Args:
        mean (Sequence[float], optional): Mean of R, G, B, infrared, in 0 to
            255. None, with ``std`` None: no normalisation. Default: None.
        std (Sequence[float], optional): Standard deviation, same order.
            Default: None.
        bgr_to_rgb (bool): Whether the visible planes are brought from B, G, R
            (as loaded) to R, G, B. Default: True.
        rgb_to_bgr (bool): The same exchange for images loaded as R, G, B.
            Default: False.
        missing (str, optional): ``'visible'`` or ``'infrared'``: that
            modality is 0 after normalisation, in training as in testing.
            Default: None.
        kwargs: What the stock class takes.

    Raises:
        ValueError: If mean and std have not four values each, a std is not
            positive, or ``missing`` is no modality.
    """

    def __init__(self,
                 mean: Optional[Sequence[float]] = None,
                 std: Optional[Sequence[float]] = None,
                 bgr_to_rgb: bool = True,
                 rgb_to_bgr: bool = False,
                 missing: Optional[str] = None,
                 **kwargs) -> None:
        super().__init__(mean=None, std=None, **kwargs)
        if bgr_to_rgb and rgb_to_bgr:
            raise ValueError('bgr_to_rgb and rgb_to_bgr cannot both be True')
        if missing is not None and missing not in MODALITY_PLANES:
            raise ValueError("missing must be None, 'visible' or 'infrared', "
                             f'got {missing!r}')
        if (mean is None) != (std is None):
            raise ValueError('give both mean and std, or neither: got '
                             f'mean={mean}, std={std}')
        if mean is not None:
            for name, values in (('mean', mean), ('std', std)):
                if len(values) != NUM_PLANES:
                    raise ValueError(
                        f'{name} must have {NUM_PLANES} values, of R, G, B, '
                        f'infrared, got {len(values)}: {list(values)}')
                self.register_buffer(
                    name,
                    torch.tensor(values, dtype=torch.float32).view(-1, 1, 1),
                    persistent=False)
            if min(std) <= 0:
                raise ValueError(f'std must be positive, got {list(std)}')
            self._enable_normalize = True
        self.swap_colours = bgr_to_rgb or rgb_to_bgr
        self.missing = missing

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn what a data loader gives into the input of the model.

        Args:
            data (dict): ``inputs``, a list of tensors (4, H, W) or a tensor
                (B, 4, H, W), with the planes B, G, R, infrared, and
                ``data_samples``.
            training (bool): Whether this is a training step.

        Returns:
            dict: ``inputs``, float32 (B, 4, H, W) with the planes R, G, B,
            infrared, and ``data_samples``.

        Raises:
            ValueError: If an input has not four planes.
        """
        data = dict(self.cast_data(data))
        inputs = data['inputs']
        for index, image in enumerate(inputs):
            if image.dim() != 3 or image.shape[0] != NUM_PLANES:
                raise ValueError(
                    f'{self.__class__.__name__} expects pairs (4, H, W) with '
                    f'the planes B, G, R, infrared; input {index} of the '
                    f'batch has the shape {tuple(image.shape)}. Does the '
                    'pipeline load with mmivtuning.LoadPairedImage?')
        if self.swap_colours:
            order = [2, 1, 0, 3]
            data['inputs'] = (
                inputs[:, order] if isinstance(inputs, torch.Tensor) else
                [image[order] for image in inputs])

        data = super().forward(data, training)
        if self.missing is not None:
            planes = torch.tensor(
                MODALITY_PLANES[self.missing], device=data['inputs'].device)
            data['inputs'] = data['inputs'].index_fill(1, planes, 0)
        return data
