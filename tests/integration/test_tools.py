"""Our own scripts: one for both tasks, moved to other data by one option."""

import sys

import pytest
from mmengine.fileio import load

CASES = {
    'segmentation':
    ('configs/segmentation/scenes/'
     'vit-tiny-random_segformer_iv_4i_scenes-56x70.py', 'iter_4.pth',
     'mIoU: '),
    'detection':
    ('configs/detection/scenes/'
     'swin-tiny-random_dino-small_iv_1e_scenes-72x96.py', 'epoch_1.pth',
     'coco/bbox_mAP: '),
}


@pytest.mark.parametrize('task', CASES)
def test_train_then_test_on_other_data(run, root, scenes, tmp_path, task):
    config, checkpoint, metric = CASES[task]
    here = f'data_root={scenes}'
    printed = run(
        sys.executable,
        root / 'tools/train.py',
        root / config,
        '--work-dir',
        'trained',
        '--cfg-options',
        here,
        cwd=tmp_path)
    assert metric in printed
    printed = run(
        sys.executable,
        root / 'tools/test.py',
        root / config,
        f'trained/{checkpoint}',
        '--work-dir',
        'tested',
        '--tta',
        '--show-dir',
        'pictures',
        '--out',
        'predictions.pkl',
        '--local-rank',
        '0',
        '--cfg-options',
        here,
        'model.data_preprocessor.missing=infrared',
        cwd=tmp_path)
    assert metric in printed
    assert len(load(tmp_path / 'predictions.pkl')) == 4
    assert len(list(tmp_path.glob('tested/*/pictures/*.png'))) == 4


def test_data_root_that_does_not_exist(run, root, tmp_path):
    config = root / CASES['segmentation'][0]
    printed = run(
        sys.executable,
        root / 'tools/train.py',
        config,
        '--cfg-options',
        'data_root=/no/such/folder',
        cwd=tmp_path,
        fails=True)
    assert '/no/such/folder' in printed
