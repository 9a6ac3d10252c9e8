"""PairedSegDataPreprocessor against numbers computed by hand."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseTTAModel
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

MEAN, STD = [10., 20., 30., 40.], [2., 4., 5., 8.]


def build(**kwargs):
    return MODELS.build(
        dict(
            type='mmivtuning.PairedSegDataPreprocessor',
            **{
                'mean': MEAN,
                'std': STD,
                **kwargs
            }))


def image(height, width, seed=0):
    """Return B, G, R, infrared."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(
        0, 256, (4, height, width), dtype=torch.uint8, generator=generator)


def sample(height, width):
    return SegDataSample(
        gt_sem_seg=PixelData(data=torch.ones(1, height, width).long()),
        metainfo=dict(img_shape=(height, width)))


def expected(pair):
    pair = pair.numpy().astype(np.float64)
    planes = [
        (pair[source] - mean) / std
        for source, mean, std in zip((2, 1, 0, 3), MEAN, STD)
    ]
    return torch.tensor(np.stack(planes), dtype=torch.float32)


def test_training_pads_odd_sizes():
    pairs = [image(13, 21), image(7, 30, 1)]
    data = build(size_divisor=8, pad_val=0.5)(dict(
        inputs=pairs, data_samples=[sample(13, 21), sample(7, 30)]), True)
    assert data['inputs'].shape == (2, 4, 16, 32)
    assert data['inputs'].dtype == torch.float32
    for index, pair in enumerate(pairs):
        height, width = pair.shape[1:]
        torch.testing.assert_close(data['inputs'][index, :, :height, :width],
                                   expected(pair))
        assert (data['inputs'][index, :, height:] == 0.5).all()
        assert (data['inputs'][index, :, :, width:] == 0.5).all()
        labels = data['data_samples'][index].gt_sem_seg.data
        assert labels.shape == (1, 16, 32)
        assert (labels[:, :height, :width] == 1).all()
        assert (labels[:, height:] == 255).all()
        assert data['data_samples'][index].pad_shape == (16, 32)


def test_fixed_size():
    data = build(size=(40, 50))(dict(
        inputs=[image(13, 21)], data_samples=[sample(13, 21)]), True)
    assert data['inputs'].shape == (1, 4, 40, 50)


def test_testing_with_and_without_padding():
    pair = image(13, 21)
    data = dict(inputs=[pair], data_samples=[sample(13, 21)])
    torch.testing.assert_close(
        build(size_divisor=8)(data)['inputs'][0], expected(pair))
    padded = build(test_cfg=dict(size_divisor=8))(data)
    assert padded['inputs'].shape == (1, 4, 16, 24)
    assert padded['data_samples'][0].img_padding_size == (0, 3, 0, 3)


def test_a_batch_tensor():
    batch = torch.stack([image(5, 6), image(5, 6, 1)])
    data = build()(dict(inputs=batch))
    torch.testing.assert_close(data['inputs'][1], expected(batch[1]))
    assert data['data_samples'] is None


def test_without_normalisation_and_without_swap():
    pair = image(5, 6)
    plain = build(mean=None, std=None, bgr_to_rgb=False)(dict(inputs=[pair]))
    assert torch.equal(plain['inputs'][0], pair.float())
    swapped = build(
        mean=None, std=None, bgr_to_rgb=False, rgb_to_bgr=True)(
            dict(inputs=[pair]))
    assert torch.equal(swapped['inputs'][0], pair[[2, 1, 0, 3]].float())


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(('missing', 'gone', 'left'), [
    ('infrared', [3], [0, 1, 2]),
    ('visible', [0, 1, 2], [3]),
])
def test_a_missing_modality_is_zero_with_its_padding(missing, gone, left,
                                                     training):
    kwargs = dict(size_divisor=8, pad_val=3, test_cfg=dict(size_divisor=8))

    def data():
        return dict(inputs=[image(5, 6)], data_samples=[sample(5, 6)])

    both = build(**kwargs)(data(), training)['inputs']
    one = build(missing=missing, **kwargs)(data(), training)['inputs']
    assert both.shape == (1, 4, 8, 8)
    assert not one[:, gone].any()
    assert torch.equal(one[:, left], both[:, left])


def test_missing_does_not_write_into_the_input():
    pair = image(4, 4).float() + 1
    kept = pair.clone()
    build(
        mean=None, std=None, bgr_to_rgb=False,
        missing='visible')(dict(inputs=pair[None]))
    assert torch.equal(pair, kept)


def test_missing_through_cfg_options():
    cfg = Config(
        dict(
            model=dict(
                data_preprocessor=dict(
                    type='mmivtuning.PairedSegDataPreprocessor',
                    mean=MEAN,
                    std=STD))))
    cfg.merge_from_dict({'model.data_preprocessor.missing': 'infrared'})
    assert MODELS.build(cfg.model.data_preprocessor).missing == 'infrared'


@pytest.mark.parametrize('shape', [(3, 5, 6), (6, 5, 6), (5, 6)])
def test_the_wrong_planes_are_told(shape):
    with pytest.raises(ValueError, match=r'LoadPairedImage') as caught:
        build()(dict(inputs=[torch.zeros(shape)]))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize(('kwargs', 'words'), [
    (dict(mean=[1, 2, 3]), 'mean must have 4 values.*got 3'),
    (dict(std=[1.]), 'std must have 4 values.*got 1'),
    (dict(std=[1, 1, 1, 0]), 'std must be positive'),
    (dict(std=None), 'both mean and std'),
    (dict(missing='thermal'), "'thermal'"),
    (dict(rgb_to_bgr=True), 'cannot both be True'),
])
def test_bad_arguments(kwargs, words):
    with pytest.raises(ValueError, match=words):
        build(**kwargs)


def test_nothing_is_saved_in_checkpoints():
    assert not build().state_dict()


def test_whole_numbers_are_taken():
    module = build(mean=[1, 2, 3, 4], std=[1, 1, 1, 1])
    assert module.mean.dtype == torch.float32


class MeanOfViews(BaseTTAModel):
    """What mmseg's test-time model does to the data preprocessor."""

    def merge_preds(self, data_samples_list):
        return data_samples_list


class Spy(torch.nn.Module):

    def __init__(self):
        super().__init__()
        self.data_preprocessor = build(missing='infrared')
        self.seen = []

    def test_step(self, data):
        data = self.data_preprocessor(data, False)
        self.seen.append(data['inputs'])
        return data['data_samples']


def test_test_time_augmentation():
    with DefaultScope.overwrite_default_scope('mmseg'):
        pipeline = Compose([
            dict(
                type='TestTimeAug',
                transforms=[[
                    dict(type='Resize', scale_factor=ratio, keep_ratio=True)
                    for ratio in (1.0, 2.0)
                ], [
                    dict(type='RandomFlip', prob=p, direction='horizontal')
                    for p in (0., 1.)
                ], [dict(type='PackSegInputs')]])
        ])
    pair = image(6, 10).permute(1, 2, 0).numpy()
    spy = Spy()
    samples = MeanOfViews(spy).test_step(
        pseudo_collate([
            pipeline(
                dict(img=pair, img_shape=(6, 10), ori_shape=(6, 10)))
        ]))
    assert len(samples[0]) == len(spy.seen) == 4
    upright, flipped = spy.seen[:2]
    torch.testing.assert_close(flipped, upright.flip(-1))
    torch.testing.assert_close(upright[0, :3], expected(image(6, 10))[:3])
    assert spy.seen[2].shape == (1, 4, 12, 20)
    assert not any(view[:, 3].any() for view in spy.seen)
