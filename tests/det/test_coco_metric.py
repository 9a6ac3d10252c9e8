"""PairedCocoMetric: perfect predictions score 1 in any order of the json."""

import json

import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmengine.registry import METRICS, DefaultScope

from mmivtuning.det import PairedCocoMetric, PairedDetDataset

CLASSES = ('person', 'car', 'truck')


def perfect(dataset):
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        boxes = torch.tensor([box['bbox'] for box in info['instances']])
        labels = torch.tensor([box['bbox_label'] for box in info['instances']])
        yield dict(
            img_id=info['img_id'],
            ori_shape=(info['height'], info['width']),
            instances=info['instances'],
            pred_instances=dict(
                bboxes=boxes.float(),
                labels=labels,
                scores=torch.full((len(labels), ), 0.9)))


def evaluate(metric, dataset, samples=None):
    metric.dataset_meta = dataset.metainfo
    samples = list(samples or perfect(dataset))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


@pytest.fixture
def dataset(tree):
    return PairedDetDataset(
        data_root=str(tree),
        ann_file='train.json',
        metainfo=dict(classes=CLASSES))


@pytest.mark.parametrize('with_file', [True, False])
def test_perfect_predictions_on_a_permuted_json(tree, dataset, with_file):
    file = str(tree / 'train.json') if with_file else None
    metric = PairedCocoMetric(ann_file=file, classwise=True)
    scores = evaluate(metric, dataset)
    assert scores['coco/bbox_mAP'] == 1
    for name in CLASSES:
        assert scores[f'coco/{name}_precision'] == 1


def test_the_stock_metric_swaps_classes(tree, dataset):
    # The reason why this metric exists.
    metric = CocoMetric(ann_file=str(tree / 'train.json'))
    assert evaluate(metric, dataset)['coco/bbox_mAP'] < 0.5


def test_equals_the_stock_metric_on_an_ordered_json(tree, content):
    content['categories'] = [
        dict(id=place, name=name) for place, name in enumerate(CLASSES)
    ]
    for annotation in content['annotations']:
        annotation['category_id'] = (annotation['id'] - 1) % 3
    (tree / 'train.json').write_text(json.dumps(content))
    dataset = PairedDetDataset(
        data_root=str(tree),
        ann_file='train.json',
        metainfo=dict(classes=CLASSES))
    samples = list(perfect(dataset))
    samples[0]['pred_instances']['bboxes'] += 2
    samples[1]['pred_instances']['labels'][:] = 1
    kwargs = dict(ann_file=str(tree / 'train.json'), classwise=True)
    stock = evaluate(CocoMetric(**kwargs), dataset, samples)
    ours = evaluate(PairedCocoMetric(**kwargs), dataset, samples)
    assert ours == stock
    assert 0 < ours['coco/bbox_mAP'] < 1


def test_each_class_reads_its_own_score(tree, dataset):
    samples = list(perfect(dataset))
    for sample in samples:
        wrong = sample['pred_instances']['labels'] == CLASSES.index('truck')
        sample['pred_instances']['bboxes'][wrong] += 100
    scores = evaluate(
        PairedCocoMetric(
            ann_file=str(tree / 'train.json'), classwise=True), dataset,
        samples)
    assert scores['coco/truck_precision'] == 0
    assert scores['coco/person_precision'] == 1
    assert scores['coco/car_precision'] == 1


def test_result_files_keep_the_ids_of_the_json(tree, dataset):
    metric = PairedCocoMetric(
        ann_file=str(tree / 'train.json'),
        format_only=True,
        outfile_prefix=str(tree / 'results'))
    evaluate(metric, dataset)
    results = json.loads((tree / 'results.bbox.json').read_text())
    by_column = {
        int(result['bbox'][0]): result['category_id']
        for result in results if result['image_id'] == 10
    }
    assert by_column == {2: 3, 12: 5, 4: 7}


def test_it_can_evaluate_twice(tree, dataset):
    metric = PairedCocoMetric(ann_file=str(tree / 'train.json'))
    assert evaluate(metric, dataset) == evaluate(metric, dataset)


def test_built_by_the_host_with_a_subset(tree):
    with DefaultScope.overwrite_default_scope('mmdet'):
        metric = METRICS.build(
            dict(
                type='mmivtuning.PairedCocoMetric',
                ann_file=str(tree / 'train.json')))
    subset = PairedDetDataset(
        data_root=str(tree),
        ann_file='train.json',
        metainfo=dict(classes=('truck', 'person')))
    assert evaluate(metric, subset)['coco/bbox_mAP'] == 1


def test_a_missing_class_is_named(tree, dataset):
    metric = PairedCocoMetric(ann_file=str(tree / 'train.json'))
    metric.dataset_meta = dict(classes=('person', 'bus'))
    metric.process({}, list(perfect(dataset)))
    with pytest.raises(ValueError, match=r"train\.json' has no category 'b"):
        metric.evaluate(3)
