"""What the backbones compute on a GPU. Skipped without."""

import pytest
import torch
from mmengine.utils import digit_version

from mmivtuning.models.backbones import DualBackbone
from mmivtuning.models.backbones.tuning import TUNINGS

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='no GPU is visible')
# Relative errors: float32 products may be rounded to TF32 on a GPU.
ERRORS = {torch.float64: 1e-9, torch.float32: 5e-3, torch.bfloat16: 0.1}


def outputs_and_gradients(backbone, pairs):
    """Return the maps, and the gradients of all that trains, on the CPU."""
    maps = [one.to(pairs.dtype) for one in backbone(pairs)]
    # Another weight for each value, so that nothing cancels.
    loss = sum((one * torch.linspace(
        0, 1, one.numel(), device=one.device).view_as(one)).mean()
        for one in maps)
    backbone.zero_grad()
    loss.backward()
    gradients = {
        name: value.grad.cpu()
        for name, value in backbone.named_parameters()
        if value.grad is not None
    }
    return [one.detach().cpu() for one in maps], gradients


def assert_near(found, expected, error):
    """Compare maps and gradients, each as one vector."""
    assert set(found[1]) == set(expected[1])
    for part, reference in (
        (found[0], expected[0]),
        ([found[1][name] for name in expected[1]], expected[1].values())):
        part, reference = (torch.cat([one.flatten() for one in values])
                           for values in (part, reference))
        assert (part - reference).norm() < error * reference.norm()


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
@pytest.mark.parametrize('tuning', TUNINGS)
def test_is_what_the_cpu_computes(family, tuning, dtype):
    backbone = family.build(tuning=tuning).eval().to(dtype)
    pairs = torch.randn(2, 4, 61, 45, dtype=dtype)
    expected = outputs_and_gradients(backbone, pairs)
    assert set(expected[1]) == {
        name
        for name, value in backbone.named_parameters() if value.requires_grad
    }
    found = outputs_and_gradients(backbone.cuda(), pairs.cuda())
    assert_near(found, expected, ERRORS[dtype])


@pytest.mark.parametrize('with_cp', [False, True])
def test_bfloat16_is_near_float32(family, with_cp):
    backbone = family.build(with_cp=with_cp).cuda().eval()
    pairs = torch.randn(2, 4, 64, 80).cuda()
    expected = outputs_and_gradients(backbone, pairs)
    with torch.autocast('cuda', torch.bfloat16):
        found = outputs_and_gradients(backbone, pairs)
    assert_near(found, expected, ERRORS[torch.bfloat16])


@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.5'),
    reason='compile_training needs torch 2.5')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_compiled_prompts_compute_the_same(families, dtype):
    build = families['vit14'].build
    plain = build(tuning_options=dict(drop_rate=0.)).cuda()
    compiled = build(tuning_options=dict(
        drop_rate=0., compile_training=True)).cuda()
    compiled.load_state_dict(plain.state_dict())
    pairs = torch.randn(2, 4, 56, 42).cuda()
    with torch.autocast('cuda', dtype, enabled=dtype is not torch.float32):
        assert_near(
            outputs_and_gradients(compiled, pairs),
            outputs_and_gradients(plain, pairs), ERRORS[dtype])


def test_dual_backbone(family):
    plain = dict(family.arguments, type=f'mmivtuning.{family.ours.__name__}')
    backbone = DualBackbone(backbone=plain).cuda()
    _, gradients = outputs_and_gradients(
        backbone, torch.randn(2, 4, 42, 56).cuda())
    assert all(value.isfinite().all() for value in gradients.values())
