"""Programs of torch.export, checked before they are written."""

import os
import warnings
from pathlib import Path
from typing import Dict, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from .deployable import DeployableSegmentor
from .requirements import (
    cases_to_verify,
    check_model,
    check_path,
    check_tensors,
)
from .verification import Case, ExportReport, example_input, verify

NOT_DYNAMIC = (
    'a program of torch.export is made for one size (of any number of '
    'pairs): torch turns what it finds out about the memory of maps into '
    'assertions, which then refuse sizes at which nothing is padded or cut; '
    'and over the conditions of stock window attention it reasons without '
    'an end. Export a fixed size, or to ONNX, dynamic')


def _check_torch() -> None:
    """Raise if this torch cannot make a program.

    Raises:
        RuntimeError: If it cannot.
    """
    if not hasattr(getattr(getattr(torch, 'export', None), 'Dim', None),
                   'AUTO'):
        raise RuntimeError(
            f'torch {torch.__version__} cannot make a program of any number '
            'of pairs (torch.export.Dim.AUTO): install the onedl stack, '
            'torch 2.11, or export to ONNX')


def export_program(model: nn.Module,
                   path: Union[str, Path],
                   size: Sequence[int],
                   output: Optional[str] = None,
                   with_preprocessing: bool = True,
                   tolerance: float = 1e-4) -> ExportReport:
    """Write a model as a program of torch.export that agrees with it.

    ``torch.export.load(path).module()`` is a function of the input. It is
    made for one size: see ``NOT_DYNAMIC``.

    Args:
        model (nn.Module): See :func:`export_onnx`.
        path (str | Path): The file.
        size (Sequence[int]): Rows and columns (H, W) of the input.
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
    check_model(model, size, False, with_preprocessing)
    check_tensors(model)
    _check_torch()
    deployable = DeployableSegmentor(model, output, with_preprocessing)
    deployable.eval()
    output = deployable.output
    inputs = example_input(Case(2, *size), with_preprocessing)
    part = path.with_name(f'{path.name}.{os.getpid()}.part.pt2')
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.filterwarnings('ignore', category=UserWarning)
            warnings.filterwarnings('ignore', category=FutureWarning)
            # one pair would be taken for a constant
            program = torch.export.export(
                deployable, (inputs, ),
                dynamic_shapes=({
                    0: torch.export.Dim.AUTO
                }, ),
                strict=False)
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

        differences = verify(model, run, cases_to_verify(model, size, False),
                             output, with_preprocessing, tolerance)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return ExportReport(path, output, differences, operators)
