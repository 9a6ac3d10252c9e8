"""Samples are scored by themselves, and the right ones are kept."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mmivtuning.reports.samples import (
    SampleScoresHook,
    encode,
    loader_of,
    metrics_of,
    prepare,
    rank_samples,
)

CLASSES = ('background', 'car')


class Drawer:
    """Stand-in that counts what is drawn."""

    def __init__(self):
        self.drawn = []

    def picture(self, sample, visualizer):
        self.drawn.append(sample.img_path)
        return np.zeros((4, 6, 3), np.uint8)


@pytest.fixture
def scored():
    """Return a function that scores samples and returns the hook."""

    def score(scope, metrics, samples, number=2, measure=None):
        name = f'scored_{scope}_{id(samples)}'
        MMLogger.get_instance(name)
        DefaultScope.get_instance(name, scope_name=scope)
        hook = SampleScoresHook(metrics, Drawer(), number, measure)
        runner = SimpleNamespace(
            visualizer=None,
            test_dataloader=SimpleNamespace(
                dataset=SimpleNamespace(metainfo=dict(classes=CLASSES))))
        for start in range(0, len(samples), 2):
            hook.after_test_iter(
                runner, 0, outputs=samples[start:start + 2])
        return hook

    return score


def labelled(name, right):
    """Make a sample of which a share of the car's ten pixels is right."""
    truth = torch.zeros(1, 4, 5, dtype=torch.long)
    truth[0, :2] = 1
    predicted = truth.clone().flatten()
    predicted[right:10] = 0
    sample = BaseDataElement(metainfo=dict(img_path=name))
    sample.set_data(
        dict(gt_sem_seg=PixelData(data=truth),
             pred_sem_seg=PixelData(data=predicted.view(1, 4, 5))))
    return sample


def test_by_mean_iou(scored):
    samples = [labelled(str(right), right) for right in (7, 2, 10, 0, 5)]
    hook = scored('mmseg', [dict(type='IoUMetric')], samples)
    assert hook.measure == 'mIoU'
    best, worst = hook.ends()
    assert [s.path for s in best] == ['10', '7']
    assert [s.path for s in worst] == ['0', '2']
    # 2 of 10 cars; 10 of 18 that were called background
    assert worst[1].score == pytest.approx(100 * (.2 + 10 / 18) / 2, .01)
    assert best[0].score == 100
    assert (hook.scored, hook.unscored) == (5, 0)


@pytest.mark.parametrize(('count', 'best', 'worst'), [
    (1, '0', ''), (2, '0', '1'), (3, '01', '2'), (4, '01', '23'),
    (9, '01', '23')])
def test_none_is_among_the_best_and_the_worst(scored, count, best, worst):
    samples = [labelled(str(index), 3) for index in range(count)]
    hook = scored('mmseg', [dict(type='IoUMetric')], samples)
    found = [''.join(s.path for s in part) for part in hook.ends()]
    assert found == [best, worst]
    # and what can be neither is not drawn
    assert len(hook.visualization.drawn) <= 4


def test_the_logger_speaks_again(scored):
    scored('mmseg', [dict(type='IoUMetric')], [labelled('a', 1)])
    assert not MMLogger.get_current_instance().disabled


def test_an_error_is_better_the_smaller_it_is(scored):
    pytest.importorskip('py_sod_metrics')
    samples = []
    for level in (.3, .9, .6):
        mask = torch.zeros(1, 8, 8, dtype=torch.long)
        mask[:, 2:6, 2:6] = 1
        saliency = torch.where(mask == 1, 1., 1 - level)
        saliency[0, 0, 0] = 0
        sample = BaseDataElement(metainfo=dict(img_path=str(level)))
        sample.set_data(dict(gt_sem_seg=PixelData(data=mask),
                             seg_logits=PixelData(data=saliency)))
        samples.append(sample)
    metrics = [dict(type='mmivtuning.SaliencyMetric')]
    hook = scored('mmseg', metrics, samples, 1, 'saliency/MAE')
    assert [s.path for part in hook.ends() for s in part] == ['0.9', '0.3']
    hook = scored('mmseg', metrics, samples, 1)
    assert hook.measure == 'saliency/Smeasure'


def detected(name, boxes, truth):
    sample = BaseDataElement(metainfo=dict(
        img_path=name, img_id=int(name), ori_shape=(100, 100),
        instances=[dict(bbox=box, bbox_label=0, ignore_flag=0)
                   for box in truth]))
    sample.set_data(dict(pred_instances=InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4),
        scores=torch.full((len(boxes), ), .9),
        labels=torch.zeros(len(boxes), dtype=torch.long))))
    return sample


