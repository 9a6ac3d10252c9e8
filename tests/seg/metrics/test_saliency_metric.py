"""The saliency measures against PySODMetrics called by hand."""

import json
import math
import subprocess
import sys
import warnings

import cv2
import numpy as np
import py_sod_metrics
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmivtuning.registry import METRICS
from mmivtuning.seg.metrics.saliency_metric import normalise, to_grey

SIZE = (48, 60)
NAMES = ('Smeasure', 'wFmeasure', 'adpFm', 'meanFm', 'maxFm', 'adpEm',
         'meanEm', 'maxEm', 'MAE')


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def disk(radius: float = 12.) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE[0], :SIZE[1]]
    return (np.hypot(rows - 20, columns - 33) < radius).astype(np.uint8)


def one_pixel() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[7, 50] = 1
    return mask


MASKS = dict(
    random=np.random.default_rng(0).integers(0, 2, SIZE, np.uint8),
    disk=disk(),
    empty=np.zeros(SIZE, np.uint8),
    full=np.ones(SIZE, np.uint8),
    one_pixel=one_pixel())
MAPS = dict(
    random=np.random.default_rng(1).random(SIZE),
    blurred=cv2.GaussianBlur(disk().astype(float), (9, 9), 3),
    right=disk().astype(float),
    low_contrast=.4 + .01 * np.random.default_rng(2).random(SIZE),
    zero=np.zeros(SIZE),
    constant=np.full(SIZE, .3),
    one=np.ones(SIZE),
    one_pixel=one_pixel().astype(float))


def sample(saliency: np.ndarray, mask: np.ndarray, **meta) -> dict:
    result = SegDataSample(
        metainfo=dict(dict(img_path='visible/0001.jpg'), **meta))
    result.seg_logits = PixelData(
        data=torch.from_numpy(saliency)[None].float())
    result.gt_sem_seg = PixelData(data=torch.from_numpy(mask)[None].long())
    return result.to_dict()


