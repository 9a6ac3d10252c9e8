"""What a run tests on, and what it remembers of the machine."""

from types import SimpleNamespace

import pytest
import torch

from mmivtuning.evidence.trial import _test, peak_bytes


@pytest.mark.parametrize(('tests', 'missing', 'expected'), [
    (['pair', 'without infrared', 'without visible'], None,
     dict(pair=None, **{'without infrared': 'infrared',
                        'without visible': 'visible'})),
    # What was trained on one modality is tested as it was trained.
    (['pair'], 'infrared', dict(pair='infrared')),
    (['pair'], 'visible', dict(pair='visible')),
])
def test_each_condition_takes_its_modality_away(tests, missing, expected):
    preprocessor = SimpleNamespace(missing=missing)
    seen = []

    def test():
        seen.append(preprocessor.missing)
        evaluator.metrics[1].samples = len(seen)
        return dict(mIoU=10. * len(seen))

    evaluator = SimpleNamespace(
        metrics=[SimpleNamespace(), SimpleNamespace(samples=None)])
    runner = SimpleNamespace(
        model=SimpleNamespace(data_preprocessor=preprocessor),
        test_evaluator=evaluator,
        test=test)
    found = _test(runner, tests, missing)
    assert dict(zip(found, seen)) == expected
    assert [entry['metrics']['mIoU'] for entry in found.values()
            ] == [10. * (place + 1) for place in range(len(tests))]
    assert [entry['samples'] for entry in found.values()
            ] == list(range(1, len(tests) + 1))
    assert preprocessor.missing == missing


@pytest.mark.parametrize(('available', 'expected'), [(True, 12),
                                                     (False, None)])
def test_the_peak_is_that_of_a_gpu(monkeypatch, available, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: available)
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda: 12)
    assert peak_bytes() == expected
