"""Readers of VOC, COCO and label images."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest

from mmivtuning.pairs import PairError
from mmivtuning.pairs.benchmarks import BENCHMARKS, benchmark_metainfo
from mmivtuning.pairs.formats import (
    Box,
    ImageBoxes,
    place_boxes,
    read_coco,
    read_label_ids,
    read_voc,
)


def test_voc(tmp_path):
    path = tmp_path / 'a.xml'
    path.write_text(
        '<annotation><size><width>30</width><height>20</height></size>'
        '<object><name> car </name><bndbox><xmax>9.5</xmax><ymin>2</ymin>'
        '<xmin>1</xmin><ymax>8</ymax></bndbox></object></annotation>')
    assert read_voc(path) == ImageBoxes((20, 30), [Box('car', (1, 2, 8.5, 6))])
    path.write_text('<annotation/>')
    assert read_voc(path) == ImageBoxes(None, [])
    with pytest.raises(FileNotFoundError, match='none.xml'):
        read_voc(tmp_path / 'none.xml')


def coco_content() -> dict:
    return dict(
        images=[
            dict(id=5, file_name='a.jpg', height=20, width=30),
            dict(id=3, file_name='b.jpg')
        ],
        annotations=[
            dict(image_id=3, category_id=8, bbox=[1, 2, 3, 4], iscrowd=1)
        ],
        categories=[dict(id=8, name='car')])


def test_coco(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(coco_content()))
    assert read_coco(path) == {
        'a.jpg': ImageBoxes((20, 30), []),
        'b.jpg': ImageBoxes(None, [Box('car', (1, 2, 3, 4), True)])
    }


@pytest.mark.parametrize(('change', 'message'), [
    (lambda c: c.pop('categories'), 'no complete COCO file'),
    (lambda c: c['annotations'][0].update(image_id=9), 'no complete COCO'),
    (lambda c: c['annotations'][0].update(category_id=9), 'no complete COCO'),
    (lambda c: c['annotations'][0].update(bbox=[1, 2, 3]), '4 finite'),
    (lambda c: c['annotations'][0].update(bbox=[1, 2, 3, float('nan')]),
     '4 finite'),
    (lambda c: c['images'][1].update(id=5), 'twice'),
    (lambda c: c['images'][1].update(file_name='a.jpg'), 'twice'),
])
def test_bad_coco(tmp_path, change, message):
    path = tmp_path / 'a.json'
    content = coco_content()
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(PairError, match=f'a.json.*{message}'):
        read_coco(path)


def test_truncated_coco(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(coco_content())[:40])
    with pytest.raises(PairError, match='a.json.*not valid json'):
        read_coco(path)


def test_boxes_are_clipped_never_silently():
    found = ImageBoxes(None, [
        Box('b', (-2, 3, 10, 4)),
        Box('a', (28.5, 18, 5, 5)),
        Box('a', (30, 0, 5, 5)),
        Box('a', (4, 4, 0, 5)),
        Box('c', (0, 0, 5, 5)),
        Box('a', (0, 0, 30, 20), True)
    ])
    annotations, notes = place_boxes(found, (20, 30), ('a', 'b'), 'x', ['c'])
    assert [(a['category_id'], a['bbox'], a['area'], a['iscrowd'])
            for a in annotations] == [(2, [0, 3, 8, 4], 32, 0),
                                      (1, [28.5, 18, 1.5, 2], 3, 0),
                                      (1, [0, 0, 30, 20], 600, 1)]
    assert len(notes) == 4
    assert all("'x'" in note for note in notes)


def png(ids: np.ndarray, depth: int, palette: bool) -> bytes:
    """Encode a grey or palette PNG of 1, 2, 4 or 8 bits, by its standard."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (struct.pack('>I', len(content)) + kind + content +
                struct.pack('>I', zlib.crc32(kind + content)))

    height, width = ids.shape
    bits = np.unpackbits(ids[..., None], axis=2)[..., 8 - depth:]
    rows = np.packbits(bits.reshape(height, -1), axis=1)
    data = b''.join(b'\0' + row.tobytes() for row in rows)
    colours = bytes(range(100, 100 + 3 * min(2**depth, 50)))
    return b''.join([
        b'\x89PNG\r\n\x1a\n',
        chunk(
            b'IHDR',
            struct.pack('>IIBBBBB', width, height, depth, 3 if palette else 0,
                        0, 0, 0)),
        chunk(b'PLTE', colours) if palette else b'',
        chunk(b'IDAT', zlib.compress(data)),
        chunk(b'IEND', b'')
    ])


@pytest.mark.parametrize('depth', [1, 2, 4, 8])
@pytest.mark.parametrize('palette', [False, True])
def test_label_ids_of_any_png(tmp_path, depth, palette):
    ids = np.random.default_rng(depth).integers(
        0, min(2**depth, 9), (7, 11)).astype(np.uint8)
    path = tmp_path / 'a.png'
    path.write_bytes(png(ids, depth, palette))
    found, as_is = read_label_ids(path, ['name'] * 9)
    assert np.array_equal(found, ids)
    assert found.dtype == np.uint8
    assert as_is == (depth == 8 and not palette)


def test_bad_labels(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.array([[0, 3, 255]], np.uint8))
    with pytest.raises(PairError, match='a.png.* 3, 255; expected 0 to 2'):
        read_label_ids(path, 'abc')
    cv2.imwrite(str(path), np.dstack([np.eye(3, dtype=np.uint8)] * 3))
    ids, as_is = read_label_ids(path, 'abc')
    assert np.array_equal(ids, np.eye(3))
    assert not as_is
    cv2.imwrite(str(path), np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    with pytest.raises(PairError, match='a.png.*colour picture'):
        read_label_ids(path, 'abc')
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(PairError, match='a.png.*truncated'):
        read_label_ids(path, 'abc')
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(PairError, match='a.png'):
        read_label_ids(path, 'abc')


def test_benchmarks_are_consistent():
    for name, facts in BENCHMARKS.items():
        meta = benchmark_metainfo(name)
        assert len(meta['palette']) == len(meta['classes'])
        assert len(set(meta['classes'])) == len(meta['classes'])
        assert len(set(map(tuple, meta['palette']))) == len(meta['palette'])
        assert facts['task'] in ('segmentation', 'saliency', 'detection')
    assert sum(BENCHMARKS['mfnet']['subsets'].values()) == (
        BENCHMARKS['mfnet']['splits']['test'])
    assert sum(BENCHMARKS['m3fd']['splits'].values()) == 4200
    things = benchmark_metainfo('scenes', things_only=True)
    assert things['classes'] == ('car', 'person', 'sign', 'cone')
    assert len(things['palette']) == 4
    with pytest.raises(KeyError, match='nothing.*mfnet'):
        benchmark_metainfo('nothing')
