"""Either toolbox may be absent; its types then say what to install."""

import sys

import pytest

BLOCKED = "import sys\nsys.modules['{toolbox}'] = None\n"


@pytest.fixture
def without(tmp_path):
    """Return an environment in which a toolbox cannot be imported."""

    def make(toolbox: str) -> dict:
        folder = tmp_path / 'blocked'
        folder.mkdir()
        # Python imports this module at its start.
        (folder / 'sitecustomize.py').write_text(
            BLOCKED.format(toolbox=toolbox))
        return dict(PYTHONPATH=str(folder))

    return make


def test_segmentation_without_mmdet(run, root, scenes, tmp_path, without):
    printed = run(
        sys.executable,
        root / 'tools/train.py',
        root / 'configs/segmentation/scenes' /
        'vit-tiny-random_segformer_iv_4i_scenes-56x70.py',
        '--cfg-options',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        f'data_root={scenes}',
        cwd=tmp_path,
        environment=without('mmdet'))
    assert 'mIoU' in printed


def test_detection_without_mmseg(run, root, scenes, tmp_path, without):
    printed = run(
        sys.executable,
        root / 'tools/train.py',
        root / 'configs/detection/scenes' /
        'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py',
        '--cfg-options',
        f'data_root={scenes}',
        cwd=tmp_path,
        environment=without('mmseg'))
    assert 'bbox_mAP' in printed


@pytest.mark.parametrize(('toolbox', 'name', 'install'), [
    ('mmseg', 'PairedSegDataset', 'pip install mmsegmentation'),
    ('mmdet', 'PairedDetDataset', 'pip install mmdet'),
])
def test_a_type_of_an_absent_toolbox_says_what_to_install(
        run, tmp_path, without, toolbox, name, install):
    printed = run(
        sys.executable,
        '-c',
        'from mmengine.registry import DATASETS\n'
        f'DATASETS.build(dict(type="mmivtuning.{name}"))',
        cwd=tmp_path,
        fails=True,
        environment=without(toolbox))
    assert f'mmivtuning.{name}' in printed
    assert toolbox in printed
    assert install in printed