def test_by_precision_of_boxes(scored):
    """Each has its own truth: mmdet's metric would keep the first one's."""
    here, there = [10., 10., 40., 40.], [50., 50., 90., 90.]
    samples = [
        detected('1', [here], [here]),
        detected('2', [there], [there]),
        detected('3', [here], [there]),
        detected('4', [], [here]),  # nothing was found
        detected('5', [here], []),  # there is nothing
        detected('6', [], []),
    ]
    hook = scored('mmdet', [dict(type='mmivtuning.PairedCocoMetric',
                                 metric='bbox')], samples)
    assert hook.measure == 'coco/bbox_mAP'
    best, worst = hook.ends()
    assert [(s.path, s.score) for s in best] == [('1', 1.), ('2', 1.)]
    assert [(s.path, s.score) for s in worst] == [('3', 0.), ('4', 0.)]
    assert (hook.scored, hook.unscored) == (4, 2)


def test_a_detector_without_truth_in_its_samples(scored):
    sample = detected('1', [[1., 1., 9., 9.]], [])
    sample.pop('instances')
    with pytest.raises(ValueError, match='"instances" to the `meta_keys`'):
        scored('mmdet', [dict(type='mmivtuning.PairedCocoMetric')], [sample])


def test_a_measure_that_there_is_not(scored):
    with pytest.raises(KeyError, match="no measure 'x'; there are: aAcc"):
        scored('mmseg', [dict(type='IoUMetric')], [labelled('a', 1)],
               measure='x')


def test_metrics_write_no_files():
    cfg = Config(dict(test_evaluator=[
        dict(type='A', ann_file='a.json', outfile_prefix='x',
             format_only=True),
        dict(type='DumpResults', out_file_path='x.pkl')
    ]))
    assert metrics_of(cfg) == [dict(type='A', ann_file='a.json')]
    assert metrics_of(cfg, alone=True) == [dict(type='A')]
    cfg = Config(dict(test_evaluator=dict(type='B', output_dir='maps')))
    assert metrics_of(cfg) == [dict(type='B')]


def test_the_loader_of_the_pipeline():
    load = dict(type='mmivtuning.LoadPairedImage', infrared_range=(0, 9))
    inner = dict(type='D', pipeline=[load, dict(type='Pack')])
    wrapped = dict(type='C', datasets=[dict(type='R', dataset=inner)])
    for dataset in (inner, wrapped):
        cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
        assert loader_of(cfg)['infrared_range'] == (0, 9)
    inner['pipeline'] = []
    cfg = Config(dict(test_dataloader=dict(dataset=inner)))
    assert loader_of(cfg) is None


def test_a_test_that_leaves_no_trace(tmp_path):
    checkpoint = tmp_path / 'a.pth'
    checkpoint.touch()
    cfg = Config(dict(
        model=dict(type='M', backbone=dict(type='B', init_cfg=dict(a=1))),
        test_dataloader=dict(dataset=dict(type='D')), test_cfg=dict(),
        test_evaluator=dict(type='A'), launcher='pytorch', resume=True,
        custom_hooks=[dict(type='mmivtuning.AdapterHook'), dict(type='E')],
        visualizer=dict(type='V', vis_backends=[
            dict(type='WandbVisBackend')]),
        default_hooks=dict(visualization=dict(type='P'),
                           logger=dict(type='L'))))
    before = cfg.to_dict()
    found = prepare(cfg, checkpoint, 'here')
    assert found.work_dir == 'here'
    assert (found.launcher, found.resume) == ('none', False)
    assert found.load_from == str(checkpoint)
    assert 'init_cfg' not in found.model.backbone
    assert found.default_hooks == dict(logger=dict(type='L'), checkpoint=None)
    assert found.visualizer.vis_backends == [dict(type='LocalVisBackend')]
    assert found.custom_hooks == [dict(type='E')]
    assert cfg.to_dict() == before
    # an adapter goes upon the pretrained weights
    adapter = tmp_path / 'a.safetensors'
    adapter.touch()
    found = prepare(cfg, adapter, 'here')
    assert found.load_from is None
    assert found.model.backbone.init_cfg == dict(a=1)
    assert found.custom_hooks[-1] == dict(
        type='mmivtuning.AdapterHook', load_from=str(adapter))


def test_what_cannot_be_tested(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        prepare(Config(dict()), tmp_path / 'a.pth', 'here')
    (tmp_path / 'a.pth').touch()
    with pytest.raises(ValueError, match='it lacks test_dataloader, test_ev'):
        prepare(Config(dict()), tmp_path / 'a.pth', 'here')
    with pytest.raises(ValueError, match='at least 1, found 0'):
        rank_samples(Config(dict()), tmp_path / 'a.pth', 0)


def test_wide_pictures_are_made_smaller():
    import base64
    uri = encode(np.full((30, 3200, 3), (250, 10, 10), np.uint8))
    kind, data = uri.split(',')
    assert kind == 'data:image/jpeg;base64'
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert picture.shape == (15, 1600, 3)
    assert picture[7, 800, 2] > 240  # red in BGR
