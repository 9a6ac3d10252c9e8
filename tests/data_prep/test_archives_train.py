"""Every archive: converted, checked, then a step of training and testing."""

import re

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmivtuning.pairs.checking import check_tree

BASES = dict(
    mfnet='mfnet_480x640', msrs='msrs_480x640', pst900='pst900_720x1280',
    fmb='fmb_600x800', m3fd='m3fd_detection', llvip='llvip_detection',
    flir_aligned='flir_detection', kaist='kaist_detection',
    drone_vehicle='drone_vehicle_detection', vedai='vedai_detection')
QUICK = ('mfnet', 'kaist')
SETS = pytest.mark.parametrize(
    ('name', 'source'), [
        pytest.param(
            name, name, marks=[] if name in QUICK else [pytest.mark.slow])
        for name in BASES
    ],
    indirect=['source'])


def small(text):
    """A base config of a data set for small pictures and no workers."""
    text = re.sub(r'\nscale = \(.*?\)', '\nscale = (64, 48)', text)
    text = re.sub(r'\ncrop_size = \(.*?\)', '\ncrop_size = (28, 28)', text)
    text = re.sub(r'scales=train_scales', 'scales=[(48, 64)]', text)
    text = re.sub(r'scales=\[\(400.*?\]', 'scales=[(48, 64)]', text)
    text = re.sub(r'crop_size=\(384, 600\)', 'crop_size=(28, 40)', text)
    text = text.replace('persistent_workers=True', 'persistent_workers=False')
    return re.sub(r'num_workers=\d', 'num_workers=0', text)


@SETS
def test_archive_trains_and_tests(name, source, tmp_path, convert, root,
                                  capsys):
    data = tmp_path / 'data' / name
    assert convert(name, source, data, '--allow-subset') == 0
    assert check_tree(data).errors == []
    base = f'{BASES[name]}.py'
    (tmp_path / base).write_text(
        small((root / 'configs/_base_/datasets' / base).read_text()))
    kind, leaf = ('detection', 'vit-tiny-random_cascade-rcnn-small_iv_1e_'
                  'scenes-72x96.py')
    scenes = 'scenes_tiny_detection'
    if not base.endswith('detection.py'):
        kind = 'segmentation'
        leaf = 'vit-tiny-random_segformer_iv_4i_scenes-56x70.py'
        scenes = 'scenes_tiny_segmentation'
    text = (root / 'configs' / kind / 'scenes' / leaf).read_text()
    text = text.replace(f'../../_base_/datasets/{scenes}.py',
                        str(tmp_path / base))
    text = text.replace('../../_base_', str(root / 'configs/_base_'))
    (tmp_path / 'config.py').write_text(text)
    toolbox = 'mmdet' if kind == 'detection' else 'mmseg'
    pytest.importorskip(toolbox)
    cfg = Config.fromfile(tmp_path / 'config.py')
    cfg.work_dir = str(tmp_path / 'work')
    for mode in ('train', 'val', 'test'):
        cfg[f'{mode}_dataloader'].dataset.data_root = str(data)
    if kind == 'segmentation':
        cfg.train_cfg.update(max_iters=1, val_interval=1)
    from mmengine.runner import Runner
    with DefaultScope.overwrite_default_scope(toolbox):
        runner = Runner.from_cfg(cfg)
        runner.train()
        metrics = runner.test()
    wanted = dict(segmentation='mIoU', detection='coco/bbox_mAP')[kind]
    assert wanted in metrics
    if name == 'kaist':
        assert 'kaist/miss_rate' in metrics
