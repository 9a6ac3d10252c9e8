"""Tiny models of the three tasks, as checkpoints, and folders of pairs."""

import os
from pathlib import Path
from typing import Callable, Dict, NamedTuple

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import mmivtuning.apis as apis

CONFIGS = dict(
    segmentation='segmentation/scenes/'
    'vit-tiny-random_segformer_iv_4i_scenes-56x70.py',
    saliency='salient_object/scenes/'
    'vit-tiny-random_segformer_iv_4i_scenes-saliency-56x70.py',
    detection='detection/scenes/'
    'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py')
CLASSES = dict(
    segmentation='PairedSegInferencer',
    saliency='PairedSaliencyInferencer',
    detection='PairedDetInferencer')


class Trained(NamedTuple):
    """A model and its files."""
    task: str
    config: Path
    checkpoint: Path

    def inferencer(self, **kwargs):
        """An inferencer on the full checkpoint, silent."""
        kwargs = dict(
            dict(
                model=self.config,
                weights=self.checkpoint,
                device='cpu',
                show_progress=False), **kwargs)
        return getattr(apis, CLASSES[self.task])(**kwargs)


def build_model(cfg: Config) -> torch.nn.Module:
    """Build a model whose predictions differ from pixel to pixel."""
    init_default_scope(cfg.default_scope)
    torch.manual_seed(1)
    model = MODELS.build(cfg.model)
    model.init_weights()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith('decode_head') and parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    return model


def save_model(model: torch.nn.Module, cfg: Config, path: Path) -> Path:
    """Save a checkpoint as the runner does."""
    dataset = cfg.test_dataloader.dataset
    meta = dict(
        cfg=cfg.pretty_text,
        dataset_meta=dict(dataset.get('metainfo', {})))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return path


@pytest.fixture(scope='session')
def trained(root, tmp_path_factory) -> Dict[str, Trained]:
    """The three models by task."""
    folder = tmp_path_factory.mktemp('models')
    models = {}
    for task, name in CONFIGS.items():
        config = root / 'configs' / name
        cfg = Config.fromfile(config)
        file = save_model(build_model(cfg), cfg, folder / f'{task}.pth')
        models[task] = Trained(task, config, file)
    return models


@pytest.fixture(scope='session')
def inferencers(trained) -> Dict[str, apis.PairedSegInferencer]:
    """The three inferencers by task."""
    return {task: model.inferencer() for task, model in trained.items()}


@pytest.fixture(params=CONFIGS)
def task(request) -> str:
    """Each task."""
    return request.param


@pytest.fixture
def inferencer(inferencers, task):
    """The inferencer of each task, in its toolbox's scope."""
    found = inferencers[task]
    init_default_scope(found.toolbox)
    return found


@pytest.fixture(scope='session')
def pair_files(scenes):
    """The files of the validation scenes, visible and infrared."""
    names = sorted(path.name for path in (scenes / 'visible/val').iterdir())
    return [(str(scenes / 'visible/val' / name),
             str(scenes / 'infrared/val' / name)) for name in names]


@pytest.fixture
def make_folders(pair_files, tmp_path) -> Callable[[int], Path]:
    """Return a function that makes two folders of so many pairs."""

    def make(count: int) -> Path:
        folder = tmp_path / 'data'
        for index in range(count):
            for modality, source in zip(
                ('visible', 'infrared'), pair_files[index % len(pair_files)]):
                target = folder / modality / f'{index:04}.png'
                target.parent.mkdir(parents=True, exist_ok=True)
                os.symlink(source, target)
        return folder

    return make


@pytest.fixture(scope='session')
def build() -> Callable[[Config], torch.nn.Module]:
    """Return a function that builds a model."""
    return build_model


@pytest.fixture(scope='session')
def save() -> Callable[..., Path]:
    """Return a function that saves a checkpoint."""
    return save_model


@pytest.fixture(scope='session')
def same() -> Callable[..., bool]:
    """Return a function that compares predictions of any task."""

    def compare(first, second, tolerance: float = 0.) -> bool:
        if isinstance(first, dict):
            return first['labels'] == second['labels'] and all(
                np.allclose(first[k], second[k], rtol=0, atol=tolerance)
                for k in ('scores', 'bboxes'))
        return first.dtype == second.dtype and np.allclose(
            first, second, rtol=0, atol=tolerance)

    return compare
