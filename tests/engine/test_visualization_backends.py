"""Pictures of pairs arrive in every back end; they are read back from it."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmivtuning.engine.pictures import CAPTION_HEIGHT, GAP

CONFIG = ('configs/segmentation/scenes/'
          'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
# visible, infrared, truth; of a validation the prediction, too
TRAINING = (112 + CAPTION_HEIGHT, 3 * 140 + 2 * GAP, 3)
VALIDATION = (112 + CAPTION_HEIGHT, 4 * 140 + 3 * GAP, 3)
# Batches 0 and 2 of four.
DRAWN = ('val_val_00000D', 'val_val_00002D')


@pytest.fixture
def trained(root, scenes, tmp_path):
    """Return a function that trains and validates with a back end."""

    def train(backend):
        cfg = Config.fromfile(root / CONFIG)
        for split in ('train', 'val', 'test'):
            cfg[f'{split}_dataloader'].dataset.data_root = str(scenes)
        # a pipeline that leaves sizes as they are
        dataset = cfg.train_dataloader.dataset
        dataset.pipeline = [
            transform for transform in dataset.pipeline
            if transform.type not in ('RandomResize', 'RandomCrop')
        ]
        cfg.visualizer.vis_backends = [backend]
        cfg.default_hooks.visualization.update(
            draw=True, interval=2, draw_train_interval=2)
        cfg.dump(tmp_path / 'drawn.py')
        done = subprocess.run([
            sys.executable, str(root / 'tools/train.py'),
            str(tmp_path / 'drawn.py'), '--work-dir',
            str(tmp_path / 'work')
        ], cwd=tmp_path, env=dict(os.environ, CUDA_VISIBLE_DEVICES='-1',
                    OMP_NUM_THREADS='1', WANDB_SILENT='true',
                    HOME=str(tmp_path)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        folder, = (tmp_path / 'work').glob('2*')
        return folder / 'vis_data'

    return train


def test_local(trained):
    folder = trained(dict(type='LocalVisBackend'))
    shapes = {
        file.stem: cv2.imread(str(file)).shape
        for file in (folder / 'vis_image').iterdir()
    }
    assert shapes == dict(
        train_2=TRAINING, train_4=TRAINING,
        **{f'{name}_4': VALIDATION for name in DRAWN})


def test_tensorboard(trained):
    pytest.importorskip('tensorboard', reason='tensorboard is not installed')
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )
    folder = trained(dict(type='TensorboardVisBackend'))
    events = EventAccumulator(str(folder), size_guidance=dict(images=0))
    events.Reload()
    tags = events.Tags()
    assert sorted(tags['images']) == ['train', *DRAWN]
    assert {'loss', 'lr', 'mIoU'} <= set(tags['scalars'])
    assert [event.step for event in events.Images('train')] == [2, 4]
    for tag, shape in (('train', TRAINING), (DRAWN[0], VALIDATION)):
        data = np.frombuffer(
            events.Images(tag)[0].encoded_image_string, np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == shape


def test_wandb_offline(trained):
    pytest.importorskip('wandb', reason='wandb is not installed')
    folder = trained(
        dict(
            type='WandbVisBackend',
            init_kwargs=dict(project='pairs', mode='offline')))
    run, = folder.glob('wandb/offline-run-*')
    assert [file.stat().st_size > 0 for file in run.glob('*.wandb')] == [True]
    images = list(run.glob('files/media/images/*.png'))
    shapes = sorted(cv2.imread(str(file)).shape for file in images)
    assert shapes == sorted([TRAINING] * 2 + [VALIDATION] * 2)
    for name in ('train', *DRAWN):
        assert any(file.name.startswith(f'{name}_') for file in images)
