"""Stock geometric transforms keep both modalities and labels aligned.

The column is written into B and infrared, the row into G, and the column into
the label: where these agree after the transforms, nothing has shifted.
"""

import os
import tempfile

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DATASETS, DefaultScope

LOAD = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='mmivtuning.LoadSegLabels', num_classes=255)
]


def dataset_of(folder, height, width, transforms):
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    files = dict(
        visible=np.dstack((columns, rows, np.full_like(rows, 77))),
        infrared=columns,
        labels=columns)
    for name, content in files.items():
        os.makedirs(os.path.join(folder, name))
        cv2.imwrite(os.path.join(folder, name, '0001.png'), content)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(
            dict(
                type='mmivtuning.PairedSegDataset',
                data_root=folder,
                serialize_data=False,
                metainfo=dict(
                    classes=[str(index) for index in range(255)],
                    palette=[[index] * 3 for index in range(255)]),
                pipeline=[*LOAD, *transforms,
                          dict(
                              type='PackSegInputs',
                              meta_keys=('img_path', 'infrared_path',
                                         'img_shape'))]))


def transform_strategy():
    sizes = st.integers(9, 70)
    direction = st.sampled_from(['horizontal', 'vertical', 'diagonal'])
    return st.one_of(
        st.builds(
            lambda h, w, keep: dict(
                type='Resize', scale=(w, h), keep_ratio=keep), sizes, sizes,
            st.booleans()),
        st.builds(
            lambda low, high: dict(
                type='RandomResize',
                scale=(40, 30),
                ratio_range=(low, low + high),
                keep_ratio=True), st.floats(0.5, 1.5), st.floats(0, 1)),
        st.builds(
            lambda h, w: dict(
                type='RandomCrop', crop_size=(h, w), cat_max_ratio=1.), sizes,
            sizes),
        direction.map(
            lambda way: dict(type='RandomFlip', prob=1., direction=way)),
        st.floats(1, 60).map(
            lambda degree: dict(
                type='RandomRotate',
                prob=1.,
                degree=degree,
                pad_val=0,
                seg_pad_val=255)),
        st.builds(
            lambda h, w: dict(
                type='Pad', size=(h + 70, w + 70), pad_val=dict(
                    img=0, seg=255)), sizes, sizes))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(12, 60), st.integers(12, 60),
    st.lists(transform_strategy(), min_size=1, max_size=3),
    st.integers(0, 1000))
def test_modalities_and_labels_stay_aligned(height, width, transforms, seed):
    np.random.seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        data = dataset_of(folder, height, width, transforms)[0]
    image = data['inputs'].numpy().astype(np.float64)
    labels = data['data_samples'].gt_sem_seg.data[0].numpy()
    assert image.shape[0] == 4
    assert image.shape[1:] == labels.shape
    assert data['inputs'].dtype.is_floating_point is False

    # The same interpolation of the same values: equal everywhere.
    assert np.array_equal(image[0], image[3])

    # Labels take the nearest pixel where the image is interpolated; the
    # border of a rotation mixes with the padding.
    inside = cv2.erode((labels != 255).astype(np.uint8),
                       np.ones((5, 5)),
                       borderValue=1).astype(bool)
    inside &= image[2] == 77
    steps = np.abs(np.diff(np.where(inside, labels, 0), axis=1))
    scale = max(1., float(np.median(steps[steps > 0]))) if steps.any() else 1.
    gap = np.abs(image[0] - labels)[inside]
    # The median step of a flip-free image is the scale of the shrinking.
    assert gap.size == 0 or np.median(gap) <= 0.5 * scale + 1
    assert data['data_samples'].infrared_path.endswith('0001.png')


def test_a_shift_of_one_modality_would_be_seen():
    with tempfile.TemporaryDirectory() as folder:
        dataset = dataset_of(folder, 30, 40, [])
        path = os.path.join(folder, 'infrared', '0001.png')
        cv2.imwrite(path, np.roll(cv2.imread(path, 0), 1, axis=1))
        image = dataset[0]['inputs'].numpy()
    assert not np.array_equal(image[0], image[3])
