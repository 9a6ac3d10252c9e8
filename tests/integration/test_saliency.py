"""Salient objects through the stock runner and mmseg's own scripts."""

import copy
import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmivtuning.engine import PairedVisualizationHook
from mmivtuning.registry import MODELS

TINY = 'configs/salient_object/scenes'
CONFIG = f'{TINY}/vit-tiny-random_cpnet_iv_4i_scenes-saliency-56x70.py'
MEASURES = ('Smeasure', 'wFmeasure', 'adpFm', 'meanFm', 'maxFm', 'adpEm',
            'meanEm', 'maxEm', 'MAE')


def figures(text: str) -> dict:
    """The last figures that a log holds."""
    return {
        name: float(re.findall(rf'saliency/{name}: ([\d.]+)', text)[-1])
        for name in MEASURES
    }


def runner_of(root, name: str, scenes, work_dir, **options) -> Runner:
    cfg = Config.fromfile(root / TINY / name)
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].dataset.data_root = str(scenes)
    cfg.merge_from_dict(options)
    init_default_scope(cfg.default_scope)
    return Runner.from_cfg(cfg)


@pytest.fixture(scope='module')
def trained(mim, root, scenes, tmp_path_factory):
    """Train with `mim train mmseg CONFIG`; return a tester."""
    folder = tmp_path_factory.mktemp('saliency')
    environment = dict(MMIVTUNING_DATA=str(scenes.parent))
    config = root / CONFIG
    printed = mim(
        'train', 'mmseg', config, cwd=folder, environment=environment)

    def test(*options: object) -> str:
        checkpoint = folder / 'work_dirs' / config.stem / 'iter_4.pth'
        return mim(
            'test',
            'mmseg',
            config,
            '--checkpoint',
            checkpoint,
            *options,
            cwd=folder,
            environment=environment)

    return folder, printed, test


def test_mim_trains(trained):
    _, printed, _ = trained
    losses = [float(x) for x in re.findall(r' loss: ([\d.]+)', printed)]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert 'loss_saliency_side3' in printed
    assert all(0 <= value <= 1 for value in figures(printed).values())


def test_mim_tests_and_saves_maps(trained, scenes):
    folder, printed, test = trained
    tested = test('--out', folder / 'maps', '--show-dir', folder / 'shown')
    assert figures(tested) == figures(printed)
    stems = [path.stem for path in (scenes / 'masks/val').iterdir()]
    assert sorted(p.stem for p in (folder / 'maps').iterdir()) == sorted(stems)
    for stem in stems:
        saved = cv2.imread(str(folder / f'maps/{stem}.png'), -1)
        assert saved.shape == (112, 140)
        assert saved.min() == 0
        assert saved.max() == 255
    shown = sorted((folder / 'shown').rglob('*.png'))
    assert len(shown) == 4
    # visible | infrared | truth | map
    assert cv2.imread(str(shown[0])).shape[1] > 4 * 140


def test_mim_averages_flipped_views(trained):
    folder, _, test = trained
    tested = test('--tta', '--out', folder / 'averaged')
    assert figures(tested)['MAE'] > 0
    assert len(list((folder / 'averaged').iterdir())) == 4


@pytest.mark.parametrize('name', [
    'swin-tiny-random_cpnet_iv_4i_scenes-saliency-56x70.py',
    'eva02-tiny-random_cpnet_iv_4i_scenes-saliency-56x70.py',
    'vit-tiny-random_segformer_iv_4i_scenes-saliency-56x70.py',
])
def test_other_backbones_and_heads_train(root, scenes, tmp_path, name):
    runner = runner_of(root, name, scenes, tmp_path)
    # it does so once
    runner.model.init_weights()
    before = {
        key: value.detach().clone()
        for key, value in runner.model.named_parameters()
    }
    runner.train()
    for key, value in runner.model.named_parameters():
        if not value.requires_grad:
            assert torch.equal(before[key], value), key
    assert any(not torch.equal(before[key], value)
               for key, value in runner.model.named_parameters())


@pytest.fixture(scope='module')
def untrained(root, scenes, tmp_path_factory):
    return runner_of(root,
                     'vit-tiny-random_cpnet_iv_4i_scenes-saliency-56x70.py',
                     scenes, tmp_path_factory.mktemp('untrained'))


def test_a_prediction_is_a_map_at_the_original_size(untrained):
    model = untrained.model.eval()
    batch = next(iter(untrained.test_dataloader))
    with torch.no_grad():
        sample = model.test_step(batch)[0]
    saliency = sample.seg_logits.data
    assert saliency.shape == (1, 112, 140)
    assert saliency.is_floating_point()
    assert saliency.min() >= 0
    assert saliency.max() <= 1
    salient = saliency > model.decode_head.threshold
    assert torch.equal(sample.pred_sem_seg.data.bool(), salient)


def test_windows_give_a_map_at_the_original_size(untrained):
    model = untrained.model.eval()
    model.test_cfg = Config(
        dict(mode='slide', crop_size=(42, 42), stride=(28, 28)))
    try:
        with torch.no_grad():
            sample = model.test_step(next(iter(untrained.test_dataloader)))[0]
    finally:
        model.test_cfg = Config(dict(mode='whole'))
    assert sample.seg_logits.data.shape == (1, 112, 140)