def by_hand(pairs) -> dict:
    """The measures from 8-bit maps and masks, as the field takes them."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        f_measure = py_sod_metrics.Fmeasure()
    measures = [
        py_sod_metrics.Smeasure(),
        py_sod_metrics.WeightedFmeasure(), f_measure,
        py_sod_metrics.Emeasure(),
        py_sod_metrics.MAE()
    ]
    found: dict = {}
    for measure in measures:
        for grey, mask in pairs:
            measure.step(pred=grey, gt=mask)
        found.update(measure.get_results())
    return dict(
        Smeasure=found['sm'],
        wFmeasure=found['wfm'],
        adpFm=found['fm']['adp'],
        meanFm=found['fm']['curve'].mean(),
        maxFm=found['fm']['curve'].max(),
        adpEm=found['em']['adp'],
        meanEm=found['em']['curve'].mean(),
        maxEm=found['em']['curve'].max(),
        MAE=found['mae'])


def build(**kwargs):
    return METRICS.build(dict(type='mmivtuning.SaliencyMetric', **kwargs))


def evaluate(samples, **kwargs) -> dict:
    metric = build(**kwargs)
    for one in samples:
        metric.process({}, [one])
    return metric.evaluate(len(samples))


@pytest.mark.parametrize('mask', MASKS)
@pytest.mark.parametrize('saliency', MAPS)
def test_one_image_equals_the_library(saliency, mask):
    grey = np.rint(MAPS[saliency] * 255).astype(np.uint8)
    if np.ptp(grey):
        # the form in which maps are published: from 0 to 255
        grey = cv2.normalize(grey, None, 0, 255, cv2.NORM_MINMAX)
    expected = by_hand([(grey, MASKS[mask] * 255)])
    found = evaluate([sample(grey / 255., MASKS[mask])])
    assert tuple(found) == tuple(f'saliency/{name}' for name in NAMES)
    for name in NAMES:
        assert found[f'saliency/{name}'] == pytest.approx(
            expected[name], abs=1e-6), name


@pytest.mark.parametrize('mask', MASKS)
@pytest.mark.parametrize('saliency', MAPS)
def test_saved_maps_give_the_same_figures(saliency, mask, tmp_path):
    found = evaluate([sample(MAPS[saliency], MASKS[mask])],
                     output_dir=str(tmp_path))
    written = cv2.imread(str(tmp_path / '0001.png'), cv2.IMREAD_UNCHANGED)
    assert written.shape == SIZE
    assert written.dtype == np.uint8
    for name, value in by_hand([(written, MASKS[mask] * 255)]).items():
        assert found[f'saliency/{name}'] == pytest.approx(
            value, abs=1e-6), name


def test_unrounded_maps_equal_the_library():
    saliency = torch.from_numpy(MAPS['random']).float().double().numpy()
    low, high = saliency.min(), saliency.max()
    normalised = (saliency - low) / (high - low)
    found = evaluate([sample(saliency, disk())], eight_bits=False)
    rounded = evaluate([sample(saliency, disk())])
    for name, measure, key in (
            ('MAE', py_sod_metrics.MAE(), 'mae'),
            ('Smeasure', py_sod_metrics.Smeasure(), 'sm'),
            ('wFmeasure', py_sod_metrics.WeightedFmeasure(), 'wfm')):
        measure.step(normalised, disk().astype(bool), normalize=False)
        expected = measure.get_results()[key]
        assert found[f'saliency/{name}'] == pytest.approx(expected, abs=1e-6)
        assert rounded[f'saliency/{name}'] == pytest.approx(
            expected, abs=1e-3)


def test_a_perfect_map():
    found = evaluate([sample(disk().astype(float), disk())])
    assert found['saliency/MAE'] == 0
    for name in ('Smeasure', 'wFmeasure', 'maxFm', 'adpFm'):
        assert found[f'saliency/{name}'] == pytest.approx(1, abs=1e-6)


def test_images_of_several_sizes_are_averaged():
    pairs, samples = [], []
    for number in range(7):
        rng = np.random.default_rng(number)
        size = (20 + number, 30 - number)
        grey = rng.integers(0, 256, size, np.uint8)
        grey[0, :2] = 0, 255
        mask = rng.integers(0, 2, size, np.uint8)
        pairs.append((grey, mask * 255))
        samples.append(sample(grey / 255., mask, img_path=f'{number}.jpg'))
    found = evaluate(samples)
    for name, value in by_hand(pairs).items():
        assert found[f'saliency/{name}'] == pytest.approx(value, abs=1e-6)


def test_data_sets_are_told_apart(tmp_path):
    samples = [
        sample(MAPS['right'], disk(), dataset_name='VT821'),
        sample(MAPS['random'], disk(), dataset_name='VT1000'),
        sample(MAPS['blurred'], disk(), dataset_name='VT1000',
               img_path='0002.jpg'),
    ]
    found = evaluate(samples, output_dir=str(tmp_path))
    assert len(found) == 2 * len(NAMES)
    for name, part in (('VT821', samples[:1]), ('VT1000', samples[1:])):
        alone = evaluate(part)
        for key, value in alone.items():
            measure = key.split('/')[1]
            assert found[f'saliency/{name}/{measure}'] == value
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob('*.png')} == {
        'VT821/0001.png', 'VT1000/0001.png', 'VT1000/0002.png'
    }


def test_evaluating_twice_starts_anew(tmp_path):
    metric = build(output_dir=str(tmp_path))
    for saliency in ('random', 'right'):
        metric.process({}, [sample(MAPS[saliency], disk())])
        last = metric.evaluate(1)
    assert last == evaluate([sample(MAPS['right'], disk())])


def test_normalisation():
    for values, expected in (((.2, .35, .4), (0, 191, 255)),
                             ((.2, .2, .2), (51, 51, 51)),
                             ((-3., -3., -3.), (0, 0, 0))):
        grey = to_grey(normalise(np.array([values])))
        assert grey.tolist() == [list(expected)]


def test_keep_results_off_saves_nothing(tmp_path):
    evaluate([sample(MAPS['random'], disk())],
             output_dir=str(tmp_path), keep_results=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('change', 'match'), [
    (lambda s: s['seg_logits'].update(data=torch.rand(2, *SIZE)),
     'a.jpg.*one map.*2, 48, 60'),
    (lambda s: s['seg_logits'].update(data=torch.full((1, *SIZE), math.nan)),
     'a.jpg.*NaN'),
    (lambda s: s['seg_logits'].update(data=torch.rand(1, 9, 9)),
     r'a.jpg.*48, 60.*9, 9'),
    (lambda s: s['gt_sem_seg'].update(data=torch.full((1, *SIZE), 255)),
     r'a.jpg.*\[255\]'),
    (lambda s: s.pop('gt_sem_seg'), 'a.jpg.*no mask'),
])
def test_errors(change, match):
    one = sample(MAPS['random'], disk(), img_path='a.jpg')
    change(one)
    with pytest.raises(ValueError, match=match):
        build().process({}, [one])


def test_two_sources_of_one_file(tmp_path):
    metric = build(output_dir=str(tmp_path))
    metric.process({}, [sample(MAPS['random'], disk(), img_path='a/1.jpg')])
    with pytest.raises(ValueError, match='b/1.jpg.*a/1.jpg'):
        metric.process({},
                       [sample(MAPS['random'], disk(), img_path='b/1.jpg')])


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, 'py_sod_metrics', None)
    with pytest.raises(ImportError, match=r'mmivtuning\[saliency\]'):
        build()


# One process of an evaluation, as the loop of mmengine runs it.
PROCESS = '''
import json, sys
import numpy as np, torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmivtuning.registry import METRICS

rank, world, folder = sys.argv[1:]
if int(world) > 1:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=int(rank),
        world_size=int(world))
init_default_scope('mmseg')
metric = METRICS.build(dict(type='mmivtuning.SaliencyMetric',
                            collect_dir=folder + '/parts'))
for index in DefaultSampler(list(range(5)), shuffle=False):
    rng = np.random.default_rng(index)
    name = 'few' if index < 2 else 'many'
    sample = SegDataSample(
        metainfo=dict(img_path=f'{index}.jpg', dataset_name=name))
    sample.seg_logits = PixelData(
        data=torch.from_numpy(rng.random((1, 20, 30))))
    sample.gt_sem_seg = PixelData(
        data=torch.from_numpy(rng.integers(0, 2, (1, 20, 30))))
    metric.process({}, [sample.to_dict()])
found = metric.evaluate(5)
with open(f'{folder}/{world}_{rank}.json', 'w') as file:
    json.dump(found, file)
'''


def test_two_processes_equal_one(tmp_path):
    script = tmp_path / 'process.py'
    script.write_text(PROCESS)
    for world in (1, 2):
        running = [
            subprocess.Popen([
                sys.executable, str(script), str(rank), str(world),
                str(tmp_path)
            ]) for rank in range(world)
        ]
        assert [process.wait(120) for process in running] == [0] * world
    found = [
        json.loads((tmp_path / f'{name}.json').read_text())
        for name in ('1_0', '2_0', '2_1')
    ]
    assert len(found[0]) == 2 * len(NAMES)
    assert found[0] == found[1] == found[2]
