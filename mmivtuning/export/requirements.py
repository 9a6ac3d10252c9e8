"""What cannot be exported, and why: found before anything is traced."""

from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence, Tuple, Union

import torch
from mmpretrain.models.utils import ShiftWindowMSA
from mmseg.models import EncoderDecoder
from torch import nn

from mmivtuning.models.modules.sizes import ceil_divide

from .verification import Case

NO_DETECTION = (
    '{} is a detector, which is not exported here: its boxes come from '
    'selections and suppressions whose sizes depend on the image, for which '
    'every runtime has operators of its own. That is the domain of '
    'mmdeploy, which rewrites the heads of mmdet: see its documentation')


def check_model(model: nn.Module, size: Optional[Sequence[int]],
                dynamic: bool, with_preprocessing: bool) -> None:
    """Raise if a model cannot be exported in this way.

    Args:
        model (nn.Module): The model.
        size (Sequence[int], optional): Rows and columns (H, W).
        dynamic (bool): Whether any H and W are wanted.
        with_preprocessing (bool): Whether normalisation goes inside.

    Raises:
        ValueError: If it cannot.
    """
    name = type(model).__name__
    if any(base.__module__.split('.')[0] == 'mmdet'
           for base in type(model).__mro__):
        raise ValueError(NO_DETECTION.format(name))
    if not isinstance(model, EncoderDecoder):
        raise ValueError("expected a segmentation model, mmseg's "
                         f'EncoderDecoder, found {name}')
    if size is not None and (len(size) != 2 or any(
            isinstance(s, bool) or not isinstance(s, int) or s < 1
            for s in size)):
        raise ValueError('size must be the rows and columns of the input, two '
                         f'positive integers, found {tuple(size)}')
    if size is None and not dynamic:
        raise ValueError('a fixed size needs size=(H, W); with dynamic=True '
                         'any size can be run')
    _check_slide(model, size, dynamic)
    if with_preprocessing:
        _check_preprocessor(model.data_preprocessor)
    if dynamic:
        _check_dynamic(model)


def _check_slide(model: nn.Module, size: Optional[Sequence[int]],
                 dynamic: bool) -> None:
    """Raise if predictions are put together from windows."""
    if model.test_cfg.get('mode', 'whole') != 'slide':
        return
    crop = tuple(model.test_cfg['crop_size'])
    if dynamic or tuple(size) != crop:
        raise ValueError(
            f"test_cfg.mode='slide' puts a prediction together from windows "
            f'of {crop}, in a loop whose length depends on the image: export '
            f'one window, size={crop} and not dynamic, and slide it in your '
            "program; or set model.test_cfg.mode='whole', which predicts "
            'whole images at once, with other results')


def _check_preprocessor(preprocessor: Any) -> None:
    """Raise if a data preprocessor cannot go inside."""
    if not hasattr(preprocessor, 'swap_colours'):
        raise ValueError(
            'with_preprocessing needs a data preprocessor of pairs, found '
            f'{type(preprocessor).__name__}: set model.data_preprocessor '
            "type='mmivtuning.PairedSegDataPreprocessor', or export with "
            'with_preprocessing=False')
    if preprocessor.test_cfg:
        raise ValueError(
            f'data_preprocessor.test_cfg={dict(preprocessor.test_cfg)} pads '
            'images for a test, and predictions are cut afterwards: that '
            'stays outside. Export with with_preprocessing=False and pad in '
            'your program, or without this test_cfg')


def _check_dynamic(model: nn.Module) -> None:
    """Raise if a module decides by the size of a map."""
    for name, module in model.named_modules():
        if isinstance(module, ShiftWindowMSA) and not module.pad_small_map:
            raise ValueError(
                f'{name}: with pad_small_map=False windows are not shifted '
                'on maps of their own size and smaller maps are refused, and '
                'a file for any size cannot decide that: set pad_small_map='
                'True, the same for all maps larger than the windows of '
                f'{module.window_size}, or export a fixed size')
    if not list(_embeddings(model)):
        raise ValueError(
            f'{type(model.backbone).__name__} is no backbone of mmivtuning: '
            'which of its sizes can be dynamic is not known. Export a fixed '
            'size')


