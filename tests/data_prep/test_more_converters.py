"""PST900, FMB, SemanticRT, KAIST, DroneVehicle, VEDAI: from the archive on."""

import json

import cv2
import numpy as np
import pytest

from mmivtuning.pairs import PairError, read_pair
from mmivtuning.pairs.benchmarks import BENCHMARKS
from mmivtuning.pairs.checking import check_tree
from mmivtuning.pairs.oriented import (
    read_kaist,
    read_polygon_voc,
    read_vedai,
)

SIZE = (24, 32)


def picture(seed, channels, size=SIZE):
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).integers(0, 250, shape, np.uint8)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def make_folders(root, names, splits=('train', 'test'), ids=5):
    """Split folders of visible, infrared and label folders."""
    for split in splits:
        for n in range(3):
            seed = 10 * splits.index(split) + n
            save(root / split / names[0] / f'{n:04d}.png', picture(seed, 3))
            save(root / split / names[1] / f'{n:04d}.png',
                 picture(seed + 100, 1))
            labels = np.random.default_rng(seed).integers(0, ids, SIZE,
                                                          np.uint8)
            save(root / split / names[2] / f'{n:04d}.png', labels)


def make_pst900(root):
    make_folders(root, ('rgb', 'thermal', 'labels'))
    for split in ('train', 'test'):
        for n in range(3):
            raw = picture(n, 1).astype(np.uint16) * 30
            save(root / f'{split}/thermal_raw/{n:04d}.png', raw)


def make_fmb(root):
    make_folders(root, ('Visible', 'Infrared', 'Label'), ids=15)
    names = [name.replace('_', ' ').title()
             for name in BENCHMARKS['fmb']['classes']]
    text(root / 'classes.txt', '\n'.join(names) + '\n')


def make_semantic_rt(root):
    make_folders(root, ('rgb', 'thermal', 'labels'), ('train', 'val', 'test'))
    text(root / 'classes.txt', '0 background\n1 car\n2 person\n3 x\n4 y\n')


def make_kaist(root):
    lists = dict(train=['set00/V000/I00001', 'set01/V000/I00003'],
                 test=['set06/V000/I00019', 'set09/V000/I00019'])
    for split, frames in lists.items():
        name = 'train-all-02' if split == 'train' else 'test-all-20'
        text(root / f'imageSets/{name}.txt', '\n'.join(frames) + '\n')
        for seed, frame in enumerate(frames):
            video, number = frame.rsplit('/', 1)
            save(root / f'images/{video}/visible/{number}.jpg',
                 picture(seed + len(frame) * len(split), 3))
            save(root / f'images/{video}/lwir/{number}.jpg',
                 picture(seed + 50 * len(split), 1))
            text(root / f'annotations/{frame}.txt',
                 '% bbGt version=3\n'
                 'person 2 3 4 10 1 0 0 0 0 0 0\n'
                 'people 10 3 8 10 0 0 0 0 0 0 0\n'
                 'person 20 3 4 10 0 0 0 0 0 1 0\n')


def polygon(name, corners):
    points = ''.join(f'<x{n}>{x}</x{n}><y{n}>{y}</y{n}>'
                     for n, (x, y) in enumerate(corners, 1))
    return f'<object><name>{name}</name><polygon>{points}</polygon></object>'


def make_drone_vehicle(root):
    size = (SIZE[0] + 200, SIZE[1] + 200)
    for split in ('train', 'val', 'test'):
        for n in range(2):
            for seed, (part, channels) in enumerate((('img', 3),
                                                     ('imgr', 1))):
                image = np.full((*size, 3), 255, np.uint8)
                inner = picture(seed + 10 * n + 100 * len(split), channels)
                image[100:-100, 100:-100] = inner.reshape(*SIZE, -1)
                image[100, 100] = 7
                save(root / split / f'{split}{part}/{n:05d}.jpg', image)
            body = polygon('feright car', [(110, 105), (115, 102), (120, 110),
                                           (114, 113)])
            body += ('<object><name>car</name><bndbox><xmin>101</xmin><ymin>'
                     '101</ymin><xmax>109</xmax><ymax>108</ymax></bndbox>'
                     '</object>')
            for ending in ('label', 'labelr'):
                text(root / split / f'{split}{ending}/{n:05d}.xml',
                     f'<annotation><size><width>{size[1]}</width><height>'
                     f'{size[0]}</height></size>{body}</annotation>')


