"""Configs of runs: what differs between methods, what identifies a run."""

import math
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from mmivtuning.evidence.recipes import as_text, make_run, score
from mmivtuning.evidence.study import TASKS, Method

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make(conductor):
    """Return a function that makes a run."""

    def make_one(method='iv', seed=0, rate=1e-3, changes=None, **kwargs):
        one = conductor(**(changes or {}))
        return make_run(one.study, one.present[0], one.study.methods[method],
                        seed, rate, **kwargs)

    return make_one


def sections(run):
    """What a run's config has, apart from what may differ."""
    content = run.config.to_dict()
    backbone = content['model'].pop('backbone')
    missing = content['model']['data_preprocessor'].pop('missing')
    return content, backbone, missing


def test_methods_differ_in_the_backbone_alone(make):
    runs = {name: make(name) for name in ('iv', 'full', 'frozen', 'seen')}
    found = {name: sections(run) for name, run in runs.items()}
    contents = [content for content, _, _ in found.values()]
    assert all(content == contents[0] for content in contents)
    tunings = {name: part[1]['tuning'] for name, part in found.items()}
    assert tunings == dict(
        iv='iv', full='full', frozen='frozen', seen='visible')
    assert {n for n, part in found.items() if part[2]} == {'seen'}
    assert len({run.identity for run in runs.values()}) == 4


def test_the_budget_is_set(make):
    cfg = make(rate=3e-4, seed=7).config
    assert cfg.train_cfg.max_iters == 4
    assert cfg.optim_wrapper.optimizer.lr == 3e-4
    assert cfg.randomness.seed == cfg.train_dataloader.sampler.seed == 7
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.val_dataloader is None
    assert cfg.default_hooks.checkpoint is None
    # No picture of a pair is written.
    assert 'visualization' not in cfg.default_hooks


def test_rates_are_chosen_on_training_pairs(make):
    run = make(tuning=True)
    train = run.config.train_dataloader.dataset
    test = run.config.test_dataloader.dataset
    assert train.data_prefix == test.data_prefix
    assert not set(train.indices) & set(test.indices)
    assert len(train.indices) + len(test.indices) == 8
    assert test.pipeline == make().config.test_dataloader.dataset.pipeline
    assert run.tests == ['pair']


def test_the_size_is_set_everywhere(make, study_content):
    changes = study_content()
    changes['datasets']['tiny']['size'] = [70, 98]
    cfg = make(changes=changes).config
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert [t.scale for t in pipeline if 'scale' in t] == [(98, 70)]
    assert [t.crop_size for t in pipeline if 'crop_size' in t] == [(70, 98)]
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (98, 70)
    assert cfg.model.data_preprocessor.size == (70, 98)


def test_what_identifies_a_run(make, conductor, tmp_path, made):
    first = make()
    assert make().identity == first.identity
    others = [
        make(rate=1e-4), make(seed=1), make(fraction=0.5), make(tuning=True)
    ]
    assert first.identity not in {run.identity for run in others}
    assert len({run.identity for run in others}) == 4
    # Not where the data lie.
    folder = tmp_path / 'out' / 'data'
    folder.unlink()
    shutil.copytree(made / 'data', folder)
    assert make().identity == first.identity


def test_titles_and_claims_do_not_identify_a_run(make):
    assert make(changes=dict(
        title='Another', claims=[])).identity == make().identity


def test_two_backbones(conductor):
    one = conductor()
    run = make_run(one.study, one.present[0], Method('dual', dual=True), 0,
                   1e-3)
    backbone = run.config.model.backbone
    assert backbone.type == 'mmivtuning.DualBackbone'
    assert 'tuning' not in backbone.backbone


def test_an_unknown_tuning_is_refused(conductor):
    one = conductor()
    method = Method('odd', backbone=dict(tuning='odd'))
    with pytest.raises(ValueError, match="methods.odd: .*found 'odd'"):
        make_run(one.study, one.present[0], method, 0, 1e-3)


def test_boxes_are_resampled_where_methods_are_compared(conductor,
                                                        study_content):
    content = study_content()
    tiny = content['datasets'].pop('tiny')
    content['datasets']['boxes'] = dict(
        tiny, task='detection',
        config=str(ROOT / 'configs/detection/scenes/vit-tiny-random_'
                   'cascade-rcnn-small_iv_1e_scenes-72x96.py'))
    one = conductor(**content)
    method = one.study.methods['iv']
    runs = [make_run(one.study, one.present[0], method, 0, 1e-3, tuning=tuning)
            for tuning in (False, True)]
    assert [run.sampled for run in runs] == [True, False]
    assert [run.config.test_evaluator[0].type for run in runs] == [
        'mmivtuning.SampledCocoMetric', 'mmivtuning.PairedCocoMetric']


def test_a_config_reads_back(make, tmp_path):
    cfg = make().config
    path = tmp_path / 'config.py'
    path.write_text(as_text(cfg))
    assert Config.fromfile(path).to_dict() == cfg.to_dict()


def test_the_cross_entropy_stands_beside_the_overlap(make):
    types = [metric.type for metric in make().config.test_evaluator]
    assert types == ['mmivtuning.SampledIoUMetric',
                     'mmivtuning.CrossEntropyMetric']


def test_scores_are_in_percent():
    segmentation, loss = TASKS['segmentation']
    assert score(dict(mIoU=61.2), segmentation) == 61.2
    assert score(dict(mIoU=61.2, cross_entropy=0.4), loss) == 0.4
    first, second = TASKS['detection']
    metrics = {'coco/bbox_mAP': 0.2, 'coco/bbox_mAP_50': 0.5}
    assert score(metrics, first) == 20
    assert score(metrics, second) == 50
    # A detector that finds nothing has no keys at all.
    assert score({}, first) == 0
    # Without any true box mmdet says -1.
    assert math.isnan(score({'coco/bbox_mAP': -1.}, first))
    with pytest.raises(KeyError, match='mIoU'):
        score(dict(aAcc=1.), segmentation)
