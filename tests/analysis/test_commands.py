"""The commands on tiny models and synthetic scenes."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from sklearn.decomposition import PCA

from mmivtuning.analysis.inputs import PairSource, batches
from mmivtuning.analysis.layers import find_layers
from mmivtuning.analysis.models import AnalysedModel
from mmivtuning.analysis.prompt_maps import prompt_norms
from mmivtuning.analysis.rank import accumulate, measure
from mmivtuning.cli import main
from mmivtuning.engine.adapter import save_adapter
from mmivtuning.engine.data_root import read_config
from mmivtuning.models.backbones import DualBackbone

# Large enough for 8 x 10 tokens of the tiny models.
LARGE = 'model.backbone.patch_size=7'


def rows(path: Path) -> list:
    """Read a table."""
    with path.open() as file:
        return list(csv.DictReader(file))


def checkpoint(config: str, path: Path, seed: int) -> str:
    """Write random weights as a checkpoint."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(seed)
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


@pytest.mark.parametrize('backbone', ['vit', 'swin', 'eva02'])
def test_rank_equals_pca_of_all_tokens(backbone, config, scenes):
    cfg = read_config(config(backbone), dict(data_root=str(scenes)))
    model = AnalysedModel(cfg)
    moments, names = accumulate(model, PairSource(cfg), 3)
    assert len(names) == 4
    tokens = []
    layer = find_layers(model.backbone)[-1]
    handle = layer.module.register_forward_hook(
        lambda module, args, output: tokens.append(output))
    for _, images in batches(iter(PairSource(cfg)), 1):
        inputs = model.prepare(images)
        model.run(inputs)
    handle.remove()
    extra = tokens[0].shape[1] - moments[layer.name].count // 4
    assert extra == (0 if backbone == 'swin' else 1)
    every = torch.cat(tokens)[:, extra:].flatten(0, 1).double().numpy()
    raw, standardised = measure(moments)[-2:]
    assert raw.tokens == len(every)
    # batches of other sizes round otherwise, in float32
    for row, values in ((raw, every),
                        (standardised, (every - every.mean(0)) /
                         every.std(0))):
        pca = PCA(5, svd_solver='full').fit(values)
        np.testing.assert_allclose(
            row.explained, pca.explained_variance_ratio_, atol=1e-5)


def test_hooks_are_removed(config, scenes):
    cfg = read_config(config(), dict(data_root=str(scenes)))
    model = AnalysedModel(cfg)
    accumulate(model, PairSource(cfg), 2)
    assert not any(module._forward_hooks
                   for module in model.backbone.modules())


def test_state_does_not_grow_with_pairs(config, scenes):
    cfg = read_config(config(), dict(data_root=str(scenes)))
    model = AnalysedModel(cfg)
    sizes = []
    for count in (1, 4):
        moments, _ = accumulate(model, PairSource(cfg, None, count), 1)
        sizes.append(sum(sums.scatter.nelement() + sums.mean.nelement()
                         for sums in moments.values()))
    assert sizes == [4 * (32 * 32 + 32)] * 2


def test_rank_command(config, own, tmp_path, capsys):
    specs = [
        f'{config("vit", tuning)}:'
        f'{checkpoint(config("vit", tuning), tmp_path / f"{tuning}.pth", at)}'
        for at, tuning in enumerate(('full', 'frozen', 'iv'))
    ]
    for out in ('a', 'b'):
        assert main([
            'rank', *specs, '--names', 'full', 'frozen', 'iv', '--out',
            str(tmp_path / out), '--batch-size', '2', '--device', 'cpu', *own
        ]) == 0
    printed = capsys.readouterr()
    assert 'Feature rank on 4 pairs' in printed.out
    table = rows(tmp_path / 'a' / 'rank.csv')
    assert len(table) == 3 * 4 * 2
    assert {row['model'] for row in table} == {'full', 'frozen', 'iv'}
    for row in table:
        parts = [float(row[f'explained_{k}']) for k in range(1, 6)]
        assert parts == sorted(parts, reverse=True)
        assert sum(parts) == pytest.approx(
            float(row['explained_first_five']))
        assert 1 <= float(row['effective_rank']) <= int(row['dims'])
    assert cv2.imread(str(tmp_path / 'a' / 'rank.png')) is not None
    for name in ('rank.csv', 'rank.png'):
        assert ((tmp_path / 'a' / name).read_bytes() ==
                (tmp_path / 'b' / name).read_bytes())


