"""ONNX files of segmentation and saliency models, checked before written."""

import inspect
import json
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from mmivtuning.pairs.layout import atomic_file
from mmivtuning.version import __version__

from .deployable import DeployableSegmentor
from .requirements import (
    cases_to_verify,
    check_model,
    check_path,
    check_tensors,
    sizes_to_trace,
)
from .verification import Case, ExportReport, example_input, verify

MINIMUM_OPSET = 17  # LayerNormalization
MAXIMUM_BYTES = 2**31  # of one protobuf message


def _libraries() -> Any:
    """Import onnx and onnxruntime, or say what to install."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ImportError('export to ONNX needs onnx and onnxruntime, the '
                          'latter to check the file: pip install onnx '
                          f'onnxruntime ({error})') from error
    return onnx, onnxruntime


def export_onnx(model: nn.Module,
                path: Union[str, Path],
                size: Optional[Sequence[int]] = None,
                dynamic: bool = False,
                output: Optional[str] = None,
                with_preprocessing: bool = True,
                tolerance: float = 1e-4,
                opset: int = MINIMUM_OPSET) -> ExportReport:
    """Write a model as an ONNX file that agrees with it.

    The file is compared with the model in PyTorch, by onnxruntime, before it
    appears under its name; one that disagrees is deleted.

    Args:
        model (nn.Module): A stock EncoderDecoder on pairs, its weights
            loaded, on the CPU in float32. It is left as it is.
        path (str | Path): The file.
        size (Sequence[int], optional): Rows and columns (H, W) of the input;
            of a dynamic file, one more size to compare at.
            Defaults to None.
        dynamic (bool): Whether H and W can be any. The number of pairs
            always can. Defaults to False.
        output (str, optional): See :class:`DeployableSegmentor`.
            Defaults to None.
        with_preprocessing (bool): Whether the input, ``images``, is uint8
            (B, H, W, 4), B, G, R, infrared, and is normalised inside. Else
            the input, ``planes``, is float32 (B, 4, H, W) as the data
            preprocessor gives it. Defaults to True.
        tolerance (float): Largest difference from PyTorch, times the
            largest logit where that is more than 1. Defaults to 1e-4.
        opset (int): Version of ONNX's operators, 17 or more.
            Defaults to 17.

    Returns:
        ExportReport: What was written.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
        ValueError: If the model cannot be exported in this way.
        RuntimeError: If the exported model fails or disagrees; no file is
            left.
        FileNotFoundError: If the folder of ``path`` does not exist.
    """
    onnx, onnxruntime = _libraries()
    path = check_path(path)
    check_model(model, size, dynamic, with_preprocessing)
    check_tensors(model, MAXIMUM_BYTES)
    if opset < MINIMUM_OPSET:
        raise ValueError(f'opset must be {MINIMUM_OPSET} or more, for '
                         f'LayerNormalization, found {opset}')
    deployable = DeployableSegmentor(model, output, with_preprocessing)
    deployable.eval()
    output = deployable.output
    traced = Case(2, *(sizes_to_trace(model)[0] if dynamic else size))
    with atomic_file(path, clear=False) as part:
        _trace(deployable, traced, dynamic, part, opset)
        del deployable
        proto = onnx.load(str(part))
        onnx.helper.set_model_props(
            proto, {
                'mmivtuning': json.dumps(
                    _description(model, size, dynamic, output,
                                 with_preprocessing))
            })
        onnx.checker.check_model(proto)
        onnx.save(proto, str(part))
        operators: Dict[str, int] = {}
        for node in proto.graph.node:
            operators[node.op_type] = operators.get(node.op_type, 0) + 1
        del proto
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        run = _runner(
            onnxruntime.InferenceSession(
                str(part), options, providers=['CPUExecutionProvider']))
        differences = verify(model, run, cases_to_verify(model, size, dynamic),
                             output, with_preprocessing, tolerance)
    return ExportReport(path, output, differences, operators)


def _runner(session: Any) -> Callable[[Tensor], Tensor]:
    """Make a function of a session of onnxruntime."""
    name = session.get_inputs()[0].name

    def run(inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: inputs.numpy()})[0])

    return run


def _trace(deployable: DeployableSegmentor, case: Case, dynamic: bool,
           path: Path, opset: int) -> None:
    """Run torch's tracing exporter; both stacks have it."""
    with_preprocessing = deployable.normalise is not None
    name = 'images' if with_preprocessing else 'planes'
    axes = {0: 'batch'}
    out_axes = {0: 'batch'}
    if dynamic:
        first = 1 if with_preprocessing else 2
        axes.update({first: 'height', first + 1: 'width'})
        first = 1 if deployable.output == 'labels' else 2
        out_axes.update({first: 'height', first + 1: 'width'})
    extra: Dict[str, Any] = {}
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        extra['dynamo'] = False
    with warnings.catch_warnings(), torch.no_grad():
        # Comparisons of shapes, which the chosen sizes decide as every other
        # size would; files are compared at other sizes.
        warnings.simplefilter('ignore', torch.jit.TracerWarning)
        warnings.filterwarnings('ignore', category=DeprecationWarning)
        warnings.filterwarnings('ignore', category=UserWarning)
        torch.onnx.export(
            deployable, (example_input(case, with_preprocessing), ),
            str(path),
            opset_version=opset,
            input_names=[name],
            output_names=[deployable.output],
            dynamic_axes={
                name: axes,
                deployable.output: out_axes
            },
            do_constant_folding=True,
            **extra)


def _description(model: nn.Module, size: Optional[Sequence[int]],
                 dynamic: bool, output: str,
                 with_preprocessing: bool) -> Dict[str, Any]:
    """Describe a file, for its metadata."""
    meta = getattr(model, 'dataset_meta', None) or {}
    return dict(
        version=__version__,
        torch=str(torch.__version__),
        backbone=type(model.backbone).__name__,
        decode_head=type(model.decode_head).__name__,
        size=None if dynamic else list(size),
        input='uint8 (B, H, W, 4), B, G, R, infrared'
        if with_preprocessing else
        'float32 (B, 4, H, W), R, G, B, infrared, normalised',
        output=output,
        threshold=getattr(model.decode_head, 'threshold', None),
        classes=list(meta.get('classes') or []))
