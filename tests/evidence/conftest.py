"""A small study, and results of it that nobody trained."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from mmivtuning.evidence.conduct import Conductor
from mmivtuning.evidence.study import read_study
from mmivtuning.evidence.trial import RESULT, SAMPLES

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / ('configs/segmentation/scenes/'
                 'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')


def content(**changes):
    """The content of a study file."""
    found = dict(
        title='A study',
        reference='iv',
        methods=dict(
            iv=dict(backbone=dict(tuning='iv', prompt_init='identity')),
            full=dict(backbone=dict(tuning='full')),
            frozen=dict(backbone=dict(tuning='frozen')),
            seen=dict(backbone=dict(tuning='visible'), missing='infrared')),
        contrasts=[['full', 'frozen']],
        claims=[
            dict(text='iv beats full', better='iv', than='full'),
            dict(text='full beats frozen', better='full', than='frozen')
        ],
        datasets=dict(
            tiny=dict(
                task='segmentation',
                config=str(CONFIG),
                scenes=dict(train=8, val=4, size=[112, 140]))),
        settings=dict(
            short=dict(seeds=[0, 1, 2], steps=4, rates=[1e-3], workers=0)))
    found.update(changes)
    return found


@pytest.fixture
def study_content():
    """Return a function that makes the content of a study file."""
    return content


@pytest.fixture
def study_file(tmp_path):
    """Return a function that writes a study file."""

    def write(**changes):
        path = tmp_path / 'study.yml'
        path.write_text(yaml.safe_dump(content(**changes), sort_keys=False))
        return path

    return write


@pytest.fixture(scope='session')
def made(tmp_path_factory):
    """Return a folder in which a study finds its scenes."""
    folder = tmp_path_factory.mktemp('evidence')
    path = folder / 'study.yml'
    path.write_text(yaml.safe_dump(content(), sort_keys=False))
    Conductor(read_study(path), folder, print)
    return folder


@pytest.fixture
def conductor(study_file, made, tmp_path):
    """Return a function that makes a conductor in a folder with scenes."""

    def make(**changes):
        study = read_study(study_file(**changes))
        out = tmp_path / 'out'
        out.mkdir(exist_ok=True)
        if not (out / 'data').exists():
            (out / 'data').symlink_to(made / 'data')
        return Conductor(study, out, lambda text: None)

    return make


@pytest.fixture
def pretend(tmp_path):
    """Return a function that writes the result of a run."""

    def write(conductor, run, value, samples=None, **changes):
        folder = conductor.runs / run.folder
        folder.mkdir(parents=True)
        result = dict(
            identity=run.identity,
            status='done',
            sources='these',
            versions=dict(torch='2'),
            scores={name: dict(mIoU=value - 10 * place,
                               cross_entropy=1 - value / 100)
                    for place, name in enumerate(run.tests)},
            loss=0.5,
            step_seconds=0.25,
            backward_bytes=2_000_000,
            trainable_backbone=1234,
            trainable=5678,
            steps=4)
        result.update(changes)
        if samples is None:  # four pairs, three classes
            areas = np.full((4, 3), 1000.)
            samples = np.stack([areas * value / 100, areas], 1)
        data = io.BytesIO()
        np.savez(data, **{name: samples for name in run.tests})
        (folder / SAMPLES).write_bytes(data.getvalue())
        (folder / RESULT).write_text(json.dumps(result))

    return write
