"""The config of a data set of one's own."""

import colorsys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from mmengine.config import Config

from .errors import PairError

# ImageNet's R, G, B, which the backbones were trained with.
_MEAN = [123.675, 116.28, 103.53]
_STD = [58.395, 57.12, 57.375]
BASES = dict(
    segmentation='configs/segmentation/scenes/'
    'dinov2-s_segformer_iv_2k_scenes-224x294.py',
    saliency='configs/salient_object/scenes/'
    'dinov2-s_segformer_iv_2k_scenes-saliency-224x294.py',
    detection='configs/detection/scenes/'
    'dinov2-s_atss-small_iv_24e_scenes-224x294.py')


def palette_of(classes: Sequence[str]) -> List[List[int]]:
    """Distinct colours, R, G, B; grey for a background in first place."""
    colours = []
    for number, name in enumerate(classes):
        share = number * 0.618034 % 1.0
        colour = colorsys.hsv_to_rgb(share, 0.75, 0.9)
        if number == 0 and name in ('background', 'unlabeled', 'unlabelled'):
            colour = (0.16, 0.16, 0.16)
        colours.append([round(255 * value) for value in colour])
    return colours


def read_base(task: str, base: Optional[str] = None) -> Config:
    """Read the config to build on.

    Args:
        task (str): 'segmentation', 'saliency' or 'detection'.
        base (str, optional): Its file. Default: None, a small one for the
            scenes.

    Raises:
        PairError: If there is no such file, or no config of a model in it.
    """
    path = Path(base or BASES[task]).resolve()
    if not path.is_file():
        raise PairError(f"--base: '{path}' is no file")
    config = Config.fromfile(path, import_custom_modules=False)
    if not isinstance(config.get('model'), Mapping):
        raise PairError(f"--base: '{path}' has no model")
    return config


def head_settings(model: Mapping[str, Any], number: int,
                  place: str = '_base_.model') -> str:
    """Write the keywords that give all heads of a model their classes.

    Args:
        model (Mapping): The model of the config to build on.
        number (int): Of classes.
        place (str): How a config names it. Default: ``'_base_.model'``.

    Returns:
        str: Such as ``bbox_head=dict(num_classes=3)``; '' if no part of it
        has a number of classes.
    """
    settings = []
    for key, value in model.items():
        if key == 'num_classes':
            settings.append(f'num_classes={number}')
        elif isinstance(value, Mapping):
            inner = head_settings(value, number, f'{place}.{key}')
            settings += [f'{key}=dict({inner})'] if inner else []
        elif isinstance(value, (list, tuple)) and value and all(
                isinstance(head, Mapping) and 'num_classes' in head
                for head in value):
            settings.append(f'{key}=[dict(head, num_classes={number}) '
                            f'for head in {place}.{key}]')
    return ', '.join(settings)


def config_lines(out: Path, task: str, classes: Sequence[str],
                 splits: Dict[str, int],
                 statistics: Optional[Dict[str, List[float]]],
                 base: Config) -> str:
    """Write the lines that train on a data set in our layout.

    Args:
        out (Path): Folder of the data set.
        task (str): 'segmentation', 'saliency' or 'detection'.
        classes (Sequence[str]): Names.
        splits (Dict[str, int]): Number of pairs of each split.
        statistics (Dict, optional): ``mean`` and ``std`` of R, G, B,
            infrared.
        base (Config): From :func:`read_base`.

    Returns:
        str: The config.
    """
    held = next((s for s in ('val', 'test') if splits.get(s)), 'train')
    tested = 'test' if splits.get('test') else held
    mean, std = list(_MEAN), list(_STD)
    if statistics is not None:
        mean.append(round(statistics['mean'][3], 1))
        # A std of 0 is no divisor.
        std.append(max(round(statistics['std'][3], 1), 1.0))
    else:
        mean.append(108.375)
        std.append(51.0)
    shared = ('data = dict(data_root=data_root, metainfo=dict('
              f'classes={tuple(classes)!r}, palette={palette_of(classes)}))')
    head = head_settings(base.model, len(classes))
    if task == 'saliency':
        head = ''
        shared = 'data = dict(data_root=data_root)'
    model = f'data_preprocessor=dict(mean={mean}, std={std})'
    lines = [
        f"_base_ = '{base.filename}'", f"data_root = '{out.resolve()}'", shared,
        'train_dataloader = dict(dataset=dict(data, '
        f"{_places(task, 'train')}))",
        f"val_dataloader = dict(dataset=dict(data, {_places(task, held)}))",
        f"test_dataloader = dict(dataset=dict(data, {_places(task, tested)}))",
        f'model = dict({model}{", " + head if head else ""})'
    ]
    return '\n'.join(lines) + '\n'


def _places(task: str, split: str) -> str:
    """Where the files of a split lie, as keywords of a data set."""
    if task == 'detection':
        return (f"ann_file='annotations/{split}.json', data_prefix=dict("
                f"img='visible/{split}', infrared='infrared/{split}')")
    truth = 'masks' if task == 'saliency' else 'labels'
    return (f"data_prefix=dict(img_path='visible/{split}', "
            f"infrared_path='infrared/{split}', "
            f"seg_map_path='{truth}/{split}')")
