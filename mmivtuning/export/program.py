"""Programs of torch.export, checked before they are written."""

import inspect
import os
import warnings
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Union

import torch
from mmpretrain.models.utils import ShiftWindowMSA
from torch import Tensor, nn

from .deployable import DeployableSegmentor
from .requirements import (
    cases_to_verify,
    check_model,
    check_path,
    check_tensors,
    sizes_to_trace,
)
from .verification import Case, ExportReport, example_input, verify

# Conditions on sizes become assertions of the program, not of its making.
DEFERRED = 'prefer_deferred_runtime_asserts_over_guards'


def _check(model: nn.Module, dynamic: bool) -> None:
    """Raise if this torch, or this model, cannot make a program."""
    export = getattr(getattr(torch, 'export', None), 'export', None)
    if export is None or DEFERRED not in inspect.signature(export).parameters:
        raise RuntimeError(
            f'torch {torch.__version__} has no torch.export.export with '
            f'{DEFERRED}, which programs need: install the onedl stack, '
            'torch 2.11, or export to ONNX')
    if dynamic and any(
            isinstance(module, ShiftWindowMSA) for module in model.modules()):
        raise ValueError(
            'a program of a Swin Transformer for any size cannot be made: '
            'stock window attention pads, shifts and cuts on conditions on '
            'the size of each map, over which torch.export reasons without '
            'an end. Export a fixed size, or to ONNX, dynamic')


def export_program(model: nn.Module,
                   path: Union[str, Path],
                   size: Optional[Sequence[int]] = None,
                   dynamic: bool = False,
                   output: Optional[str] = None,
                   with_preprocessing: bool = True,
                   tolerance: float = 1e-4) -> ExportReport:
    """Write a model as a program of torch.export that agrees with it.

    ``torch.export.load(path).module()`` is a function of the input.

    Args:
        model (nn.Module): See :func:`export_onnx`.
        path (str | Path): The file.
        size (Sequence[int], optional): See :func:`export_onnx`.
            Defaults to None.
        dynamic (bool): Whether H and W can be any; not of Swin.
            Defaults to False.
        output (str, optional): See :class:`DeployableSegmentor`.
            Defaults to None.
        with_preprocessing (bool): See :func:`export_onnx`.
            Defaults to True.
        tolerance (float): See :func:`export_onnx`. Defaults to 1e-4.

    Returns:
        ExportReport: What was written.

    Raises:
        ValueError: If the model cannot be exported in this way.
        RuntimeError: If this torch cannot, or the program fails or
            disagrees; no file is left.
        FileNotFoundError: If the folder of ``path`` does not exist.
    """
    path = check_path(path)
    check_model(model, size, dynamic, with_preprocessing)
    check_tensors(model)
    _check(model, dynamic)
    deployable = DeployableSegmentor(model, output, with_preprocessing)
    deployable.eval()
    output = deployable.output
    # not the size of a batch or a side is 1, which would stay so
    case = Case(2, *(sizes_to_trace(model)[0] if dynamic else size))
    part = path.with_name(f'{path.name}.{os.getpid()}.part.pt2')
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.filterwarnings('ignore', category=UserWarning)
            warnings.filterwarnings('ignore', category=FutureWarning)
            program = _program(
                deployable, example_input(case, with_preprocessing),
                dynamic)
            torch.export.save(program, str(part))
            program = torch.export.load(str(part))
        operators: Dict[str, int] = {}
        for node in program.graph.nodes:
            if node.op == 'call_function':
                name = str(node.target)
                operators[name] = operators.get(name, 0) + 1
        module = program.module()

        def run(inputs: Tensor) -> Tensor:
            with torch.no_grad():
                return module(inputs)

        differences = verify(model, run, cases_to_verify(model, size, dynamic),
                             output, with_preprocessing, tolerance)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return ExportReport(path, output, differences, operators)


def _program(deployable: DeployableSegmentor, inputs: Tensor,
             dynamic: bool) -> Any:
    """Run torch.export."""
    first = 1 if deployable.normalise is not None else 2
    automatic = torch.export.Dim.AUTO
    axes = {0: automatic}
    if dynamic:
        axes.update({first: automatic, first + 1: automatic})
    return torch.export.export(
        deployable, (inputs, ),
        dynamic_shapes=(axes, ),
        strict=False,
        **{DEFERRED: True})
