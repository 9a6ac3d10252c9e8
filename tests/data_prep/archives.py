"""PST900, FMB, SemanticRT, KAIST, DroneVehicle, VEDAI as distributed."""

import cv2
import numpy as np

from mmivtuning.pairs.benchmarks import BENCHMARKS

SIZE = (24, 32)


def picture(seed, channels, size=SIZE):
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).integers(0, 250, shape, np.uint8)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def make_folders(root, names, splits=('train', 'test'), ids=5):
    """Split folders of visible, infrared and label folders."""
    for split in splits:
        for n in range(3):
            seed = 10 * splits.index(split) + n
            save(root / split / names[0] / f'{n:04d}.png', picture(seed, 3))
            save(root / split / names[1] / f'{n:04d}.png',
                 picture(seed + 100, 1))
            labels = np.random.default_rng(seed).integers(0, ids, SIZE,
                                                          np.uint8)
            save(root / split / names[2] / f'{n:04d}.png', labels)


def make_pst900(root):
    make_folders(root, ('rgb', 'thermal', 'labels'))
    for split in ('train', 'test'):
        for n in range(3):
            raw = picture(n, 1).astype(np.uint16) * 30
            save(root / f'{split}/thermal_raw/{n:04d}.png', raw)


def make_fmb(root):
    make_folders(root, ('Visible', 'Infrared', 'Label'), ids=15)
    names = [name.replace('_', ' ').title()
             for name in BENCHMARKS['fmb']['classes']]
    text(root / 'classes.txt', '\n'.join(names) + '\n')


def make_semantic_rt(root):
    make_folders(root, ('rgb', 'thermal', 'labels'), ('train', 'val', 'test'))
    text(root / 'classes.txt', '0 background\n1 car\n2 person\n3 x\n4 y\n')


def make_kaist(root):
    lists = dict(train=['set00/V000/I00001', 'set01/V000/I00003'],
                 test=['set06/V000/I00019', 'set09/V000/I00019'])
    for split, frames in lists.items():
        name = 'train-all-02' if split == 'train' else 'test-all-20'
        text(root / f'imageSets/{name}.txt', '\n'.join(frames) + '\n')
        for seed, frame in enumerate(frames):
            video, number = frame.rsplit('/', 1)
            save(root / f'images/{video}/visible/{number}.jpg',
                 picture(seed + len(frame) * len(split), 3))
            save(root / f'images/{video}/lwir/{number}.jpg',
                 picture(seed + 50 * len(split), 1))
            text(root / f'annotations/{frame}.txt',
                 '% bbGt version=3\n'
                 'person 2 3 4 10 1 0 0 0 0 0 0\n'
                 'people 10 3 8 10 0 0 0 0 0 0 0\n'
                 'person 20 3 4 10 0 0 0 0 0 1 0\n')


def polygon(name, corners):
    points = ''.join(f'<x{n}>{x}</x{n}><y{n}>{y}</y{n}>'
                     for n, (x, y) in enumerate(corners, 1))
    return f'<object><name>{name}</name><polygon>{points}</polygon></object>'


def make_drone_vehicle(root):
    size = (SIZE[0] + 200, SIZE[1] + 200)
    for split in ('train', 'val', 'test'):
        for n in range(2):
            for seed, (part, channels) in enumerate((('img', 3),
                                                     ('imgr', 1))):
                image = np.full((*size, 3), 255, np.uint8)
                inner = picture(seed + 10 * n + 100 * len(split), channels)
                image[100:-100, 100:-100] = inner.reshape(*SIZE, -1)
                image[100, 100] = 7
                save(root / split / f'{split}{part}/{n:05d}.jpg', image)
            body = polygon('feright car', [(110, 105), (115, 102), (120, 110),
                                           (114, 113)])
            body += ('<object><name>car</name><bndbox><xmin>101</xmin><ymin>'
                     '101</ymin><xmax>109</xmax><ymax>108</ymax></bndbox>'
                     '</object>')
            for ending in ('label', 'labelr'):
                text(root / split / f'{split}{ending}/{n:05d}.xml',
                     f'<annotation><size><width>{size[1]}</width><height>'
                     f'{size[0]}</height></size>{body}</annotation>')


def make_vedai(root):
    lines = []
    for n in range(4):
        save(root / f'Vehicules1024/{n:08d}_co.png', picture(n, 3))
        save(root / f'Vehicules1024/{n:08d}_ir.png', picture(n + 9, 1))
        lines.append(f'{n:08d} 10 8 0.5 7 13 13 7 6 6 10 10 {(1, 31)[n % 2]}'
                     ' 1 0')
    notes = root / 'Annotations1024'
    text(notes / 'annotation1024.txt', '\n'.join(lines) + '\n')
    text(notes / 'fold01.txt', '00000000\n00000001\n')
    text(notes / 'fold01test.txt', '00000003\n')
    text(root / 'classes.txt', '1 car\n31 plane\n8 other\n')


MAKERS = dict(pst900=make_pst900, fmb=make_fmb, semantic_rt=make_semantic_rt,
              kaist=make_kaist, drone_vehicle=make_drone_vehicle,
              vedai=make_vedai)
