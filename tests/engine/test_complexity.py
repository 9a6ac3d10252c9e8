"""Parameters and operations, against counts by hand and other counters."""

import csv
import json

import pytest
import torch
import torch.nn.functional as F
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from torch import nn

from mmivtuning.cli import main
from mmivtuning.engine import complexity
from mmivtuning.engine.complexity import (
    build_model,
    count_operations,
    count_parts,
    measure,
    predict_once,
)
from mmivtuning.models import IVSwinTransformer, IVVisionTransformer
from mmivtuning.models.backbones.dual import DualBackbone
from mmivtuning.models.backbones.tuning import TUNINGS

SEGMENTATION = ('configs/segmentation/scenes/'
                'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
DETECTION = ('configs/detection/scenes/'
             'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py')
QUERIES = ('configs/detection/scenes/'
           'swin-tiny-random_dino-small_iv_1e_scenes-72x96.py')


@pytest.fixture
def segmentor(root):
    return build_model(Config.fromfile(root / SEGMENTATION))


def by_name(found):
    return {part.name: part for part in found.parts}


def test_a_tiny_segmentor_by_hand(segmentor):
    # 56 x 70 in patches of 14; a class token; 4 layers, of width 32.
    n, e, c, layers, ffn, patch = 4 * 5, 1, 32, 4, 64, 3 * 14 * 14
    t = n + e
    layer = (t * c * 3 * c + 2 * t * t * c + t * c * c + 2 * t * c * ffn)

    def enhance(d):  # a quarter through 3x3, then two 1x1 convolutions
        return n * (d // 4) * 9 + 2 * n * d * d

    alpha = 2 * n * c * 8 + enhance(8) + n * 8 * c
    beta = 0
    for index in range(layers):
        # the class token is projected, too, and cut thereafter; the first
        # layer's prompt has none
        prompt = n if index == 0 else t
        beta += 2 * (t * c * 64 + enhance(64) + n * 64 * c + prompt * c * 8 +
                     n * 8 * c)
    levels = [14 * 18, 7 * 9, 4 * 5, 2 * 3]
    head = (c * 256 * sum(levels) + 4 * 256 * 256 * levels[0] +
            256 * 5 * levels[0])
    expected = {
        complexity.STOCK: n * c * patch + layers * layer,
        complexity.INFRARED_EMBEDDING: n * c * patch,
        complexity.PROMPT_NORM: 0,
        complexity.ALPHA: alpha,
        complexity.BETA: beta,
        'decode_head': head,
    }
    found = measure(segmentor, (56, 70))
    assert {
        part.name: part.operations for part in found.parts
    } == {name: 2 * count for name, count in expected.items()}
    assert found.sum('operations') == count_operations(
        lambda: predict_once(segmentor, (56, 70)))


@pytest.mark.parametrize('masked', [False, True])
def test_fused_attention_counts_as_two_products(masked):
    tokens, channels, heads = 12, 16, 2
    query = torch.rand(3, heads, tokens, channels)
    mask = torch.zeros(tokens, tokens) if masked else None
    found = count_operations(
        lambda: F.scaled_dot_product_attention(query, query, query, mask))
    assert found == 3 * heads * 2 * 2 * tokens * tokens * channels


def test_twice_what_a_trace_counts():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 36, 5))
    inputs = torch.rand(1, 4, 8, 8)
    assert count_operations(lambda: model(inputs)) == 2 * FlopAnalyzer(
        model, inputs).total()


def test_a_trace_misses_prompts(segmentor):
    """Why mmengine's counter, and get_flops.py with it, is not used."""
    backbone = segmentor.backbone
    inputs = torch.rand(1, 4, 56, 70)
    analyzer = FlopAnalyzer(backbone, inputs)
    analyzer.unsupported_ops_warnings(False)
    analyzer.uncalled_modules_warnings(False)
    assert 2 * analyzer.total() < count_operations(lambda: backbone(inputs))
    assert {
        'prim::PythonOp._AddBranches', 'aten::scaled_dot_product_attention'
    } <= set(analyzer.unsupported_ops())


def test_published_counts_of_a_large_backbone():
    with torch.device('meta'):
        backbone = IVVisionTransformer(
            arch='large', img_size=512, patch_size=16, out_type='featmap')
    found = count_parts(backbone)
    assert found.sum('trainable') == 8_899_652
    assert found.sum('trainable', backbone=True) == 8_899_652
    parts = by_name(found)
    assert [part.name for part in found.parts] == list(complexity.ORDER)
    assert parts[complexity.BETA].trainable == 24 * 336_848
    assert parts[complexity.ALPHA].trainable == 25_796
    assert parts[complexity.INFRARED_EMBEDDING].trainable == 787_456
    assert parts[complexity.PROMPT_NORM].trainable == 2_048
    assert parts[complexity.STOCK].trainable == 0
    # Published: 2.84 %, of a backbone with a second embedding.
    assert f'{found.share_of_backbone:.2%}' == '2.84%'
    assert f'{found.share_of_stock:.2%}' == '2.93%'


@pytest.mark.parametrize('tuning', ['iv', 'full', 'frozen', 'visible'])
def test_sums_are_those_of_the_model(tuning):
    backbone = IVSwinTransformer(
        arch=dict(embed_dims=16, depths=[2, 2], num_heads=[2, 2]),
        window_size=4, out_indices=(0, 1), tuning=tuning).eval()
    found = measure(backbone, (36, 44))
    parameters = list(backbone.parameters())
    assert found.sum('parameters') == sum(p.numel() for p in parameters)
    assert found.sum('trainable') == sum(
        p.numel() for p in parameters if p.requires_grad)
    assert (complexity.BETA in by_name(found)) == (tuning == 'iv')
    assert found.sum('operations') > 0
    assert complexity.REST not in by_name(found)


