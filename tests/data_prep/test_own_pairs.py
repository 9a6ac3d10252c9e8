"""One's own folders: every kind of label, names, splits, the config."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmivtuning.pairs import PairError, read_pair
from mmivtuning.pairs.own_configs import config_lines, read_base
from mmivtuning.pairs.own_data import (
    draw_splits,
    match_folders,
    sequences,
)
from mmivtuning.pairs.yolo import read_yolo

SIZE = (60, 80)


@pytest.fixture
def own(capsys):
    """Run the script; returns its exit status and what it printed."""
    module = __import__('own_pairs')

    def run(*arguments):
        status = module.main([*map(str, arguments), '--jobs', '1'])
        return status, capsys.readouterr()

    return run


def picture(seed, channels):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 230, (12, 16, channels), np.uint8)
    return cv2.resize(coarse, SIZE[::-1]).reshape(*SIZE, channels)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_pairs(root, names, visible='visible/{}.png',
                infrared='infrared/{}.jpg'):
    for seed, name in enumerate(names):
        write(root / visible.format(name), picture(seed, 3))
        write(root / infrared.format(name), picture(seed + 500, 1))


NUMBERS = [f'cam_{n:03d}' for n in range(20)]


def test_masks_to_a_training_config(tmp_path, own):
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_pairs(source, NUMBERS, 'rgb/{}_RGB.png', 'th/{}_PreviewData.png')
    for seed, name in enumerate(NUMBERS):
        ids = np.random.default_rng(seed).integers(0, 3, SIZE, np.uint8)
        ids[0] = 255
        write(source / f'masks/{name}_mask.png', ids)
    config = tmp_path / 'config.py'
    arguments = (out, '--visible', source / 'rgb', '--infrared',
                 source / 'th', '--labels', source / 'masks', '--classes',
                 'background,road,person', '--config', config)
    status, printed = own(*arguments)
    assert status == 0
    assert "names end in '_RGB' (visible) and '_PreviewData'" in printed.out
    assert f'ok: {out}: 20 pairs (16 train, 4 val)' in printed.out
    cfg = Config.fromfile(config)
    meta = json.loads((out / 'meta.json').read_text())
    assert cfg.train_dataloader.dataset.metainfo.classes == (
        'background', 'road', 'person')
    assert cfg.train_dataloader.dataset.data_root == str(out)
    assert cfg.val_dataloader.dataset.data_prefix.img_path == 'visible/val'
    assert cfg.model.decode_head.num_classes == 3
    assert cfg.model.data_preprocessor.mean[3] == round(
        meta['statistics']['mean'][3], 1)
    assert cfg.model.backbone.type == 'mmivtuning.IVVisionTransformer'
    # Neighbours stay together.
    val = set((out / 'splits/val.txt').read_text().split())
    assert all(
        val.issuperset(group) or val.isdisjoint(group)
        for group in sequences(NUMBERS))
    status, printed = own(*arguments)
    assert (status, 'there already' in printed.out) == (0, True)


def test_yolo_siblings_with_splits(tmp_path, own):
    source, out = tmp_path / 'in', tmp_path / 'out'
    names = [f'train/{n}' for n in range(4)] + ['val/0', 'val/1']
    write_pairs(source, names)
    for name in names[:-1]:
        path = source / f'labels/{name}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.3 0.1 0.3 0.4\n')
    config = tmp_path / 'config.py'
    status, printed = own(out, '--visible', source / 'visible', '--infrared',
                          source / 'infrared', '--yolo', source / 'labels',
                          '--classes', 'person,car', '--config', config)
    assert status == 0, printed.err
    content = json.loads((out / 'annotations/val.json').read_text())
    assert [i['file_name'] for i in content['images']] == ['0.png', '1.png']
    assert [(a['category_id'], a['bbox']) for a in content['annotations']
            ] == [(2, [30, 15, 20, 30]), (1, [8, 6, 16, 18])]
    cfg = Config.fromfile(config)
    assert cfg.model.bbox_head.num_classes == 2
    assert cfg.val_dataloader.dataset.ann_file == 'annotations/val.json'


@pytest.mark.parametrize(('task', 'base', 'heads'), [
    ('detection', 'detection/scenes/dinov2-s_cascade-rcnn-small_iv_12e_'
     'scenes-224x294.py', ['roi_head.bbox_head.0', 'roi_head.bbox_head.2']),
    ('detection', 'detection/scenes/dinov2-s_atss-small_iv_24e_scenes-'
     '224x294.py', ['bbox_head']),
    ('detection', 'detection/m3fd/swin-l_dino_iv_50e_m3fd-640x640.py',
     ['bbox_head']),
    ('segmentation', 'segmentation/llvip/dinov2-s_upernet_iv_2k_llvip-'
     '448x448.py', ['decode_head']),
    ('segmentation', 'two_heads.py', ['decode_head', 'auxiliary_head.0',
                                      'auxiliary_head.1']),
])
def test_every_head_of_a_base_gets_the_classes(tmp_path, root, task, base,
                                               heads):
    (tmp_path / 'two_heads.py').write_text(
        'model = dict(backbone=dict(type="B"), decode_head=dict('
        'type="D", num_classes=19), auxiliary_head=[dict(type="F", '
        'num_classes=19), dict(type="G", num_classes=19)])\n'
        'train_dataloader = val_dataloader = test_dataloader = dict('
        'dataset=dict(type="S"))\n')
    path = root / 'configs' / base
    path = path if path.exists() else tmp_path / base
    found = read_base(task, str(path))
    names = tuple(f'class {n}' for n in range(7))
    config = tmp_path / 'config.py'
    config.write_text(
        config_lines(tmp_path, task, names, dict(train=3), None, found))
    cfg = Config.fromfile(config, import_custom_modules=False)
    assert cfg.train_dataloader.dataset.metainfo.classes == names
    before = found.model
    for place in heads:
        head, old = cfg.model, before
        for part in place.split('.'):
            part = int(part) if part.isdigit() else part
            head, old = head[part], old[part]
        assert head.num_classes == 7
        assert {**head, 'num_classes': old.num_classes} == old
    assert cfg.model.backbone == before.backbone


@pytest.mark.parametrize(('text', 'expected'), [
    (None, 'is no file'), ('model_of = 3', 'has no model')])
def test_a_bad_base_is_told_before_anything_is_written(tmp_path, own, text,
                                                       expected):
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_pairs(source, NUMBERS)
    (source / 'a.json').write_text(coco(NUMBERS))
    if text is not None:
        (tmp_path / 'base.py').write_text(text)
    status, printed = own(
        out, '--visible', source / 'visible', '--infrared',
        source / 'infrared', '--coco', source / 'a.json', '--base',
        tmp_path / 'base.py')
    assert status == 1
    assert f"--base: '{tmp_path}/base.py' {expected}" in printed.err
    assert not out.exists()


def test_pairs_without_label_maps_are_left_to_the_lists(tmp_path, own):
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_pairs(source, NUMBERS[:6])
    for name in NUMBERS[:4]:
        write(source / f'masks/{name}.png', np.zeros(SIZE, np.uint8))
    (source / 't.txt').write_text('\n'.join(NUMBERS[:3]))
    (source / 'v.txt').write_text(NUMBERS[3])
    arguments = (out, '--visible', source / 'visible', '--infrared',
                 source / 'infrared', '--labels', source / 'masks',
                 '--classes', 'road,person', '--dry-run')
    lists = ('--list', f'train={source}/t.txt', f'val={source}/v.txt')
    status, printed = own(*arguments)
    assert (status, out.exists()) == (1, False)
    assert '2 pair(s) without a label map' in printed.err
    status, printed = own(*arguments, *lists)
    assert status == 0, printed.err
    assert 'would get 3 train, 1 val pairs' in printed.out
    (source / 'v.txt').write_text(NUMBERS[4])
    status, printed = own(*arguments, *lists)
    assert status == 1
    assert f'{NUMBERS[4]}: listed, but without labels' in printed.err


def voc(box='<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax>'):
    return ('<annotation><object><name>dog</name><bndbox>'
            f'{box}</bndbox></object></annotation>')


def test_voc_in_one_folder(tmp_path, own):
    source, out = tmp_path / 'in', tmp_path / 'out'
    names = [f'{n:08d}' for n in range(12)]
    write_pairs(source, names, 'all/{}_co.png', 'all/{}_ir.png')
    (source / 'xml').mkdir()
    for name in names:
        (source / f'xml/{name}.xml').write_text(voc())
    status, printed = own(out, '--visible', source / 'all', '--infrared',
                          source / 'all', '--voc', source / 'xml',
                          '--val-share', 0.25, '--test-share', 0.25)
    assert status == 0, printed.err
    assert '(6 train, 3 val, 3 test)' in printed.out
    content = json.loads((out / 'annotations/test.json').read_text())
    assert content['categories'] == [dict(id=1, name='dog')]
    assert len(content['annotations']) == 3


def coco(names, label='cat'):
    return json.dumps(dict(
        images=[dict(id=n, file_name=f'{name}.png', height=60, width=80)
                for n, name in enumerate(names)],
        annotations=[dict(id=n, image_id=n, category_id=4, bbox=[1, 2, 3, 4])
                     for n in range(len(names))],
        categories=[dict(id=4, name=label)]))


def test_coco_with_its_splits(tmp_path, own):
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_pairs(source, NUMBERS)
    (source / 'a.json').write_text(coco(NUMBERS[:12]))
    (source / 'b.json').write_text(coco(NUMBERS[12:15]))
    arguments = ('--visible', source / 'visible', '--infrared',
                 source / 'infrared', '--coco')
    status, printed = own(out, *arguments, f'train={source}/a.json',
                          f'val={source}/b.json')
    assert status == 0, printed.err
    assert '(12 train, 3 val)' in printed.out
    (source / 'b.json').write_text(coco(['other']))
    status, printed = own(tmp_path / 'no', *arguments,
                          f'train={source}/a.json', f'val={source}/b.json')
    assert status == 1
    assert "b.json: 'other.png' has no pair" in printed.err
    assert not (tmp_path / 'no').exists()


def test_four_channel_files_and_salient_masks(tmp_path, own):
    source, out = tmp_path / 'in', tmp_path / 'out'
    for seed, name in enumerate(NUMBERS):
        write(source / f'both/{name}.png', picture(seed, 4))
        mask = np.zeros(SIZE, np.uint8)
        mask[10:30, 10:40] = 255
        write(source / f'gt/{name}.png', mask)
    status, printed = own(out, '--visible', source / 'both', '--masks',
                          source / 'gt', '--config', tmp_path / 'c.py')
    assert status == 0, printed.err
    image = read_pair(str(source / 'both/cam_000.png'))
    split = 'val' if (out / 'visible/val/cam_000.png').exists() else 'train'
    again = read_pair(f'{out}/visible/{split}/cam_000.png',
                      f'{out}/infrared/{split}/cam_000.png')
    assert np.array_equal(image, again)
    cfg = Config.fromfile(tmp_path / 'c.py')
    assert cfg.train_dataloader.dataset.data_prefix.seg_map_path == (
        'masks/train')


def test_own_lists(tmp_path, own):
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_pairs(source, NUMBERS[:6])
    (source / 'a.json').write_text(coco(NUMBERS[:6]))
    (source / 't.txt').write_text('cam_000\ncam_001.png\ncam_005\n')
    (source / 'v.txt').write_text('cam_002\n')
    arguments = ('--visible', source / 'visible', '--infrared',
                 source / 'infrared', '--coco', source / 'a.json', '--list',
                 f'train={source}/t.txt', f'val={source}/v.txt')
    status, printed = own(out, *arguments, '--dry-run')
    assert (status, out.exists()) == (0, False)
    assert 'would get 3 train, 1 val pairs' in printed.out
    (source / 'v.txt').write_text('cam_001\nnone\n')
    status, printed = own(out, *arguments)
    assert status == 1
    assert 'cam_001 is in' in printed.err
    assert "'none' has no pair" in printed.err


def test_a_missing_partner_is_named(tmp_path, own):
    source = tmp_path / 'in'
    write_pairs(source, NUMBERS[:4])
    (source / 'infrared/cam_002.jpg').unlink()
    (source / 'a.json').write_text(coco(NUMBERS[:4]))
    status, printed = own(tmp_path / 'out', '--visible', source / 'visible',
                          '--infrared', source / 'infrared', '--coco',
                          source / 'a.json')
    assert status == 1
    assert 'visible/cam_002.png' in printed.err


def test_rules_of_names():
    match = match_folders(['1_rgb.png', '2_rgb.png'],
                          ['1_thermal.png', '2_thermal.png'], ('a', 'b'))
    assert match.rule == ('_rgb', '_thermal')
    assert match.stems['2'] == ('2_rgb.png', '2_thermal.png')
    with pytest.raises(PairError, match='match; names end'):
        match_folders(['x.png'], ['y.png'], ('a', 'b'))


def test_sequences_are_cut_where_numbers_jump():
    stems = [f's/{n}' for n in (*range(8), *range(100, 110))]
    groups = sequences(stems + [f'q/{n}' for n in range(5)], gap=50)
    assert sorted(sum(groups, [])) == sorted([
        *stems, *(f'q/{n}' for n in range(5))])
    assert len(groups) == 10
    for group in groups:
        assert len({stem.split('/')[0] for stem in group}) == 1
        numbers = [int(stem.split('/')[1]) for stem in group]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    by_name = sequences(['day1_5', 'day2_1', 'day1_1'], r'^(day\d)')
    assert by_name == [['day1_1', 'day1_5'], ['day2_1']] or by_name == [
        ['day1_5', 'day1_1'], ['day2_1']]
    with pytest.raises(PairError, match='does not match'):
        sequences(['a'], r'^(day\d)')


def test_splits_keep_sequences_whole_and_repeat():
    groups = [[f'{s}_{n}' for n in range(5)] for s in range(20)]
    first = draw_splits(groups, dict(val=0.2, test=0.1), 0)
    assert first == draw_splits(groups[::-1], dict(val=0.2, test=0.1), 0)
    assert first != draw_splits(groups, dict(val=0.2, test=0.1), 1)
    assert {k: len(v) for k, v in first.items()} == dict(
        train=70, val=20, test=10)
    owners = {}
    for split, stems in first.items():
        for stem in stems:
            owners.setdefault(stem.split('_')[0], set()).add(split)
    assert all(len(splits) == 1 for splits in owners.values())
    with pytest.raises(PairError, match='cannot be split'):
        draw_splits(groups[:1], dict(val=0.2), 0)


@pytest.mark.parametrize('line', ['0 0.5 0.5', 'a b c d e', '7 .1 .1 .1 .1',
                                  '0 100 100 50 50', '0 nan .1 .1 .1'])
def test_bad_yolo_lines_are_named(tmp_path, line):
    path = tmp_path / 'a.txt'
    path.write_text(f'0 .5 .5 .1 .1\n{line}\n')
    with pytest.raises(PairError, match=r"a\.txt', line 2"):
        read_yolo(path, ['x', 'y'], SIZE)