@pytest.mark.parametrize(('tuning', 'told'), [('iv', 'prompts are random'),
                                              ('full', None)])
def test_rank_tells_what_is_random(tuning, told, config, own, tmp_path,
                                   capsys):
    path = checkpoint(config('vit', 'frozen'), tmp_path / 'vit.pth', 0)
    stock = {
        key[len('backbone.'):]: value
        for key, value in torch.load(path)['state_dict'].items()
        if key.startswith('backbone.') and 'infrared' not in key
    }
    torch.save(stock, path)
    assert main([
        'rank', config('vit', tuning), '--out', str(tmp_path / 'o'), *own,
        'model.backbone.init_cfg.type=Pretrained',
        f'model.backbone.init_cfg.checkpoint={path}'
    ]) == 0
    notes = capsys.readouterr().err
    assert 'weights are random' not in notes
    assert (told in notes) if told else ('random' not in notes)


def test_missing_changes_features(config, own, tmp_path):
    seen = {}
    for case, options in dict(
            both=(), without=('--missing', 'infrared')).items():
        assert main(['rank', config(), '--out', str(tmp_path / case), *own,
                     *options]) == 0
        seen[case] = (tmp_path / case / 'rank.csv').read_text()
    assert seen['both'] != seen['without']


def test_adapter_and_checkpoint_are_alike(config, own, tmp_path, scenes):
    cfg = read_config(config())
    model = AnalysedModel(cfg, seed=0)
    with torch.no_grad():
        for name, value in model.model.named_parameters():
            if 'prompt' in name:
                value.add_(0.1)
    torch.save(model.model.state_dict(), tmp_path / 'whole.pth')
    save_adapter(model.model, tmp_path / 'adapter.safetensors')
    tables = []
    for name in ('whole.pth', 'adapter.safetensors'):
        out = tmp_path / name[:3]
        assert main(['rank', f'{config()}:{tmp_path / name}', '--names', 'x',
                     '--out', str(out), *own]) == 0
        tables.append((out / 'rank.csv').read_bytes())
    assert tables[0] == tables[1]


def test_dual_backbones_have_layers_of_their_own(config):
    backbone = read_config(config()).model.backbone.to_dict()
    backbone.pop('tuning')
    names = [layer.name for layer in find_layers(DualBackbone(backbone))]
    assert names[0] == 'visible_backbone 1'
    assert names[-1] == 'infrared_backbone 4'
    with pytest.raises(ValueError, match='no layers known here'):
        find_layers(torch.nn.Linear(2, 2))


def test_spectrum_of_images(scenes, tmp_path, capsys):
    assert main([
        'spectrum', '--visible', f'{scenes}/visible/val', '--infrared',
        f'{scenes}/infrared/val', '--out', str(tmp_path), '--bands', '0.2',
        '0.6'
    ]) == 0
    assert 'low ends at 0.2 and mid at 0.6' in ' '.join(
        capsys.readouterr().out.split())
    table = rows(tmp_path / 'spectrum.csv')
    assert [(row['modality'], row['stage'], row['images'])
            for row in table] == [('visible', 'image', '4'),
                                  ('infrared', 'image', '4')]
    for row in table:
        assert sum(float(row[f'{band}_mean'])
                   for band in ('low', 'mid', 'high')) == pytest.approx(1)
    assert len(rows(tmp_path / 'spectrum_radial.csv')) == 2 * 56
    assert cv2.imread(str(tmp_path / 'spectrum.png')) is not None


@pytest.mark.parametrize('backbone', ['vit', 'swin'])
def test_spectrum_of_a_model(backbone, config, own, tmp_path, capsys):
    options = own + ([LARGE] if backbone == 'vit' else [])
    assert main(['spectrum', config(backbone), '--out', str(tmp_path),
                 '--batch-size', '3', *options]) == 0
    assert 'prompts' in capsys.readouterr().err
    table = rows(tmp_path / 'spectrum.csv')
    assert len(table) == 2 * 7
    by = {(row['stage'], row['modality']): row for row in table}
    assert by['projection', 'infrared']['channels'] == '8'
    assert by['split', 'visible']['channels'] == '2'
    assert all(row['images'] == '4' for row in table)


