"""The config of a data set of one's own."""

import tempfile
from pathlib import Path
from typing import (
    Any,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from command_line import palette_of
from mmengine.config import Config

from mmivtuning.pairs import PairError

# ImageNet's R, G, B, which the backbones were trained with.
_MEAN = [123.675, 116.28, 103.53]
_STD = [58.395, 57.12, 57.375]
_CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
BASES = dict(
    segmentation='segmentation/scenes/'
    'dinov2-s_segformer_iv_2k_scenes-224x294.py',
    saliency='salient_object/scenes/'
    'dinov2-s_segformer_iv_2k_scenes-saliency-224x294.py',
    detection='detection/scenes/'
    'dinov2-s_atss-small_iv_24e_scenes-224x294.py')


class Parts(NamedTuple):
    """What a task takes: types of the registry, and the folder of labels."""

    dataset: str
    preprocessor: str
    evaluator: str
    truth: str


PARTS = dict(
    segmentation=Parts('mmivtuning.PairedSegDataset',
                       'mmivtuning.PairedSegDataPreprocessor',
                       "type='IoUMetric', iou_metrics=['mIoU']", 'labels'),
    saliency=Parts('mmivtuning.VTSaliencyDataset',
                   'mmivtuning.PairedSegDataPreprocessor',
                   "type='mmivtuning.SaliencyMetric'", 'masks'),
    detection=Parts('mmivtuning.PairedDetDataset',
                    'mmivtuning.PairedDetDataPreprocessor',
                    "type='mmivtuning.PairedCocoMetric', metric='bbox'",
                    'annotations'))


def read_base(task: str, base: Optional[str] = None) -> Config:
    """Read the config to build on.

    Args:
        task (str): 'segmentation', 'saliency' or 'detection'.
        base (str, optional): Its file. Default: None, a small one for the
            scenes.

    Raises:
        PairError: If there is no such file, or no config that trains this
            task on pairs in it.
    """
    path = Path(base).resolve() if base else _CONFIGS / BASES[task]
    if not path.is_file():
        raise PairError(f"the config to build on, '{path}', is no file")
    try:
        config = Config.fromfile(path, import_custom_modules=False)
    except Exception as error:  # a config is a program
        raise PairError(f"the config to build on, '{path}', does not load: "
                        f'{error}') from error
    model = config.get('model') or {}
    found = (model.get('data_preprocessor') or {}).get('type')
    if found != PARTS[task].preprocessor:
        raise PairError(
            f"the config to build on, '{path}', is none for {task} on pairs: "
            'expected a model with the data_preprocessor '
            f'{PARTS[task].preprocessor}, found {found}')
    _, steps = _pipeline(config, 'train_dataloader')
    masks = any(step.get('type') == 'mmivtuning.LoadSaliencyMask'
                for step in steps)
    if masks != (task == 'saliency'):
        raise PairError(
            f"the config to build on, '{path}', is none for {task}: it trains "
            f"on {'masks of salient objects' if masks else 'labels'}")
    return config


def head_settings(model: Mapping[str, Any], number: int,
                  place: str = '_base_.model', whole: bool = False) -> str:
    """Write the keywords that give all heads of a model their classes.

    Args:
        model (Mapping): The model of the config to build on.
        number (int): Of classes.
        place (str): How a config names it. Default: ``'_base_.model'``.
        whole (bool): Whether nested parts are written whole, as within a
            list, which mmengine does not merge. Default: False.

    Returns:
        str: Such as ``bbox_head=dict(num_classes=3)``; '' if no part of it
        has a number of classes.

    Raises:
        PairError: If a part has a weight for each class.
    """
    settings = []
    for key, value in model.items():
        where = f'{place}.{key}'
        if key in ('backbone', 'data_preprocessor'):
            continue
        if key == 'class_weight' and isinstance(value, (list, tuple)):
            raise PairError(f'{where} of the config to build on has '
                            f'{len(value)} weights, one a class: take them '
                            'out')
        if key == 'num_classes':
            settings.append(f'num_classes={number}')
        elif isinstance(value, Mapping):
            inner = head_settings(value, number, where, whole)
            start = f'{where}, ' if whole else ''
            settings += [f'{key}=dict({start}{inner})'] if inner else []
        elif isinstance(value, (list, tuple)):
            settings += _list_settings(key, value, number, where)
    return ', '.join(settings)


def _list_settings(key: str, values: Sequence[Any], number: int,
                   where: str) -> List[str]:
    """Write a list of heads."""
    inner = [head_settings(value, number, f'{where}[{place}]', True)
             if isinstance(value, Mapping) else ''
             for place, value in enumerate(values)]
    if not any(inner):
        return []
    if set(inner) == {f'num_classes={number}'}:
        return [f'{key}=[dict(part, {inner[0]}) for part in {where}]']
    parts = [f'dict({where}[{place}], {change})' if change else
             f'{where}[{place}]' for place, change in enumerate(inner)]
    return [f"{key}=[{', '.join(parts)}]"]


def _pipeline(base: Config, loader: str) -> Tuple[str, List[Any]]:
    """Say how a config names the pipeline of a base, within wrappers too.

    Returns:
        tuple[str, list]: The name, and the transforms.

    Raises:
        PairError: If there is none.
    """
    place, found = f'_base_.{loader}', base.get(loader) or {}
    while 'pipeline' not in found:
        if not isinstance(found.get('dataset'), Mapping):
            raise PairError(f"{loader} of '{base.filename}' has no data set "
                            'with a pipeline')
        place, found = f'{place}.dataset', found['dataset']
    return f'{place}.pipeline', found['pipeline']


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

    Raises:
        PairError: If the base cannot be built on.
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
    parts = PARTS[task]
    data = f'type={parts.dataset!r}, data_root=data_root'
    model = f'data_preprocessor=dict(mean={mean}, std={std})'
    if task != 'saliency':
        data += (f', metainfo=dict(classes={tuple(classes)!r}, '
                 f'palette={palette_of(classes)})')
        heads = head_settings(base.model, len(classes))
        if not heads:
            raise PairError(f"no part of the model of '{base.filename}' has "
                            'num_classes')
        model += f', {heads}'
    # Nothing of the data sets of the base stays but what is done with pairs.
    lines = [
        f'_base_ = {str(base.filename)!r}',
        f'data_root = {str(out.resolve())!r}', f'data = dict({data})'
    ]
    for loader, split in (('train', 'train'), ('val', held), ('test', tested)):
        steps, _ = _pipeline(
            base, f"{'train' if loader == 'train' else 'val'}_dataloader")
        lines.append(
            f'{loader}_dataloader = dict(dataset=dict(data, _delete_=True, '
            f'pipeline={steps}, {_places(task, split, loader)}))')
    lines += [
        f'val_evaluator = dict(_delete_=True, {parts.evaluator})',
        f'test_evaluator = dict(_delete_=True, {parts.evaluator})',
        f'model = dict({model})'
    ]
    return '\n'.join(lines) + '\n'


def check_lines(lines: str, base: Config) -> None:
    """Load what :func:`config_lines` has made of a base.

    Raises:
        PairError: If it does not load.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'config.py'
        path.write_text(lines, encoding='utf-8')
        try:
            Config.fromfile(path, import_custom_modules=False)
        except Exception as error:
            raise PairError(f"'{base.filename}' cannot be built on: "
                            f'{error}') from error


def _places(task: str, split: str, loader: str) -> str:
    """Where the files of a split lie, as keywords of a data set."""
    truth = PARTS[task].truth
    if task == 'detection':
        kind = ('filter_cfg=dict(filter_empty_gt=False)'
                if loader == 'train' else 'test_mode=True')
        return (f"ann_file='{truth}/{split}.json', data_prefix=dict("
                f"img='visible/{split}', infrared='infrared/{split}'), {kind}")
    return (f"data_prefix=dict(img_path='visible/{split}', "
            f"infrared_path='infrared/{split}', "
            f"seg_map_path='{truth}/{split}')")
