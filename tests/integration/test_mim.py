"""The commands of the README, with shipped configs, on the CPU."""

import re
from pathlib import Path

import pytest
import torch

SEGMENTATION = ('configs/segmentation/scenes/'
                'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
DETECTION = ('configs/detection/scenes/'
             'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py')


def last(pattern: str, text: str) -> float:
    """Return the last number that follows a pattern."""
    found = re.findall(pattern + r'[: ]+(-?[\d.]+)', text)
    assert found, f'{pattern} is not in:\n{text[-3000:]}'
    return float(found[-1])


@pytest.fixture(scope='module')
def segmentation(mim, root, scenes, tmp_path_factory):
    """Train with `mim train mmseg CONFIG`; return the folder and a tester."""
    folder = tmp_path_factory.mktemp('segmentation')
    environment = dict(MMIVTUNING_DATA=str(scenes.parent))
    config = root / SEGMENTATION
    printed = mim(
        'train', 'mmseg', config, cwd=folder, environment=environment)

    def test(*options: object) -> str:
        checkpoint = folder / 'work_dirs' / config.stem / 'iter_4.pth'
        return mim(
            'test',
            'mmseg',
            config,
            '--checkpoint',
            checkpoint,
            *options,
            cwd=folder,
            environment=environment)

    return folder, printed, test


@pytest.fixture(scope='module')
def detection(mim, root, scenes, tmp_path_factory, detection_toolbox):
    """Train with `mim train mmdet CONFIG`; return the folder and a tester."""
    folder = tmp_path_factory.mktemp('detection')
    environment = dict(MMIVTUNING_DATA=str(scenes.parent))
    config = root / DETECTION
    printed = mim(
        'train',
        detection_toolbox,
        config,
        cwd=folder,
        environment=environment)

    def test(*options: object) -> str:
        checkpoint = folder / 'work_dirs' / config.stem / 'epoch_1.pth'
        return mim(
            'test',
            detection_toolbox,
            config,
            '--checkpoint',
            checkpoint,
            *options,
            cwd=folder,
            environment=environment)

    return folder, printed, test


def test_train_and_test_mmseg(segmentation):
    folder, printed, test = segmentation
    trained = last('mIoU', printed)
    tested = test()
    assert last('mIoU', tested) == pytest.approx(trained, abs=0.011)
    assert 'unexpected key' not in tested
    assert 'missing keys' not in tested


def test_missing_modality_by_option_and_pictures(segmentation):
    folder, _, test = segmentation
    test('--cfg-options', 'model.data_preprocessor.missing=infrared',
         '--work-dir', 'missing', '--show-dir', 'pictures')
    assert len(list(Path(folder).rglob('pictures/**/test_*.png'))) == 4


def test_segmentation_test_time_augmentation(segmentation):
    assert last('mIoU', segmentation[2]('--tta')) >= 0


def test_train_and_test_mmdet(detection):
    folder, printed, test = detection
    assert 'bbox_mAP' in printed
    tested = test('--cfg-options', 'model.data_preprocessor.missing=visible')
    assert 'bbox_mAP' in tested
    assert 'unexpected key' not in tested


def test_detection_test_time_augmentation(detection):
    assert 'bbox_mAP' in detection[2]('--tta')


def test_the_optimiser_keeps_state_for_what_trains_only(segmentation, root):
    """The checkpoint of a real run has moments for the trainable part."""
    from mmengine.config import Config

    from mmivtuning.registry import MODELS
    folder, _, _ = segmentation
    config = root / SEGMENTATION
    saved = torch.load(
        folder / 'work_dirs' / config.stem / 'iter_4.pth',
        map_location='cpu',
        weights_only=False)
    cfg = Config.fromfile(config)
    backbone = MODELS.build(cfg.model.backbone)
    trainable = {
        name
        for name, value in backbone.named_parameters() if value.requires_grad
    }
    parameters = dict(backbone.named_parameters())
    assert 0 < len(trainable) < len(parameters)
    state = {
        name[len('backbone.'):]: value
        for name, value in saved['state_dict'].items()
        if name.startswith('backbone.')
    }
    assert set(parameters) <= set(state)
    moments = saved['optimizer']['state']
    with_state = sum(
        1 for value in moments.values() if value['exp_avg'].abs().sum() > 0)
    head = sum(1 for name in saved['state_dict']
               if name.startswith('decode_head.') and name.endswith(
                   ('weight', 'bias')))
    assert len(trainable) <= with_state <= len(trainable) + head
