from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mmivtuning.engine import PairedVisualizationHook
from mmivtuning.engine.pictures import CAPTION_HEIGHT, GAP
from mmivtuning.engine.sample_pictures import default_palette

HEIGHT, WIDTH = 40, 60
PALETTE = [[0, 0, 0], [200, 0, 0]]


@pytest.fixture
def make_sample(tmp_path):
    """Return a function that writes a pair and describes it."""

    def make(folder='one', **data):
        paths = {}
        for modality, channels in (('visible', 3), ('infrared', 1)):
            path = tmp_path / folder / modality / '0001.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((HEIGHT, WIDTH, channels), 100, np.uint8)
            assert cv2.imwrite(str(path), image)
            paths[modality] = str(path)
        sample = BaseDataElement(
            metainfo=dict(
                img_path=paths['visible'], infrared_path=paths['infrared']))
        for name, value in data.items():
            sample.set_data({name: value})
        return sample

    return make


def labels_of(values):
    return PixelData(data=torch.as_tensor(values)[None])


def instances_of(boxes, labels, **others):
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
        **others)


def panel(picture, index):
    left = index * (WIDTH + GAP)
    return picture[CAPTION_HEIGHT:, left:left + WIDTH]


class Visualizer:
    """Stand-in that keeps what it is given."""

    def __init__(self, **meta):
        self.dataset_meta = meta
        self.shown = []

    def add_image(self, name, picture, step):
        self.shown.append(name)


