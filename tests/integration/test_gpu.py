"""What differs on a GPU: precision, operators, launchers. Skipped without."""

import json
import sys

import pytest
import torch
from mmengine.utils import digit_version

from mmivtuning.models import (
    IVSwinTransformer,
    IVVisionTransformer,
    IVViTEVA02,
)
from mmivtuning.models.backbones import DualBackbone

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='no GPU is visible')
GPU = dict(CUDA_VISIBLE_DEVICES='0')
SCENES = 'configs/segmentation/scenes'
DETECTION = 'configs/detection/scenes'
PLAIN = dict(
    arch=dict(
        embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=64),
    img_size=64)
BACKBONES = dict(
    vit=(IVVisionTransformer, dict(PLAIN, patch_size=14)),
    eva02=(IVViTEVA02, dict(PLAIN, patch_size=16, sub_ln=True)),
    swin=(IVSwinTransformer,
          dict(
              arch=dict(
                  embed_dims=16, depths=[2, 2, 2, 2], num_heads=[2, 2, 4, 4]),
              img_size=64,
              window_size=4,
              out_indices=(0, 1, 2, 3))))
TUNINGS = ('iv', 'full', 'frozen', 'lora', 'adaptformer', 'vpt_deep',
           'bitfit')
# Relative errors: float32 products may be rounded to TF32 on a GPU.
ERRORS = {torch.float64: 1e-9, torch.float32: 5e-3, torch.bfloat16: 0.1}


@pytest.fixture(params=BACKBONES)
def make(request):
    """Return a function that builds one of the backbones."""
    type_, arguments = BACKBONES[request.param]
    return lambda **extra: type_(**arguments, **extra)


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
def test_is_what_the_cpu_computes(make, tuning, dtype):
    backbone = make(tuning=tuning).eval().to(dtype)
    pairs = torch.randn(2, 4, 61, 45, dtype=dtype)
    expected = outputs_and_gradients(backbone, pairs)
    assert set(expected[1]) == {
        name
        for name, value in backbone.named_parameters() if value.requires_grad
    }
    found = outputs_and_gradients(backbone.cuda(), pairs.cuda())
    assert_near(found, expected, ERRORS[dtype])


@pytest.mark.parametrize('with_cp', [False, True])
def test_bfloat16_is_near_float32(make, with_cp):
    backbone = make(with_cp=with_cp).cuda().eval()
    pairs = torch.randn(2, 4, 64, 80).cuda()
    expected = outputs_and_gradients(backbone, pairs)
    with torch.autocast('cuda', torch.bfloat16):
        found = outputs_and_gradients(backbone, pairs)
    assert_near(found, expected, ERRORS[torch.bfloat16])


@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.5'),
    reason='compile_training needs torch 2.5')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_compiled_prompts_compute_the_same(dtype):
    type_, arguments = BACKBONES['vit']
    plain = type_(**arguments, tuning_options=dict(drop_rate=0.)).cuda()
    compiled = type_(**arguments, tuning_options=dict(
        drop_rate=0., compile_training=True)).cuda()
    compiled.load_state_dict(plain.state_dict())
    pairs = torch.randn(2, 4, 56, 42).cuda()
    with torch.autocast('cuda', dtype, enabled=dtype is not torch.float32):
        assert_near(
            outputs_and_gradients(compiled, pairs),
            outputs_and_gradients(plain, pairs), ERRORS[dtype])


def test_dual_backbone():
    type_, arguments = BACKBONES['vit']
    plain = dict(arguments, type=f'mmivtuning.{type_.__name__}')
    backbone = DualBackbone(backbone=plain).cuda()
    _, gradients = outputs_and_gradients(
        backbone, torch.randn(2, 4, 42, 56).cuda())
    assert all(value.isfinite().all() for value in gradients.values())


def trained(folder, *keys):
    """Return the last figures that a training run has logged."""
    lines = next(folder.glob('*/vis_data/scalars.json')).read_text()
    entries = [json.loads(line) for line in lines.splitlines()]
    return [next(e[key] for e in reversed(entries) if key in e)
            for key in keys]


@pytest.mark.parametrize('options', [
    ['--amp'],
    ['--cfg-options', 'optim_wrapper.type=AmpOptimWrapper',
     'optim_wrapper.dtype=bfloat16'],
    ['--cfg-options', 'model.backbone.with_cp=True'],
], ids=['float16', 'bfloat16', 'recomputed'])
@pytest.mark.parametrize('backbone', ['vit', 'eva02', 'swin'])
def test_segmentation_trains(run, root, scenes, tmp_path, backbone, options):
    config = (root / SCENES /
              f'{backbone}-tiny-random_segformer_iv_4i_scenes-56x70.py')
    if '--cfg-options' not in options:
        options = [*options, '--cfg-options']
    run(sys.executable, root / 'tools/train.py', config, '--work-dir',
        'trained', *options, f'data_root={scenes}', cwd=tmp_path,
        environment=GPU)
    loss, score, memory = trained(tmp_path / 'trained', 'loss', 'mIoU',
                                  'memory')
    assert loss == loss
    assert score >= 0
    assert memory > 0  # mmengine writes it of a GPU only


@pytest.mark.parametrize('name', [
    'swin-tiny-random_dino-small_iv_1e_scenes-72x96.py',
    'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py',
    'eva02-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py',
])
@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_detection_trains_and_tests(run, root, scenes, tmp_path, name,
                                    precision):
    # mmcv's own operators run here: NMS, RoIAlign, deformable attention.
    options = [f'data_root={scenes}']
    if precision == 'bfloat16':
        options += ['optim_wrapper.type=AmpOptimWrapper',
                    'optim_wrapper.dtype=bfloat16']
    run(sys.executable, root / 'tools/train.py', root / DETECTION / name,
        '--work-dir', 'trained', '--cfg-options', *options, cwd=tmp_path,
        environment=GPU)
    printed = run(
        sys.executable, root / 'tools/test.py', root / DETECTION / name,
        'trained/epoch_1.pth', '--work-dir', 'tested', '--cfg-options',
        f'data_root={scenes}', cwd=tmp_path, environment=GPU)
    assert 'coco/bbox_mAP: ' in printed


FSDP = '''
_base_ = '{config}'
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        use_orig_params=True,
        auto_wrap_policy='mmivtuning.models.sharding.wrap_layers'))
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')
'''


@pytest.mark.parametrize('sharded', [False, True], ids=['DDP', 'FSDP'])
def test_launcher_with_one_process(run, root, scenes, tmp_path, sharded):
    config = (root / SCENES /
              'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    if sharded:
        own = tmp_path / 'sharded.py'
        own.write_text(FSDP.format(config=config))
        config = own
    run(sys.executable, '-m', 'torch.distributed.run', '--standalone',
        '--nproc_per_node', '1', root / 'tools/train.py', config,
        '--work-dir', 'trained', '--launcher', 'pytorch', '--cfg-options',
        f'data_root={scenes}', cwd=tmp_path, environment=GPU)
    loss, = trained(tmp_path / 'trained', 'loss')
    assert loss == loss


def test_study(run, root, tmp_path):
    printed = run(
        sys.executable, root / 'tools/compare.py',
        root / 'configs/studies/evidence.yml', '--setting', 'smoke', '--out',
        'out', '--jobs', '2', cwd=tmp_path, environment=GPU)
    assert 'crashed' not in printed
    job = next(tmp_path.glob('out/runs/*/result.json'))
    assert json.loads(job.read_text())['versions']['device'] != 'cpu'
