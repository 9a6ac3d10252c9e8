"""The saliency loss against sums by hand."""

import math

import pytest
import torch

from mmivtuning.seg.losses import SaliencyLoss


def by_hand(logits, labels, ignored=255):
    """The loss of one image in plain floats: cross-entropies, 1 - overlap."""
    entropies, both, either = [], 0., 0.
    for logit, label in zip(logits.flatten().tolist(),
                            labels.flatten().tolist()):
        if label == ignored:
            continue
        p = 1 / (1 + math.exp(-logit))
        entropies.append(-math.log(p if label else 1 - p))
        both += p * label
        either += p + label - p * label
    return entropies, 1 - (both + 1) / (either + 1)


def test_two_pixels():
    # p = 1/2 and 3/4: BCE = (ln 2 + ln 4) / 2, I = 1/2, U = 1 + 3/4
    logits = torch.tensor([[[[0., math.log(3)]]]])
    labels = torch.tensor([[[1, 0]]])
    expected = 1.5 * math.log(2) + 1 - 1.5 / 2.75
    assert SaliencyLoss()(logits, labels).item() == pytest.approx(expected)
    assert SaliencyLoss(loss_weight=3.)(
        logits, labels).item() == pytest.approx(3 * expected)


@pytest.mark.parametrize('share', [0., .3])
def test_batches_and_ignored_pixels(share):
    logits = torch.randn(3, 1, 5, 7) * 3
    labels = torch.randint(0, 2, (3, 5, 7))
    labels[torch.rand(3, 5, 7) < share] = 255
    entropies, overlaps = [], []
    for image, label in zip(logits, labels):
        found, overlap = by_hand(image, label)
        entropies += found
        overlaps.append(overlap)
    expected = sum(entropies) / len(entropies) + sum(overlaps) / 3
    loss = SaliencyLoss()(logits, labels, ignore_index=255)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_ignored_pixels_get_no_gradient():
    logits = torch.randn(1, 1, 4, 4, requires_grad=True)
    labels = torch.randint(0, 2, (1, 4, 4))
    labels[0, :2] = 255
    SaliencyLoss()(logits, labels).backward()
    assert not logits.grad[..., :2, :].any()
    assert logits.grad[..., 2:, :].all()


def test_everything_ignored():
    logits = torch.randn(2, 1, 4, 4, requires_grad=True)
    loss = SaliencyLoss()(logits, torch.full((2, 4, 4), 255))
    assert loss.item() == 0
    loss.backward()
    assert not logits.grad.any()


def test_pixel_weights():
    logits = torch.randn(1, 1, 4, 6)
    labels = torch.randint(0, 2, (1, 4, 6))
    weight = torch.ones(1, 4, 6)
    weight[..., 3:] = 0
    expected = SaliencyLoss()(logits[..., :3], labels[..., :3])
    assert torch.isclose(SaliencyLoss()(logits, labels, weight), expected)


def test_half_precision_does_not_overflow():
    logits = torch.full((1, 1, 400, 400), 20.).half()
    labels = torch.ones(1, 400, 400, dtype=torch.long)
    loss = SaliencyLoss()(logits, labels)
    assert torch.isfinite(loss)
    assert loss < 1e-3


@pytest.mark.parametrize(('shape', 'labels', 'match'), [
    ((1, 2, 4, 4), torch.zeros(1, 4, 4), 'one logit.*out_channels=1'),
    ((1, 1, 4, 4), torch.zeros(1, 4, 5), '4, 5'),
    ((1, 1, 4, 4), torch.full((1, 4, 4), 3), 'LoadSaliencyMask'),
])
def test_errors(shape, labels, match):
    with pytest.raises(ValueError, match=match):
        SaliencyLoss()(torch.zeros(shape), labels.long())
