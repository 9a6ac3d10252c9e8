"""What a pipeline makes of pairs, drawn: truth lies where it belongs."""


import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmivtuning.engine.pictures import CAPTION_HEIGHT, GAP
from mmivtuning.engine.sample_pictures import pair_of_inputs

CONFIGS = dict(
    segmentation=('configs/segmentation/scenes/'
                  'vit-tiny-random_segformer_iv_4i_scenes-56x70.py'),
    detection=('configs/detection/scenes/'
               'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py'),
    saliency=('configs/salient_object/scenes/vit-tiny-random_segformer_iv_4i_'
              'scenes-saliency-56x70.py'))
# visible, infrared, and the truth on one modality or both
PANELS = dict(segmentation=3, detection=4, saliency=3)


@pytest.fixture(scope='module')
def browse(load_tool):
    return load_tool('browse_dataset')


def panels(path, number):
    picture = cv2.imread(str(path))
    width = (picture.shape[1] + GAP) // number - GAP
    return [
        picture[CAPTION_HEIGHT:, left:left + width]
        for left in range(0, picture.shape[1], width + GAP)
    ]


@pytest.mark.parametrize('split', ['train', 'val'])
@pytest.mark.parametrize('task', CONFIGS)
def test_pictures_of_every_task(browse, root, scenes, tmp_path, task, split,
                                capsys):
    assert browse.main([
        str(root / CONFIGS[task]), '--split', split, '--out',
        str(tmp_path), '--number', '2', '--cfg-options',
        f'data_root={scenes}'
    ]) == 0
    files = sorted(tmp_path.iterdir())
    assert [file.name[:6] for file in files] == ['00000_', '00001_']
    assert f'2 of {8 if split == "train" else 4} pairs' in (
        capsys.readouterr().out)
    for file in files:
        found = panels(file, PANELS[task])
        assert len(found) == PANELS[task]
        # truth has been drawn, in colour, on grey infrared too
        assert (found[2] != found[0]).any()
        if task == 'detection':
            assert (found[3] != found[1]).any()


@pytest.mark.parametrize('split', ['train', 'val'])
def test_boxes_frame_what_they_name(browse, root, scenes, tmp_path, split):
    """Masks of the same scenes, through the same sizes, say where it is."""
    for task in ('detection', 'segmentation'):
        cfg = Config.fromfile(root / CONFIGS[task])
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.data_root = str(scenes)
        if task == 'segmentation':
            # the size of detection, without augmentation
            dataset.pipeline = [
                dict(type='mmivtuning.LoadPairedImage'),
                dict(type='mmivtuning.LoadSegLabels'),
                dict(type='Resize', scale=(96, 72), keep_ratio=True),
                dict(type='PackSegInputs', meta_keys=('img_path', ))
            ]
        elif split == 'train':
            dataset.pipeline[2].prob = 0.
        cfg.dump(tmp_path / f'{task}.py')
        browse.main([
            str(tmp_path / f'{task}.py'), '--split', split, '--out',
            str(tmp_path / task), '--number', '1'
        ])
    boxes = panels(next((tmp_path / 'detection').iterdir()), 4)
    masks = panels(next((tmp_path / 'segmentation').iterdir()), 3)
    labelled = (masks[2] != masks[0]).any(-1)
    framed = (boxes[3] != boxes[1]).any(-1)
    for axis in (0, 1):
        inside = np.flatnonzero(labelled.any(axis))
        frames = np.flatnonzero(framed.any(axis))
        assert frames.min() <= inside.min() + 2
        assert frames.max() >= inside.max() - 2
        # names stick out to the right and below; to the left nothing does
        assert abs(frames.min() - inside.min()) <= 3 or axis == 1


def test_both_ways_above_each_other(browse, root, scenes, tmp_path):
    options = ['--number', '1', '--cfg-options', f'data_root={scenes}']
    config = str(root / CONFIGS['segmentation'])
    for mode in ('transformed', 'original', 'both'):
        browse.main([config, '--mode', mode, '--out', str(tmp_path / mode),
                     *options])
    heights = {
        mode: cv2.imread(str(next((tmp_path / mode).iterdir()))).shape
        for mode in ('transformed', 'original', 'both')
    }
    assert heights['original'][:2] == (112 + CAPTION_HEIGHT,
                                       3 * 140 + 2 * GAP)
    assert heights['transformed'][:2] == (56 + CAPTION_HEIGHT,
                                          3 * 70 + 2 * GAP)
    assert heights['both'][0] > heights['original'][0]
    assert heights['both'][1] == heights['original'][1]


def test_the_same_seed_draws_the_same(browse, root, scenes, tmp_path):
    seen = []
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        browse.main([
            str(root / CONFIGS['segmentation']), '--out',
            str(tmp_path / name), '--number', '3', '--seed',
            str(seed), '--cfg-options', f'data_root={scenes}'
        ])
        seen.append([f.read_bytes()
                     for f in sorted((tmp_path / name).iterdir())])
    assert seen[0] == seen[1] != seen[2]


def test_data_sets_in_wrappers(browse, root, scenes, tmp_path):
    cfg = Config.fromfile(root / CONFIGS['detection'])
    dataset = cfg.val_dataloader.dataset
    dataset.data_root = str(scenes)
    cfg.val_dataloader.dataset = dict(
        type='ConcatDataset',
        datasets=[dataset, dict(type='RepeatDataset', times=2,
                                dataset=dataset)])
    path = tmp_path / 'wrapped.py'
    cfg.dump(path)
    browse.main([
        str(path), '--split', 'val', '--number', '0', '--mode', 'both',
        '--out', str(tmp_path / 'out')
    ])
    assert len(list((tmp_path / 'out').iterdir())) == 12


def test_errors(browse, root, scenes, tmp_path):
    config = str(root / CONFIGS['segmentation'])
    here = ['--out', str(tmp_path), '--cfg-options', f'data_root={scenes}']
    with pytest.raises(ValueError, match='there is none from 9 on'):
        browse.main([config, '--start', '9', *here])
    with pytest.raises(FileNotFoundError, match='/no/such'):
        browse.main([config, '--cfg-options', 'data_root=/no/such'])
    with pytest.raises(SystemExit):
        browse.main([config, '--number', '-1'])


def test_values_that_a_pipeline_normalised():
    pair = torch.randint(0, 256, (4, 6, 8))
    mean, std = [10, 20, 30, 40], [2, 3, 4, 5]
    expected = pair.permute(1, 2, 0).numpy()
    assert np.array_equal(pair_of_inputs(pair), expected)
    assert np.array_equal(pair_of_inputs(pair.float()), expected)
    columns = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(
        -1, 1, 1)
    normalised = (pair - columns[0]) / columns[1]
    assert np.array_equal(
        pair_of_inputs(normalised, dict(mean=mean, std=std)), expected)
    # not known by what: each modality is stretched to its range
    stretched = pair_of_inputs(normalised)
    assert stretched.min() == 0
    assert stretched[..., :3].max() == stretched[..., 3].max() == 255
    with pytest.raises(ValueError, match=r'\(4, H, W\)'):
        pair_of_inputs(pair[:3])
