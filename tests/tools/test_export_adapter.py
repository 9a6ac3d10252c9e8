"""A full checkpoint becomes an adapter that fits its base."""

import subprocess
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmivtuning.engine.adapter import load_adapter

ROOT = Path(__file__).parents[2]
CONFIG = (
    ROOT / 'configs' / 'segmentation' / 'scenes' /
    'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')


def test_export(tmp_path):
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    trained, other = MODELS.build(cfg.model), MODELS.build(cfg.model)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'full.pth')
    done = subprocess.run([
        sys.executable, ROOT / 'tools' / 'export_adapter.py', CONFIG,
        tmp_path / 'full.pth', tmp_path / 'a.safetensors'
    ],
                          capture_output=True,
                          text=True,
                          cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert 'of the checkpoint' in done.stdout
    base = trained.state_dict()
    frozen = [n for n, p in other.named_parameters() if not p.requires_grad]
    other.load_state_dict({n: base[n] for n in frozen}, strict=False)
    assert load_adapter(other, tmp_path / 'a.safetensors')['config']
    for name, value in other.state_dict().items():
        assert torch.equal(value, base[name]), name
