"""The benchmark runs, and what it counts is what it says."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_run_on_the_cpu(tmp_path):
    config = (ROOT / 'configs' / 'segmentation' / 'scenes' /
              'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    done = subprocess.run([
        sys.executable, ROOT / 'tools' / 'benchmark.py', config, '--device',
        'cpu', '--size', '56', '70', '84', '98', '--repeats', '1', '--out',
        tmp_path
    ],
                          capture_output=True,
                          text=True,
                          cwd=ROOT)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / 'benchmark.json').read_text())
    assert report['versions']['torch']
    rows = {(r['tuning'], tuple(r['size'])): r for r in report['rows']}
    assert len(rows) == 8
    iv, full, dual, frozen = (
        rows[tuning, (84, 98)] for tuning in ('iv', 'full', 'dual', 'frozen'))
    assert frozen['saved_bytes'] < iv['saved_bytes']
    assert 1.6 < dual['saved_bytes'] / full['saved_bytes'] < 2.1
    # neither of the two embeds the other modality; here that is much
    assert 1.5 < dual['flops'] / full['flops'] < 2
    assert frozen['trainable'] < min(iv['trainable'], full['trainable'])
    assert all(r['step_s'] > 0 and r['inference_s'] > 0 for r in rows.values())
    assert iv['adapter'] < iv['checkpoint']
    assert '84×98' in (tmp_path / 'benchmark.md').read_text()
    assert (tmp_path / 'benchmark.png').stat().st_size > 1000
