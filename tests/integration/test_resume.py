"""Interrupted and resumed training, and adapters, in mmengine's runner."""

import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator

from mmivtuning.engine.adapter import read_header

BACKBONE = dict(
    type='mmivtuning.IVVisionTransformer',
    arch=dict(
        embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=32,
    drop_path_rate=0.3)


@DATASETS.register_module(force=True)
class NoisePairs(BaseDataset):
    """Pairs of noise, drawn by the workers."""

    def load_data_list(self):
        return [dict(number=i) for i in range(12)]

    def prepare_data(self, idx):
        noise = np.random.rand(4, 32, 32) + idx
        return dict(inputs=torch.from_numpy(noise).float())


@MODELS.register_module(force=True)
class MeanModel(BaseModel):
    """A backbone with a head of one value."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.head = torch.nn.Linear(16, 1)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, inputs, mode='tensor'):
        features = self.backbone(inputs)[-1].mean((2, 3))
        value = self.head(self.drop(features)).square().mean()
        return dict(loss=value) if mode == 'loss' else [value]


def train(work_dir, iterations, hooks=('ExactResumeHook', ), **changes):
    """Train and return the runner."""
    cfg = dict(
        model=dict(type='MeanModel', backbone=copy.deepcopy(BACKBONE)),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=1,
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=dict(type='NoisePairs')),
        train_cfg=dict(
            by_epoch=False, max_iters=iterations, val_interval=100),
        optim_wrapper=dict(
            type='OptimWrapper',
            accumulative_counts=2,
            optimizer=dict(type='AdamW', lr=1e-2)),
        param_scheduler=dict(type='PolyLR', by_epoch=False, begin=0, end=20),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=False, interval=2)),
        custom_hooks=[dict(type=f'mmivtuning.{name}') for name in hooks],
        randomness=dict(seed=3, deterministic=False),
        default_scope='mmengine',
        experiment_name=f'resume_{work_dir.name}_{iterations}',
        log_level='ERROR')
    cfg.update(changes)
    runner = Runner(**cfg)
    runner.train()
    return runner


def evaluate(work_dir, model, hook):
    """Test and return the runner."""
    runner = Runner(
        model=copy.deepcopy(model),
        work_dir=str(work_dir),
        test_dataloader=dict(
            batch_size=2,
            num_workers=0,
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='NoisePairs')),
        test_cfg=dict(),
        test_evaluator=dict(
            type='DumpResults', out_file_path=str(work_dir / 'out.pkl')),
        custom_hooks=[hook],
        default_scope='mmengine',
        experiment_name='adapter_test',
        log_level='ERROR')
    runner.test()
    return runner


@pytest.mark.skipif(
    hasattr(_InfiniteDataloaderIterator, 'skip_iter'),
    reason='this mmengine skips data at the sampler when it resumes, so that '
    'augmentations in workers draw other numbers than without interruption')
def test_resuming_changes_no_bit(tmp_path):
    whole = train(tmp_path / 'whole', 8)
    train(tmp_path / 'parts', 4)
    resumed = train(tmp_path / 'parts', 8, resume=True)
    assert resumed.iter == whole.iter == 8
    expected = whole.model.state_dict()
    assert any('running_mean' in name for name in expected)
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    states = [
        runner.optim_wrapper.optimizer.state_dict()
        for runner in (whole, resumed)
    ]
    assert states[0]['param_groups'] == states[1]['param_groups']
    trainable = sum(p.requires_grad for p in whole.model.parameters())
    # state exists for what trains alone
    assert len(states[0]['state']) == trainable
    for index, state in states[0]['state'].items():
        for key, value in state.items():
            assert torch.equal(value, states[1]['state'][index][key])


def test_an_adapter_is_written_and_loaded(tmp_path):
    trained = train(tmp_path / 'a', 2, hooks=['AdapterHook'])
    file = tmp_path / 'a' / 'adapter.safetensors'
    assert read_header(file)['iterations'] == '2'
    base = tmp_path / 'base.pth'
    weights = {
        name: value
        for name, value in trained.model.backbone.state_dict().items()
        if name in trained.model.backbone.stock_keys
    }
    torch.save(weights, base)
    start = dict(type='MeanModel', backbone=dict(
        copy.deepcopy(BACKBONE),
        init_cfg=dict(type='Pretrained', checkpoint=str(base))))
    loader = dict(type='mmivtuning.AdapterHook', load_from=str(file))
    still = dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=0.))
    again = train(
        tmp_path / 'b', 1, model=start, custom_hooks=[loader],
        optim_wrapper=still)
    for name, value in trained.model.named_parameters():
        assert torch.equal(value, dict(again.model.named_parameters())[name])
    # a test initialises nothing: the hook loads the base too
    loaded = evaluate(tmp_path / 'test', start, loader)
    expected = trained.model.state_dict()
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    # of a run without this base
    with pytest.raises(RuntimeError, match='other frozen weights'):
        train(
            tmp_path / 'c', 1, custom_hooks=[loader],
            randomness=dict(seed=4))
