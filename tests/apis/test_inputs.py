"""What inputs stand for; no model needed."""

import os

import cv2
import numpy as np
import pytest

from mmivtuning.apis.inputs import PairLoader, is_single, open_inputs
from mmivtuning.pairs import MissingPartnerError, PairError
from mmivtuning.transforms import LoadPairedImage

RNG = np.random.default_rng(3)
VISIBLE = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
INFRARED = RNG.integers(0, 255, (20, 30), dtype=np.uint8)


def load(inputs, **options):
    loader = PairLoader(LoadPairedImage(**options))
    return [loader(request)['img'] for request in open_inputs(inputs)]


@pytest.fixture
def files(tmp_path):
    """A pair in two files and in one of four channels."""
    paths = [tmp_path / name for name in ('v.png', 'i.png', 'both.png')]
    both = np.dstack([VISIBLE, INFRARED])
    for path, image in zip(paths, (VISIBLE, INFRARED, both)):
        assert cv2.imwrite(str(path), image)
    return paths


def test_files_and_arrays_give_one_image(files):
    expected = np.dstack([VISIBLE, INFRARED])
    visible, infrared, both = files
    strings = (str(visible), str(infrared))
    for inputs in ((visible, infrared), strings, [strings], [[*strings]],
                   both, str(both), [both], expected, (VISIBLE, INFRARED),
                   [(VISIBLE, INFRARED[..., None])],
                   (VISIBLE, np.dstack([INFRARED] * 3))):
        assert np.array_equal(load(inputs), [expected])


@pytest.mark.parametrize('options', [
    dict(), dict(infrared_range=(1000, 30000)),
    dict(infrared_percentiles=(1, 99)), dict(to_float32=True)
])
def test_sixteen_bits_are_brought_to_eight_as_of_files(tmp_path, options):
    infrared = RNG.integers(0, 65535, (20, 30), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / 'v.png'), VISIBLE)
    cv2.imwrite(str(tmp_path / 'i.png'), infrared)
    expected = LoadPairedImage(**options)(
        dict(
            img_path=str(tmp_path / 'v.png'),
            infrared_path=str(tmp_path / 'i.png')))['img']
    found, = load((VISIBLE, infrared), **options)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_sizes_are_aligned_as_of_files():
    small = np.ascontiguousarray(INFRARED[::2, ::2])
    with pytest.raises(PairError, match='infrared array 0.* is 10 x 15'):
        load((VISIBLE, small))
    assert load((VISIBLE, small), align='resize')[0].shape == (20, 30, 4)


@pytest.mark.parametrize(('inputs', 'error', 'message'), [
    ((VISIBLE.astype(np.float32), INFRARED), PairError, 'holds float32'),
    ((VISIBLE[..., :2], INFRARED), PairError, '2 channels'),
    (VISIBLE, PairError, 'needs 4'),
    (np.dstack([VISIBLE, VISIBLE]), PairError, '6 channel'),
    ((VISIBLE[:0], INFRARED[:0]), PairError, r'shape \(0, 30, 3\)'),
    ((VISIBLE[0, 0], INFRARED), PairError, r'shape \(3,\)'),
    ((VISIBLE > 3, INFRARED), PairError, 'type bool'),
    ((VISIBLE, np.full((20, 30), np.nan)), PairError, 'NaN'),
    ((VISIBLE, 'i.png'), PairError, 'an array and a file make no pair'),
    (3, TypeError, 'input 0: expected a path'),
    ([(VISIBLE, INFRARED), None], TypeError, 'input 1: expected a path'),
    ([(VISIBLE, INFRARED, INFRARED)], TypeError, r'\(visible, infrared\)'),
    ('one.mp4', PairError, 'one video'),
])
def test_what_is_no_pair_is_named(inputs, error, message):
    with pytest.raises(error, match=message):
        load(inputs)


def test_no_input_is_no_pair():
    assert len(open_inputs([])) == 0


