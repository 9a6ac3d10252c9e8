"""Synthetic scenes: repeatable, complete, and true to their own labels."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import make_scenes
import numpy as np
import pytest

from mmivtuning.pairs import find_pairs, read_pair
from mmivtuning.pairs.benchmarks import BENCHMARKS, SCENE_THINGS
from mmivtuning.scenes import data_set, make_scene

SIZE = (56, 70)
FOLDERS = ('visible', 'infrared', 'labels', 'masks')


def make(out: Path, *extra: object, train: int = 9, val: int = 3) -> int:
    """Make a small data set in this process."""
    return make_scenes.main([
        '--out',
        str(out), '--train',
        str(train), '--val',
        str(val), '--size', *map(str, SIZE), '--jobs', '1', *map(str, extra)
    ])


def hashes(root: Path) -> dict:
    """A digest of every file."""
    return {
        str(path.relative_to(root)):
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob('*')) if path.is_file()
    }


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    """A data set of 9 + 3 scenes."""
    out = tmp_path_factory.mktemp('scenes') / 'data'
    assert make(out) == 0
    return out


def stems_of(root: Path, name: str) -> list:
    return (root / 'splits' / f'{name}.txt').read_text().split()


def test_files_are_complete(data):
    meta = json.loads((data / 'meta.json').read_text())
    assert meta['counts'] == dict(train=9, val=3)
    assert tuple(meta['classes']) == BENCHMARKS['scenes']['classes']
    assert tuple(meta['things']) == SCENE_THINGS
    everything = []
    for split, count in meta['counts'].items():
        stems = stems_of(data, split)
        assert len(stems) == count
        assert sorted(
            stems_of(data, f'{split}_day') +
            stems_of(data, f'{split}_night')) == stems
        everything += stems
        for folder in FOLDERS:
            files = sorted((data / folder / split).iterdir())
            assert [file.stem for file in files] == stems
        pairs = find_pairs(
            str(data / 'visible' / split), str(data / 'infrared' / split))
        for pair in pairs:
            image = read_pair(
                str(data / 'visible' / split / pair.visible),
                str(data / 'infrared' / split / pair.infrared))
            assert image.shape == (*SIZE, 4)
            infrared = cv2.imread(
                str(data / 'infrared' / split / pair.infrared), -1)
            assert infrared.ndim == 2
    assert len(set(everything)) == 12
    assert [p.name for p in data.parent.iterdir()] == ['data']


def test_statistics_are_those_of_the_files(data):
    statistics = json.loads((data / 'meta.json').read_text())['statistics']
    pixels = np.concatenate([
        read_pair(
            str(data / 'visible/train' / f'{stem}.png'),
            str(data / 'infrared/train' / f'{stem}.png')).reshape(-1, 4)
        for stem in stems_of(data, 'train')
    ]).astype(float)[:, [2, 1, 0, 3]]
    assert np.allclose(statistics['mean'], pixels.mean(0), atol=1e-3)
    assert np.allclose(statistics['std'], pixels.std(0), atol=1e-3)


def test_boxes_are_those_of_the_instance_masks(data):
    content = json.loads((data / 'annotations/train.json').read_text())
    assert [(c['id'], c['name']) for c in content['categories']] == [
        (1, 'car'), (2, 'person'), (3, 'sign'), (4, 'cone')
    ]
    by_image = {image['id']: [] for image in content['images']}
    for entry in content['annotations']:
        by_image[entry['image_id']].append(entry)
    for image in content['images']:
        labels = cv2.imread(
            str(data / 'labels/train' / image['file_name']), -1)
        assert (image['height'], image['width']) == labels.shape == SIZE
        rebuilt = np.zeros_like(labels)
        for entry in by_image[image['id']]:
            mask = decode(entry['segmentation'])
            assert mask.sum() == entry['area'] > 0
            assert not rebuilt[mask].any()
            rebuilt[mask] = entry['category_id']
            x, y, width, height = entry['bbox']
            rows, columns = np.nonzero(mask)
            assert (columns.min(), rows.min()) == (x, y)
            assert (columns.max() + 1, rows.max() + 1) == (x + width,
                                                           y + height)
        assert np.array_equal(rebuilt, labels)


def decode(segmentation: dict) -> np.ndarray:
    """Run lengths to a mask, by the definition in the COCO format."""
    height, width = segmentation['size']
    flat = []
    for position, count in enumerate(segmentation['counts']):
        flat += [position % 2] * count
    assert len(flat) == height * width
    return np.array(flat, bool).reshape(width, height).T


def test_run_lengths_are_those_of_pycocotools(data):
    codec = pytest.importorskip('pycocotools.mask')
    content = json.loads((data / 'annotations/val.json').read_text())
    for entry in content['annotations']:
        runs = entry['segmentation']
        ours = decode(runs)
        theirs = codec.decode(codec.frPyObjects(runs, *runs['size']))
        assert np.array_equal(theirs.astype(bool), ours)


def test_masks_are_of_labelled_things(data):
    for split in ('train', 'val'):
        for stem in stems_of(data, split):
            mask = cv2.imread(str(data / 'masks' / split / f'{stem}.png'), -1)
            labels = cv2.imread(
                str(data / 'labels' / split / f'{stem}.png'), -1)
            assert set(np.unique(mask)) == {0, 255}
            assert (labels[mask == 255] > 0).all()
            assert labels.max() <= 4


def test_every_class_occurs(data):
    ids = set()
    for stem in stems_of(data, 'train'):
        ids |= set(
            np.unique(cv2.imread(str(data / 'labels/train' / f'{stem}.png'),
                                 -1)).tolist())
    assert ids == {0, 1, 2, 3, 4}


def test_same_seed_same_bytes_other_seed_others(data, tmp_path):
    assert make(tmp_path / 'same', '--jobs', 2) == 0
    assert hashes(tmp_path / 'same') == hashes(data)
    assert make(tmp_path / 'other', '--seed', 1) == 0
    ours = {h for n, h in hashes(data).items() if n.endswith('.png')}
    others = {
        h for n, h in hashes(tmp_path / 'other').items()
        if n.startswith(('visible', 'infrared'))
    }
    assert not ours & others


def test_a_scene_does_not_depend_on_how_many_there_are(data, tmp_path):
    assert make(tmp_path / 'more', train=12, val=1) == 0
    more = hashes(tmp_path / 'more')
    for name, digest in hashes(data).items():
        if name.endswith('.png') and (name in more):
            assert more[name] == digest
    assert set(stems_of(data, 'train')) <= set(
        stems_of(tmp_path / 'more', 'train'))


def test_infrared_shows_warmth_and_neither_sign_nor_cone():
    """Contrast of each class to its surroundings, by modality, at night."""
    contrast = {label: [] for label in range(1, 5)}
    for index in range(24):
        scene = make_scene((5, 0, index), 112, 147)
        if not scene.night:
            continue
        for thing in scene.things:
            x, y, width, height = thing.box
            around = np.zeros_like(thing.mask)
            around[max(y - 4, 0):y + height + 4,
                   max(x - 4, 0):x + width + 4] = True
            around &= scene.labels == 0
            if not around.any() or thing.mask.sum() < 60:
                continue
            contrast[thing.label].append([
                float(image[thing.mask].mean()) - float(image[around].mean())
                for image in (scene.infrared, scene.visible)
            ])
    means = {
        label: np.mean(values, axis=0)
        for label, values in contrast.items()
    }
    car, person, sign, cone = (means[label] for label in range(1, 5))
    assert min(car[0], person[0]) > 40
    assert max(abs(sign[0]), abs(cone[0])) < 15
    assert min(sign[1], cone[1]) > 25
    assert max(abs(car[1]), abs(person[1])) < 15


@pytest.mark.parametrize('size', [(32, 32), (33, 517), (224, 224), (90, 61)])
def test_any_size(size):
    scene = make_scene((0, 0, 0), *size)
    assert scene.visible.shape == (*size, 3)
    assert scene.infrared.shape == scene.labels.shape == size
    assert scene.salient.shape == size


def test_too_small():
    with pytest.raises(ValueError, match='31x40'):
        make_scene((0, 0, 0), 31, 40)


def test_jpeg(tmp_path):
    assert make(tmp_path / 'out', '--visible-format', 'jpg', train=1) == 0
    stem = stems_of(tmp_path / 'out', 'train')[0]
    assert (tmp_path / 'out/visible/train' / f'{stem}.jpg').is_file()
    assert (tmp_path / 'out/infrared/train' / f'{stem}.png').is_file()
    content = json.loads(
        (tmp_path / 'out/annotations/train.json').read_text())
    assert content['images'][0]['file_name'] == f'{stem}.jpg'


def test_again_is_a_no_op_and_other_arguments_are_refused(tmp_path, capsys):
    out = tmp_path / 'dir' / 'out'
    assert make(out, train=2, val=1) == 0
    before = hashes(out)
    assert make(out, train=2, val=1) == 0
    assert 'unchanged' in capsys.readouterr().out
    assert make(out, train=3, val=1) == 1
    assert str(out) in capsys.readouterr().err
    assert hashes(out) == before
    assert make(out, '--force', train=3, val=1) == 0
    assert len(stems_of(out, 'train')) == 3
    assert [p.name for p in out.parent.iterdir()] == ['out']


def test_failure_leaves_nothing(tmp_path, monkeypatch):

    def fail(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(data_set, 'write_split', fail)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / 'dir' / 'out', train=2, val=1)
    assert not list((tmp_path / 'dir').iterdir())


def test_asked_to_end_leaves_nothing(tmp_path, monkeypatch):
    import os
    import signal

    def end(*args: object, **kwargs: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(data_set, 'write_split', end)
    with pytest.raises(SystemExit):
        make(tmp_path / 'dir' / 'out', train=2, val=1)
    assert not list((tmp_path / 'dir').iterdir())


@pytest.mark.parametrize('arguments', [('--train', '-1'),
                                       ('--size', '10', '10'),
                                       ('--jobs', '0'),
                                       ('--train', '0', '--val', '0')])
def test_bad_arguments(tmp_path, arguments):
    with pytest.raises(SystemExit) as error:
        make_scenes.main(['--out', str(tmp_path / 'out'), *arguments])
    assert error.value.code == 2
    assert not (tmp_path / 'out').exists()


def test_as_a_script(tmp_path):
    script = Path(make_scenes.__file__)
    subprocess.run([
        sys.executable,
        str(script), '--out',
        str(tmp_path / 'out'), '--train', '1', '--val', '0', '--size', '32',
        '32'
    ],
                   check=True)
    assert len(stems_of(tmp_path / 'out', 'train')) == 1
