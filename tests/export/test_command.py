"""The command, and the code of docs/export.md as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmivtuning.export import command

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
SEGMENTATION = (CONFIGS / 'segmentation' / 'scenes' /
                'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
DETECTION = (CONFIGS / 'detection' / 'scenes' /
             'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py')
PAGE = ROOT / 'docs' / 'export.md'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    cfg = Config.fromfile(SEGMENTATION)
    init_default_scope(cfg.default_scope)
    path = tmp_path_factory.mktemp('checkpoint') / 'iter_4.pth'
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return path


def run(*arguments):
    import argparse
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(a) for a in arguments]))


def test_file_and_page(checkpoint, tmp_path):
    """Written by the tool, run by the ten lines of the page."""
    done = subprocess.run([
        sys.executable, '-W', 'ignore', ROOT / 'tools' / 'export_onnx.py',
        SEGMENTATION, checkpoint, tmp_path / 'model.onnx', '--dynamic'
    ],
                          capture_output=True,
                          text=True,
                          cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '[export] 2 x 56 x 70 (B x H x W): differs' in done.stdout
    rng = np.random.default_rng(0)
    for name, shape in (('visible', (50, 61, 3)), ('infrared', (50, 61))):
        cv2.imwrite(str(tmp_path / f'{name}.png'),
                    rng.integers(0, 256, shape, dtype=np.uint8))
    blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.S)
    code, = (block for block in blocks if 'InferenceSession' in block)
    assert len(code.strip().splitlines()) <= 12
    subprocess.run([sys.executable, '-c', code], check=True, cwd=tmp_path)
    labels = cv2.imread(str(tmp_path / 'labels.png'), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (50, 61)
    assert labels.max() < 5


def test_the_size_is_the_configs(checkpoint, tmp_path, capsys):
    out = tmp_path / 'model.onnx'
    assert run(SEGMENTATION, checkpoint, out, '--output', 'labels') == 0
    printed = capsys.readouterr().out
    assert 'labels' in printed
    assert '[export] 1 x 56 x 70' in printed


@pytest.mark.parametrize(('arguments', 'match'), [
    ((DETECTION, None, 'model.onnx'), 'detector.*mmdeploy'),
    ((SEGMENTATION, 'absent.pth', 'model.onnx'), 'no such file: .absent.pth'),
    (('absent.py', None, 'model.onnx'), 'no such file: .absent.py'),
    ((SEGMENTATION, None, 'model.pb'), r'must end in \.onnx or \.pt2'),
    ((SEGMENTATION, None, 'model.pt2', '--dynamic'), 'made for one size'),
    ((SEGMENTATION, None, 'model.onnx', '--tolerance', '0'), '--tolerance'),
    ((SEGMENTATION, None, 'model.onnx', '--size', '0', '5'), 'size must be'),
    ((SEGMENTATION, None, 'absent/model.onnx'), 'is no folder'),
    ((SEGMENTATION, SEGMENTATION, 'model.onnx'), 'cannot be read|error'),
])
def test_errors(checkpoint, tmp_path, capsys, monkeypatch, arguments, match):
    monkeypatch.chdir(tmp_path)
    arguments = [checkpoint if a is None else a for a in arguments]
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert re.search(match, error.splitlines()[-1] if match else error), error
    assert not list(tmp_path.iterdir())
