"""The metrics of runs."""

import pytest
import torch

from mmivtuning.evidence.sampled import CrossEntropyMetric


def sample(logits, labels):
    """A pair as mmseg's segmentors hand it to metrics."""
    return dict(seg_logits=dict(data=logits), gt_sem_seg=dict(data=labels))


def test_the_cross_entropy_is_that_of_all_labelled_pixels():
    torch.manual_seed(0)
    logits = [torch.randn(3, 4, 5), torch.randn(3, 2, 7)]
    labels = [torch.randint(3, (1, 4, 5)), torch.randint(3, (1, 2, 7))]
    labels[0][0, :2] = 255
    metric = CrossEntropyMetric()
    metric.process(None, [sample(logits[0], labels[0])])
    metric.process(None, [sample(logits[1], labels[1])])
    found = metric.evaluate(2)['cross_entropy']
    losses = []
    for scores, truth in zip(logits, labels):
        chances = scores.double().softmax(0)
        for row in range(truth.shape[1]):
            for column in range(truth.shape[2]):
                name = int(truth[0, row, column])
                if name != 255:
                    losses.append(-float(chances[name, row, column].log()))
    assert len(losses) == 10 + 14
    assert found == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_without_a_labelled_pixel_there_is_none():
    metric = CrossEntropyMetric(ignore_index=7)
    metric.process(None, [sample(torch.randn(2, 3, 3),
                                 torch.full((1, 3, 3), 7))])
    assert torch.tensor(metric.evaluate(1)['cross_entropy']).isnan()


def test_a_single_logit_is_refused():
    with pytest.raises(ValueError, match=r'a logit for each class.*1, 3, 3'):
        CrossEntropyMetric().process(
            None, [sample(torch.rand(1, 3, 3), torch.zeros(1, 3, 3).long())])