def test_merged_views_are_their_mean(untrained):
    merger = MODELS.build(
        dict(type='mmivtuning.SaliencyTTAModel', module=untrained.model))
    batch = next(iter(untrained.test_dataloader))
    inputs, sample = batch['inputs'][0], batch['data_samples'][0]
    flipped = sample.clone()
    flipped.set_metainfo(dict(flip=True, flip_direction='horizontal'))
    views = dict(
        inputs=[[inputs], [inputs.flip(-1)]],
        data_samples=[[sample], [flipped]])
    model = untrained.model.eval()
    with torch.no_grad():
        merged = merger.test_step(views)[0]
        alone = [
            model.test_step(dict(inputs=[x], data_samples=[y]))[0]
            for x, y in ((inputs, sample.clone()),
                         (inputs.flip(-1), flipped.clone()))
        ]
    mean = (alone[0].seg_logits.data + alone[1].seg_logits.data) / 2
    assert torch.allclose(merged.seg_logits.data, mean, atol=1e-6)
    assert torch.equal(merged.pred_sem_seg.data.bool(), mean > 0.5)
    assert merged.img_path == sample.img_path
    assert 'gt_sem_seg' in merged


def test_picture_has_the_map_in_grey(untrained):
    model = untrained.model.eval()
    with torch.no_grad():
        sample = model.test_step(next(iter(untrained.test_dataloader)))[0]
    picture = PairedVisualizationHook(draw=True).picture(
        sample, untrained.visualizer)
    last = picture[-112:, -140:]
    expected = np.rint(sample.seg_logits.data[0].numpy() * 255)
    assert np.array_equal(last, np.repeat(expected[..., None], 3, 2))


def test_one_run_evaluates_all_test_sets(root, scenes, tmp_path):
    """The data part of the VT configs, on scenes in their places."""
    for name in ('vt821', 'vt1000', 'vt5000'):
        for kind in ('visible', 'infrared', 'masks'):
            folder = tmp_path / name / kind
            folder.mkdir(parents=True)
            for split, source in (('train', 'train'), ('test', 'val')):
                (folder / split).symlink_to(scenes / kind / source)
    lists = tmp_path / 'vt5000/splits'
    lists.mkdir()
    stems = sorted(path.stem for path in (scenes / 'masks/train').iterdir())
    (lists / 'fit.txt').write_text('\n'.join(stems[:6]))
    (lists / 'holdout.txt').write_text('\n'.join(stems[6:]))
    cfg = Config.fromfile(
        root / 'configs/salient_object/vt5000' /
        'swin-l_cpnet_iv_200e_vt5000-384x384.py')
    tiny = Config.fromfile(
        root / TINY / 'swin-tiny-random_cpnet_iv_4i_scenes-saliency-56x70.py')
    tiny_model = tiny.model.to_dict()
    tiny_model['data_preprocessor'] = cfg.model.data_preprocessor.to_dict()
    cfg.model = tiny_model
    cfg.work_dir = str(tmp_path / 'work')
    for mode in ('train', 'val', 'test'):
        loader = cfg[f'{mode}_dataloader']
        loader.dataset.data_root = str(tmp_path)
        loader.num_workers = 0
        loader.persistent_workers = False
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = 1
    cfg.default_hooks.checkpoint.interval = 1
    init_default_scope(cfg.default_scope)
    runner = Runner.from_cfg(copy.deepcopy(cfg))
    runner.train()
    # selected by the error on held-out training pairs
    assert list((tmp_path / 'work').glob('best_saliency_MAE_epoch_1.pth'))
    assert len(runner.val_dataloader.dataset) == 2
    found = runner.test()
    assert {key.split('/')[1] for key in found
            if key.startswith('saliency')} == {'VT821', 'VT1000', 'VT5000'}
    for name in MEASURES:
        assert len({found[f'saliency/{part}/{name}']
                    for part in ('VT821', 'VT1000', 'VT5000')}) == 1

    # what the `--tta` of mmseg's test script does
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model
    cfg.load_from = str(tmp_path / 'work/epoch_1.pth')
    cfg.experiment_name = 'averaged'
    averaged = Runner.from_cfg(cfg).test()
    assert set(averaged) == set(found)
    assert averaged['saliency/VT821/MAE'] == pytest.approx(
        found['saliency/VT821/MAE'], abs=0.2)


def test_gradients_are_clamped_element_by_element(root):
    cfg = Config.fromfile(
        root / 'configs/salient_object/vt5000' /
        'eva02-l_segformer_iv_200e_vt5000-384x384.py')
    model = torch.nn.Linear(3, 1, bias=False)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    assert isinstance(wrapper.optimizer, torch.optim.Adam)
    model.weight.grad = torch.tensor([[3., -.2, -9.]])
    wrapper._clip_grad()
    assert torch.equal(model.weight.grad, torch.tensor([[.5, -.2, -.5]]))
