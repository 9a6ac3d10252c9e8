"""The table of a missing modality, from training to the printed scores."""

import json
import sys

import pytest


@pytest.mark.slow
def test_table(run, root, scenes, tmp_path):
    base = root / 'configs/segmentation/scenes'
    runs = []
    for name, ending in (('plain', ''), ('dropped', '-drop')):
        config = base / f'vit-tiny-random_segformer_iv_4i_scenes{ending}-56x70'
        config = config.with_suffix('.py')
        run(sys.executable, root / 'tools/train.py', config, '--work-dir',
            tmp_path / name, '--cfg-options', f'data_root={scenes}',
            cwd=tmp_path)
        runs += ['--run', name, config, tmp_path / name / 'iter_4.pth']
    printed = run(
        sys.executable, root / 'tools/missing_modality.py', *runs, '--json',
        tmp_path / 'table.json', '--work-dir', tmp_path / 'table',
        '--cfg-options', f'data_root={scenes}', cwd=tmp_path)
    assert '| mIoU | both | visible only | infrared only |' in printed
    found = json.loads((tmp_path / 'table.json').read_text())
    assert sorted(found) == ['dropped', 'plain']
    for cases in found.values():
        assert list(cases) == ['both', 'visible only', 'infrared only']


def test_every_case_misses_what_it_says(root, monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(root / 'tools')
    script = __import__('missing_modality')
    asked = []

    class Recorder:

        @classmethod
        def from_cfg(cls, cfg):
            asked.append((cfg.load_from, cfg.data_root,
                          cfg.model.data_preprocessor.missing))
            return cls()

        def test(self):
            return {'mIoU': 10. * len(asked), 'aAcc': 1.}

    monkeypatch.setattr(script, 'Runner', Recorder)
    config = root / 'configs/segmentation/scenes' / (
        'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    script.main(['--run', 'plain', str(config), 'a.pth', '--cfg-options',
                 'data_root=/there', '--work-dir', str(tmp_path)])
    assert asked == [('a.pth', '/there', missing)
                     for missing in (None, 'infrared', 'visible')]
    assert '| plain | 10.00 | 20.00 | 30.00 |' in capsys.readouterr().out
