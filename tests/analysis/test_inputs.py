"""Which pairs are read, and how."""

import weakref

import numpy as np
import pytest
from mmengine.config import Config

from mmivtuning.analysis.inputs import (
    Folders,
    Pair,
    PairSource,
    batches,
    evenly_spaced,
    reading_part,
)
from mmivtuning.analysis.models import parse_spec
from mmivtuning.engine.data_root import read_config
from mmivtuning.pairs import PairError


@pytest.mark.parametrize(('count', 'limit', 'expected'), [
    (3, None, [0, 1, 2]),
    (3, 9, [0, 1, 2]),
    (10, 3, [0, 3, 6]),
    (7, 1, [0]),
])
def test_evenly_spaced(count, limit, expected):
    assert evenly_spaced(count, limit) == expected


def test_labels_are_not_read():
    kinds = ('mmivtuning.LoadPairedImage', 'Resize', 'LoadAnnotations',
             'mmivtuning.LoadSegLabels', 'mmivtuning.LoadSaliencyMask',
             'mmivtuning.OnModality', 'PackSegInputs', 'PackDetInputs')
    kept = reading_part([dict(type=kind) for kind in kinds])
    assert [transform['type'] for transform in kept] == [
        'mmivtuning.LoadPairedImage', 'Resize', 'mmivtuning.OnModality'
    ]


def test_batches_are_of_one_size_and_few_are_alive():
    alive, most = set(), 0

    def pairs():
        nonlocal most
        for number in range(40):
            image = np.zeros((8 + number // 15, 9, 4), np.uint8)
            alive.add(number)
            weakref.finalize(image, alive.discard, number)
            yield Pair(str(number), image)
            del image
            most = max(most, len(alive))

    seen = []
    for names, images in batches(pairs(), 4):
        assert len({image.shape for image in images}) == 1
        seen.append(len(names))
        del images
    assert sum(seen) == 40
    assert max(seen) == 4
    assert most <= 9  # two batches and one


def test_folders_equal_the_data_set(scenes, config):
    cfg = read_config(config(), dict(data_root=str(scenes)))
    of_set = list(PairSource(cfg))
    of_folders = list(
        PairSource(
            cfg,
            Folders(f'{scenes}/visible/val', f'{scenes}/infrared/val')))
    assert len(of_set) == len(of_folders) == 4
    for ours, theirs in zip(of_set, of_folders):
        assert ours.name == theirs.name
        np.testing.assert_array_equal(ours.image, theirs.image)
    raw = next(
        iter(
            PairSource(
                None,
                Folders(f'{scenes}/visible/val', f'{scenes}/infrared/val'))))
    assert raw.image.shape == (112, 140, 4)


def test_labels_may_be_absent(scenes, config, tmp_path):
    for kind in ('visible', 'infrared'):
        (tmp_path / kind).symlink_to(scenes / kind / 'val')
    source = PairSource(
        read_config(config()),
        Folders(f'{tmp_path}/visible', f'{tmp_path}/infrared'), 2)
    assert len(source) == len(list(source)) == 2


def test_without_validation_the_test_set_is_taken(scenes, config):
    cfg = read_config(config(), dict(data_root=str(scenes)))
    expected = len(PairSource(cfg))
    cfg.test_dataloader, cfg.val_dataloader = cfg.val_dataloader, None
    assert len(PairSource(cfg)) == expected


def test_errors(config, tmp_path):
    with pytest.raises(ValueError, match='give a config, or the folders'):
        PairSource()
    with pytest.raises(FileNotFoundError, match='no such folder'):
        PairSource(None, Folders('/nowhere', '/nowhere'))
    (tmp_path / 'a').mkdir()
    with pytest.raises(PairError, match='no images'):
        PairSource(None, Folders(str(tmp_path / 'a'), str(tmp_path / 'a')))
    bare = Config(dict(model=dict()))
    with pytest.raises(ValueError, match='no val_dataloader'):
        PairSource(bare)


@pytest.mark.parametrize(('text', 'expected'), [
    ('a.py', ('a.py', None)),
    ('a/b.py:c.pth', ('a/b.py', 'c.pth')),
    ('a.py:mmivtuning://x', ('a.py', 'mmivtuning://x')),
    ('a.yml:work/x.py.pth', ('a.yml', 'work/x.py.pth')),
])
def test_spec(text, expected):
    assert parse_spec(text) == expected


@pytest.mark.parametrize('text', ['', 'model', 'x.pth', ':a.py.pth'])
def test_bad_spec(text):
    with pytest.raises(ValueError, match='is not CONFIG'):
        parse_spec(text)
