"""Every config of the package: it parses, is listed, and builds its model."""

from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmivtuning  # noqa: F401
from mmivtuning import registry
from mmivtuning.engine.data_root import set_data_root
from mmivtuning.pairs.benchmarks import benchmark_metainfo

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    path for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts)
BASES = sorted((ROOT / 'configs' / '_base_').rglob('*.py'))
SCENES = [
    path for path in CONFIGS
    if path.parent.name == 'scenes' and 'salient_object' not in path.parts
]
METAFILES = sorted((ROOT / 'configs').rglob('metafile.yml'))
# Trainable parameters of the backbone with tuning='iv'.
PUBLISHED = {
    'swin-l': 6_062_788,
    'eva02-l': 8_899_652,
    'vit-l': 8_899_652,
    'dinov2-s': 1_882_756,
}
REGISTRIES = (registry.MODELS, registry.TRANSFORMS, registry.DATASETS,
              registry.METRICS, registry.HOOKS)


def names(paths):
    return [path.stem for path in paths]


@lru_cache(maxsize=None)
def parsed(path):
    return Config.fromfile(path)


def config(path):
    """A copy that a test may change."""
    return Config(parsed(path).to_dict(), filename=str(path))


def dicts(value):
    """Every dict in nested dicts and sequences."""
    if isinstance(value, dict):
        yield value
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for item in value:
        yield from dicts(item)