def test_spectrum_without_prompts(config, own, tmp_path, capsys):
    assert main(['spectrum', config('vit', 'frozen'), '--missing', 'infrared',
                 '--out', str(tmp_path), *own, LARGE]) == 0
    assert "tuning='frozen' has no prompts" in capsys.readouterr().err
    assert [(row['modality'], row['stage'])
            for row in rows(tmp_path / 'spectrum.csv')] == [
                ('visible', 'image'), ('infrared', 'image'),
                ('visible', 'tokens')]


def test_prompt_maps(config, own, tmp_path, capsys):
    assert main(['prompt-maps', config('swin'), '--out', str(tmp_path),
                 '--max-pairs', '2', *own]) == 0
    printed = ' '.join(capsys.readouterr().out.split())
    assert 'over 2 pairs' in printed
    pictures = sorted(tmp_path.glob('*.png'))
    assert len(pictures) == 2
    assert cv2.imread(str(pictures[0])).shape[1] > 1000
    table = rows(tmp_path / 'prompt_norms.csv')
    assert [row['layer'] for row in table[:5]] == ['1.1', '2.1', '3.1', '3.2',
                                                   '4.1']
    assert all(float(row['change_mean']) > 0 for row in table)


def test_prompt_norms(config, scenes):
    cfg = read_config(
        config(),
        {'data_root': str(scenes), 'model.backbone.prompt_init': 'identity'})
    model = AnalysedModel(cfg)
    pair = next(iter(PairSource(cfg)))
    norms = prompt_norms(model, pair.image)
    assert [entry.layer for entry in norms] == ['1', '2', '3', '4']
    assert norms[0].prompt.shape == (5, 6)
    assert not norms[0].prompt.any()
    assert all(not entry.change.any() for entry in norms)
    tokens = []
    model.backbone.layers[0].register_forward_hook(
        lambda module, args, output: tokens.append(output))
    again = prompt_norms(model, pair.image)
    np.testing.assert_allclose(
        again[1].prompt,
        tokens[0][0, 1:].norm(dim=-1).reshape(5, 6).numpy(), rtol=1e-6)


@pytest.mark.parametrize(('arguments', 'message'), [
    (['rank', 'nowhere.py'], 'no such config: nowhere.py'),
    (['rank', 'model.pth'], 'is not CONFIG[:CHECKPOINT]'),
    (['rank', 'VIT:nowhere.pth'], 'nowhere.pth'),
    (['rank', 'VIT:nowhere.safetensors'], 'does not exist'),
    (['rank', 'VIT', 'VIT'], 'all different'),
    (['rank', 'VIT', '--names', 'a', 'b'], 'as many names'),
    (['rank', 'VIT', '--visible', 'x'], '--visible and --infrared'),
    (['rank', 'VIT', '--visible', 'x', '--infrared', 'y'], 'no such folder'),
    (['rank', 'VIT', '--device', 'abacus'], 'abacus'),
    (['spectrum'], 'give a config, or the folders'),
    (['spectrum', 'VIT'], 'too small for a spectrum'),
    (['spectrum', 'VIT', '--bands', '0.9', '0.1'], 'band edges'),
    (['prompt-maps', 'FROZEN'], "tuning='frozen' has no prompts"),
])
def test_errors(arguments, message, config, own, tmp_path, capsys):
    for name, path in dict(
            VIT=config(), FROZEN=config('vit', 'frozen')).items():
        arguments = [text.replace(name, path) for text in arguments]
    assert main([*arguments, '--out', str(tmp_path), *own]) == 2
    told = capsys.readouterr().err
    assert told.startswith(('error: ', 'note: '))
    assert message in told
    assert not list(tmp_path.iterdir())


def test_checkpoint_of_another_model(config, own, tmp_path, capsys):
    path = checkpoint(config('swin'), tmp_path / 'swin.pth', 0)
    assert main(['rank', f'{config()}:{path}', '--out',
                 str(tmp_path / 'out'), *own]) == 2
    assert 'does not fit the EncoderDecoder' in capsys.readouterr().err
    other = checkpoint(config('vit', 'full'), tmp_path / 'full.pth', 0)
    assert main(['rank', f'{config()}:{other}', '--out',
                 str(tmp_path / 'out'), *own]) == 2
    assert 'missing: backbone.' in capsys.readouterr().err