def make_vedai(root):
    lines = []
    for n in range(4):
        save(root / f'Vehicules1024/{n:08d}_co.png', picture(n, 3))
        save(root / f'Vehicules1024/{n:08d}_ir.png', picture(n + 9, 1))
        lines.append(f'{n:08d} 10 8 0.5 7 13 13 7 6 6 10 10 {(1, 31)[n % 2]}'
                     ' 1 0')
    notes = root / 'Annotations1024'
    text(notes / 'annotation1024.txt', '\n'.join(lines) + '\n')
    text(notes / 'fold01.txt', '00000000\n00000001\n')
    text(notes / 'fold01test.txt', '00000003\n')
    text(root / 'classes.txt', '1 car\n31 plane\n8 other\n')


MAKERS = dict(pst900=make_pst900, fmb=make_fmb, semantic_rt=make_semantic_rt,
              kaist=make_kaist, drone_vehicle=make_drone_vehicle,
              vedai=make_vedai)
COUNTS = dict(
    pst900=dict(train=3, test=3), fmb=dict(train=3, test=3),
    semantic_rt=dict(train=3, val=3, test=3),
    kaist=dict(train=2, test=2, test_day=1, test_night=1),
    drone_vehicle=dict(train=2, val=2, test=2), vedai=dict(train=2, test=1))


@pytest.fixture
def made(tmp_path, convert):
    """Make a source and convert it; returns status, source and result."""

    def run(name, *arguments, subset=True, change=None):
        root, out = tmp_path / 'in' / name, tmp_path / 'out'
        if not root.exists():
            MAKERS[name](root)
        if change is not None:
            change(root)
        allowed = ['--allow-subset'] if subset else []
        return convert(name, root, out, *allowed, *arguments), root, out

    return run


@pytest.mark.parametrize('name', MAKERS)
def test_archive_to_data_set(made, name, capsys):
    status, _, out = made(name)
    assert status == 0, capsys.readouterr().err
    assert 'check: ok' in capsys.readouterr().out
    meta = json.loads((out / 'meta.json').read_text())
    assert meta['counts'] == COUNTS[name]
    assert made(name)[0] == 0
    assert 'there already, unchanged' in capsys.readouterr().out
    report = check_tree(out)
    assert report.errors == []
    assert {tuple(r.size) for r in report.records} == {SIZE}


@pytest.mark.parametrize('name', MAKERS)
def test_published_numbers_are_held(made, name, capsys):
    status, _, out = made(name, subset=False)
    assert status == 1
    assert 'published' in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize('name', ['fmb', 'semantic_rt', 'vedai'])
def test_no_class_list_no_data_set(made, name, capsys):
    status, root, out = made(
        name, change=lambda root: (root / 'classes.txt').unlink())
    assert status == 1
    told = capsys.readouterr().err
    assert 'give --class-list FILE' in told
    assert not out.exists()
    status = made(name, '--assume-classes')[0]
    assert status == (1 if name == 'semantic_rt' else 0)


def test_a_class_list_of_another_order_is_followed(made, capsys):
    def swap(root):
        names = (root / 'classes.txt').read_text().split('\n')
        names[1], names[2] = names[2], names[1]
        text(root / 'classes.txt', '\n'.join(names))

    status, _, out = made('fmb', change=swap)
    assert status == 0
    assert 'by the archive' in capsys.readouterr().out
    meta = json.loads((out / 'meta.json').read_text())
    assert meta['classes'][:3] == ['background', 'sidewalk', 'road']


def test_pst900_raw(made):
    status, root, out = made('pst900', '--raw')
    assert status == 0
    image = cv2.imread(str(out / 'infrared/train/0000.png'), -1)
    assert image.dtype == np.uint16
    assert (out / 'infrared/train/0000.png').read_bytes() == (
        root / 'train/thermal_raw/0000.png').read_bytes()


def boxes_of(out, split):
    content = json.loads((out / f'annotations/{split}.json').read_text())
    names = {c['id']: c['name'] for c in content['categories']}
    files = {i['id']: i['file_name'] for i in content['images']}
    return [(files[a['image_id']], names[a['category_id']], a)
            for a in content['annotations']]


