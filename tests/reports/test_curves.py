"""Curves: what is drawn, in pictures and in words."""

import base64
import math
from xml.etree import ElementTree

import pytest

from mmivtuning.reports.curves import (
    MAX_POINTS,
    _thinned,
    describe,
    draw,
    smaller_is_better,
    training_curves,
    validation_curves,
)
from mmivtuning.reports.runs import Record


def svg_of(curve_or_uri):
    uri = getattr(curve_or_uri, 'picture', curve_or_uri)
    kind, data = uri.split(',', 1)
    assert kind == 'data:image/svg+xml;base64'
    return ElementTree.fromstring(base64.b64decode(data))


def test_charts_of_a_training():
    records = [
        Record(step, {
            'loss': 1 / step, 'a.loss': .5, 'b.loss': .4, 'lr': .1,
            'base_lr': .1, 'time': .2, 'data_time': .1, 'acc': 90.
        }) for step in (1, 2, 3)
    ]
    curves = training_curves(records)
    assert [curve.title for curve in curves] == [
        'Loss', 'Components of the loss', 'Learning rate',
        'Accuracy in training', 'Seconds an iteration']
    for curve in curves:
        assert svg_of(curve).tag.endswith('svg')
    assert curves[0].text == (
        'Loss: loss from 1 at iteration 1 to 0.3333 at iteration 3, between '
        '0.3333 and 1.')
    assert training_curves([]) == []


def test_shares_and_percents_apart():
    records = [Record(step, {'mIoU': 50., 'saliency/MAE': .1, 'time': 1.,
                             'coco/bbox_mAP_l': math.nan}) for step in (1, 2)]
    curves = validation_curves(records)
    assert [curve.title for curve in curves] == [
        'Validation, 0 to 1', 'Validation']
    assert 'saliency/MAE' in curves[0].text
    assert 'mIoU' in curves[1].text
    assert validation_curves(records[:1]) == []


def test_values_that_are_not_finite():
    series = dict(loss=[(1, 2.), (2, math.nan), (3, math.inf), (4, 1.)])
    svg_of(draw(series))
    assert describe(series, 'Loss') == (
        'Loss: loss from 2 at iteration 1 to 1 at iteration 4, between 1 '
        'and 2.')
    assert training_curves([Record(1, dict(loss=math.nan))]) == []


@pytest.mark.parametrize('key', ['_hidden', '$\\frac{$', '<b>', '$', 'ü'])
def test_any_name(key):
    svg_of(draw({key: [(1, 1.)], 'b': [(1, 2.)]}))


def test_long_curves_keep_their_end():
    points = [(i, float(i)) for i in range(12345)]
    thinned = _thinned(points)
    assert len(thinned) <= MAX_POINTS + 1
    assert thinned[0] == points[0]
    assert thinned[-1] == points[-1]
    assert _thinned(points[:3]) == points[:3]


def test_the_same_curves_make_the_same_picture():
    series = dict(loss=[(1, 2.), (2, 1.)])
    assert draw(series) == draw(series)


@pytest.mark.parametrize(('key', 'smaller'), [
    ('mIoU', False), ('saliency/MAE', True), ('saliency/VT821/MAE', True),
    ('kaist/miss_rate_all', True), ('val_loss', True),
    ('coco/bbox_mAP', False), ('saliency/maxEm', False)])
def test_which_way_is_better(key, smaller):
    assert smaller_is_better(key) == smaller