def leaves(value):
    """Every value in nested dicts and sequences that is none of them."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        yield value
        return
    for item in value:
        yield from leaves(item)


def build_model(cfg, device):
    """Build the model of a config, without loading weights."""
    toolbox = cfg.default_scope
    models = pytest.importorskip(f'{toolbox}.registry').MODELS
    pytest.importorskip(f'{toolbox}.models')
    cfg.model.backbone.pop('init_cfg', None)
    with DefaultScope.overwrite_default_scope(toolbox), torch.device(device):
        return models.build(cfg.model)


def shrink_swin(backbone):
    """Keep everything of a Swin but its size: Swin needs real memory."""
    backbone.arch = dict(
        embed_dims=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8])
    return [16, 32, 64, 128]


@pytest.mark.parametrize('path', CONFIGS, ids=names(CONFIGS))
def test_model_builds(path):
    cfg = config(path)
    model_cfg, device = cfg.model, 'meta'
    if model_cfg.backbone.type == 'mmivtuning.IVSwinTransformer':
        device, channels = 'cpu', shrink_swin(model_cfg.backbone)
        for part in (model_cfg.get('decode_head'), model_cfg.get('neck')):
            if part is not None:
                part.in_channels = channels
        if 'auxiliary_head' in model_cfg:
            model_cfg.auxiliary_head.in_channels = channels[2]
    model = build_model(cfg, device)
    tuning = cfg.model.backbone.tuning
    assert tuning == path.stem.split('_')[2]
    frozen = [p for p in model.backbone.parameters() if not p.requires_grad]
    assert bool(frozen) == (tuning != 'full')
    assert all(p.requires_grad for name, p in model.named_parameters()
               if not name.startswith('backbone.'))
    key = path.stem.split('_')[0]
    if tuning == 'iv' and key in PUBLISHED and device == 'meta':
        count = sum(p.numel() for p in model.backbone.parameters()
                    if p.requires_grad)
        assert count == PUBLISHED[key]


def test_full_size_swin_has_the_published_count():
    path = ROOT / ('configs/segmentation/mfnet/'
                   'swin-l_segformer_iv_80k_mfnet-512x512.py')
    backbone = config(path).model.backbone
    del backbone['init_cfg']
    model = registry.MODELS.build(backbone)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert count == PUBLISHED['swin-l']


@pytest.mark.parametrize('path', CONFIGS, ids=names(CONFIGS))
def test_types_of_ours_are_registered(path):
    types = {
        part['type']
        for part in dicts(parsed(path).to_dict())
        if str(part.get('type')).startswith('mmivtuning.')
    }
    assert any('LoadPairedImage' in name for name in types)
    unknown = [
        name for name in types
        if all(r.get(name.split('.')[1]) is None for r in REGISTRIES)
    ]
    assert unknown == []


@pytest.mark.parametrize('path', CONFIGS, ids=names(CONFIGS))
def test_config_says_what_tools_need(path):
    cfg = parsed(path)
    assert cfg.custom_imports == dict(
        imports=['mmivtuning'], allow_failed_imports=False)
    assert cfg.default_scope == ('mmdet' if 'detection' in path.parts else
                                 'mmseg')
    assert cfg.sync_bn == 'torch'
    assert cfg.tta_model
    assert cfg.tta_pipeline
    # Functions and modules would not survive `mim gridsearch`.
    kinds = {type(leaf) for leaf in leaves(cfg.to_dict())}
    assert kinds <= {str, int, float, bool, type(None)}
    assert len(path.read_text().splitlines()) <= 25


ONE_OF_EACH = sorted({(p.parent, p.stem.split('_')[1]): p
                      for p in CONFIGS}.values())


@pytest.mark.parametrize('path', ONE_OF_EACH[::2], ids=names(ONE_OF_EACH[::2]))
def test_dumped_config_reads_back(path):
    cfg = parsed(path)
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert again.to_dict() == cfg.to_dict()


@pytest.mark.parametrize('path', CONFIGS, ids=names(CONFIGS))
def test_data_root_moves_every_path(path):
    cfg = config(path)
    old = cfg.data_root
    set_data_root(cfg, '/elsewhere/set')
    assert cfg.data_root == '/elsewhere/set'
    loaders = [cfg[f'{mode}_dataloader'] for mode in ('train', 'val', 'test')]
    assert {loader.dataset.data_root for loader in loaders} == {cfg.data_root}
    text = [leaf for leaf in leaves(cfg.to_dict()) if isinstance(leaf, str)]
    assert not [leaf for leaf in text if f'{leaf}/'.startswith(f'{old}/')]
    assert not [leaf for leaf in text if leaf.startswith('/')
                and not leaf.startswith('/elsewhere/set')]


def test_an_environment_variable_moves_all_data_sets(monkeypatch):
    path = CONFIGS[0]
    default = parsed(path).data_root
    assert default.startswith('data/')
    monkeypatch.setenv('MMIVTUNING_DATA', '/elsewhere')
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.dataset.data_root == default.replace(
        'data', '/elsewhere', 1)


def test_data_root_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match='has no data_root'):
        set_data_root(Config(dict(model=dict())), '/elsewhere')
    with pytest.raises(ValueError, match="no data set .* lies in"):
        set_data_root(
            Config(dict(
                data_root='data/here',
                test_dataloader=dict(dataset=dict(data_root='data/other')))),
            '/elsewhere')


@pytest.mark.parametrize(('given', 'found'), [(2024, '2024'), ('/', '/')])
def test_data_root_of_odd_names(given, found):
    cfg = Config(
        dict(
            data_root='data/here',
            test_dataloader=dict(dataset=dict(data_root='data/here'))))
    set_data_root(cfg, given)
    assert cfg.test_dataloader.dataset.data_root == found


def test_an_empty_data_root_is_refused():
    with pytest.raises(ValueError, match='data_root is empty'):
        set_data_root(config(CONFIGS[0]), '')


@pytest.mark.parametrize('path', SCENES, ids=names(SCENES))
def test_scenes_have_the_classes_that_are_written(path):
    dataset = parsed(path).train_dataloader.dataset
    things_only = 'detection' in path.parts
    expected = benchmark_metainfo('scenes', things_only=things_only)
    assert tuple(dataset.metainfo.classes) == expected['classes']
    assert [list(c) for c in dataset.metainfo.palette] == expected['palette']
    assert parsed(path).num_classes == len(expected['classes'])


def test_data_root_moves_metrics_and_wrapped_data_sets():
    cfg = Config(
        dict(
            data_root='data/here/',
            train_dataloader=dict(
                dataset=dict(
                    type='ConcatDataset',
                    datasets=[dict(data_root='data/here/'),
                              dict(data_root='data/here2/')])),
            test_dataloader=None,
            val_evaluator=[dict(ann_file='data/here/annotations/val.json')]))
    set_data_root(cfg, '/there')
    parts = cfg.train_dataloader.dataset.datasets
    assert [part.data_root for part in parts] == ['/there', 'data/here2/']
    assert cfg.val_evaluator[0].ann_file == '/there/annotations/val.json'


def test_basenames_are_unique_for_mim():
    """mim looks for a config by its basename in the whole package."""
    files = [
        *CONFIGS, *BASES, *(ROOT / 'mmivtuning').rglob('*.py'),
        *(ROOT / 'tools').glob('*.py'), *(ROOT / 'data_prep').glob('*.py')
    ]
    count = Counter(path.name for path in files if '.mim' not in path.parts)
    assert [path.name for path in CONFIGS + BASES
            if count[path.name] > 1] == []


def test_metafiles_list_every_config_once():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert sorted(index['Import']) == [
        path.relative_to(ROOT).as_posix() for path in METAFILES
    ]
    models, collections = [], []
    for path in METAFILES:
        content = yaml.safe_load(path.read_text())
        models += content['Models']
        collections += content['Collections']
    assert Counter(ROOT / model['Config']
                   for model in models) == Counter(CONFIGS)
    assert {model['Name'] for model in models} == set(names(CONFIGS))
    known = {collection['Name'] for collection in collections}
    assert {model['In Collection'] for model in models} <= known
    assert all((ROOT / c['README']).is_file() for c in collections)


def test_no_config_names_a_host():
    files = [*CONFIGS, *BASES, ROOT / 'configs' / 'README.md']
    assert [p for p in files if 'http' in p.read_text()] == []
