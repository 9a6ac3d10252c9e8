"""Models for deployment: ONNX files and programs of torch.export.

Needs mmseg; :func:`export_onnx` needs onnx and onnxruntime, too.
"""

from .deployable import OUTPUTS, DeployableSegmentor
from .onnx_file import export_onnx
from .program import export_program
from .verification import ExportReport

__all__ = [
    'OUTPUTS', 'DeployableSegmentor', 'ExportReport', 'export_onnx',
    'export_program'
]