def test_label_maps_of_any_size_and_ignored_pixels(make_sample):
    truth = np.zeros((HEIGHT * 2, WIDTH * 2), np.uint8)
    truth[:, :WIDTH] = 1
    truth[:20] = 255
    sample = make_sample(
        gt_sem_seg=labels_of(truth),
        pred_sem_seg=labels_of(np.ones((HEIGHT, WIDTH), np.int64)))
    picture = PairedVisualizationHook(draw=True).picture(
        sample, Visualizer(classes=('background', 'car'), palette=PALETTE))
    assert picture.shape == (HEIGHT + CAPTION_HEIGHT, 4 * WIDTH + 3 * GAP, 3)
    drawn = panel(picture, 2)
    assert (drawn[:10] == 100).all()
    assert (drawn[10:, WIDTH // 2:] == 100).all()
    assert (drawn[10:, :WIDTH // 2] == [160, 40, 40]).all()
    assert (panel(picture, 3) == [160, 40, 40]).all()


def test_boxes_on_both_modalities_above_the_threshold(make_sample):
    sample = make_sample(
        gt_instances=instances_of([], []),
        pred_instances=instances_of(
            [[5, 5, 20, 30], [30, 5, 50, 30]], [0, 0],
            scores=torch.tensor([0.9, 0.1])))
    picture = PairedVisualizationHook(draw=True).picture(
        sample, Visualizer(classes=('car', ), palette=[(200, 0, 0)]))
    for index in (4, 5):
        assert panel(picture, index)[30, 12].tolist() == [200, 0, 0]
        assert panel(picture, index)[30, 40].tolist() == [100, 100, 100]


@pytest.mark.parametrize('meta', [
    dict(),
    dict(classes=('car', ), palette=[]),
    dict(classes=('car', ), palette=None),
    dict(classes=('car', ), palette=np.array([[200, 0, 0]])),
], ids=['no metainfo', 'empty', 'none', 'array'])
@pytest.mark.parametrize('label', [0, 3])
def test_labels_without_a_name_or_a_colour(make_sample, meta, label):
    sample = make_sample(
        gt_instances=instances_of([[5, 5, 20, 30]], [label]),
        pred_sem_seg=labels_of(np.full((HEIGHT, WIDTH), label)))
    picture = PairedVisualizationHook(draw=True).picture(
        sample, Visualizer(**meta))
    assert (panel(picture, 2) != panel(picture, 0)).any()


def test_boxes_that_are_not_finite_or_far_outside(make_sample):
    far = 1e12
    sample = make_sample(
        pred_instances=instances_of(
            [[float('nan'), 0, 9, 9], [-far, -far, far, 30]], [0, 0],
            scores=torch.ones(2)))
    picture = PairedVisualizationHook(draw=True).picture(
        sample, Visualizer(classes=('car', ), palette=[(200, 0, 0)]))
    assert panel(picture, 2)[30, 40].tolist() == [200, 0, 0]


def test_a_colour_for_each_of_many_classes(make_sample):
    assert default_palette(0) == []
    palette = default_palette(300)
    assert len(set(palette)) == 300
    sample = make_sample(
        pred_sem_seg=labels_of(np.full((HEIGHT, WIDTH), 299)))
    picture = PairedVisualizationHook(draw=True).picture(
        sample, Visualizer(classes=tuple(map(str, range(300)))))
    assert (panel(picture, 2) != 100).any()


def test_a_test_draws_every_sample_under_a_name_of_its_own(make_sample):
    hook = PairedVisualizationHook(draw=True)
    runner = SimpleNamespace(visualizer=Visualizer(), iter=0)
    first, second = make_sample('one'), make_sample('two')
    for _ in range(2):
        hook.after_test_iter(runner, 0, outputs=[first])
        hook.after_test_iter(runner, 1, outputs=[second])
    names = ['test_0001', 'test_0001_2']
    assert runner.visualizer.shown == names * 2


def test_validation_draws_the_first_sample_of_some_batches(make_sample):
    hook = PairedVisualizationHook(draw=True, interval=2)
    runner = SimpleNamespace(visualizer=Visualizer(), iter=0)
    for index in range(4):
        hook.after_val_iter(
            runner, index, outputs=[make_sample(str(index))] * 2)
    assert len(runner.visualizer.shown) == 2


def test_a_sample_without_infrared_says_what_to_add(make_sample):
    sample = make_sample()
    sample.pop('infrared_path')
    with pytest.raises(KeyError, match='meta_keys'):
        PairedVisualizationHook(draw=True).picture(sample, Visualizer())


@pytest.mark.parametrize('draw', [True, False])
def test_training_draws_what_the_network_saw(make_sample, draw):
    hook = PairedVisualizationHook(draw=draw, draw_train_interval=2)
    visualizer = Visualizer(classes=('car', ), palette=[(200, 0, 0)])
    drawn = []
    visualizer.add_image = lambda name, picture, step: drawn.append(
        (name, picture, step))
    # not the file: the pipeline made another picture of it
    inputs = torch.full((4, 30, 50), 60, dtype=torch.uint8)
    inputs[3] = 20
    sample = make_sample(gt_instances=instances_of([[5, 15, 20, 25]], [0]))
    for index in range(4):
        hook.after_train_iter(
            SimpleNamespace(visualizer=visualizer, iter=index), index,
            dict(inputs=[inputs, inputs], data_samples=[sample, sample]),
            dict(loss=1.))
    assert [(name, step) for name, _, step in drawn] == [('train', 2),
                                                         ('train', 4)]
    picture = drawn[0][1]
    assert picture.shape == (30 + CAPTION_HEIGHT, 4 * 50 + 3 * GAP, 3)
    for index, grey in enumerate((60, 20, 60, 20)):
        left = index * (50 + GAP)
        found = picture[CAPTION_HEIGHT:, left:left + 50]
        assert found[28, 45].tolist() == [grey] * 3
        # the frame of the box, on both modalities of the truth
        assert found[25, 15].tolist() == (
            [grey] * 3 if index < 2 else [200, 0, 0])


def test_training_draws_nothing_unless_asked(make_sample):
    runner = SimpleNamespace(visualizer=Visualizer(), iter=0)
    PairedVisualizationHook(draw=True, interval=1).after_train_iter(
        runner, 0, dict(inputs=[], data_samples=[]), None)
    assert runner.visualizer.shown == []


@pytest.mark.parametrize('name', ['interval', 'draw_train_interval'])
def test_intervals_are_positive(name):
    with pytest.raises(ValueError, match=f'^{name} must be at least 1'):
        PairedVisualizationHook(**{name: 0})
