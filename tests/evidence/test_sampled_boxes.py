"""The mAP of resampled pairs, against COCO's own of repeated images."""

import json
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest

pytest.importorskip('mmdet')

from mmdet.datasets.api_wrappers import COCO, COCOeval

from mmivtuning.det.datasets.coco_metric import PairedCocoMetric
from mmivtuning.evidence.sampled_boxes import (
    RESAMPLES,
    SampledCocoMetric,
    weighted_precision,
)

CLASSES = ('person', 'car')
NUMBER = 5


def scene(seed, repeats=(1, ) * NUMBER, digits=9):
    """True and found boxes of images that occur so often."""
    random = np.random.default_rng(seed)
    true, found, images = [], [], []
    for repeat in repeats:
        count = random.integers(0, 5)
        boxes = random.uniform(0, 60, (count, 4)) + [0, 0, 8, 8]
        labels = random.integers(1, 3, count)
        crowds = random.random(count) < 0.2
        shifts = random.normal(0, 2, (count, 4))
        scores = random.random(count + 4).round(digits)
        wrong = random.uniform(0, 60, (4, 4)) + [0, 0, 8, 8]
        for _ in range(repeat):
            image = len(images)
            images.append(dict(id=image, width=99, height=99))
            true += [
                dict(id=len(true) + i + 1, image_id=image,
                     category_id=int(label), bbox=box.tolist(),
                     area=float(box[2] * box[3]), iscrowd=int(crowd))
                for i, (box, label, crowd) in enumerate(
                    zip(boxes, labels, crowds))
            ]
            found += [
                dict(image_id=image, category_id=int(label),
                     bbox=box.tolist(), score=float(score))
                for box, label, score in zip(
                    np.concatenate([boxes + shifts, wrong]),
                    [*labels, 1, 2, 1, 2], scores)
            ]
    categories = [dict(id=i + 1, name=n) for i, n in enumerate(CLASSES)]
    return dict(images=images, annotations=true, categories=categories), found


def evaluate(folder, truth, found):
    """COCO's mAP of all areas, and what it keeps by class and image."""
    path = folder / 'truth.json'
    path.write_text(json.dumps(truth))
    with redirect_stdout(StringIO()):
        api = COCO(str(path))
        evaluation = COCOeval(api, api.loadRes(found), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    listed, count = evaluation.evalImgs, len(truth['images'])
    areas = len(evaluation.params.areaRng)
    images = [listed[k * areas * count:][:count] for k in range(len(CLASSES))]
    return evaluation.stats[0], images


@pytest.mark.parametrize('seed', range(6))
def test_weights_are_repetitions(tmp_path, seed):
    _, images = evaluate(tmp_path, *scene(seed))
    repeats = [(1, ) * NUMBER, (2, 0, 1, 3, 0), (0, 1, 1, 0, 4)]
    expected = [evaluate(tmp_path, *scene(seed, each))[0] for each in repeats]
    found = weighted_precision(images, np.array(repeats))
    # Where nothing is to be found, COCO says -1.
    expected = [np.nan if one < 0 else one for one in expected]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.nanmax(found) > 0.02


def test_equal_scores_are_in_cocos_order(tmp_path):
    expected, images = evaluate(tmp_path, *scene(0, digits=1))
    found = weighted_precision(images, np.ones((1, NUMBER), int))
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize('at_once', [1, 7, 10**6])
def test_parts_are_the_whole(tmp_path, monkeypatch, at_once):
    _, images = evaluate(tmp_path, *scene(3))
    weights = np.random.default_rng(0).integers(0, 3, (20, NUMBER))
    expected = weighted_precision(images, weights)
    monkeypatch.setattr('mmivtuning.evidence.sampled_boxes._AT_ONCE', at_once)
    np.testing.assert_array_equal(
        weighted_precision(images, weights), expected)


def test_images_without_any_box_have_none():
    images = [[None, None], [None, None]]
    assert np.isnan(weighted_precision(images, np.ones((3, 2), int))).all()


def results(truth, found):
    """Pairs of truth and prediction as mmdet's metric gets them."""
    listed = []
    for image in truth['images']:
        own = [one for one in found if one['image_id'] == image['id']]
        boxes = np.array([one['bbox'] for one in own]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        listed.append((dict(img_id=image['id']), dict(
            img_id=image['id'], bboxes=boxes,
            scores=np.array([one['score'] for one in own]),
            labels=np.array([one['category_id'] - 1 for one in own]))))
    return listed


@pytest.fixture
def metric(tmp_path):
    """Return a function that makes the metric of a truth."""

    def make(truth):
        path = tmp_path / 'truth.json'
        path.write_text(json.dumps(truth))
        one = SampledCocoMetric(ann_file=str(path), metric='bbox')
        one.dataset_meta = dict(classes=CLASSES)
        return one

    return make


def test_the_metric_keeps_resamples(metric):
    truth, found = scene(1)
    one, two = metric(truth), metric(truth)
    measured = one.compute_metrics(results(truth, found))
    plain = PairedCocoMetric.compute_metrics(two, results(truth, found))
    assert measured['bbox_mAP'] == pytest.approx(plain['bbox_mAP'], abs=5e-4)
    assert measured['bbox_mAP'] != plain['bbox_mAP']  # not rounded
    assert one.samples.shape == (1, RESAMPLES)
    spread = np.nanquantile(one.samples, [0.1, 0.9])
    assert spread[0] < measured['bbox_mAP'] < spread[1]
    # The same resamples for every method and seed.
    two.compute_metrics(results(truth, found))
    np.testing.assert_array_equal(one.samples, two.samples)


def test_a_detector_that_finds_nothing(metric):
    truth, _ = scene(1)
    one = metric(truth)
    one.compute_metrics(results(truth, []))
    assert one.samples.shape == (1, RESAMPLES)
    assert np.nanmax(one.samples) == 0


def test_one_pair_cannot_be_resampled(metric):
    truth, found = scene(2, (1, ))
    one = metric(truth)
    one.compute_metrics(results(truth, found))
    assert one.samples.shape == (1, 0)
