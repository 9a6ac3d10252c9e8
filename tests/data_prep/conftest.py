"""Small sources in the layouts in which the benchmarks are distributed."""

import json
import sys
from pathlib import Path
from typing import Callable, Dict, Sequence, Tuple

import cv2
import numpy as np
import pytest

DATA_PREP = Path(__file__).resolve().parents[2] / 'data_prep'
sys.path.insert(0, str(DATA_PREP))
sys.path.insert(0, str(Path(__file__).parent))

SIZE = (24, 32)


def picture(channels: int, seed: int) -> np.ndarray:
    """A picture that nothing else equals; the alpha plane is not opaque."""
    shape = SIZE if channels == 1 else (*SIZE, channels)
    return np.random.default_rng(seed).integers(0, 250, shape, np.uint8)


def save(path: Path, image: np.ndarray) -> None:
    """Write an image and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def voc_text(boxes: Sequence[Tuple[str, Sequence[int]]]) -> str:
    """A Pascal VOC file; boxes are xmin, ymin, xmax, ymax."""
    things = ''.join(
        f'<object><name>{name}</name><bndbox><xmin>{b[0]}</xmin>'
        f'<ymin>{b[1]}</ymin><xmax>{b[2]}</xmax><ymax>{b[3]}</ymax>'
        '</bndbox></object>' for name, b in boxes)
    return (f'<annotation><size><width>{SIZE[1]}</width><height>{SIZE[0]}'
            f'</height><depth>3</depth></size>{things}</annotation>')


def write_text(path: Path, text: str) -> None:
    """Write a text file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def label_ids(seed: int) -> np.ndarray:
    """Ids of all nine classes of MFNet."""
    return np.random.default_rng(seed).integers(0, 9, SIZE, np.uint8)


def make_mfnet(root: Path) -> None:
    lists = dict(
        train=['00001D', '00002N'], val=['00003D'], test=['00004D', '00005N'])
    for split, stems in lists.items():
        write_text(root / f'{split}.txt', '\n'.join(stems) + '\n')
        for stem in stems:
            number = int(stem[:5])
            save(root / 'images' / f'{stem}.png', picture(4, number))
            save(root / 'labels' / f'{stem}.png', label_ids(number))
    write_text(root / 'test_day.txt', '00004D\n')
    write_text(root / 'test_night.txt', '00005N\n')
    save(root / 'images' / '00001D_flip.png', picture(4, 1)[:, ::-1])
    save(root / 'labels' / '00001D_flip.png', label_ids(1)[:, ::-1])


def make_msrs(root: Path) -> None:
    for split, stems in (('train', ['00001D', '00002N']),
                         ('test', ['00003D', '00004N'])):
        for stem in stems:
            number = int(stem[:5])
            save(root / split / 'vi' / f'{stem}.png', picture(3, number))
            save(root / split / 'ir' / f'{stem}.png', picture(1, number))
            save(root / split / 'Segmentation_labels' / f'{stem}.png',
                 label_ids(number))


def make_m3fd(root: Path) -> None:
    for number in range(10):
        stem = f'{number:05d}'
        save(root / 'Vis' / f'{stem}.png', picture(3, number))
        save(root / 'Ir' / f'{stem}.png',
             np.dstack([picture(1, number)] * 3))
        write_text(root / 'Annotation' / f'{stem}.xml',
                   voc_text([('Truck', (1, 2, 11, 8)),
                             ('People', (3, 4, 6, 14))]))


def make_llvip(root: Path) -> None:
    for split, stems in (('train', ['010001', '010002', '020001']),
                         ('test', ['190001'])):
        for stem in stems:
            number = int(stem)
            save(root / 'visible' / split / f'{stem}.jpg', picture(3, number))
            save(root / 'infrared' / split / f'{stem}.jpg',
                 np.dstack([picture(1, number)] * 3))
            write_text(root / 'Annotations' / f'{stem}.xml',
                       voc_text([('person', (1, 2, 5, 12))]))


def make_flir_aligned(root: Path) -> None:
    for name, numbers in (('align_train', (2, 5)), ('align_validation',
                                                    (8, ))):
        stems = [f'FLIR_{number:05d}' for number in numbers]
        write_text(root / f'{name}.txt',
                   ''.join(f'{stem}_PreviewData\n' for stem in stems))
        for stem in stems:
            images = root / 'JPEGImages'
            save(images / f'{stem}_RGB.jpg', picture(3, numbers[0]))
            save(images / f'{stem}_PreviewData.jpeg', picture(1, numbers[0]))
            write_text(root / 'Annotations' / f'{stem}_PreviewData.xml',
                       voc_text([('bicycle', (1, 2, 9, 8)), ('person',
                                                        (3, 4, 6, 14))]))


MAKERS: Dict[str, Callable[[Path], None]] = dict(
    mfnet=make_mfnet,
    msrs=make_msrs,
    m3fd=make_m3fd,
    llvip=make_llvip,
    flir_aligned=make_flir_aligned)


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A source in the distributed layout; the parameter names it."""
    from archives import MAKERS as MORE
    root = tmp_path / 'in' / 'source'
    dict(MAKERS, **MORE)[request.param](root)
    return root


@pytest.fixture
def convert() -> Callable[..., int]:
    """Run the converter of a benchmark in this process."""

    def run(name: str, *arguments: object) -> int:
        module = __import__(name)
        return module.run([*map(str, arguments), '--jobs', '1'])

    return run


@pytest.fixture
def voc() -> Callable[..., str]:
    """Make the text of a Pascal VOC file."""
    return voc_text


@pytest.fixture
def coco() -> Callable[[Path], dict]:
    """Read a COCO file: boxes by file name, as (class name, bbox)."""

    def read(path: Path) -> dict:
        content = json.loads(path.read_text())
        names = {c['id']: c['name'] for c in content['categories']}
        assert list(names) == list(range(1, len(names) + 1))
        images = {i['id']: i['file_name'] for i in content['images']}
        result = {name: [] for name in images.values()}
        for entry in content['annotations']:
            result[images[entry['image_id']]].append(
                (names[entry['category_id']], tuple(entry['bbox'])))
        return result

    return read
