"""The checker: every planted fault is named, and nothing else."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmivtuning.cli import main
from mmivtuning.pairs.check_command import JOURNAL
from mmivtuning.pairs.checking import check_tree
from mmivtuning.pairs.hashing import difference_hash, near_pairs, to_text
from mmivtuning.pairs.pair_check import PairOptions
from mmivtuning.pairs.problems import KINDS
from mmivtuning.pairs.registration import estimate_misalignment
from mmivtuning.pairs.tree import Folders, read_tree

SIZE = (48, 64)
CLASSES = ('soil', 'crop', 'weed')


def blobs(seed, channels=1):
    """A smooth picture that no other seed resembles."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 230, (12, 16, channels), np.uint8)
    image = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return image.reshape(*SIZE, channels)


def write(path, image):
    assert cv2.imwrite(str(path), image)


def make_tree(root, count):
    """A clean set: 60 % train, 20 % val, 20 % test, labels and boxes."""
    numbers = dict(train=count * 3 // 5, val=count // 5)
    numbers['test'] = count - sum(numbers.values())
    seed = 0
    for split, number in numbers.items():
        for folder in ('visible', 'infrared', 'labels'):
            (root / folder / split).mkdir(parents=True)
        images, boxes = [], []
        for index in range(number):
            seed += 1
            stem = f'{split}_{index:04d}'
            write(root / f'visible/{split}/{stem}.png', blobs(seed, 3))
            write(root / f'infrared/{split}/{stem}.png', blobs(-seed % 2**31))
            ids = np.random.default_rng(seed).integers(0, 3, SIZE, np.uint8)
            ids[0, 0] = 255
            write(root / f'labels/{split}/{stem}.png', ids)
            images.append(dict(id=index, file_name=f'{stem}.png',
                               height=SIZE[0], width=SIZE[1]))
            boxes.append(dict(id=index, image_id=index, category_id=1,
                              bbox=[3, 4, 20, 30]))
        write_json(root / f'annotations/{split}.json', dict(
            images=images, annotations=boxes,
            categories=[dict(id=1, name='crop')]))
        (root / 'splits').mkdir(exist_ok=True)
        (root / f'splits/{split}.txt').write_text(
            ''.join(f'{split}_{n:04d}\n' for n in range(number)))
    write_json(root / 'meta.json', dict(classes=CLASSES))
    return root


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def orientation_png(path):
    """Mark a PNG as rotated, in an eXIf chunk."""
    exif = b'MM\x00*' + struct.pack('>IHHHIHHI', 8, 1, 0x0112, 3, 1, 6, 0, 0)
    data = path.read_bytes()
    chunk = struct.pack('>I', len(exif)) + b'eXIf' + exif + b'\0\0\0\0'
    path.write_bytes(data[:33] + chunk + data[33:])


def plant(root):
    """Plant 25 faults of 16 kinds; returns (kind, file) of each."""
    v, i, m = (f'{folder}/train/train_{{:04d}}.png'
               for folder in ('visible', 'infrared', 'labels'))
    planted = []

    def at(kind, pattern, number):
        planted.append((kind, pattern.format(number)))
        return root / pattern.format(number)

    for n in (0, 1):
        (root / i.format(n)).unlink()
        at('missing partner', v, n)
    (root / v.format(2)).unlink()
    (root / m.format(2)).unlink()
    at('missing partner', i, 2)
    # The json names what is gone.
    planted.append(('annotations', 'annotations/train.json'))
    at('empty file', v, 3).write_bytes(b'')
    at('empty file', i, 4).write_bytes(b'')
    for pattern, n in ((v, 5), (m, 7)):
        path = at('unreadable', pattern, n)
        path.write_bytes(path.read_bytes()[:-30])
    at('unreadable', i, 8).write_text('no image')
    write(at('size', i, 9), blobs(9)[:-1])
    write(at('size', m, 10), np.zeros((7, 7), np.uint8))
    write(at('format', i, 11), np.dstack([blobs(11, 3), blobs(12)]))
    write(at('format', m, 12), blobs(12, 3))
    with open(root / 'splits/train.txt', 'a') as file:
        file.write('nowhere\n')
    planted.append(('split list', 'splits/train.txt'))
    (root / i.format(24)).unlink()
    tiff = i.replace('png', 'tif')
    write(at('format', tiff, 24), np.full(SIZE, np.nan, np.float32))
    for n, bad in ((13, 3), (14, 200)):
        ids = np.zeros(SIZE, np.uint8)
        ids[5, 5] = bad
        write(at('label ids', m, n), ids)
    (root / m.format(15)).unlink()
    at('missing labels', v, 15)
    write(at('duplicate stem', v.replace('png', 'tif'), 16), blobs(16, 3))
    write(at('blank', i, 17), np.full(SIZE, 7, np.uint8))
    grey = cv2.cvtColor(cv2.imread(str(root / v.format(18))), 6)
    write(at('same image', i, 18), grey)
    orientation_png(at('orientation', i, 19))
    content = json.loads((root / 'annotations/train.json').read_text())
    for n, box in ((20, [50, 0, 20, 20]), (21, [1, 1, 0, 5])):
        content['annotations'][n]['bbox'] = box
        planted.append(('boxes', 'annotations/train.json'))
    content['images'][22]['height'] = 5
    planted.append(('annotations', 'annotations/train.json'))
    write_json(root / 'annotations/train.json', content)
    for folder in ('visible', 'infrared'):
        image = cv2.imread(f'{root}/{folder}/train/train_0023.png', -1)
        image = cv2.GaussianBlur(image, (3, 3), 0)
        write(root / f'{folder}/val/val_0003.png', image)
    planted.append(('leakage', 'visible/val/val_0003.png'))
    assert len(planted) == 25 + 1  # the json, of the missing visible file
    return sorted(planted)


def found(problems):
    return sorted((p['kind'], p['file']) for p in problems)


def run(root, *arguments):
    """Run the command; returns exit status and report."""
    out = root.parent / 'report'
    status = main(['check', str(root), '--out', str(out), '--quiet',
                   *map(str, arguments)])
    return status, json.loads((out / 'report.json').read_text())


def test_a_clean_tree_is_clean(tmp_path, capsys):
    root = make_tree(tmp_path / 'set', 30)
    status, report = run(root, '--strict', '--jobs', 1)
    assert status == 0
    assert report['problems'] == []
    assert capsys.readouterr().out.startswith(
        f'ok: {root}: 30 pairs (18 train, 6 val, 6 test), 0 error(s)')
    assert {name: split['pairs'] for name, split in
            report['splits'].items()} == dict(train=18, val=6, test=6)
    pixels = np.concatenate([
        np.dstack([
            cv2.imread(str(path))[..., ::-1],
            cv2.imread(f'{root}/infrared/train/{path.name}', -1)
        ]).reshape(-1, 4) for path in (root / 'visible/train').iterdir()
    ])
    statistics = report['splits']['train']['statistics']
    assert np.allclose(statistics['mean'], pixels.mean(0), atol=1e-3)
    assert np.allclose(statistics['std'], pixels.std(0), atol=1e-3)
    assert report['splits']['val']['present'] == {
        '0': 6, '1': 6, '2': 6, '255': 6}
    out = tmp_path / 'report'
    assert sorted(path.name for path in out.iterdir()) == [
        'histograms.png', 'report.json', 'worst_aligned.png']
    assert cv2.imread(str(out / 'histograms.png')).shape[0] > 500
    assert cv2.imread(str(out / 'worst_aligned.png')) is not None


def test_every_planted_fault_is_named_and_nothing_else(tmp_path, capsys):
    root = make_tree(tmp_path / 'set', 100)
    planted = plant(root)
    reports = [run(root, '--jobs', jobs) for jobs in (1, 2)]
    assert [status for status, _ in reports] == [1, 1]
    assert reports[0] == reports[1]
    assert found(reports[0][1]['problems']) == planted
    kinds = {kind for kind, _ in planted}
    assert len(kinds) >= 12
    assert kinds <= set(KINDS)
    assert main(['check', str(root), '--jobs', '1', '--no-alignment']) == 1
    printed = capsys.readouterr().out
    assert all(f'{kind}: {file}' in printed for kind, file in planted)


def workers_of(process):
    """Numbers of the child processes."""
    children = Path(f'/proc/{process}/task/{process}/children')
    return [int(number) for number in children.read_text().split()]


@pytest.mark.skipif(
    not Path('/proc/self/task').is_dir(), reason='needs /proc')
def test_workers_end_when_the_command_is_killed(tmp_path):
    root = make_tree(tmp_path / 'set', 200)
    process = subprocess.Popen([
        sys.executable, '-m', 'mmivtuning', 'check', str(root), '--jobs', '2',
        '--quiet', '--out', str(tmp_path / 'out')])
    workers = []
    while len(workers) < 2 and process.poll() is None:
        workers = workers_of(process.pid)
    assert len(workers) == 2, 'it ended before it was killed'
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f'/proc/{n}').exists() for n in workers):
        assert time.monotonic() < deadline, 'workers are left'
        time.sleep(0.05)


