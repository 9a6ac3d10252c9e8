"""One's own folders: every kind of label, names, splits, the config."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from own_configs import config_lines, head_settings, read_base

from mmivtuning.pairs import PairError, read_pair
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


BASES = [
    ('detection', 'detection/scenes/dinov2-s_cascade-rcnn-small_iv_12e_'
     'scenes-224x294.py', ['roi_head.bbox_head.0', 'roi_head.bbox_head.2']),
    ('detection', 'detection/flir/dinov2-s_atss-small_iv_24e_flir-flat-drop-'
     '512x640.py', ['bbox_head']),
    ('detection', 'detection/kaist/dinov2-s_cascade-rcnn_iv_36e_kaist-'
     '512x640.py', ['roi_head.bbox_head.1']),
    ('detection', 'detection/m3fd/swin-l_dino_iv_50e_m3fd-640x640.py',
     ['bbox_head']),
    ('segmentation', 'segmentation/llvip/dinov2-s_upernet_iv_2k_llvip-'
     '448x448.py', ['decode_head']),
    ('segmentation', 'segmentation/mfnet/eva02-l_segformer_iv_80k_mfnet-'
     '512x512-slide.py', ['decode_head']),
    ('segmentation', 'segmentation/fmb/swin-l_segformer_iv_80k_fmb-512x512'
     '.py', ['decode_head']),
    ('saliency', 'salient_object/tno/dinov2-s_segformer_iv_200i_tno-294x294'
     '.py', []),
    ('saliency', 'salient_object/vt5000/swin-l_cpnet_iv_200e_vt5000-384x384'
     '.py', []),
]
COUNTS = dict(train=3, val=2)


@pytest.fixture
def made(tmp_path):
    """Return a function that makes a data set of a task in our layout."""

    def make(task):
        folder = dict(segmentation='labels', saliency='masks').get(task)
        for split, number in COUNTS.items():
            names = [f'{n}' for n in range(number)]
            write_pairs(tmp_path, names, f'visible/{split}/{{}}.png',
                        f'infrared/{split}/{{}}.png')
            for name in names:
                if folder:
                    write(tmp_path / folder / split / f'{name}.png',
                          np.zeros(SIZE, np.uint8))
            path = tmp_path / f'annotations/{split}.json'
            path.parent.mkdir(exist_ok=True)
            content = json.loads(coco(names))
            content['categories'] = [
                dict(id=n, name=f'class {n}') for n in range(7)]
            for box in content['annotations']:
                box.update(area=12, iscrowd=0)
            path.write_text(json.dumps(content))
        return tmp_path

    return make


@pytest.mark.parametrize(('task', 'base', 'heads'), BASES)
def test_any_of_our_configs_is_a_base(made, root, task, base, heads):
    from mmengine.registry import DATASETS, DefaultScope

    out = made(task)
    found = read_base(task, str(root / 'configs' / base))
    names = tuple(f'class {n}' for n in range(1 if task == 'saliency' else 7))
    config = out / 'config.py'
    config.write_text(config_lines(out, task, names, COUNTS, None, found))
    cfg = Config.fromfile(config)
    for place in heads:
        head, old = cfg.model, found.model
        for part in place.split('.'):
            part = int(part) if part.isdigit() else part
            head, old = head[part], old[part]
        assert head.num_classes == 7
        assert {**head, 'num_classes': old.num_classes} == old
    assert cfg.model.backbone == found.model.backbone
    scope = 'mmdet' if task == 'detection' else 'mmseg'
    with DefaultScope.overwrite_default_scope(scope):
        for split, number in (('train', 3), ('val', 2), ('test', 2)):
            loader = cfg[f'{split}_dataloader'].dataset
            pairs = DATASETS.build(loader)
            assert len(pairs) == number
            assert pairs[0]['inputs'].shape[0] == 4
            if task != 'saliency':
                assert tuple(pairs.metainfo['classes']) == names
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert 'ann_file' not in evaluator


HEADS = dict(
    mask=dict(roi_head=dict(bbox_head=dict(num_classes=80, loss=dict(w=1)),
                            mask_head=dict(num_classes=80, convs=4))),
    two=dict(decode_head=dict(num_classes=19),
             auxiliary_head=[dict(num_classes=19, at=0), dict(
                 num_classes=19, at=1)]),
    mixed=dict(heads=[dict(num_classes=19), dict(kind='edge'), 3]),
    nested=dict(roi_head=[dict(kind='r', bbox_head=dict(
        num_classes=9, loss=dict(kind='l', num_classes=9)))]),
    kept=dict(backbone=dict(num_classes=1000), head=dict(num_classes=19)))


@pytest.mark.parametrize('model', list(HEADS.values()), ids=list(HEADS))
def test_only_the_numbers_of_classes_change(tmp_path, model):
    def renumbered(value, key=None):
        if isinstance(value, dict):
            return {k: v if k == 'backbone' else renumbered(v, k)
                    for k, v in value.items()}
        if isinstance(value, list):
            return [renumbered(v) for v in value]
        return 7 if key == 'num_classes' else value

    (tmp_path / 'base.py').write_text(f'model = {model!r}')
    (tmp_path / 'config.py').write_text(
        "_base_ = 'base.py'\nmodel = dict("
        f'{head_settings(model, 7)})')
    found = Config.fromfile(tmp_path / 'config.py').model.to_dict()
    assert found == renumbered(model)


LOADERS = ('\ntrain_dataloader = val_dataloader = dict(dataset=dict('
           'pipeline=[]))')
PAIRED = "model = dict(data_preprocessor=dict(type='mmivtuning.Paired{}')"


@pytest.mark.parametrize(('text', 'expected'), [
    (None, 'is no file'),
    ('model_of = 3', 'is none for detection on pairs'),
    ("model = dict(data_preprocessor=dict(type='DetDataPreprocessor'))",
     'found DetDataPreprocessor'),
    (PAIRED.format('SegDataPreprocessor') + ')', 'is none for detection'),
    ('model = dict(', 'does not load'),
    (PAIRED.format('DetDataPreprocessor') + ')' + LOADERS, 'has num_classes'),
    (PAIRED.format('DetDataPreprocessor') + ', bbox_head=dict('
     'num_classes=3, loss=dict(class_weight=[1., 2., 3.])))' + LOADERS,
     '3 weights'),
    (PAIRED.format('DetDataPreprocessor') + ', bbox_head=dict('
     'num_classes=3))', 'no data set with a pipeline'),
    (PAIRED.format('DetDataPreprocessor') + ", **{'a-b': dict("
     'num_classes=3)})' + LOADERS, 'cannot be built on'),
])
def test_a_bad_base_is_told_before_anything_is_written(tmp_path, own, text,
                                                       expected):
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_pairs(source, NUMBERS)
    (source / 'a.json').write_text(coco(NUMBERS))
    base = tmp_path / 'base.py'
    if text is not None:
        base.write_text(text)
    arguments = (out, '--visible', source / 'visible', '--infrared',
                 source / 'infrared', '--coco', source / 'a.json', '--base',
                 base)
    status, printed = own(*arguments)
    assert status == 1
    assert f"'{base}'" in printed.err or '3 weights' in printed.err
    assert expected in printed.err
    assert not out.exists()


def test_a_base_is_of_the_task_and_stays(tmp_path, own, root):
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_pairs(source, NUMBERS)
    for name in NUMBERS:
        write(source / f'masks/{name}.png', np.zeros(SIZE, np.uint8))
    base = root / 'configs/segmentation/scenes/' \
        'dinov2-s_segformer_iv_2k_scenes-224x294.py'
    arguments = (out, '--visible', source / 'visible', '--infrared',
                 source / 'infrared', '--base')
    status, printed = own(*arguments, base, '--masks', source / 'masks')
    assert (status, out.exists()) == (1, False)
    assert 'trains on labels' in printed.err
    mine = tmp_path / "it's mine.py"
    mine.write_text(f"_base_ = '{base}'")
    status, printed = own(*arguments, mine, '--labels', source / 'masks',
                          '--classes', 'a,b', '--config', mine)
    assert (status, out.exists()) == (1, False)
    assert 'is the config to build on' in printed.err
    assert mine.read_text() == f"_base_ = '{base}'"
    status, printed = own(*arguments, mine, '--labels', source / 'masks',
                          '--classes', 'a,b', '--config', tmp_path / 'c.py')
    assert status == 0, printed.err
    assert Config.fromfile(tmp_path / 'c.py').model.decode_head[
        'num_classes'] == 2


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
