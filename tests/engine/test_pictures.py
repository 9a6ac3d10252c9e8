import numpy as np
import pytest

from mmivtuning.engine.pictures import (
    CAPTION_HEIGHT,
    draw_boxes,
    draw_map,
    overlay_labels,
    side_by_side,
    split_pair,
    stack_rows,
)

PALETTE = [(0, 0, 0), (200, 0, 0), (0, 100, 0)]


def test_split_pair_orders_planes():
    image = np.zeros((3, 5, 4), np.uint8)
    image[..., 0], image[..., 1], image[..., 2], image[..., 3] = 1, 2, 3, 9
    visible, infrared = split_pair(image)
    assert visible[0, 0].tolist() == [3, 2, 1]
    assert infrared.shape == (3, 5, 3)
    assert (infrared == 9).all()


def test_overlay_labels_tints_known_foreground_only():
    picture = np.full((1, 4, 3), 100, np.uint8)
    labels = np.array([[0, 1, 255, 7]])
    drawn = overlay_labels(picture, labels, PALETTE, opacity=0.5)
    assert drawn[0, 1].tolist() == [150, 50, 50]
    assert (drawn[0, [0, 2, 3]] == 100).all()
    road = overlay_labels(picture, labels, PALETTE, 255, 0.5, None)
    assert road[0, 0].tolist() == [50, 50, 50]


def test_overlay_labels_refuses_another_size():
    with pytest.raises(ValueError, match=r'\(2, 4\).*\(1, 4\)'):
        overlay_labels(
            np.zeros((1, 4, 3), np.uint8), np.zeros((2, 4), int), PALETTE)


def test_draw_boxes_draws_edges_and_keeps_the_input():
    picture = np.zeros((60, 80, 3), np.uint8)
    drawn = draw_boxes(picture, np.array([[20, 30, 60, 50]]), [1],
                       ['background', 'car'], PALETTE, [0.5])
    assert drawn[50, 40].tolist() == [200, 0, 0]
    assert drawn[40, 40].tolist() == [0, 0, 0]
    assert not picture.any()


def test_side_by_side_and_stack_rows_sizes():
    panel = np.zeros((20, 30, 3), np.uint8)
    row = side_by_side([panel, panel], ['visible', 'infrared'])
    assert row.shape == (46, 66, 3)
    narrow = np.zeros((10, 33, 3), np.uint8)
    assert stack_rows([row, narrow]).shape == (66, 66, 3)
    with pytest.raises(ValueError, match='1 captions'):
        side_by_side([panel, panel], ['visible'])


def test_draw_map_is_grey_and_clipped():
    drawn = draw_map(np.array([[-1., 0.], [.4, 2.]]))
    assert drawn.shape == (2, 2, 3)
    assert drawn[..., 1].tolist() == [[0, 0], [102, 255]]
    assert draw_map(np.array([[False, True]])).max() == 255


def test_a_long_caption_stays_above_its_panel():
    panels = [np.full((20, 50, 3), 9, np.uint8)] * 3
    alone = side_by_side(panels, ['ground truth, infrared', '', ''])
    above = alone[:CAPTION_HEIGHT]
    assert (above[:, :50] < 128).any()
    assert (above[:, 50:] == 255).all()
