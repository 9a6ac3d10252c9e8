import pytest
import torch
from torch import nn

from mmivtuning.models import (
    count_parameters,
    declared_parameters,
    freeze_except,
)


class Declaring(nn.Module):
    """Declares the weight of one of its two layers."""

    def __init__(self, name='first.weight'):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.Linear(3, 4)
        self.name = name

    def tuned_parameters(self):
        return [self.name]


def test_declared_parameters_of_nested_modules():
    module = nn.Sequential(nn.Linear(2, 2), nn.ModuleList([Declaring()]))
    names = declared_parameters(module)
    assert names == ['1.0.first.weight']
    freeze_except(module, names)
    left = [n for n, p in module.named_parameters() if p.requires_grad]
    assert left == names
    assert count_parameters(module) == (6, 6 + 3 + 6 + 16)


def test_names_that_do_not_exist():
    with pytest.raises(ValueError, match="declares the parameter 'third'"):
        declared_parameters(Declaring('third'))
    with pytest.raises(ValueError, match=r"no parameters \['third'\]"):
        freeze_except(Declaring(), ['first.weight', 'third'])
    with pytest.raises(ValueError, match='declares no trainable'):
        freeze_except(nn.Linear(2, 2), [])


def test_shared_parameters_are_counted_once():
    module = nn.ModuleList([nn.Linear(2, 3)])
    module.append(module[0])
    assert count_parameters(module) == (9, 9)
    with torch.device('meta'):
        assert count_parameters(nn.Linear(10, 10, bias=False)).total == 100
