"""PST900, FMB, SemanticRT, KAIST, DroneVehicle, VEDAI: from the archive on."""

import json

import cv2
import numpy as np
import pytest
from archives import MAKERS, SIZE, polygon, text

from mmivtuning.pairs import PairError, read_pair
from mmivtuning.pairs.checking import check_tree
from mmivtuning.pairs.oriented import (
    read_kaist,
    read_polygon_voc,
    read_vedai,
)

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
