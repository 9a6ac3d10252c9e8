"""Training and testing on a GPU, through the runners. Skipped without."""

import json
import sys

import pytest
import torch
from mmengine.config import Config

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='no GPU is visible')
GPU = dict(CUDA_VISIBLE_DEVICES='0')
SCENES = 'configs/segmentation/scenes'
DETECTION = 'configs/detection/scenes'
FSDP = ('configs/segmentation/mfnet/'
        'eva02-l_segformer_iv_80k-fsdp_mfnet-512x512.py')
BFLOAT16 = ['optim_wrapper.type=AmpOptimWrapper',
            'optim_wrapper.dtype=bfloat16']


def trained(folder, *keys):
    """Return the last figures that a training run has logged."""
    lines = next(folder.glob('*/vis_data/scalars.json')).read_text()
    entries = [json.loads(line) for line in lines.splitlines()]
    return [next(e[key] for e in reversed(entries) if key in e)
            for key in keys]


@pytest.mark.parametrize(('flags', 'options'), [
    (['--amp'], []),
    ([], BFLOAT16),
    ([], ['model.backbone.with_cp=True']),
], ids=['float16', 'bfloat16', 'recomputed'])
@pytest.mark.parametrize('backbone', ['vit', 'eva02', 'swin'])
def test_segmentation_trains(run, root, scenes, tmp_path, backbone, flags,
                             options):
    config = (root / SCENES /
              f'{backbone}-tiny-random_segformer_iv_4i_scenes-56x70.py')
    run(sys.executable, root / 'tools/train.py', config, '--work-dir',
        'trained', *flags, '--cfg-options', *options, f'data_root={scenes}',
        cwd=tmp_path, environment=GPU)
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
        options += BFLOAT16
    run(sys.executable, root / 'tools/train.py', root / DETECTION / name,
        '--work-dir', 'trained', '--cfg-options', *options, cwd=tmp_path,
        environment=GPU)
    printed = run(
        sys.executable, root / 'tools/test.py', root / DETECTION / name,
        'trained/epoch_1.pth', '--work-dir', 'tested', '--cfg-options',
        f'data_root={scenes}', cwd=tmp_path, environment=GPU)
    assert 'coco/bbox_mAP: ' in printed


@pytest.mark.parametrize('sharded', [False, True], ids=['DDP', 'FSDP'])
def test_launcher_with_one_process(run, root, scenes, tmp_path, sharded):
    config = (root / SCENES /
              'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    if sharded:
        # The tiny network, sharded as the shipped config says.
        shipped, cfg = Config.fromfile(root / FSDP), Config.fromfile(config)
        cfg.runner_type, cfg.strategy = shipped.runner_type, shipped.strategy
        cfg.optim_wrapper.update(
            {key: shipped.optim_wrapper[key] for key in ('type', 'dtype')})
        config = tmp_path / 'sharded.py'
        cfg.dump(config)
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
