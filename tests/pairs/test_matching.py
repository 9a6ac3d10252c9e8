"""Matching by stem."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmivtuning.pairs import (
    MissingPartnerError,
    PairError,
    find_pairs,
    image_stem,
    index_stems,
    list_names,
    match_stems,
)


@pytest.mark.parametrize(('name', 'suffix', 'stem'), [
    ('0001.png', '', '0001'),
    ('0001.JPG', '', '0001'),
    ('day/0001.tiff', '', 'day/0001'),
    ('day\\0001.png', '', 'day/0001'),
    ('a.b.png', '', 'a.b'),
    ('FLIR_1_RGB.jpg', '_RGB.jpg', 'FLIR_1'),
    ('FLIR_1_PreviewData.jpeg', '_RGB.jpg', ''),
    ('labels.txt', '', ''),
    ('._0001.png', '', ''),
    ('Thumbs.db', '', ''),
    ('day/.png', '', ''),
])
def test_image_stem(name, suffix, stem):
    assert image_stem(name, suffix) == stem


def test_index_passes_over_what_is_no_image():
    names = ['b.png', 'a.jpg', '.DS_Store', 'readme.txt']
    assert list(index_stems(names).items()) == [('a', 'a.jpg'),
                                                ('b', 'b.png')]


def test_a_duplicated_stem_names_both_files():
    with pytest.raises(
            PairError, match=r"(?s)in 'visible'.*a\.jpg and a\.png"):
        index_stems(['a.png', 'a.jpg'], folder='visible')


def test_an_empty_folder_is_named():
    with pytest.raises(PairError, match="no images in 'infrared/train'"):
        index_stems(['readme.txt'], folder='infrared/train')
    with pytest.raises(PairError, match=r"ends in '_RGB\.jpg'"):
        index_stems(['a.jpg'], '_RGB.jpg')


def test_a_missing_partner_is_named_on_either_side():
    visible = index_stems(['a.png', 'b.png'])
    infrared = index_stems(['b.jpg', 'c.jpg'])
    with pytest.raises(MissingPartnerError) as caught:
        match_stems(visible, infrared)
    message = str(caught.value)
    assert message.startswith('2 missing')
    assert 'visible/a.png has no infrared partner' in message
    assert 'infrared/c.jpg has no visible partner' in message
    assert isinstance(caught.value, FileNotFoundError)


def test_ten_are_listed_and_the_rest_counted():
    visible = index_stems([f'{index:02}.png' for index in range(30)])
    with pytest.raises(MissingPartnerError) as caught:
        match_stems(visible, {'00': '00.png'})
    message = str(caught.value)
    assert message.startswith('29 missing')
    assert message.count('has no infrared partner') == 10
    assert 'and 19 more' in message


def test_extra_infrared_images_may_be_allowed():
    pairs = match_stems({'a': 'a.png'}, {
        'a': 'a.jpg',
        'b': 'b.jpg'
    }, allow_extra_infrared=True)
    assert pairs == [('a', 'a.png', 'a.jpg')]


def test_find_pairs_on_disk(tmp_path):
    for name in ('v/day/1_RGB.jpg', 'v/2_RGB.jpg', 'v/notes.txt',
                 'i/day/1_PreviewData.jpeg', 'i/2_PreviewData.jpeg'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    pairs = find_pairs(
        str(tmp_path / 'v'), str(tmp_path / 'i'), '_RGB.jpg',
        '_PreviewData.jpeg')
    assert pairs == [('2', '2_RGB.jpg', '2_PreviewData.jpeg'),
                     ('day/1', 'day/1_RGB.jpg', 'day/1_PreviewData.jpeg')]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        find_pairs(str(tmp_path / 'nowhere'), str(tmp_path))


stems = st.sets(
    st.text('abc0_.-', min_size=1, max_size=4).filter(
        lambda text: not text.startswith('.')),
    min_size=1,
    max_size=8)


@settings(max_examples=50, deadline=None)
@given(stems, stems)
def test_matching_is_exact_or_refused(left, right):
    visible = index_stems([f'{stem}.png' for stem in left])
    infrared = index_stems([f'{stem}.jpg' for stem in right])
    if left == right:
        pairs = match_stems(visible, infrared)
        assert [pair.stem for pair in pairs] == sorted(
            left, key=lambda stem: f'{stem}.png')
    else:
        with pytest.raises(MissingPartnerError):
            match_stems(visible, infrared)


def test_links_are_followed_but_not_in_circles(tmp_path):
    for name in ('v/1.png', 'elsewhere/deep/2.png'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / 'v/self').symlink_to('.')
    (tmp_path / 'v/more').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'v/again').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere/deep/back').symlink_to(tmp_path / 'v')
    assert sorted(list_names(str(tmp_path / 'v'))) == [
        '1.png', 'again/deep/2.png', 'more/deep/2.png']
