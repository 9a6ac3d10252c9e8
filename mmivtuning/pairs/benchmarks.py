"""Facts of the benchmarks: classes, palettes, split sizes, sources.

Plain data, the only place where these are written. The data set classes take
their ``METAINFO`` from here (``METAINFO = benchmark_metainfo('mfnet')``) and
the converters in ``data_prep`` their class ids and the sizes of the published
splits.
"""

from typing import Dict, Tuple

# The nine classes of Ha et al., "MFNet: Towards Real-Time Semantic
# Segmentation for Autonomous Vehicles with Multi-Spectral Scenes", IROS 2017.
_MFNET_CLASSES = ('unlabeled', 'car', 'person', 'bike', 'curve', 'car_stop',
                  'guardrail', 'color_cone', 'bump')
_MFNET_PALETTE = ((0, 0, 0), (64, 0, 128), (64, 64, 0), (0, 128, 192),
                  (0, 0, 192), (128, 128, 0), (64, 64, 128), (192, 128, 128),
                  (192, 64, 0))

_SALIENCY_CLASSES = ('background', 'salient')
_SALIENCY_PALETTE = ((40, 40, 40), (220, 20, 60))

# Every entry:
#   task (str): 'segmentation', 'saliency' or 'detection'.
#   classes (Tuple[str]): Names. Segmentation: the position is the label id.
#     Saliency: masks are 0 and 255. Detection: the position + 1 is the
#     category id that our converters write.
#   palette (Tuple[Tuple[int, int, int]]): R, G, B of each class, 0-255.
#   splits (Dict[str, int]): Published number of pairs of each split.
#   total, images (int): Published number of all pairs, in all splits or in
#     the archive, where that of the splits is not known.
#   subsets (Dict[str, int]): Published number of pairs of lists that are part
#     of a split (``splits/<name>.txt`` without folders of their own).
#   size (Tuple[int, int]): Published (height, width), or () where it varies.
#   source (str): Where the authors distribute the data, and the paper.
#   licence (str): What a user must read before using the data.
BENCHMARKS: Dict[str, dict] = {
    'mfnet':
    dict(
        task='segmentation',
        classes=_MFNET_CLASSES,
        palette=_MFNET_PALETTE,
        splits=dict(train=784, val=392, test=393),
        subsets=dict(test_day=205, test_night=188),
        size=(480, 640),
        source='MFNet (Ha et al., IROS 2017), '
        'https://www.mi.t.u-tokyo.ac.jp/static/projects/mil_multispectral/',
        licence='See the terms on the page of the authors.'),
    'msrs':
    dict(
        task='segmentation',
        classes=_MFNET_CLASSES,
        palette=_MFNET_PALETTE,
        splits=dict(train=1083, test=361),
        subsets=dict(),
        size=(480, 640),
        source='MSRS (Tang et al., PIAFusion, Information Fusion 2022), '
        'https://github.com/Linfeng-Tang/MSRS',
        licence='See the terms on the page of the authors.'),
    'm3fd':
    dict(
        task='detection',
        classes=('People', 'Car', 'Bus', 'Motorcycle', 'Lamp', 'Truck'),
        palette=((220, 20, 60), (0, 0, 142), (0, 60, 100), (0, 0, 230),
                 (250, 170, 30), (0, 0, 70)),
        # 4,200 pairs without an official split: 80/20, drawn by a fixed seed.
        splits=dict(train=3360, val=840),
        subsets=dict(),
        size=(),
        source='M3FD (Liu et al., TarDAL, CVPR 2022), '
        'https://github.com/JinyuanLiu-CV/TarDAL',
        licence='See the terms on the page of the authors.'),
    'llvip':
    dict(
        task='detection',
        classes=('person', ),
        palette=((220, 20, 60), ),
        splits=dict(train=12025, test=3463),
        subsets=dict(),
        size=(1024, 1280),
        source='LLVIP (Jia et al., ICCVW 2021), '
        'https://github.com/bupt-ai-cz/LLVIP',
        licence='See the terms on the page of the authors.'),
    'flir_aligned':
    dict(
        task='detection',
        classes=('person', 'car', 'bicycle'),
        palette=((220, 20, 60), (0, 0, 142), (119, 11, 32)),
        splits=dict(train=4129, test=1013),
        subsets=dict(),
        size=(512, 640),
        source='FLIR-aligned (Zhang et al., ICIP 2020), aligned frames of '
        'the FLIR ADAS data set',
        licence='The terms of the FLIR ADAS data set apply.'),
    'vt5000':
    dict(
        task='saliency',
        classes=_SALIENCY_CLASSES,
        palette=_SALIENCY_PALETTE,
        splits=dict(train=2500, test=2500),
        # Ours: what models are fitted to and selected by, drawn from train
        # by a fixed seed.
        subsets=dict(fit=2250, holdout=250),
        size=(480, 640),
        source='VT5000 (Tu et al., IEEE TMM 2022)',
        licence='See the terms on the page of the authors.'),
    'vt1000':
    dict(
        task='saliency',
        classes=_SALIENCY_CLASSES,
        palette=_SALIENCY_PALETTE,
        splits=dict(test=1000),
        subsets=dict(),
        size=(),
        source='VT1000 (Tu et al., IEEE TMM 2019)',
        licence='See the terms on the page of the authors.'),
    'vt821':
    dict(
        task='saliency',
        classes=_SALIENCY_CLASSES,
        palette=_SALIENCY_PALETTE,
        splits=dict(test=821),
        subsets=dict(),
        size=(),
        source='VT821 (Wang et al., IGTA 2018)',
        licence='See the terms on the page of the authors.'),
    'pst900':
    dict(
        task='segmentation',
        classes=('background', 'fire_extinguisher', 'backpack', 'hand_drill',
                 'survivor'),
        palette=((0, 0, 0), (220, 20, 60), (0, 0, 230), (250, 170, 30),
                 (119, 200, 32)),
        splits=dict(train=597, test=288),
        subsets=dict(),
        size=(720, 1280),
        source='PST900 (Shivakumar et al., ICRA 2020), '
        'https://github.com/ShreyasSkandanS/pst900_thermal_rgb',
        licence='See the terms on the page of the authors.'),
    # The order is that of public code, not of a file in the archive.
    'fmb':
    dict(
        task='segmentation',
        classes=('background', 'road', 'sidewalk', 'building', 'traffic_lamp',
                 'traffic_sign', 'vegetation', 'sky', 'person', 'car',
                 'truck', 'bus', 'motorcycle', 'bicycle', 'pole'),
        palette=((0, 0, 0), (128, 64, 128), (244, 35, 232), (70, 70, 70),
                 (250, 170, 30), (220, 220, 0), (107, 142, 35),
                 (70, 130, 180), (220, 20, 60), (0, 0, 142), (0, 0, 70),
                 (0, 60, 100), (0, 0, 230), (119, 11, 32), (153, 153, 153)),
        splits=dict(train=1220, test=280),
        subsets=dict(),
        size=(600, 800),
        source='FMB (Liu et al., SegMiF, ICCV 2023), '
        'https://github.com/JinyuanLiu-CV/SegMiF',
        licence='See the terms on the page of the authors.'),
    # Classes and split sizes come from the archive.
    'semantic_rt':
    dict(
        task='segmentation',
        classes=(),
        palette=(),
        splits=dict(),
        subsets=dict(),
        total=11371,
        size=(),
        source='SemanticRT (Ji et al., ACM MM 2023), '
        'https://github.com/jiwei0921/SemanticRT',
        licence='See the terms on the page of the authors.'),
    'kaist':
    dict(
        task='detection',
        classes=('person', ),
        palette=((220, 20, 60), ),
        splits=dict(train=7601, test=2252),
        subsets=dict(test_day=1455, test_night=797),
        size=(512, 640),
        source='KAIST Multispectral Pedestrian (Hwang et al., CVPR 2015), '
        'https://github.com/SoonminHwang/rgbt-ped-detection',
        licence='See the terms on the page of the authors.'),
    'drone_vehicle':
    dict(
        task='detection',
        classes=('car', 'truck', 'bus', 'van', 'freight_car'),
        palette=((0, 0, 142), (0, 0, 70), (0, 60, 100), (250, 170, 30),
                 (119, 200, 32)),
        splits=dict(train=17990, val=1469, test=8980),
        subsets=dict(),
        size=(512, 640),
        source='DroneVehicle (Sun et al., IEEE TCSVT 2022), '
        'https://github.com/VisDrone/DroneVehicle',
        licence='See the terms on the page of the authors.'),
    # Ids of the classes come from a list of the user.
    'vedai':
    dict(
        task='detection',
        classes=('car', 'truck', 'pickup', 'tractor', 'camping_car', 'boat',
                 'other', 'van', 'plane'),
        palette=((0, 0, 142), (0, 0, 70), (250, 170, 30), (119, 200, 32),
                 (220, 20, 60), (0, 60, 100), (153, 153, 153), (0, 0, 230),
                 (70, 130, 180)),
        splits=dict(),
        subsets=dict(),
        images=1246,
        size=(),
        source='VEDAI (Razakarivony and Jurie, JVCIR 2016), '
        'https://downloads.greyc.fr/vedai/',
        licence='See the terms on the page of the authors.'),
    # Written by data_prep/make_scenes.py.
    'scenes':
    dict(
        task='segmentation',
        classes=('background', 'car', 'person', 'sign', 'cone'),
        palette=((40, 40, 40), (66, 135, 245), (235, 64, 82), (250, 208, 44),
                 (255, 128, 0)),
        splits=dict(),
        subsets=dict(),
        size=(),
        source='Synthetic paired scenes of mmivtuning.',
        licence='Apache-2.0, as mmivtuning.'),
}

# The things among the classes of the scenes: what its boxes are of.
SCENE_THINGS: Tuple[str, ...] = BENCHMARKS['scenes']['classes'][1:]


def benchmark_metainfo(name: str, things_only: bool = False) -> dict:
    """Classes and palette of a benchmark, as ``METAINFO`` wants them.

    Args:
        name (str): Key of :data:`BENCHMARKS`.
        things_only (bool): Leave out class 0, the background of a
            segmentation benchmark that has boxes too. Default: False.

    Returns:
        dict: ``classes`` (tuple of str) and ``palette`` (list of [R, G, B]).

    Raises:
        KeyError: If there is no benchmark of that name.
    """
    if name not in BENCHMARKS:
        raise KeyError(f"no benchmark '{name}', there are: "
                       f"{', '.join(sorted(BENCHMARKS))}")
    first = 1 if things_only else 0
    facts = BENCHMARKS[name]
    return dict(
        classes=tuple(facts['classes'][first:]),
        palette=[list(colour) for colour in facts['palette'][first:]])
