"""The log-average miss rate against numbers by hand, and its protocol."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmivtuning.det import LogAverageMissRate
from mmivtuning.det.datasets.miss_rate import (
    REFERENCES,
    Truth,
    log_average_miss_rate,
    match,
)


def test_references_are_nine():
    assert np.allclose(REFERENCES[[0, 4, 8]], [0.01, 0.1, 1])
    assert len(REFERENCES) == 9


def test_rate_by_hand():
    # 10 images, 4 objects: right, right, wrong (0.1 per image), right.
    scores = np.array([.9, .8, .7, .6])
    found = np.array([True, True, False, True])
    rate = log_average_miss_rate(scores, found, 4, 10)
    # At 0.01 to 0.0562: half are missed; at 0.1 and above: a quarter.
    assert rate == pytest.approx(np.exp((4 * np.log(.5) + 5 * np.log(.25)) /
                                        9))
    assert log_average_miss_rate(scores[:0], found[:0], 4, 10) == 1
    assert np.isnan(log_average_miss_rate(scores[:0], found[:0], 0, 10))
    first_wrong = log_average_miss_rate(scores, found[[2, 0, 1, 3]], 3, 1)
    # More than one false positive an image nowhere: only the last counts.
    assert first_wrong == pytest.approx(np.exp(np.log(1e-10) / 9))


def test_matching():
    truth = Truth(
        np.array([[0, 0, 10, 20], [30, 0, 40, 20], [50, 0, 90, 20.]]),
        np.array([False, False, True]))
    boxes = np.array([
        [0, 0, 10, 19],  # right
        [0, 0, 10, 20],  # the same object again
        [30, 0, 40, 9],  # too small an overlap
        [55, 2, 65, 18],  # inside what is ignored
        [60, 2, 70, 18.],  # likewise: an ignored object stays free
    ])
    assert match(boxes, truth, 0.5).tolist() == [1, 0, 0, -1, -1]
    assert match(boxes[:0], truth, 0.5).tolist() == []


def sample(path, instances, boxes, scores):
    predicted = InstanceData(
        bboxes=torch.tensor(boxes).float().reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.zeros(len(scores), dtype=torch.long))
    return dict(
        img_path=path,
        ori_shape=(512, 640),
        instances=instances,
        pred_instances=predicted)


def person(box, **keys):
    return dict(bbox=box, bbox_label=0, ignore_flag=0, **keys)


def test_metric_ignores_what_the_protocol_ignores():
    metric = LogAverageMissRate()
    metric.dataset_meta = dict(classes=('person', ))
    kept = [100, 100, 130, 180]
    instances = [
        person(kept, occlusion=1),
        person([200, 100, 220, 140]),  # low
        person([300, 100, 330, 180], occlusion=2),
        person([2, 100, 40, 180]),  # at the edge
        dict(person([400, 100, 430, 180]), ignore_flag=1),
    ]
    boxes = [i['bbox'] for i in instances] + [[500, 50, 510, 80]]
    metric.process({}, [
        sample('a/set06_V000_I0.jpg', instances, boxes, [.9] * 6),
        sample('a/set09_V000_I0.jpg', instances, [], [])
    ])
    result = metric.evaluate(2)
    assert result['kaist/miss_rate'] == pytest.approx(50)
    assert result['kaist/miss_rate_day'] == pytest.approx(0, abs=1e-3)
    assert result['kaist/miss_rate_night'] == pytest.approx(100)


def test_samples_without_instances_are_refused():
    entry = sample('a', [], [], [])
    del entry['instances']
    with pytest.raises(KeyError, match='PackDetInputs'):
        LogAverageMissRate().process({}, [entry])
