"""Adapters hold what trains, and fit the base they were made with alone."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mmivtuning.engine.adapter import (
    adapter_state,
    fingerprint,
    load_adapter,
    read_header,
    save_adapter,
)
from mmivtuning.models import IVSwinTransformer, IVViTEVA02


class Model(nn.Module):
    """A backbone and a head."""

    def __init__(self, build=IVViTEVA02):
        super().__init__()
        if build is IVViTEVA02:
            self.backbone = build(
                arch=dict(
                    embed_dims=16,
                    num_layers=2,
                    num_heads=2,
                    feedforward_channels=32),
                img_size=32)
        else:
            self.backbone = build(
                arch=dict(
                    embed_dims=16, depths=[2, 2], num_heads=[2, 2]),
                img_size=32,
                window_size=4,
                out_indices=(1, ))
        self.head = nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8))


@pytest.fixture(params=[IVViTEVA02, IVSwinTransformer])
def model(request):
    return Model(request.param)


def trained_copy(model):
    """The same base after some training."""
    other = copy.deepcopy(model)
    for name, value in other.state_dict().items():
        if name in adapter_state(model) and value.is_floating_point():
            value += torch.rand_like(value)
    return other


def test_what_trains_comes_back_and_nothing_else(model, tmp_path):
    trained = trained_copy(model)
    file = save_adapter(trained, tmp_path / 'a.safetensors', 'x = 1', best=3)
    names = set(load_file(file))
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trainable < names
    assert 'head.1.running_var' in names
    assert not any('relative_position' in n or 'rope' in n for n in names)
    header = read_header(file)
    assert header['config'] == 'x = 1'
    assert header['best'] == '3'
    assert header['backbone'] == type(model.backbone).__name__
    before = fingerprint(model)
    load_adapter(model, file)
    assert fingerprint(model) == before == header['fingerprint']
    for name, value in trained.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert [p.name for p in tmp_path.iterdir()] == ['a.safetensors']


def test_the_fingerprint_is_of_frozen_values_alone(model, tmp_path):
    own = fingerprint(model)
    assert fingerprint(trained_copy(model)) == own
    torch.save(dict(reversed(model.state_dict().items())), tmp_path / 'a.pth')
    other = Model(type(model.backbone))
    assert fingerprint(other) != own
    other.load_state_dict(torch.load(tmp_path / 'a.pth'))
    assert fingerprint(other) == own
    name, parameter = next((n, p) for n, p in other.named_parameters()
                           if not p.requires_grad)
    with torch.no_grad():
        parameter.view(-1)[0] += 1e-3
    assert fingerprint(other) != own, name
    assert fingerprint(other.half()) != own


def test_another_base_is_refused_and_left_as_it_is(model, tmp_path):
    file = save_adapter(trained_copy(model), tmp_path / 'a.safetensors')
    other = Model(type(model.backbone))
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(RuntimeError, match='other frozen weights'):
        load_adapter(other, file)
    for name, value in other.state_dict().items():
        assert torch.equal(value, before[name])


def test_files_that_do_not_fit_are_named(tmp_path):
    model = Model()
    file = save_adapter(model, tmp_path / 'a.safetensors')
    header, state = read_header(file), load_file(file)

    def write(**changes):
        new = {**state, **changes}
        save_file({k: v for k, v in new.items() if v is not None}, file,
                  header)

    write(**{'head.0.bias': None, 'head.9.bias': torch.zeros(1)})
    with pytest.raises(RuntimeError) as error:
        load_adapter(model, file)
    assert 'missing: head.0.bias' in str(error.value)
    assert 'unexpected: head.9.bias' in str(error.value)
    write(**{'head.0.bias': torch.zeros(3)})
    with pytest.raises(RuntimeError, match=r'head.0.bias is \(3,\)'):
        load_adapter(model, file)
    write(**{'head.0.bias': torch.full((8, ), float('nan'))})
    with pytest.raises(RuntimeError, match='not finite: head.0.bias'):
        load_adapter(model, file)
    save_file(state, file)
    with pytest.raises(RuntimeError, match='no adapter'):
        load_adapter(model, file)
    with pytest.raises(FileNotFoundError, match='none.safetensors'):
        load_adapter(model, tmp_path / 'none.safetensors')


def test_files_of_before_name_no_options_and_load(model, tmp_path):
    file = save_adapter(model, tmp_path / 'a.safetensors')
    header = read_header(file)
    assert '"tuning": "iv"' in header.pop('tuning')
    save_file(load_file(file), file, header)
    load_adapter(model, file)


@pytest.mark.parametrize(('key', 'value'), [
    ('fingerprint', None),
    ('backbone', None),
    ('tuning', '{"blocks": '),
])
def test_a_damaged_header_is_named(tmp_path, key, value):
    file = save_adapter(Model(), tmp_path / 'a.safetensors')
    header = read_header(file)
    header[key] = value
    save_file(load_file(file), file,
              {k: v for k, v in header.items() if v is not None})
    with pytest.raises(RuntimeError, match=f"damaged header: .'{key}'"):
        load_adapter(Model(), file)


class Explosive:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ('a pickle was read', )


def test_no_pickle_is_read(tmp_path):
    file = tmp_path / 'a.safetensors'
    torch.save(dict(x=Explosive()), file)
    with pytest.raises(RuntimeError, match='cannot be read as safetensors'):
        load_adapter(Model(), file)