def test_different_pairs(config, tmp_path, scenes, capsys):
    other = tmp_path / 'other.py'
    other.write_text(
        f'_base_ = {config()!r}\n'
        "val_dataloader = dict(dataset=dict(data_prefix=dict("
        "img_path='visible/train', infrared_path='infrared/train', "
        "seg_map_path='labels/train')))\n")
    assert main(['rank', config(), str(other), '--out', str(tmp_path / 'o'),
                 '--cfg-options', f'data_root={scenes}']) == 2
    assert 'saw different pairs' in capsys.readouterr().err


def test_stock_preprocessor(config, own, tmp_path, capsys):
    other = tmp_path / 'other.py'
    other.write_text(
        f'_base_ = {config()!r}\n'
        "model = dict(data_preprocessor=dict(_delete_=True, "
        "type='SegDataPreProcessor'))\n")
    assert main(['rank', str(other), '--out', str(tmp_path / 'o'), *own]) == 2
    assert 'takes no pairs' in capsys.readouterr().err


def test_detection_padding_is_cut(root, scenes):
    path = (root / 'configs/detection/scenes' /
            'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py')
    cfg = read_config(
        str(path), {
            'data_root': str(scenes),
            'model.data_preprocessor.pad_size_divisor': 64
        })
    model = AnalysedModel(cfg)
    pair = next(iter(PairSource(cfg)))
    assert tuple(model.prepare([pair.image]).shape[2:]) == (
        pair.image.shape[:2])
    moments, _ = accumulate(model, PairSource(cfg, None, 2), 2)
    assert len(moments) == 4


@pytest.mark.parametrize(('change', 'message'), [
    (lambda state: state.update(head=torch.zeros(1)), 'unexpected: head'),
    (lambda state: state['backbone.cls_token'].fill_(float('nan')),
     'not finite: backbone.cls_token'),
    (lambda state: state.update({'backbone.cls_token': torch.zeros(2)}),
     'size mismatch for backbone.cls_token'),
])
def test_damaged_checkpoint(change, message, config, own, tmp_path, capsys):
    path = checkpoint(config(), tmp_path / 'x.pth', 0)
    content = torch.load(path)
    change(content['state_dict'])
    torch.save(content, path)
    assert main(['rank', f'{config()}:{path}', '--out',
                 str(tmp_path / 'out'), *own]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('command', ['rank', 'spectrum', 'prompt-maps'])
def test_help(command, capsys):
    with pytest.raises(SystemExit, match='0'):
        main([command, '--help'])
    assert '--missing' in capsys.readouterr().out


@pytest.mark.parametrize(('more', 'message'), [
    (['--cfg-options', 'nonsense'], "expected KEY=VALUE, got 'nonsense'"),
    (['--cfg-options', 'model.nope=1'], 'TypeError'),
    (['--cfg-options', 'model=3'], 'has no model with a backbone'),
    (['--out', '{scenes}/meta.json'], 'no folder that can be written to'),
    (['--out', '{scenes}/visible/val/x'], 'results would be read as images'),
])
def test_what_cannot_be_done_is_said_at_once(more, message, config, scenes,
                                             tmp_path, capsys):
    folders = [part for modality in ('visible', 'infrared')
               for part in (f'--{modality}', f'{scenes}/{modality}/val')]
    more = [part.format(scenes=scenes) for part in more]
    assert main(['rank', config(), '--out', str(tmp_path / 'o'), *folders,
                 *more]) == 2
    told = capsys.readouterr().err
    assert told.startswith('error: ')
    assert message in told
    assert not (tmp_path / 'o').exists()


def test_interruptions_are_told_by_the_status(config, own, tmp_path, capsys,
                                              monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmivtuning.analysis.rank_command.measure', stop)
    assert main(['rank', config(), '--out', str(tmp_path / 'o'), *own]) == 130
    assert capsys.readouterr().err.endswith('interrupted\n')
    assert not (tmp_path / 'o').exists()
