"""One of two processes that train a sharded backbone; see test_fsdp.py."""

import os
import sys

import torch
import torch.distributed as dist
from mmengine.registry import FUNCTIONS
from torch.distributed.fsdp import FullyShardedDataParallel

from mmivtuning.models import IVViTEVA02


def build():
    torch.manual_seed(0)
    return IVViTEVA02(
        arch=dict(
            embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
        img_size=32,
        tuning='iv' if sys.argv[1] == 'with_cp' else sys.argv[1],
        with_cp=sys.argv[1] == 'with_cp')


def train(model, optimiser):
    losses = []
    for step in range(2):
        torch.manual_seed(step)
        loss = model(torch.randn(2, 4, 48, 64))[-1].square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return losses


def main():
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo',
        init_method=f'file://{os.environ["RENDEZVOUS"]}',
        rank=int(os.environ['RANK']),
        world_size=2)
    alone = build()
    expected = train(
        alone, torch.optim.SGD(
            [p for p in alone.parameters() if p.requires_grad], lr=0.1))
    plain = build()
    policy = FUNCTIONS.get('mmivtuning.models.sharding.wrap_layers')
    model = FullyShardedDataParallel(
        plain, auto_wrap_policy=policy, use_orig_params=True,
        device_id=torch.device('cpu'))
    units = FullyShardedDataParallel.fsdp_modules(model)
    assert len(units) == 3, units
    shard = sum(p.numel() for p in model.parameters())
    whole = sum(p.numel() for p in alone.parameters())
    assert shard < 0.6 * whole, (shard, whole)
    optimiser = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1)
    losses = train(model, optimiser)
    assert torch.allclose(
        torch.tensor(losses), torch.tensor(expected), rtol=1e-4), (losses,
                                                                   expected)
    trained = dict(alone.named_parameters())
    initial = dict(build().named_parameters())
    with FullyShardedDataParallel.summon_full_params(model):
        found = {
            name.replace('_fsdp_wrapped_module.', ''): value
            for name, value in model.named_parameters()
        }
        assert set(found) == set(trained)
        for name, value in found.items():
            torch.testing.assert_close(
                value, trained[name], rtol=1e-3, atol=1e-5)
            if not trained[name].requires_grad:
                assert torch.equal(value, initial[name]), name
    sys.stdout.write(f'rank {dist.get_rank()}: {losses}\n')
    dist.destroy_process_group()


if __name__ == '__main__':
    main()