def test_kaist_boxes(made):
    _, _, out = made('kaist')
    found = [(a['bbox'], a['iscrowd'], a['occlusion'])
             for file, _, a in boxes_of(out, 'train')
             if file == 'set00_V000_I00001.jpg']
    assert found == [([2, 3, 4, 10], 0, 1), ([10, 3, 8, 10], 1, 0),
                     ([20, 3, 4, 10], 1, 0)]
    assert (out / 'splits/test_night.txt').read_text() == (
        'set09_V000_I00019\n')


def test_sanitised_annotations_and_missing_files(made, tmp_path, capsys):
    folder = tmp_path / 'sanitised'
    for frame in ('set00_V000_I00001', 'set01_V000_I00003'):
        text(folder / f'{frame}.txt', '% bbGt version=3\n')
    status, root, out = made('kaist', '--train-annotations', folder)
    assert status == 0
    assert boxes_of(out, 'train') == []
    (root / 'images/set06/V000/lwir/I00019.jpg').unlink()
    status, _, _ = made('kaist', '--force')
    assert status == 1
    assert 'lwir/I00019.jpg: no such file' in capsys.readouterr().err


def test_drone_vehicle_is_cut_and_boxes_follow(made):
    _, root, out = made('drone_vehicle')
    found = [(name, a['bbox']) for file, name, a in boxes_of(out, 'val')
             if file == '00001.png']
    assert found == [('freight_car', [10, 2, 10, 11]), ('car', [1, 1, 8, 7])]
    source = read_pair(str(root / 'val/valimg/00001.jpg'),
                       str(root / 'val/valimgr/00001.jpg'))
    result = read_pair(str(out / 'visible/val/00001.png'),
                       str(out / 'infrared/val/00001.png'))
    assert np.array_equal(result, source[100:-100, 100:-100])


def test_drone_vehicle_names_unknown_classes(made, capsys):
    def star(root):
        text(root / 'val/vallabelr/00000.xml', '<annotation>' + polygon(
            '*', [(110, 105), (115, 102), (120, 110), (114, 113)]) +
            '</annotation>')

    status, _, _ = made('drone_vehicle', change=star)
    assert status == 1
    assert "vallabelr/00000.xml' has the unknown class(es) *" in (
        capsys.readouterr().err)
    assert made('drone_vehicle', '--ignore-class', '*')[0] == 0


def test_vedai_boxes_and_fold(made, capsys):
    _, root, out = made('vedai')
    assert [(f, n, a['bbox']) for f, n, a in boxes_of(out, 'train')] == [
        ('00000000.png', 'car', [7, 6, 6, 4]),
        ('00000001.png', 'plane', [7, 6, 6, 4])]
    text(root / 'Annotations1024/annotation1024.txt',
         '00000000 100 50 0.5 90 40 110 40 110 60 90 60 1 1 0\n')
    assert made('vedai', '--force')[0] == 1
    assert 'not around the centre' in capsys.readouterr().err


@pytest.mark.parametrize(('content', 'message'), [
    ('person 1 2 3 4', 'begins with'),
    ('% bbGt version=3\nperson 1 2 x 4', 'line 2'),
    ('% bbGt version=3\ndog 1 2 3 4 0', "unknown class 'dog'"),
])
def test_bad_kaist_files(tmp_path, content, message):
    path = tmp_path / 'a.txt'
    path.write_text(content)
    with pytest.raises(PairError, match=message):
        read_kaist(path, ('person', ), ('people', ))


def test_bad_polygons_and_vedai_lines(tmp_path):
    path = tmp_path / 'a.xml'
    path.write_text('<annotation><object><name>car</name></object>'
                    '</annotation>')
    with pytest.raises(PairError, match='object 1'):
        read_polygon_voc(path, {})
    path.write_text('1 2 3')
    with pytest.raises(PairError, match='line 1: expected at least 12'):
        read_vedai(path, {}, with_image=False)
    path.write_text('10 8 0.5 7 13 13 7 6 6 10 10 77 1 0')
    with pytest.raises(PairError, match='unknown class id 77'):
        read_vedai(path, {1: 'car'}, with_image=False)
