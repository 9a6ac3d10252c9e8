"""Every converter: from the distributed layout to ours, and what is refused.
"""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmivtuning.pairs import find_pairs, read_pair
from mmivtuning.pairs.benchmarks import BENCHMARKS

DATA_PREP = Path(__file__).resolve().parents[2] / 'data_prep'
COUNTS = dict(
    mfnet=dict(train=2, val=1, test=2, test_day=1, test_night=1),
    msrs=dict(train=2, test=2, test_day=1, test_night=1),
    m3fd=dict(train=8, val=2),
    llvip=dict(train=3, test=1),
    flir_aligned=dict(train=2, test=1))
every = pytest.mark.parametrize(
    ('name', 'source'), [(name, name) for name in COUNTS], indirect=['source'])


def only(name: str) -> pytest.MarkDecorator:
    """Run a test on the source of one benchmark."""
    return pytest.mark.parametrize('source', [name], indirect=True)


def bytes_of(root: Path) -> dict:
    """Contents of all files below a folder, meta.json apart."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file() and path.name != 'meta.json'
    }


def assert_nothing_left(out: Path) -> None:
    """Neither the folder nor a temporary one beside it."""
    assert not out.exists()
    assert not out.parent.exists() or not list(out.parent.iterdir())


@every
def test_layout_and_counts(name, source, tmp_path, convert):
    out = tmp_path / 'out' / name
    assert convert(name, source, out, '--allow-subset') == 0
    meta = json.loads((out / 'meta.json').read_text())
    facts = BENCHMARKS[name]
    assert meta['counts'] == COUNTS[name]
    assert meta['published'] == dict(facts['splits'], **facts['subsets'])
    assert tuple(meta['classes']) == facts['classes']
    assert len(meta['statistics']['mean']) == 4
    splits = [s for s in COUNTS[name] if s in facts['splits']]
    assert sorted(p.name for p in (out / 'visible').iterdir()) == sorted(
        splits)
    pixels = []
    for split in splits:
        stems = (out / 'splits' / f'{split}.txt').read_text().split()
        pairs = find_pairs(
            str(out / 'visible' / split), str(out / 'infrared' / split))
        assert [pair.stem for pair in pairs] == sorted(stems)
        assert len(pairs) == COUNTS[name][split]
        for pair in pairs:
            image = read_pair(
                str(out / 'visible' / split / pair.visible),
                str(out / 'infrared' / split / pair.infrared))
            assert image.shape == (24, 32, 4)
            if split == splits[0]:
                pixels.append(image[..., [2, 1, 0, 3]].reshape(-1, 4))
            if facts['task'] == 'segmentation':
                ids = cv2.imread(
                    str(out / 'labels' / split / f'{pair.stem}.png'),
                    cv2.IMREAD_UNCHANGED)
                assert ids.shape == (24, 32)
                assert ids.max() < len(facts['classes'])
    pixels = np.concatenate(pixels).astype(float)
    assert np.allclose(meta['statistics']['mean'], pixels.mean(0), atol=1e-3)
    assert np.allclose(meta['statistics']['std'], pixels.std(0), atol=1e-3)
    assert [p.name for p in out.parent.iterdir()] == [name]


@only('mfnet')
def test_mfnet_planes_and_labels_are_those_of_the_source(
        source, tmp_path, convert):
    out = tmp_path / 'out'
    assert convert('mfnet', source, out, '--allow-subset') == 0
    whole = cv2.imread(str(source / 'images/00004D.png'), -1)
    visible = cv2.imread(str(out / 'visible/test/00004D.png'), -1)
    infrared = cv2.imread(str(out / 'infrared/test/00004D.png'), -1)
    assert np.array_equal(np.dstack([visible, infrared]), whole)
    assert (out / 'labels/test/00004D.png').read_bytes() == (
        source / 'labels/00004D.png').read_bytes()
    assert (out / 'splits/test_night.txt').read_text() == '00005N\n'
    assert not list(out.rglob('*_flip*'))


@only('mfnet')
def test_mfnet_flips_on_request(source, tmp_path, convert):
    out = tmp_path / 'out'
    assert convert('mfnet', source, out, '--allow-subset',
                   '--with-flips') == 0
    assert (out / 'splits/train.txt').read_text().split() == [
        '00001D', '00002N', '00001D_flip'
    ]
    assert (out / 'labels/train/00001D_flip.png').is_file()


@only('mfnet')
@pytest.mark.parametrize('depth', [8, 4])
def test_palette_labels_become_indices(source, tmp_path, convert, depth):
    ids = cv2.imread(str(source / 'labels/00001D.png'), -1)
    palette = Image.fromarray(ids, mode='P')
    palette.putpalette(
        np.random.default_rng(0).integers(0, 256, 48, np.uint8).tobytes())
    palette.save(str(source / 'labels/00001D.png'), bits=depth)
    assert cv2.imread(str(source / 'labels/00001D.png'), -1).ndim == 3
    out = tmp_path / 'out'
    assert convert('mfnet', source, out, '--allow-subset', '--link') == 0
    written = cv2.imread(str(out / 'labels/train/00001D.png'), -1)
    assert np.array_equal(written, ids)


@only('m3fd')
def test_m3fd_boxes_classes_and_split(source, tmp_path, convert, coco):
    out = tmp_path / 'out'
    assert convert('m3fd', source, out, '--allow-subset') == 0
    boxes = dict(
        coco(out / 'annotations/train.json'),
        **coco(out / 'annotations/val.json'))
    assert len(boxes) == 10
    assert set(map(tuple, boxes.values())) == {
        (('Truck', (1, 2, 10, 6)), ('People', (3, 4, 3, 10)))
    }
    categories = json.loads(
        (out / 'annotations/val.json').read_text())['categories']
    assert [c['name'] for c in categories] == list(
        BENCHMARKS['m3fd']['classes'])
    # pinned: the drawn split must never change
    assert (out / 'splits/val.txt').read_text().split() == SPLIT_OF_TEN


SPLIT_OF_TEN = ['00002', '00006']


def test_m3fd_split_has_the_published_sizes():
    import m3fd
    stems = [f'{number:05d}' for number in range(4200)]
    train, val = m3fd.draw_split(stems, m3fd.SEED)
    assert (len(train), len(val)) == (3360, 840)
    assert sorted(train + val) == stems
    assert m3fd.draw_split(stems[::-1], m3fd.SEED) == (train, val)
    assert m3fd.draw_split(stems, 1) != (train, val)


@only('m3fd')
def test_m3fd_takes_a_split_of_ones_own(source, tmp_path, convert):
    (tmp_path / 't.txt').write_text('00003.png\n00001.png\n')
    (tmp_path / 'v.txt').write_text('00007\n')
    out = tmp_path / 'out'
    lists = ('--train-list', tmp_path / 't.txt', '--val-list',
             tmp_path / 'v.txt')
    assert convert('m3fd', source, out, '--allow-subset', *lists) == 0
    assert (out / 'splits/train.txt').read_text() == '00003\n00001\n'
    assert (out / 'splits/val.txt').read_text() == '00007\n'


@only('flir_aligned')
def test_flir_names_and_boxes(source, tmp_path, convert, coco):
    out = tmp_path / 'out'
    assert convert('flir_aligned', source, out, '--allow-subset') == 0
    assert coco(out / 'annotations/test.json') == {
        'FLIR_00008.jpg': [('bicycle', (1, 2, 8, 6)),
                           ('person', (3, 4, 3, 10))]
    }
    assert (out / 'infrared/test/FLIR_00008.jpeg').read_bytes() == (
        source / 'JPEGImages/FLIR_00008_PreviewData.jpeg').read_bytes()


@only('flir_aligned')
def test_flir_coco_follows_names_not_ids(source, tmp_path, convert, coco):
    content = dict(
        images=[dict(id=7, file_name='FLIR_00008_RGB.jpg')],
        annotations=[
            dict(id=1, image_id=7, category_id=2, bbox=[1, 2, 3, 4]),
            dict(id=2, image_id=7, category_id=9, bbox=[2, 2, 3, 4])
        ],
        categories=[dict(id=2, name='bicycle'), dict(id=9, name='person')])
    (tmp_path / 'a.json').write_text(json.dumps(content))
    content['images'][0]['file_name'] = 'FLIR_00002.jpg'
    (tmp_path / 'b.json').write_text(json.dumps(content))
    out = tmp_path / 'out'
    assert convert('flir_aligned', source, out, '--allow-subset',
                   '--train-json', tmp_path / 'b.json', '--test-json',
                   tmp_path / 'a.json') == 0
    assert coco(out / 'annotations/test.json') == {
        'FLIR_00008.jpg': [('bicycle', (1, 2, 3, 4)), ('person',
                                                       (2, 2, 3, 4))]
    }
    assert list(coco(out / 'annotations/train.json')) == ['FLIR_00002.jpg']


@every
def test_links(name, source, tmp_path, convert):
    copied, linked = tmp_path / 'copied', tmp_path / 'linked'
    assert convert(name, source, copied, '--allow-subset') == 0
    assert convert(name, source, linked, '--allow-subset', '--link') == 0
    links = [p for p in linked.rglob('*') if p.is_symlink()]
    assert links
    assert all(source.resolve() in p.resolve().parents for p in links)
    assert bytes_of(copied) == bytes_of(linked)


@only('llvip')
@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_archives(source, tmp_path, convert, kind):
    archive = tmp_path / f'llvip.{kind}'
    if kind == 'zip':
        with zipfile.ZipFile(str(archive), 'w') as file:
            for path in source.rglob('*'):
                file.write(str(path), f'LLVIP/{path.relative_to(source)}')
    else:
        with tarfile.open(str(archive), 'w:gz') as file:
            file.add(str(source), 'LLVIP')
    assert convert('llvip', archive, tmp_path / 'a', '--allow-subset') == 0
    assert convert('llvip', source, tmp_path / 'b', '--allow-subset') == 0
    assert bytes_of(tmp_path / 'a') == bytes_of(tmp_path / 'b')
    assert not [p for p in tmp_path.iterdir() if p.name.startswith('.')]


@every
def test_dry_run_writes_nothing(name, source, tmp_path, convert, capsys):
    out = tmp_path / 'none' / 'out'
    assert convert(name, source, out, '--allow-subset', '--dry-run') == 0
    assert str(COUNTS[name]['train']) in capsys.readouterr().out
    assert_nothing_left(out)


@only('msrs')
def test_again_is_a_no_op_and_force_gives_the_same(source, tmp_path, convert,
                                                   capsys):
    out = tmp_path / 'out'
    assert convert('msrs', source, out, '--allow-subset') == 0
    before = bytes_of(out)
    stamp = (out / 'meta.json').stat().st_mtime_ns
    assert convert('msrs', source, out, '--allow-subset') == 0
    assert 'unchanged' in capsys.readouterr().out
    assert (out / 'meta.json').stat().st_mtime_ns == stamp
    assert convert('msrs', source, out, '--allow-subset', '--force') == 0
    assert (out / 'meta.json').stat().st_mtime_ns != stamp
    assert bytes_of(out) == before


@only('msrs')
def test_many_processes_give_the_same(source, tmp_path):
    import msrs
    for number in range(5, 12):
        for folder in ('vi', 'ir', 'Segmentation_labels'):
            data = (source / 'train' / folder / '00001D.png').read_bytes()
            (source / 'train' / folder /
             f'{number:05d}D.png').write_bytes(data)
    outs = [tmp_path / f'out{jobs}' for jobs in (1, 2)]
    for jobs, out in enumerate(outs, 1):
        assert msrs.run([
            str(source),
            str(out), '--allow-subset', '--jobs',
            str(jobs)
        ]) == 0
    assert bytes_of(outs[0]) == bytes_of(outs[1])


@every
def test_count_mismatch_is_an_error(name, source, tmp_path, convert, capsys):
    out = tmp_path / 'none' / 'out'
    assert convert(name, source, out) == 1
    message = capsys.readouterr().err
    for split, published in BENCHMARKS[name]['splits'].items():
        assert (f'{split}: found {COUNTS[name][split]} pairs, published are '
                f'{published}') in message
    assert_nothing_left(out)


ONE_INFRARED = dict(
    mfnet='images/00002N.png',
    msrs='train/ir/00002N.png',
    m3fd='Ir/00003.png',
    llvip='infrared/train/010002.jpg',
    flir_aligned='JPEGImages/FLIR_00005_PreviewData.jpeg')


@every
def test_missing_partner(name, source, tmp_path, convert, capsys):
    victim = source / ONE_INFRARED[name]
    victim.unlink()
    out = tmp_path / 'none' / 'out'
    assert convert(name, source, out, '--allow-subset') == 1
    message = capsys.readouterr().err
    stem = victim.stem.replace('_PreviewData', '')
    assert stem in message
    assert str(victim.parent) in message
    assert_nothing_left(out)


@every
def test_truncated_image(name, source, tmp_path, convert, capsys):
    victim = source / ONE_INFRARED[name]
    data = victim.read_bytes()
    victim.write_bytes(data[:len(data) * 2 // 3])
    out = tmp_path / 'none' / 'out'
    assert convert(name, source, out, '--allow-subset') == 1
    message = capsys.readouterr().err
    assert str(victim) in message
    assert 'truncated' in message
    assert_nothing_left(out)


@only('msrs')
def test_all_offenders_are_named(source, tmp_path, convert, capsys):
    ids = cv2.imread(str(source / 'train/Segmentation_labels/00001D.png'), -1)
    ids[0, 0] = 9
    cv2.imwrite(str(source / 'train/Segmentation_labels/00001D.png'), ids)
    small = cv2.imread(str(source / 'test/ir/00003D.png'), -1)[:-1]
    cv2.imwrite(str(source / 'test/ir/00003D.png'), small)
    cv2.imwrite(
        str(source / 'test/Segmentation_labels/00004N.png'), np.dstack(
            [ids, 255 - ids, ids]))
    out = tmp_path / 'none' / 'out'
    assert convert('msrs', source, out, '--allow-subset') == 1
    message = capsys.readouterr().err
    assert 'Segmentation_labels/00001D.png' in message
    assert 'label id(s) 9; expected 0 to 8' in message
    assert 'ir/00003D.png' in message
    assert '23 x 32' in message
    assert 'Segmentation_labels/00004N.png' in message
    assert '3 problem(s)' in message
    assert_nothing_left(out)


@only('llvip')
@pytest.mark.parametrize(('text', 'expected'), [
    ('<annotation><object>', 'not well-formed xml'),
    ('<annotation><object><name>dog</name><bndbox><xmin>1</xmin>'
     '<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>'
     '</annotation>', 'unknown class(es) dog; expected person'),
    ('<annotation><object><name>person</name><bndbox><xmin>1</xmin>'
     '<ymin>nan</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>'
     '</annotation>', 'object 1'),
    ('<annotation><size><width>640</width><height>480</height></size>'
     '</annotation>', '480 x 640'),
])
def test_bad_xml(source, tmp_path, convert, capsys, text, expected):
    victim = source / 'Annotations/020001.xml'
    victim.write_text(text)
    out = tmp_path / 'none' / 'out'
    assert convert('llvip', source, out, '--allow-subset') == 1
    message = capsys.readouterr().err
    assert str(victim) in message
    assert expected in message
    assert_nothing_left(out)


@only('llvip')
def test_boxes_outside_are_clipped_or_left_out_and_told(
        source, tmp_path, convert, capsys, coco, voc):
    victim = source / 'Annotations/190001.xml'
    victim.write_text(
        voc([('person', (-1, 2, 5, 12)),
                          ('person', (40, 2, 50, 12)),
                          ('person', (9, 9, 9, 12)),
                          ('person', (20, 2, 32, 24))]))
    out = tmp_path / 'out'
    assert convert('llvip', source, out, '--allow-subset') == 0
    message = capsys.readouterr().err
    assert message.count('190001.xml') == 3
    assert 'clipped' in message
    assert 'outside' in message
    assert 'is empty' in message
    notes = json.loads((out / 'meta.json').read_text())['notes']
    assert len(notes) == 3
    assert coco(out / 'annotations/test.json')['190001.jpg'] == [
        ('person', (0, 2, 5, 10)), ('person', (20, 2, 12, 22))
    ]


@only('flir_aligned')
def test_classes_can_be_ignored(source, tmp_path, convert, coco):
    victim = source / 'Annotations/FLIR_00008_PreviewData.xml'
    victim.write_text(victim.read_text().replace('bicycle', 'dog'))
    out = tmp_path / 'out'
    assert convert('flir_aligned', source, out, '--allow-subset') == 1
    assert convert('flir_aligned', source, out, '--allow-subset',
                   '--ignore-class', 'dog') == 0
    assert coco(out / 'annotations/test.json') == {
        'FLIR_00008.jpg': [('person', (3, 4, 3, 10))]
    }


@only('msrs')
def test_existing_out_is_left_alone(source, tmp_path, convert, capsys):
    out = tmp_path / 'dir' / 'out'
    out.mkdir(parents=True)
    (out / 'thesis.txt').write_text('mine')
    assert convert('msrs', source, out, '--allow-subset') == 1
    assert str(out) in capsys.readouterr().err
    # what is no data set is not replaced either
    assert convert('msrs', source, out, '--allow-subset', '--force') == 1
    assert 'meta.json' in capsys.readouterr().err
    assert [p.name for p in out.parent.iterdir()] == ['out']
    assert (out / 'thesis.txt').read_text() == 'mine'


@only('msrs')
def test_out_must_not_hold_the_source(source, convert, capsys):
    for out in (source, source.parent):
        assert convert('msrs', source, out, '--allow-subset', '--force') == 1
        assert 'must not be SOURCE' in capsys.readouterr().err
    assert (source / 'train/vi/00001D.png').is_file()


@every
def test_wrong_source(name, source, tmp_path, convert, capsys):
    out = tmp_path / 'none' / 'out'
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.zip').write_text('no archive')
    for wrong in ('missing', 'empty', 'text.zip'):
        assert convert(name, tmp_path / wrong, out) == 1
        assert str(tmp_path / wrong) in capsys.readouterr().err
        assert_nothing_left(out)


@only('msrs')
def test_what_a_killed_process_left_is_cleared(source, tmp_path, convert):
    finished = subprocess.run([sys.executable, '-c', 'import os; '
                               'print(os.getpid())'],
                              stdout=subprocess.PIPE,
                              check=True)
    out = tmp_path / 'dir' / 'out'
    stale = out.with_name(f'.out.partial-{int(finished.stdout)}')
    stale.mkdir(parents=True)
    mine = out.with_name(f'.out.partial-{os.getppid()}')
    mine.mkdir()
    assert convert('msrs', source, out, '--allow-subset') == 0
    assert sorted(p.name for p in out.parent.iterdir()) == sorted(
        ['out', mine.name])


@only('msrs')
def test_as_a_script(source, tmp_path):
    command = [
        sys.executable,
        str(DATA_PREP / 'msrs.py'),
        str(source),
        str(tmp_path / 'out')
    ]
    failed = subprocess.run(
        command, capture_output=True)
    assert failed.returncode == 1
    assert b'train: found 2 pairs, published are 1083' in failed.stderr
    subprocess.run([*command, '--allow-subset'], check=True)
    assert (tmp_path / 'out/meta.json').is_file()
