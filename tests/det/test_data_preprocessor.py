"""PairedDetDataPreprocessor against numbers computed by hand."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseTTAModel
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

MEAN, STD = [10., 20., 30., 40.], [2., 4., 5., 8.]


def build(**kwargs):
    return MODELS.build(
        dict(
            type='mmivtuning.PairedDetDataPreprocessor',
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
    return DetDataSample(
        gt_instances=InstanceData(
            bboxes=HorizontalBoxes(torch.tensor([[1., 2., 3., 4.]])),
            labels=torch.tensor([0]),
            masks=BitmapMasks(
                np.ones((1, height, width), np.uint8), height, width)),
        metainfo=dict(img_shape=(height, width)))


def expected(pair):
    pair = pair.numpy().astype(np.float64)
    planes = [
        (pair[source] - mean) / std
        for source, mean, std in zip((2, 1, 0, 3), MEAN, STD)
    ]
    return torch.tensor(np.stack(planes), dtype=torch.float32)


@pytest.mark.parametrize('training', [True, False])
def test_a_batch_of_odd_sizes(training):
    pairs = [image(13, 21), image(7, 30, 1)]
    data = build(
        pad_size_divisor=8, pad_value=0.5, pad_mask=True)(dict(
            inputs=pairs, data_samples=[sample(13, 21), sample(7, 30)]),
                                                          training)
    assert data['inputs'].shape == (2, 4, 16, 32)
    for index, pair in enumerate(pairs):
        height, width = pair.shape[1:]
        torch.testing.assert_close(data['inputs'][index, :, :height, :width],
                                   expected(pair))
        assert (data['inputs'][index, :, height:] == 0.5).all()
        assert (data['inputs'][index, :, :, width:] == 0.5).all()
        out = data['data_samples'][index]
        assert out.batch_input_shape == (16, 32)
        assert out.pad_shape == [(16, 24), (8, 32)][index]
        # boxtype2tensor
        assert out.gt_instances.bboxes.tolist() == [[1, 2, 3, 4]]
        assert isinstance(out.gt_instances.bboxes, torch.Tensor)
        size = (16, 32) if training else (height, width)
        assert out.gt_instances.masks.masks.shape[1:] == size


def test_a_batch_tensor():
    batch = torch.stack([image(5, 6), image(5, 6, 1)])
    data = build(pad_size_divisor=4)(dict(inputs=batch))
    assert data['inputs'].shape == (2, 4, 8, 8)
    torch.testing.assert_close(data['inputs'][1, :, :5, :6],
                               expected(batch[1]))


def test_batch_augments():
    data = build(batch_augments=[
        dict(type='mmdet.BatchFixedSizePad', size=(20, 24))
    ])(dict(inputs=[image(5, 6)], data_samples=[sample(5, 6)]), True)
    assert data['inputs'].shape == (1, 4, 20, 24)


def test_without_normalisation():
    pair = image(5, 6)
    data = build(mean=None, std=None)(dict(inputs=[pair]))
    assert torch.equal(data['inputs'][0], pair[[2, 1, 0, 3]].float())
    data = build(
        mean=None, std=None, bgr_to_rgb=False)(dict(inputs=[pair]))
    assert torch.equal(data['inputs'][0], pair.float())


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(('missing', 'gone', 'left'), [
    ('infrared', [3], [0, 1, 2]),
    ('visible', [0, 1, 2], [3]),
])
def test_a_missing_modality_is_zero_with_its_padding(missing, gone, left,
                                                     training):
    kwargs = dict(pad_size_divisor=8, pad_value=3)

    def data():
        return dict(inputs=[image(5, 6)], data_samples=[sample(5, 6)])

    both = build(**kwargs)(data(), training)['inputs']
    one = build(missing=missing, **kwargs)(data(), training)['inputs']
    assert both.shape == (1, 4, 8, 8)
    assert not one[:, gone].any()
    assert torch.equal(one[:, left], both[:, left])


def test_missing_through_cfg_options():
    cfg = Config(
        dict(
            model=dict(
                data_preprocessor=dict(
                    type='mmivtuning.PairedDetDataPreprocessor',
                    mean=MEAN,
                    std=STD))))
    cfg.merge_from_dict({'model.data_preprocessor.missing': 'infrared'})
    assert MODELS.build(cfg.model.data_preprocessor).missing == 'infrared'


@pytest.mark.parametrize('batch', [[torch.zeros(3, 5, 6)],
                                   torch.zeros(2, 3, 5, 6)])
def test_the_wrong_planes_are_told(batch):
    with pytest.raises(ValueError, match=r'\(3, 5, 6\).*LoadPairedImage'):
        build()(dict(inputs=batch, data_samples=None))


@pytest.mark.parametrize(('kwargs', 'words'), [
    (dict(mean=[1, 2, 3]), 'mean must have 4 values.*got 3'),
    (dict(std=[1, 1, 1, 0]), 'std must be positive'),
    (dict(missing='thermal'), "'thermal'"),
])
def test_bad_arguments(kwargs, words):
    with pytest.raises(ValueError, match=words):
        build(**kwargs)


class Views(BaseTTAModel):
    """What mmdet's test-time model does to the data preprocessor."""

    def merge_preds(self, data_samples_list):
        return data_samples_list


class Spy(torch.nn.Module):

    def __init__(self):
        super().__init__()
        self.data_preprocessor = build()
        self.seen = []

    def test_step(self, data):
        data = self.data_preprocessor(data, False)
        self.seen.append(data['inputs'])
        return data['data_samples']


def test_test_time_augmentation():
    with DefaultScope.overwrite_default_scope('mmdet'):
        pipeline = Compose([
            dict(
                type='TestTimeAug',
                transforms=[[
                    dict(type='Resize', scale=scale, keep_ratio=True)
                    for scale in ((10, 6), (20, 12))
                ], [
                    dict(type='RandomFlip', prob=p) for p in (0., 1.)
                ],
                            [
                                dict(
                                    type='PackDetInputs',
                                    meta_keys=('flip', 'scale_factor',
                                               'img_shape'))
                            ]])
        ])
    pair = image(6, 10).permute(1, 2, 0).numpy()
    spy = Spy()
    samples = Views(spy).test_step(
        pseudo_collate([
            pipeline(
                dict(img=pair, img_shape=(6, 10), ori_shape=(6, 10)))
        ]))
    assert len(samples[0]) == len(spy.seen) == 4
    torch.testing.assert_close(spy.seen[0][0], expected(image(6, 10)))
    torch.testing.assert_close(spy.seen[1], spy.seen[0].flip(-1))
    assert spy.seen[2].shape == (1, 4, 12, 20)