def test_folders_are_matched_by_stem(tmp_path, files):
    for name in ('day/1', 'day/2', 'night/1'):
        for kind, suffix, image in (('v', '_RGB.jpg', VISIBLE),
                                    ('i', '.png', INFRARED)):
            path = tmp_path / kind / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    folders = (str(tmp_path / 'v'), str(tmp_path / 'i'))
    requests = list(open_inputs(folders, '_RGB.jpg'))
    assert [r.name for r in requests] == ['day/1', 'day/2', 'night/1']
    assert requests[0].file_name == 'day/1_RGB.jpg'
    assert len(open_inputs([folders[::-1], files[2]], '', '_RGB.jpg')) == 4
    os.remove(tmp_path / 'i/day/2.png')
    os.remove(tmp_path / 'v/night/1_RGB.jpg')
    with pytest.raises(MissingPartnerError) as error:
        open_inputs(folders, '_RGB.jpg')
    assert 'day/2_RGB.jpg has no infrared partner' in str(error.value)
    assert 'night/1.png has no visible partner' in str(error.value)
    told = []
    requests = open_inputs(
        folders, '_RGB.jpg', on_unpaired=lambda *both: told.append(both))
    assert [r.name for r in requests] == ['day/1']
    assert len(told) == 2
    with pytest.raises(PairError, match='a folder and a file make no pair'):
        open_inputs((folders[0], files[1]))
    with pytest.raises(FileNotFoundError, match='nowhere'):
        load((str(files[0]), str(tmp_path / 'nowhere.png')))


def test_a_folder_of_files_of_four_channels(tmp_path, files):
    folder = tmp_path / 'both'
    folder.mkdir()
    for name in ('a.png', 'b.png'):
        os.symlink(files[2], folder / name)
    assert [r.name for r in open_inputs(str(folder))] == ['a', 'b']
    assert load(str(folder))[1].shape == (20, 30, 4)


def test_names_are_unique_in_a_call(tmp_path):
    pairs = [(f'{x}/1.png', f'{x}/1.jpg') for x in 'abc']
    pairs.insert(1, ('x/1_2.png', 'y/1_2.png'))
    names = [request.name for request in open_inputs(pairs)]
    assert len(set(names)) == 4
    assert names[:2] == ['1', '1_2']


@pytest.fixture
def video(tmp_path):
    """Return a function that writes a video."""

    def write(name, frames):
        path = str(tmp_path / name)
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 5,
                                 (64, 48))
        assert writer.isOpened()
        for value in frames:
            writer.write(np.full((48, 64, 3), value, np.uint8))
        writer.release()
        return path

    return write


def test_videos_are_read_frame_by_frame(video):
    pair = (video('v.avi', [10, 60, 110]), video('i.avi', [200, 150, 100]))
    requests = open_inputs(pair)
    assert len(requests) == 3
    assert [r.name for r in requests] == [f'v_00000{n}' for n in range(3)]
    assert next(iter(requests)).labels[1].endswith('i.avi, frame 0')
    for image, values in zip(load(pair), ((10, 200), (60, 150), (110, 100))):
        assert abs(int(image[20, 20, 0]) - values[0]) < 4
        assert abs(int(image[20, 20, 3]) - values[1]) < 4
    assert len(open_inputs([pair, pair])) == 6


def test_videos_of_different_lengths_are_refused(video, tmp_path):
    with pytest.raises(PairError, match=r'has 3 frames.* has 2'):
        open_inputs((video('v.avi', [1, 2, 3]), video('i.avi', [1, 2])))
    with pytest.raises(FileNotFoundError, match='nowhere.avi'):
        open_inputs((str(tmp_path / 'v.avi'), str(tmp_path / 'nowhere.avi')))
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(PairError, match=r'text\.mp4. cannot be opened'):
        open_inputs((str(tmp_path / 'text.mp4'), str(tmp_path / 'v.avi')))


def test_single_inputs_are_told_from_lists(tmp_path):
    single = [(VISIBLE, INFRARED), ('a.png', 'b.png'), 'a.png', VISIBLE]
    several = [[(VISIBLE, INFRARED)], str(tmp_path), (tmp_path, tmp_path),
               ('a.mp4', 'b.mp4'), ((VISIBLE, INFRARED), ('a', 'b')), ()]
    assert all(map(is_single, single))
    assert not any(map(is_single, several))
