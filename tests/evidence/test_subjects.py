"""Data of a study: present or absent, nested shares, fingerprints."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mmivtuning.evidence import subjects
from mmivtuning.evidence.subjects import (
    Absent,
    Present,
    find,
    fraction_of,
    hold_out,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def real(conductor, made, tmp_path, monkeypatch):
    """A data set in the folder of real pairs."""
    base = tmp_path / 'real'
    base.mkdir()
    source = next((made / 'data').iterdir())
    shutil.copytree(source, base / 'set')
    monkeypatch.setenv('MMIVTUNING_REAL_DATA', str(base))
    subject = conductor().present[0].subject
    return replace(subject, scenes=None, folder='set'), base / 'set'


def test_a_set_that_is_there(real, tmp_path):
    subject, folder = real
    present = find(subject, tmp_path)
    assert isinstance(present, Present)
    assert present.positions == list(range(8))
    assert present.tested == 4
    assert present.root == str(folder.resolve())


def test_the_fingerprint_is_that_of_the_content(real, tmp_path, monkeypatch):
    subject, folder = real
    first = find(subject, tmp_path).fingerprint
    other = tmp_path / 'elsewhere'
    shutil.copytree(folder, other / 'set')
    monkeypatch.setenv('MMIVTUNING_REAL_DATA', str(other))
    assert find(subject, tmp_path).fingerprint == first
    label = sorted((other / 'set/labels/val').iterdir())[0]
    shutil.copy(sorted((other / 'set/labels/val').iterdir())[1], label)
    subjects._DIGESTS.clear()
    assert find(subject, tmp_path).fingerprint != first


def test_absent_sets_say_why(real, tmp_path, monkeypatch):
    subject, folder = real
    found = find(replace(subject, folder='other'), tmp_path)
    assert isinstance(found, Absent)
    assert 'no folder other' in found.reason
    monkeypatch.delenv('MMIVTUNING_REAL_DATA')
    assert 'is not set' in find(subject, tmp_path).reason


def test_a_broken_set_is_absent_and_says_why(real, tmp_path):
    subject, folder = real
    next((folder / 'infrared/train').iterdir()).unlink()
    found = find(subject, tmp_path)
    assert isinstance(found, Absent)
    assert 'has no infrared partner' in found.reason


def test_an_absent_backbone_says_how_it_is_made(real, tmp_path, monkeypatch):
    subject, _ = real
    monkeypatch.setenv('MMIVTUNING_CACHE', str(tmp_path / 'empty'))
    config = ROOT / ('configs/segmentation/scenes/'
                     'dinov2-s_segformer_iv_2k_scenes-224x294.py')
    found = find(replace(subject, config=str(config)), tmp_path)
    assert 'convert_backbone.py' in found.reason


def test_indices_of_a_config_are_kept(real, tmp_path):
    subject, _ = real
    options = {'train_dataloader.dataset.indices': [1, 3, 6]}
    present = find(replace(subject, options=options), tmp_path)
    assert present.positions == [1, 3, 6]
    assert present.fingerprint != find(subject, tmp_path).fingerprint


def test_shares_are_nested_and_of_a_seed():
    positions = list(range(10, 50))
    quarter, half, whole = (
        set(fraction_of(positions, share, 3)) for share in (0.25, 0.5, 1))
    assert quarter < half < whole == set(positions)
    assert (len(quarter), len(half)) == (10, 20)
    assert fraction_of(positions, 0.5, 4) != sorted(half)
    assert len(fraction_of([7, 8, 9], 0.1, 0)) == 1


def test_held_out_pairs_are_not_trained_on():
    for number in (2, 3, 27):
        parts = hold_out(list(range(number)), 0.25)
        assert set(parts['train']) | set(parts['held_out']) == set(
            range(number))
        assert not set(parts['train']) & set(parts['held_out'])
        assert parts['train']
        assert parts['held_out']
    with pytest.raises(ValueError, match='needs 2'):
        hold_out([0], 0.25)


def test_descriptions_can_be_written(real, tmp_path):
    json.dumps(subjects._describe(dict(instances=[dict(bbox=[1, 2])]), '/'))
