"""The measurement of the loader runs; what it measures is not judged."""

import json


def test_measurement(root, scenes, monkeypatch, capsys):
    monkeypatch.syspath_prepend(root / 'tools')
    script = __import__('loader_speed')
    script.main([str(scenes), '--split', 'train', '--workers', '0',
                 '--rounds', '1', '--repeat', '1'])
    found = json.loads(capsys.readouterr().out)
    assert found['pairs'] == 8
    assert min(found['decode'], found['load'], found['share']) > 0
