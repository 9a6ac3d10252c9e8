"""Does an exported model compute what the model computes in PyTorch?"""

from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor, nn


class Case(NamedTuple):
    """An input to compare at."""

    batch: int
    height: int
    width: int

    def __str__(self) -> str:
        return f'{self.batch} x {self.height} x {self.width}'


class ExportReport(NamedTuple):
    """What was written and how it was checked.

    Attributes:
        path (Path): The file.
        output (str): ``'logits'``, ``'labels'`` or ``'saliency'``.
        differences (dict): The largest difference from PyTorch at each
            input that was compared.
        operators (dict): How many nodes there are of each operator.
    """

    path: Path
    output: str
    differences: Dict[Case, float]
    operators: Dict[str, int]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Context in which a model is in evaluation, its modes restored after."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def example_input(case: Case, with_preprocessing: bool) -> Tensor:
    """Make an input of noise, the same for the same case.

    Args:
        case (Case): Its size.
        with_preprocessing (bool): Whether it is uint8 (B, H, W, 4); else it
            is float32 (B, 4, H, W).

    Returns:
        Tensor: The input.
    """
    generator = torch.Generator().manual_seed(sum(case))
    if with_preprocessing:
        return torch.randint(
            0,
            256, (case.batch, case.height, case.width, 4),
            dtype=torch.uint8,
            generator=generator)
    return torch.randn(
        case.batch, 4, case.height, case.width, generator=generator)


def reference_logits(model: nn.Module, inputs: Tensor,
                     with_preprocessing: bool) -> Tensor:
    """Compute logits as a test does, the stock data preprocessor included.

    Args:
        model (nn.Module): The model.
        inputs (Tensor): See :func:`example_input`.
        with_preprocessing (bool): Whether they are uint8.

    Returns:
        Tensor: Logits, float32 (B, classes, H, W).
    """
    with evaluating(model), torch.no_grad():
        if with_preprocessing:
            inputs = model.data_preprocessor(
                dict(
                    inputs=list(inputs.permute(0, 3, 1, 2)),
                    data_samples=None))['inputs']
        size = inputs.shape[2:]
        return model.encode_decode(
            inputs, [dict(ori_shape=size, img_shape=size, pad_shape=size)])


def difference(found: Tensor, logits: Tensor, output: str,
               threshold: float) -> Tuple[float, float]:
    """Compare an output with the logits of PyTorch.

    Args:
        found (Tensor): The output.
        logits (Tensor): The logits, float32 (B, classes, H, W).
        output (str): ``'logits'``, ``'labels'`` or ``'saliency'``.
        threshold (float): Of a model with one logit.

    Returns:
        tuple[float, float]: The largest difference, and the number that a
        tolerance is multiplied with: the largest logit, if that is more
        than 1. Of labels, how far the logit (or probability) of one found
        is from where it would be right: where two are equal but for
        rounding, both labels are.

    Raises:
        RuntimeError: If the shape or type is not the one expected.
    """
    batch, classes, *size = logits.shape
    expected = dict(
        logits=((batch, classes, *size), torch.float32),
        saliency=((batch, 1, *size), torch.float32),
        labels=((batch, *size), torch.int64))[output]
    if (tuple(found.shape), found.dtype) != expected:
        raise RuntimeError(
            f'the exported model gives {output} of shape '
            f'{tuple(found.shape)} and type {found.dtype}, expected '
            f'{expected[0]} and {expected[1]}')
    scale = max(1., logits.abs().max().item())
    if output == 'logits':
        return (found - logits).abs().max().item(), scale
    if output == 'saliency':
        return (found - logits.sigmoid()).abs().max().item(), 1.
    if classes == 1:
        probability = logits[:, 0].sigmoid()
        wrong = found != (probability > threshold).long()
        return ((probability - threshold).abs() * wrong).max().item(), 1.
    if found.min() < 0 or found.max() >= classes:
        raise RuntimeError(f'the exported model gives labels from '
                           f'{found.min()} to {found.max()} of {classes}')
    chosen = logits.gather(1, found[:, None])[:, 0]
    return (logits.max(1)[0] - chosen).max().item(), 2 * scale


def verify(model: nn.Module, run: Callable[[Tensor], Tensor],
           cases: Sequence[Case], output: str, with_preprocessing: bool,
           tolerance: float) -> Dict[Case, float]:
    """Raise unless an exported model agrees with PyTorch.

    Args:
        model (nn.Module): The model.
        run (Callable): Runs the exported one.
        cases (Sequence[Case]): The inputs to compare at.
        output (str): See :class:`DeployableSegmentor`.
        with_preprocessing (bool): See there.
        tolerance (float): Largest difference, times the largest logit where
            that is more than 1.

    Returns:
        dict[Case, float]: The largest difference of each.

    Raises:
        RuntimeError: If the exported model fails or disagrees, or PyTorch
            gives no finite numbers.
    """
    threshold = getattr(model.decode_head, 'threshold', None) or 0.
    differences = {}
    for case in cases:
        inputs = example_input(case, with_preprocessing)
        logits = reference_logits(model, inputs, with_preprocessing)
        if not logits.isfinite().all():
            raise RuntimeError(
                f'PyTorch itself gives NaN or infinity for an input of {case}'
                ': are the weights those of a finished training?')
        try:
            found = run(inputs)
        except Exception as error:
            raise RuntimeError(
                f'the exported model fails on an input of {case} '
                f'(B x H x W): {type(error).__name__}: {error}') from error
        distance, scale = difference(found, logits, output, threshold)
        # not <=, for NaN compares as False
        if not distance <= tolerance * scale:
            raise RuntimeError(
                f'the exported model disagrees with PyTorch on an input of '
                f'{case} (B x H x W): {output} differ by {distance:.2g}, '
                f'more than {tolerance * scale:.2g}')
        differences[case] = distance
    return differences
