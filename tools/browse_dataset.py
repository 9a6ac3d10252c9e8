r"""Draw what a config's pipeline makes of pairs: both modalities and truth.

Label maps are drawn on the visible image, boxes on both modalities, in the
picture as the network gets it, before it is normalised. Works for
segmentation, detection and saliency::

    python tools/browse_dataset.py CONFIG --split train --number 20
    python tools/browse_dataset.py CONFIG --mode both \
        --cfg-options data_root=data/mine

``--mode original`` draws pairs as they are loaded, ``both`` one above the
other.
"""

import argparse
import random
import sys
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmengine.registry import DATASETS, init_default_scope
from mmengine.structures import BaseDataElement

from mmivtuning.engine.data_root import ConfigOptions, read_config
from mmivtuning.engine.pictures import stack_rows
from mmivtuning.engine.sample_pictures import draw_sample, pair_of_inputs


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('--split', choices=['train', 'val', 'test'], default='train')
    add('--out', type=Path, help='folder of the pictures; default: '
        'work_dirs/browse/NAME/SPLIT')
    add('--number', type=int, default=20, help='of pairs, 0 is all '
        '(default: %(default)s)')
    add('--start', type=int, default=0, help='first pair of the split')
    add('--mode', choices=['transformed', 'original', 'both'],
        default='transformed')
    add('--seed', type=int, default=0, help='of the augmentations')
    add('--cfg-options', nargs='+', action=ConfigOptions, default={},
        help='KEY=VALUE ... that change the config; data_root moves every '
        'data set')
    args = parser.parse_args(argv)
    if args.number < 0 or args.start < 0:
        parser.error('--number and --start must not be negative')
    return args


def transforms_of(dataset: Any) -> List[Any]:
    """Find the transforms that load and change a pair.

    Wrappers of data sets are looked through; of several data sets in one,
    the first tells.
    """
    while True:
        if hasattr(dataset, 'datasets'):
            dataset = dataset.datasets[0]
        elif hasattr(dataset, 'dataset'):
            dataset = dataset.dataset
        else:
            return list(dataset.pipeline.transforms)


def part_of(dataset: Any, index: int) -> Tuple[Any, int]:
    """Find the data set, of several in one, that a pair comes from."""
    while hasattr(dataset, 'datasets'):
        which, index = dataset._get_ori_dataset_idx(index)
        dataset = dataset.datasets[which]
    return dataset, index


def truth_is_original(dataset: Any) -> bool:
    """Whether boxes are loaded after ``Resize``, and so not resized.

    Pipelines of tests do so: metrics compare at the original size.
    """
    dataset, index = part_of(dataset, 0)
    results = dataset.get_data_info(index)
    for transform in transforms_of(dataset):
        results = transform(results)
        if results is None or 'data_samples' in results:
            return False
        if 'gt_bboxes' in results:
            return 'scale_factor' in results
    return False


def drawn(data: dict, meta: dict, scale_boxes: bool, note: str) -> np.ndarray:
    """Draw what a pipeline returned.

    Args:
        data (dict): ``inputs``, (4, H, W), and ``data_samples``.
        meta (dict): Of the data set.
        scale_boxes (bool): Whether boxes are in pixels of the original.
        note (str): For the first caption.

    Returns:
        np.ndarray: uint8 (H, W, 3) RGB.
    """
    sample: BaseDataElement = data['data_samples']
    if scale_boxes and 'gt_instances' in sample:
        sample = sample.clone()
        boxes = sample.gt_instances.bboxes
        boxes = getattr(boxes, 'tensor', boxes)
        factors = boxes.new_tensor(sample.scale_factor).repeat(2)
        sample.gt_instances.bboxes = boxes * factors
    pair = pair_of_inputs(data['inputs'], sample.metainfo.get('img_norm_cfg'))
    return draw_sample(pair, sample, meta, note=note)


def original(dataset: Any, index: int) -> dict:
    """Load and pack a pair, without what lies between."""
    dataset, index = part_of(dataset, index)
    results = dataset.get_data_info(index)
    for transform in transforms_of(dataset):
        if type(transform).__name__.startswith(('Load', 'Pack')):
            results = transform(results)
    return results


def pictures(dataset: Any, indices: Sequence[int],
             mode: str) -> Iterator[Tuple[str, np.ndarray]]:
    """Draw pairs of a data set.

    Args:
        dataset (Any): The data set.
        indices (Sequence[int]): Which pairs.
        mode (str): ``'transformed'``, ``'original'`` or ``'both'``.

    Yields:
        tuple[str, np.ndarray]: The stem of the visible file, and the
        picture, uint8 (H, W, 3) RGB.
    """
    scale_boxes = mode != 'original' and truth_is_original(dataset)
    for index in indices:
        rows, stem = [], ''
        if mode != 'transformed':
            data = original(dataset, index)
            stem = Path(data['data_samples'].img_path).stem
            rows.append(
                drawn(data, dataset.metainfo, False, f'{stem}, as loaded'))
        if mode != 'original':
            data = dataset[index]
            stem = Path(data['data_samples'].img_path).stem
            rows.append(drawn(data, dataset.metainfo, scale_boxes, stem))
        yield stem, stack_rows(rows)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Draw what the command line asks for; returns the exit status."""
    args = parse_args(argv)
    cfg = read_config(args.config, args.cfg_options)
    loader = cfg.get(f'{args.split}_dataloader')
    if loader is None:
        raise ValueError(f'{args.config} has no {args.split}_dataloader')
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    random.seed(args.seed)
    np.random.seed(args.seed)
    dataset = DATASETS.build(loader.dataset)
    stop = args.start + args.number if args.number else len(dataset)
    indices = range(args.start, min(stop, len(dataset)))
    if not indices:
        raise ValueError(f'the split {args.split} has {len(dataset)} pairs: '
                         f'there is none from {args.start} on')
    out = args.out or Path('work_dirs/browse',
                           Path(args.config).stem, args.split)
    out.mkdir(parents=True, exist_ok=True)
    for index, (stem, picture) in zip(
            indices, pictures(dataset, indices, args.mode)):
        file = out / f'{index:05d}_{stem}.png'
        if not cv2.imwrite(str(file), picture[..., ::-1]):
            raise OSError(f'{file} could not be written')
    print(f'{len(indices)} of {len(dataset)} pairs of {args.split}: {out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
