"""What data sets wrap."""

from mmivtuning.engine.data_root import pipeline_of, wrapped


def test_from_the_wrapper_inwards():
    inner = dict(type='D', pipeline=['inner'])
    joined = dict(type='C', datasets=[dict(type='R', dataset=inner), dict()])
    assert [level['type'] for level in wrapped(joined)] == ['C', 'R', 'D']
    assert pipeline_of(joined) == ['inner']
    # MultiImageMixDataset has a pipeline of its own.
    assert pipeline_of(dict(joined, pipeline=['outer'])) == ['outer']
    assert pipeline_of(dict(type='D')) == pipeline_of({}) == []
