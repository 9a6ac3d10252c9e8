"""ONNX files agree with PyTorch, at sizes that nobody traced."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from mmivtuning.export import export_onnx
from mmivtuning.export.onnx_file import _runner
from mmivtuning.export.verification import (
    Case,
    difference,
    example_input,
    reference_logits,
    verify,
)

COMBINATIONS = [('vit', 'segformer'), ('vit', 'upernet'),
                ('vit', 'progressive'), ('eva02', 'segformer'),
                ('eva02', 'upernet'), ('eva02', 'progressive'),
                ('swin', 'segformer'), ('swin', 'upernet'),
                ('swin', 'progressive')]


def session_of(path):
    return onnxruntime.InferenceSession(str(path),
                                        providers=['CPUExecutionProvider'])


def predict(model, images):
    """What mmseg itself predicts for raw pairs, as a data sample each."""
    model.eval()
    data = model.data_preprocessor(
        dict(inputs=list(images.permute(0, 3, 1, 2)), data_samples=None))
    with torch.no_grad():
        return model.predict(data['inputs'], None)


@pytest.mark.parametrize(('backbone', 'head'), COMBINATIONS)
def test_dynamic(build, tmp_path, backbone, head):
    model = build(backbone, head)
    report = export_onnx(model, tmp_path / 'model.onnx', dynamic=True)
    assert report.operators.get('BatchNormalization', 0) == 0
    assert len(report.differences) == 3
    assert max(report.differences.values()) < 1e-4
    session = session_of(report.path)
    # a single patch; multiples of patches; of neither; sides that differ
    for case in (Case(1, 9, 11), Case(3, 32, 32), Case(1, 47, 120),
                 Case(2, 101, 28)):
        images = example_input(case, True)
        found = session.run(None, {'images': images.numpy()})[0]
        wanted = torch.stack(
            [sample.seg_logits.data for sample in predict(model, images)])
        assert np.abs(found - wanted.numpy()).max() < 1e-4 * max(
            1,
            wanted.abs().max())


@pytest.mark.parametrize(('backbone', 'head'), [('vit', 'upernet'),
                                                ('eva02', 'progressive'),
                                                ('swin', 'segformer')])
def test_fixed(build, tmp_path, backbone, head):
    model = build(backbone, head)
    report = export_onnx(model, tmp_path / 'model.onnx', (60, 90))
    assert report.operators.get('BatchNormalization', 0) == 0
    assert list(report.differences) == [Case(1, 60, 90), Case(2, 60, 90)]
    session = session_of(report.path)
    assert session.get_inputs()[0].shape == ['batch', 60, 90, 4]
    assert session.get_inputs()[0].type == 'tensor(uint8)'
    verify(model, _runner(session), [Case(3, 60, 90)], report.output, True,
           1e-4)
    with pytest.raises(Exception, match='Got invalid dimensions|INVALID'):
        session.run(None, {'images': np.zeros((1, 61, 90, 4), np.uint8)})


def test_torch_alone_leaves_the_norms_of_sfe(build, tmp_path, monkeypatch):
    """Its constant folding does those that follow a Conv node."""
    monkeypatch.setattr('mmivtuning.export.traceable.fold_batch_norms',
                        lambda model: None)
    report = export_onnx(build(), tmp_path / 'model.onnx', (28, 42))
    assert report.operators['BatchNormalization'] == 5  # 1 + 2 x 2 layers


def test_the_check_notices_prompts_and_statistics(build, tmp_path):
    """One parameter of the last prompt, one statistic: both are in it."""
    model = build('vit', 'segformer')
    report = export_onnx(model, tmp_path / 'model.onnx', (28, 42))
    run = _runner(session_of(report.path))
    prompt = model.backbone.layers[1].prompt_beta_ffn
    for tensor in (prompt.prompt_up.weight, prompt.enhance.norm.running_mean,
                   model.backbone.prompt_alpha.enhance.norm.running_var,
                   model.decode_head.fusion_conv.bn.running_mean):
        kept = tensor.detach().clone()
        with torch.no_grad():
            tensor.mul_(1.5)
        with pytest.raises(RuntimeError, match='disagrees with PyTorch on'):
            verify(model, run, [Case(1, 28, 42)], 'logits', True, 1e-4)
        with torch.no_grad():
            tensor.copy_(kept)
    verify(model, run, [Case(1, 28, 42)], 'logits', True, 1e-4)


def test_a_file_that_disagrees_is_not_left(build, tmp_path):
    path = tmp_path / 'model.onnx'
    path.write_bytes(b'an older one')
    with pytest.raises(RuntimeError, match='disagrees with PyTorch'):
        export_onnx(build(), path, (28, 42), tolerance=1e-12)
    assert path.read_bytes() == b'an older one'
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_are_not_numbers(build, tmp_path):
    model = build()
    with torch.no_grad():
        model.decode_head.conv_seg.bias[0] = float('nan')
    with pytest.raises(RuntimeError, match='PyTorch itself gives NaN'):
        export_onnx(model, tmp_path / 'model.onnx', (28, 42))
    assert not list(tmp_path.iterdir())


def test_the_model_is_left_as_it_is(build, tmp_path):
    model = build()
    model.train()
    model.backbone.layers[0].eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    trained = [p.requires_grad for p in model.parameters()]
    export_onnx(model, tmp_path / 'model.onnx', (28, 42))
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == trained
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_labels(build, tmp_path):
    model = build('swin', 'segformer')
    report = export_onnx(model,
                         tmp_path / 'model.onnx', (50, 70),
                         output='labels')
    images = example_input(Case(2, 50, 70), True)
    found = session_of(report.path).run(None, {'images': images.numpy()})[0]
    assert found.dtype == np.int64
    wanted = torch.cat(
        [sample.pred_sem_seg.data for sample in predict(model, images)])
    assert len(wanted.unique()) > 1
    assert (found == wanted.numpy()).mean() > 0.999


@pytest.mark.parametrize('output', ['saliency', 'labels', 'logits'])
def test_outputs_of_a_saliency_model(build, tmp_path, output):
    model = build('vit', 'progressive')
    report = export_onnx(model,
                         tmp_path / 'model.onnx', (42, 28),
                         output=None if output == 'saliency' else output)
    assert report.output == output
    images = example_input(Case(2, 42, 28), True)
    found = session_of(report.path).run([output],
                                        {'images': images.numpy()})[0]
    samples = predict(model, images)
    if output == 'labels':
        wanted = torch.cat([s.pred_sem_seg.data for s in samples])
        assert 0 < wanted.mean() < 1
        assert (found == wanted.numpy()).mean() > 0.999
        return
    wanted = torch.stack([s.seg_logits.data for s in samples])
    if output == 'logits':
        found = 1 / (1 + np.exp(-found))
    assert found.shape == (2, 1, 42, 28)
    assert 0 <= found.min() < found.max() <= 1
    assert np.abs(found - wanted.numpy()).max() < 1e-4


def test_planes_without_preprocessing(build, tmp_path):
    """Both kinds of file say the same of the same pair."""
    model = build()
    runs = {}
    for inside in (True, False):
        report = export_onnx(model,
                             tmp_path / f'{inside}.onnx', (28, 42),
                             with_preprocessing=inside)
        runs[inside] = _runner(session_of(report.path))
    images = example_input(Case(2, 28, 42), True)
    planes = model.data_preprocessor(
        dict(inputs=list(images.permute(0, 3, 1, 2)),
             data_samples=None))['inputs']
    assert (runs[True](images) - runs[False](planes)).abs().max() < 1e-4


@pytest.mark.parametrize('preprocessor', [
    dict(missing='infrared'),
    dict(missing='visible'),
    dict(mean=None, std=None, bgr_to_rgb=False)
])
def test_data_preprocessors(build, tmp_path, preprocessor):
    model = build()
    model.data_preprocessor = type(model.data_preprocessor)(
        **dict(dict(mean=[100.] * 4, std=[50.] * 4), **preprocessor))
    report = export_onnx(model, tmp_path / 'model.onnx', (28, 42))
    missing = preprocessor.get('missing')
    if missing is None:
        return
    images = example_input(Case(1, 28, 42), True)
    other = images.clone()
    other[..., slice(3, 4) if missing == 'infrared' else slice(3)] = 9
    run = _runner(session_of(report.path))
    assert torch.equal(run(images), run(other))


@pytest.mark.parametrize(('backbone', 'options'), [
    ('vit', dict(tuning='full')),
    ('eva02', dict(tuning='lora')),
    ('vit', dict(tuning='frozen', patch_size=16)),
    ('vit', dict(tuning='visible')),
    ('eva02', dict(tuning='bitfit')),
    ('vit', dict(tuning='vpt_deep')),
    ('swin', dict(tuning='vpt_deep')),
    ('eva02', dict(tuning='adaptformer')),
    ('vit', dict(dual=True)),
    ('swin', dict(use_abs_pos_embed=True, infrared_channels=1)),
    ('vit', dict(with_simam=False, with_cp=True)),
])
def test_other_tunings(build, tmp_path, backbone, options):
    model = build(backbone, 'segformer', **options)
    export_onnx(model, tmp_path / 'model.onnx', dynamic=True)


def test_description(build, tmp_path):
    model = build()
    model.dataset_meta = dict(classes=('road', 'person'))
    report = export_onnx(model, tmp_path / 'model.onnx', (28, 42))
    metadata = session_of(report.path).get_modelmeta().custom_metadata_map
    described = json.loads(metadata['mmivtuning'])
    assert described['classes'] == ['road', 'person']
    assert described['size'] == [28, 42]
    assert described['backbone'] == 'IVVisionTransformer'
    assert 'uint8' in described['input']


def test_difference_of_labels():
    """Either label is right where two logits are equal but for rounding."""
    logits = torch.tensor([[1., 1.00001, -3.]]).view(1, 3, 1, 1)
    for label, wanted in ((0, 1e-5), (1, 0.), (2, 4.00001)):
        found = torch.tensor(label).view(1, 1, 1)
        assert difference(found, logits, 'labels',
                          0)[0] == pytest.approx(wanted, rel=0.05, abs=1e-7)
    with pytest.raises(RuntimeError, match='labels from 3 to 3 of 3'):
        difference(torch.full((1, 1, 1), 3), logits, 'labels', 0)
    with pytest.raises(RuntimeError, match='of shape'):
        difference(logits[:, :2], logits, 'logits', 0)


def test_reference_is_what_mmseg_predicts(build):
    model = build()
    images = example_input(Case(2, 45, 61), True)
    wanted = torch.stack([s.seg_logits.data for s in predict(model, images)])
    assert torch.equal(reference_logits(model, images, True), wanted)
