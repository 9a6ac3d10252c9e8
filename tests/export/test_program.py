"""Programs of torch.export, where torch can make them."""

import pytest
import torch

from mmivtuning.export import export_program
from mmivtuning.export.verification import Case, verify

CAN = hasattr(getattr(getattr(torch, 'export', None), 'Dim', None), 'AUTO')
able = pytest.mark.skipif(not CAN, reason='this torch cannot, see test_old')


def load(path):
    return torch.export.load(str(path)).module()


@able
@pytest.mark.parametrize(('backbone', 'head'), [('vit', 'upernet'),
                                                ('eva02', 'progressive'),
                                                ('swin', 'segformer')])
def test_fixed(build, tmp_path, backbone, head):
    model = build(backbone, head)
    report = export_program(model, tmp_path / 'model.pt2', (60, 90))
    assert not any('batch_norm' in name for name in report.operators)
    assert [p.name for p in tmp_path.iterdir()] == ['model.pt2']
    verify(model, load(report.path), [Case(3, 60, 90)], report.output, True,
           1e-4)


@able
def test_a_program_that_disagrees_is_not_left(build, tmp_path):
    with pytest.raises(RuntimeError, match='disagrees with PyTorch'):
        export_program(build(),
                       tmp_path / 'model.pt2', (28, 42),
                       tolerance=1e-12)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(CAN, reason='this torch can')
def test_old(build, tmp_path):
    with pytest.raises(RuntimeError, match='torch 2.1.*export to ONNX'):
        export_program(build(), tmp_path / 'model.pt2', (28, 42))
