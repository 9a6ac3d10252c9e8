"""Weights of a whole model: all of them or an error."""

import pytest
import torch
from torch import nn

from mmivtuning.engine.weights import load_weights, require_pairs


class Model(nn.Module):
    """A layer with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)


def test_all_weights_are_loaded():
    model, other = Model(), Model()
    load_weights(model, other.state_dict(), 'file.pth')
    assert torch.equal(model.layer.weight, other.layer.weight)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'layer.bias': None}, 'missing: layer.bias'),
    ({'more': torch.zeros(1)}, 'unexpected: more'),
    ({'layer.bias': torch.zeros(4)}, 'size mismatch for layer.bias'),
    ({'layer.bias': torch.tensor([0., float('nan'), 0.])},
     'not finite: layer.bias'),
])
def test_what_does_not_fit_is_named(changes, message):
    weights = {
        name: value
        for name, value in {**Model().state_dict(), **changes}.items()
        if value is not None
    }
    with pytest.raises(RuntimeError, match='file.pth does not fit') as error:
        load_weights(Model(), weights, 'file.pth')
    assert message in str(error.value)


def test_many_problems_are_cut_short():
    weights = {f'more.{number}': torch.zeros(1) for number in range(99)}
    with pytest.raises(RuntimeError, match='and 91 more'):
        load_weights(Model(), weights, 'file.pth')


def test_models_of_one_image_are_refused():
    with pytest.raises(ValueError, match='takes no pairs'):
        require_pairs(Model())