def test_two_backbones_in_one():
    dual = DualBackbone(
        dict(
            type='mmivtuning.IVVisionTransformer', patch_size=14, img_size=56,
            arch=dict(embed_dims=32, num_layers=1, num_heads=2,
                      feedforward_channels=64), out_type='featmap')).eval()
    found = measure(dual, (56, 70))
    alone = measure(dual.visible_backbone, (56, 70))
    for field in ('parameters', 'trainable', 'operations'):
        assert found.sum(field) == 2 * alone.sum(field)


def test_every_tuning_has_the_same_stock_backbone():
    """A layer that takes over stock parameters is not all new."""
    found = {
        name: count_parts(IVVisionTransformer(
            arch=dict(embed_dims=32, num_layers=2, num_heads=2,
                      feedforward_channels=64),
            patch_size=14, img_size=56, out_type='featmap', tuning=name))
        for name in TUNINGS
    }
    stock = found['visible'].sum('trainable')
    assert {one.stock_parameters for one in found.values()} == {stock}
    lora = by_name(found['lora'])['LoRALinear']
    # Two updates of each of two layers, of rank 8.
    assert lora.parameters == lora.trainable == 2 * 2 * 2 * 32 * 8


@pytest.mark.parametrize('config', [DETECTION, QUERIES])
def test_detectors_with_their_heads(root, config, capsys):
    assert main(['params', str(root / config), '--size', '40', '48', '--json',
                 '-']) == 0
    found = json.loads(capsys.readouterr().out)
    parts = {part['name']: part for part in found['parts']}
    heads = {'neck', 'bbox_head', 'encoder', 'decoder'} if (
        config == QUERIES) else {'neck', 'rpn_head', 'roi_head'}
    for name in heads:
        assert parts[name]['operations'] > 0
    assert found['size'] == [40, 48]
    total = sum(part['operations'] for part in found['parts'])
    assert found['total']['operations'] == total


def test_windows_are_counted_one_by_one(root):
    cfg = Config.fromfile(root / SEGMENTATION)
    whole = measure(build_model(cfg), (56, 70))
    cfg.model.test_cfg = dict(mode='slide', crop_size=(56, 70),
                              stride=(56, 70))
    windows = measure(build_model(cfg), (112, 70))
    assert windows.sum('operations') == 2 * whole.sum('operations')


def test_the_command_prints_a_table(root, capsys, tmp_path):
    file = tmp_path / 'new' / 'counts.json'
    assert main(['params', str(root / SEGMENTATION), '--json',
                 str(file)]) == 0
    printed = capsys.readouterr().out
    assert 'prompts, MP-beta' in printed
    assert 'trainable in the backbone (#TP): 129,284' in printed
    # what the config tests on: its `scale` is width, height
    assert '64 x 84 (height x width)' in printed
    found = json.loads(file.read_text())
    assert found['backbone']['trainable'] == 129_284


def test_tunings_of_a_config_side_by_side(root, capsys, tmp_path):
    file = tmp_path / 'new' / 'tunings.csv'
    config = str(root / SEGMENTATION)
    names = ['iv', 'full', 'visible', 'dual']
    assert main(['params', config, '--tunings', *names, '--csv', str(file)
                 ]) == 0
    printed = capsys.readouterr().out
    with open(file, newline='') as text:
        rows = {row['tuning']: row for row in csv.DictReader(text)}
    assert list(rows) == names
    assert rows['iv']['trainable in the backbone'] == '129284'
    assert '129,284' in printed
    assert 'GFLOPs' in printed
    stock = int(rows['visible']['trainable in the backbone'])
    for row in rows.values():
        assert float(row['share of the stock backbone']) == pytest.approx(
            int(row['trainable in the backbone']) / stock)
    assert float(rows['dual']['share of the stock backbone']) == 2
    assert int(rows['dual']['operations']) > int(
        rows['visible']['operations'])
    assert (rows['iv']['height'], rows['iv']['width']) == ('64', '84')
    # Without a run of the model nothing is said of operations.
    assert main(['params', config, '--tunings', 'iv', '--no-flops', '--csv',
                 str(file)]) == 0
    assert 'GFLOPs' not in capsys.readouterr().out
    assert main(['params', config, '--tunings', 'iv', 'lora', '--no-flops',
                 '--json', '-']) == 0
    found = json.loads(capsys.readouterr().out)['tunings']
    assert list(found) == ['iv', 'lora']
    assert main(['params', config, '--csv', str(file)]) == 2
    assert '--tunings' in capsys.readouterr().err


def test_parameters_alone(root, capsys):
    assert main(['params', str(root / SEGMENTATION), '--no-flops']) == 0
    assert 'GFLOPs' not in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'message'), [
    (['nowhere.py'], 'no such config'),
    (['{config}', '--size', '0', '70'], 'must be positive'),
    (['{config}', '--cfg-options', 'model.type=Nothing'], 'Nothing'),
    (['{config}', '--cfg-options', 'model.decode_head.in_index=[0,1]'],
     'error: '),
])
def test_errors_that_say_what_is_wrong(root, capsys, arguments, message):
    arguments = [a.format(config=root / SEGMENTATION) for a in arguments]
    assert main(['params', *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_config_without_a_size(root):
    cfg = Config.fromfile(root / SEGMENTATION)
    cfg.test_dataloader.dataset.pipeline = []
    cfg.pop('test_pipeline')
    assert complexity.test_size(cfg) == (56, 70)
    cfg.pop('crop_size')
    with pytest.raises(ValueError, match='--size'):
        complexity.test_size(cfg)
