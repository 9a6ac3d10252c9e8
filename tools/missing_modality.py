r"""Table of what is left of the scores when one modality is missing.

Example:
    python tools/missing_modality.py --run plain CONFIG CHECKPOINT \
        --run dropped CONFIG_WITH_DROP CHECKPOINT
"""

import argparse
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from mmengine.runner import Runner

from mmivtuning.engine.data_root import ConfigOptions, read_config

CASES = (('both', None), ('visible only', 'infrared'),
         ('infrared only', 'visible'))


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Test models with both modalities and with one.')
    parser.add_argument(
        '--run', nargs=3, action='append', required=True,
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'), help='may be repeated')
    parser.add_argument(
        '--metric', help='key of the metric (default: the first of mIoU, '
        'coco/bbox_mAP that there is)')
    parser.add_argument('--work-dir', default='work_dirs/missing_modality')
    parser.add_argument('--json', type=Path, help='write all metrics there')
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, default={},
        help='as for tools/test.py; data_root moves the data set')
    return parser.parse_args(argv)


def scores(config: str, checkpoint: str, missing: Optional[str],
           options: dict, work_dir: str) -> Dict[str, float]:
    """Test one model in one case."""
    cfg = read_config(config, options)
    cfg.work_dir = work_dir
    cfg.load_from = checkpoint
    cfg.model.data_preprocessor.missing = missing
    # A name for each runner: mmengine keeps what was built under one.
    cfg.experiment_name = f'{Path(config).stem}_{missing}_{Path(work_dir)}'
    return Runner.from_cfg(cfg).test()


def pick(metrics: Dict[str, float], wanted: Optional[str]) -> str:
    """The key to show.

    Raises:
        KeyError: If there is no such metric.
    """
    for key in [wanted] if wanted else ['mIoU', 'coco/bbox_mAP']:
        if key in metrics:
            return key
    raise KeyError(f'no metric {wanted or "mIoU or coco/bbox_mAP"}; there '
                   f"are: {', '.join(metrics)}")


def table(rows: Dict[str, List[float]], key: str) -> str:
    """The scores as a table in markdown."""
    lines = [f'| {key} | ' + ' | '.join(name for name, _ in CASES) + ' |',
             '| --- |' + ' ---: |' * len(CASES)]
    lines += [f'| {name} | ' + ' | '.join(f'{v:.2f}' for v in values) + ' |'
              for name, values in rows.items()]
    return '\n'.join(lines)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Test every run in every case and print the table."""
    args = parse_args(argv)
    rows: Dict[str, List[float]] = {}
    everything: Dict[str, Dict[str, dict]] = {}
    key = ''
    for name, config, checkpoint in args.run:
        for case, missing in CASES:
            folder = Path(args.work_dir) / name / case.replace(' ', '_')
            found = scores(config, checkpoint, missing, args.cfg_options,
                           str(folder))
            key = key or pick(found, args.metric)
            everything.setdefault(name, {})[case] = found
            # mAP is a share, mIoU is in percent.
            scale = 100 if key.startswith('coco/') else 1
            rows.setdefault(name, []).append(scale * found[key])
    print(table(rows, key))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(everything, indent=2) + '\n')


if __name__ == '__main__':
    main()
