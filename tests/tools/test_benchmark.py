"""The benchmark runs, and what it counts is what it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def benchmark(out, name, *arguments):
    """Measure a tiny model and return the report."""
    config = ROOT / f'configs/segmentation/scenes/{name}_scenes-56x70.py'
    done = subprocess.run([
        sys.executable, ROOT / 'tools' / 'benchmark.py', config, '--device',
        'cpu', '--repeats', '1', '--out', out, *arguments
    ],
                          capture_output=True,
                          text=True,
                          cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads((out / 'benchmark.json').read_text())


def test_a_run_on_the_cpu(tmp_path):
    report = benchmark(tmp_path, 'vit-tiny-random_segformer_iv_4i', '--size',
                       '56', '70', '84', '98')
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
    assert all(r[f'{what}_s'] > 0 for r in rows.values()
               for what in ('step', 'inference', 'attention'))
    assert iv['adapter'] < iv['checkpoint']
    assert all(r['issued_step'] > 1.5 * r['issued_inference'] > 30
               for r in rows.values())
    assert iv['issued_inference'] > frozen['issued_inference']
    assert 1.9 < dual['issued_step'] / full['issued_step'] < 2.1
    assert '84×98' in (tmp_path / 'benchmark.md').read_text()
    assert (tmp_path / 'benchmark.png').stat().st_size > 1000


@pytest.mark.parametrize('name', [
    'vit-tiny-random_segformer_iv_4i', 'swin-tiny-random_segformer_iv_4i',
    'eva02-tiny-random_segformer_iv_4i'
])
def test_the_stock_class_is_the_same_network(tmp_path, name):
    report = benchmark(tmp_path, name, '--size', '128', '128', '--tunings',
                       'visible', 'stock')
    visible, stock = report['rows']
    assert stock['flops'] == pytest.approx(visible['flops'], rel=0.02)
    text = (tmp_path / 'benchmark.md').read_text()
    assert '| attention / stock |' in text
    assert '| step / full |' not in text


def test_views_are_not_issued(load_tool):
    counter = load_tool('benchmark').IssuedOperations()
    x = torch.randn(4, 6, requires_grad=True)
    with counter:
        y = (x.t().reshape(2, 12)[:, 1:] * 2).sum()  # a copy, *, sum
    assert counter.count == 3
    counter.count = 0
    with counter:
        y.backward()
    by_view = counter.count
    y = (x * 2).sum()
    counter.count = 0
    with counter:
        y.backward()
    assert 0 < counter.count < by_view  # a slice is padded again