def _embeddings(model: nn.Module) -> Iterator[nn.Module]:
    """Yield our backbones in a model, of which there may be two."""
    for module in model.modules():
        if hasattr(module, 'infrared_embed'):
            yield module


def pretraining_size(model: nn.Module) -> Tuple[int, int]:
    """Return the size (H, W) that positions were built for."""
    backbone = next(_embeddings(model))
    strides = backbone.patch_embed.projection.stride
    return tuple(
        int(side) * stride
        for side, stride in zip(backbone.patch_resolution, strides))


def sizes_to_trace(model: nn.Module) -> List[Tuple[int, int]]:
    """Choose small sizes that take every path which depends on the size.

    Stock code resizes positions only where the grid differs from the one
    of pretraining, and cuts windows only where a map was padded to them: a
    trace at these sizes has both, which change nothing where they are not
    needed.

    Args:
        model (nn.Module): The model.

    Returns:
        list[tuple[int, int]]: Two sizes (H, W), of another side each.
    """
    sides: List[int] = []
    for side in range(65, 4096):
        if (not sides or side >= sides[-1] + 17) and all(
                _takes_all_paths(backbone, side)
                for backbone in _embeddings(model)):
            sides.append(side)
        if len(sides) == 4:
            break
    return [(sides[0], sides[2]), (sides[3], sides[1])]


def _takes_all_paths(backbone: nn.Module, side: int) -> bool:
    """Whether a side is one of :func:`sizes_to_trace`."""
    grid = ceil_divide(side, backbone.patch_embed.projection.stride[0])
    if grid in tuple(backbone.patch_resolution):
        return False
    for stage in getattr(backbone, 'stages', ()):
        for module in stage.modules():
            if (isinstance(module, ShiftWindowMSA)
                    and grid % module.window_size == 0):
                return False
        grid = ceil_divide(grid, 2)
    return True


def check_tensors(model: nn.Module,
                  maximum_bytes: Optional[int] = None) -> None:
    """Raise if a model is elsewhere than on the CPU, or is too large.

    Args:
        model (nn.Module): The model.
        maximum_bytes (int, optional): Of its parameters. Defaults to None.

    Raises:
        ValueError: If it is.
    """
    size = 0
    for name, tensor in model.named_parameters():
        if tensor.device.type != 'cpu' or tensor.dtype != torch.float32:
            raise ValueError(
                f'{name} is {tensor.dtype} on {tensor.device}: models are '
                'exported in float32 and on the CPU, model.float().cpu()')
        size += tensor.numel() * tensor.element_size()
    if maximum_bytes is not None and size >= maximum_bytes:
        raise ValueError(
            f'the parameters take {size} bytes, and one ONNX file holds less '
            f'than {maximum_bytes}')


def cases_to_verify(model: nn.Module, size: Optional[Sequence[int]],
                    dynamic: bool) -> List[Case]:
    """Choose the inputs at which a file is compared with PyTorch.

    Args:
        model (nn.Module): The model.
        size (Sequence[int], optional): Rows and columns (H, W).
        dynamic (bool): Whether any H and W can be run.

    Returns:
        list[Case]: Of a fixed size, that size with one pair and with two. Of
        a dynamic one, the size of pretraining, the given one if any, and
        two that are neither square nor multiples of a patch.
    """
    if not dynamic:
        return [Case(1, *size), Case(2, *size)]
    traced, other = sizes_to_trace(model)
    sizes = [other, traced, pretraining_size(model)]
    if size is not None:
        sizes.append(tuple(size))
    return [Case(1 + index % 2, *hw) for index, hw in enumerate(sizes)]


def check_path(path: Union[str, Path]) -> Path:
    """Raise if a file cannot be written.

    Args:
        path (str | Path): The file.

    Returns:
        Path: The same.

    Raises:
        FileNotFoundError: If its folder does not exist.
        ValueError: If it is a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f'{path.parent} is no folder: {path} cannot '
                                'be written')
    if path.is_dir():
        raise ValueError(f'{path} is a folder, expected the name of a file')
    return path