@pytest.mark.slow
def test_two_thousand_pairs_killed_and_started_again(tmp_path):
    root = make_tree(tmp_path / 'set', 2000)
    planted = plant(root)
    command = [
        sys.executable, '-m', 'mmivtuning', 'check',
        str(root), '--jobs', '2', '--quiet', '--out'
    ]
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    journal = cut / JOURNAL
    for number in (signal.SIGKILL, signal.SIGTERM):
        before = journal.stat().st_size if journal.exists() else 0
        process = subprocess.Popen([*command, str(cut)])
        while process.poll() is None and (
                not journal.exists()
                or journal.stat().st_size < before + 100_000):
            time.sleep(0.01)
        assert process.poll() is None, 'it ended before it was killed'
        process.send_signal(number)
        process.wait()
        assert [path.name for path in cut.iterdir()] == [JOURNAL]
    for out in (cut, whole):
        assert subprocess.call([*command, str(out)]) == 1
    for name in ('report.json', 'histograms.png', 'worst_aligned.png'):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    assert len(list(cut.iterdir())) == 3
    report = json.loads((cut / 'report.json').read_text())
    assert found(report['problems']) == planted


def test_a_journal_is_used_unless_files_changed(tmp_path, monkeypatch):
    from mmivtuning.pairs import checking
    root = make_tree(tmp_path / 'set', 60)
    journal = tmp_path / 'journal'
    first = check_tree(root, journal=journal)
    text = journal.read_text()
    journal.write_text(text[:len(text) * 2 // 3])  # cut off in a line
    calls = []
    original = checking.check_part

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(checking, 'check_part', counted)
    again = check_tree(root, journal=journal)
    assert len(calls) == 2
    assert again.problems == first.problems
    assert again.worst_aligned() == first.worst_aligned()
    check_tree(root, journal=journal)
    assert len(calls) == 2
    (root / 'infrared/val/val_0000.png').write_bytes(b'')
    changed = check_tree(root, journal=journal)
    assert len(calls) == 3
    assert [p.kind for p in changed.problems] == ['empty file']
    check_tree(root, options=PairOptions(ignored_id=254), journal=journal)
    assert len(calls) == 8


def flat_tree(root):
    for n in range(6):
        for folder, channels in (('visible', 3), ('infrared', 1)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            write(root / f'{folder}/{n}.png', blobs(n + 50 * channels,
                                                    channels))
    (root / 'train.txt').write_text('0\n1.png\n2\n')
    (root / 'val.txt').write_text('2\n3\nnowhere\n')
    return root


def test_flat_tree(tmp_path):
    tree = read_tree(flat_tree(tmp_path))
    assert [(p.split, p.stem) for p in tree.pairs] == [
        ('train', '0'), ('train', '1'), ('train', '2'), ('val', '3'),
        ('unlisted', '4'), ('unlisted', '5')]
    assert sorted((p.kind, p.file) for p in tree.problems) == [
        ('leakage', 'val.txt'), ('split list', 'val.txt')]


def test_warnings(tmp_path):
    root = flat_tree(tmp_path)
    (root / 'val.txt').write_text('3\n')
    write(root / 'infrared/0.png', np.dstack([blobs(90), blobs(91),
                                              blobs(92)]))
    copied = (root / 'visible/1.png').read_bytes()
    (root / 'visible/2.png').write_bytes(copied)
    report = check_tree(root)
    assert report.errors == []
    assert sorted({(p.kind, p.file) for p in report.problems}) == [
        ('duplicate', 'visible/2.png'), ('mixed formats', 'infrared/0.png'),
        ('pseudo-colour', 'infrared/0.png')]


def test_four_channel_files(tmp_path, capsys):
    (tmp_path / 'visible').mkdir()
    for n in range(3):
        write(tmp_path / f'visible/{n}.png', blobs(n, 4))
    write(tmp_path / 'visible/9.png', blobs(9, 3))
    assert main(['check', str(tmp_path), '--four-channel', '--jobs', '1',
                 '--json', '-']) == 1
    report = json.loads(capsys.readouterr().out)
    errors = [p for p in report['problems'] if p['severity'] == 'error']
    assert found(errors) == [('format', 'visible/9.png')]
    assert report['splits']['all']['sizes'] == {'48 x 64': 3}


def test_what_cannot_be_checked(tmp_path, capsys):
    assert main(['check', str(tmp_path)]) == 2
    assert f"no such folder: '{tmp_path}/visible'" in capsys.readouterr().err
    (tmp_path / 'visible').mkdir()
    (tmp_path / 'infrared').mkdir()
    assert main(['check', str(tmp_path)]) == 2
    assert 'no images in' in capsys.readouterr().err


def test_suffixes(tmp_path):
    for folder, suffix, channels in (('images', '_co.png', 3),
                                     ('images', '_ir.png', 1)):
        (tmp_path / folder).mkdir(exist_ok=True)
        for n in range(2):
            write(tmp_path / folder / f'{n}{suffix}', blobs(n + channels,
                                                            channels))
    folders = Folders(visible='images', infrared='images',
                      visible_suffix='_co.png', infrared_suffix='_ir.png')
    report = check_tree(tmp_path, folders)
    assert report.problems == []
    assert [record.stem for record in report.records] == ['0', '1']


def test_hash_survives_compression_and_tells_images_apart():
    hashes, copies = [], []
    for seed in range(60):
        image = blobs(seed)[..., 0]
        hashes.append(to_text(difference_hash(image)))
        data = cv2.imencode('.jpg', cv2.resize(image, (96, 72)),
                            [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        copies.append(to_text(difference_hash(cv2.imdecode(data, 0))))
    near = [(a, b) for a, b, _ in near_pairs(hashes, copies, 0.08)]
    assert near == [(n, n) for n in range(60)]


@pytest.mark.parametrize('shift', [(0, 0), (5, -3)])
def test_misalignment_of_a_known_shift(shift):
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (40, 52), np.uint8)
    whole = cv2.resize(coarse, (520, 400), interpolation=cv2.INTER_NEAREST)
    x, y = shift
    visible = whole[20:-20, 20:-20]
    # Inverted: warm is dark in the visible image.
    infrared = 255 - whole[20 - y:380 - y, 20 - x:500 - x]
    found = estimate_misalignment(visible, infrared)
    assert found.shift == shift
    assert abs(found.pixels - np.hypot(*shift)) < 0.5
    assert found.confidence > 0.9


def test_no_estimate_without_structure():
    plane = np.full((100, 100), 80, np.uint8)
    assert estimate_misalignment(plane, plane) is None


def test_real_misaligned_frames_rank_above(real_data):
    reports = [
        check_tree(real_data / 'msrs', Folders(infrared=folder))
        for folder in ('infrared', 'infrared_misaligned')
    ]
    assert all(report.errors == [] for report in reports)
    right, wrong = (
        {pair.stem: found[0] for pair, found in report.worst_aligned()}
        for report in reports)
    assert sum(wrong[stem] > right[stem] for stem in right) >= 14


def test_script_is_the_command(tmp_path):
    script = Path(__file__).parents[2] / 'data_prep' / 'check_pairs.py'
    status = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True,
        text=True, env=dict(os.environ, OMP_NUM_THREADS='1'), check=False)
    assert status.returncode == 2
    assert 'no such folder' in status.stderr


def test_documentation_lists_every_kind():
    text = (Path(__file__).parents[2] / 'docs/check.md').read_text()
    assert [kind for kind in KINDS if f'| {kind} |' not in text] == []


@pytest.mark.parametrize(('content', 'message'), [
    ('{', 'no COCO json'),
    ('[]', 'no COCO json'),
    ('{"images": [3], "annotations": [], "categories": []}', 'no COCO json'),
    ('{"images": [{"id": [1], "file_name": "0.png"}], "annotations": '
     '[{"image_id": {}}], "categories": []}', 'is of the image id {}'),
    ('{"images": [{"id": 1, "file_name": "0.png"}], "annotations": '
     '[{"id": 5, "image_id": 1, "category_id": 2}], "categories": []}',
     'annotation 5 has the category id 2'),
    ('{"images": [{"id": 1, "file_name": "0.png"}, {"id": 2, "file_name": '
     '"0.png"}], "annotations": [], "categories": []}', 'twice'),
    ('{"images": [{"id": 1, "file_name": "0.png"}], "annotations": '
     '[{"id": 5, "image_id": 1, "category_id": 2, "bbox": [1, "x", 2, 3]}], '
     '"categories": [{"id": 2, "name": "car"}]}', 'no box of 4 finite'),
])
def test_damaged_json_is_told(tmp_path, content, message):
    root = flat_tree(tmp_path)
    (root / 'val.txt').write_text('3\n')
    (root / 'train.json').write_text(content)
    report = check_tree(root)
    assert any(message in problem.message for problem in report.errors)
