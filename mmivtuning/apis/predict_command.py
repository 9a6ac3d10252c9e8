"""The command that predicts: ``mmivtuning predict``."""

import argparse
import contextlib
import inspect
import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional

TASKS = dict(
    segmentation='PairedSegInferencer',
    detection='PairedDetInferencer',
    saliency='PairedSaliencyInferencer')

# Folders below that of the results.
PREDICTIONS, PICTURES = 'pred', 'vis'
# So many visible images are looked at for colour.
COLOUR_SAMPLES = 10

EPILOG = """\
files in OUT:
  pred/NAME.png      class ids, or what is salient (0 to 255)
  pred/NAME.json     boxes, pixels of the original image
  predictions.json   boxes of all pairs, COCO with scores
  vis/NAME.png       with --overlays: visible | infrared | prediction
  manifest.jsonl     which pairs are done, and with what

A run that was interrupted goes on when it is repeated: a pair is passed over
if its results exist and neither config, weights and options nor its two files
have changed.

exit status: 0 done; 1 broken pairs, with --strict; 2 nothing could be done;
130 interrupted (Ctrl-C).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add('--config', required=True, help='config file of the model')
    add('--weights', help='a full checkpoint (trusted: a pickle is read), or '
        'an adapter, *.safetensors')
    add('--adapter', help='an adapter, put on the weights, or on the '
        'pretrained backbone of the config')
    add('--visible', required=True, metavar='PATH',
        help='folder, image or video; of four channels without --infrared')
    add('--infrared', metavar='PATH',
        help='folder, image or video; files of a pair share their stem')
    add('--out', required=True, type=Path, metavar='FOLDER',
        help='folder for the results')
    add('--task', choices=TASKS, help='default: told by the config')
    add('--batch-size', type=int, default=1, metavar='N',
        help='pairs of one size computed at once (default: %(default)s)')
    add('--device', help='cpu, cuda, cuda:1 ... (default: a GPU if there is '
        'one)')
    add('--amp', action='store_true', help='run the backbone in 16 bits')
    add('--missing', choices=['visible', 'infrared'],
        help='predict without that modality')
    add('--score-thr', type=float, default=0.3, metavar='SCORE',
        help='boxes below it are not drawn; the files have all of them '
        '(default: %(default)s)')
    add('--overlays', action='store_true', help='draw every pair')
    add('--mask-format', default='id', choices=['id', 'palette'],
        help='of class maps: grey PNGs, or PNGs with the colours of the '
        'classes (default: %(default)s)')
    add('--float-maps', action='store_true',
        help='save what is salient as float arrays too, *.npy')
    for name in ('visible', 'infrared'):
        add(f'--{name}-suffix', default='', metavar='END',
            help=f'how names in the {name} folder end, for example _RGB.jpg')
    add('--strict', action='store_true',
        help='exit status 1 if pairs are broken')
    add('--cfg-options', nargs='+', metavar='KEY=VALUE', default=[],
        help='changes of the config')


def run(args: argparse.Namespace) -> int:
    """Predict; returns the exit status.

    Returns:
        int: 0 if all went well, 1 if there were broken pairs and ``strict``.

    Raises:
        Exception: If nothing could be done, for
            :func:`mmivtuning.cli.main` to tell; so of interruptions.
    """
    from mmivtuning.pairs.layout import exit_on_sigterm
    try:
        with exit_on_sigterm():
            check_arguments(args)
            return _predict(args)
    except KeyboardInterrupt:
        raise KeyboardInterrupt('the same command goes on from here') from None


def check_arguments(args: argparse.Namespace) -> None:
    """Check what needs no model.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If an argument makes no sense.
    """
    from .inputs import check_apart
    if args.weights is None and args.adapter is None:
        raise ValueError('give --weights, --adapter or both: without, '
                         'predictions are those of a model that was not '
                         'trained')
    if args.batch_size < 1:
        raise ValueError(f'--batch-size must be at least 1, got '
                         f'{args.batch_size}')
    if not 0 <= args.score_thr <= 1:
        raise ValueError(f'--score-thr must be from 0 to 1, got '
                         f'{args.score_thr}')
    for name in ('config', 'weights', 'adapter', 'visible', 'infrared'):
        path = getattr(args, name)
        if path is not None and not os.path.exists(path):
            raise FileNotFoundError(f"--{name}: no such path: '{path}'")
    written = [PREDICTIONS, PICTURES] if args.overlays else [PREDICTIONS]
    check_apart([args.visible, args.infrared],
                [args.out / folder for folder in written])
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"--out '{args.out}' is a file, expected a folder")


def task_of(cfg: Any, task: Optional[str] = None) -> str:
    """Tell the task of a config.

    Args:
        cfg (Config): The config.
        task (str, optional): What the user says. Default: None.

    Returns:
        str: One of :data:`TASKS`: mmdet's models detect; models of mmseg
        whose head has one output find salient objects, others segment.

    Raises:
        ValueError: If it cannot be told.
    """
    if task is not None:
        return task
    scope = cfg.get('default_scope')
    if scope == 'mmdet':
        return 'detection'
    head = cfg.get('model', {}).get('decode_head')
    if scope != 'mmseg' or not head:
        raise ValueError(
            f"the task cannot be told from default_scope={scope!r}: expected "
            f"'mmseg' with a decode_head, or 'mmdet'; give --task")
    head = head[-1] if isinstance(head, (list, tuple)) else head
    outputs = head.get('out_channels') or _default_outputs(head, scope)
    outputs = outputs or head.get('num_classes')
    return 'saliency' if outputs == 1 else 'segmentation'


def _default_outputs(head: Any, scope: str) -> Optional[int]:
    """Return how many outputs a head has that is not told, if it says so."""
    from mmengine.registry import MODELS
    with MODELS.switch_scope_and_registry(scope) as registry:
        kind = registry.get(head['type']) if isinstance(
            head.get('type'), str) else head.get('type')
    if kind is None:
        return None
    parameter = inspect.signature(kind).parameters.get('out_channels')
    default = parameter.default if parameter is not None else None
    return default if isinstance(default, int) else None


class Problems:
    """Broken pairs, told on standard error as they are found."""

    def __init__(self) -> None:
        self.messages: List[str] = []

    def add(self, message: str) -> None:
        """Tell of one."""
        self.messages.append(message)
        sys.stderr.write(f'error: {message}\n')


class Results:
    """Where the results of a pair go.

    Args:
        inferencer (PairedInferencer): What makes them.
        args (argparse.Namespace): The arguments.
        task (str): One of :data:`TASKS`.
    """

    def __init__(self, inferencer: Any, args: argparse.Namespace,
                 task: str) -> None:
        self.inferencer = inferencer
        self.out = args.out
        self.overlays = args.overlays
        self.score_thr = args.score_thr
        self.options: Dict[str, Any] = {}
        self.suffixes = ['.png']
        if task == 'segmentation':
            self.options = dict(mask_format=args.mask_format)
        elif task == 'detection':
            self.suffixes = ['.json']
        elif args.float_maps:
            self.options = dict(float_maps=True)
            self.suffixes = ['.png', '.npy']

    @property
    def folder(self) -> Path:
        """Where predictions are."""
        return self.out / PREDICTIONS

    @property
    def pictures(self) -> Path:
        """Where overlays are."""
        return self.out / PICTURES

    def paths(self, name: str) -> List[Path]:
        """Return the files of a pair."""
        paths = [self.folder / f'{name}{suffix}' for suffix in self.suffixes]
        if self.overlays:
            paths.append(self.pictures / f'{name}.png')
        return paths

    def save(self, pair: Any, sample: Any) -> None:
        """Write the files of a pair, each all of it or nothing."""
        drawing = dict(
            img_out_dir=str(self.pictures) if self.overlays else '',
            pred_score_thr=self.score_thr)
        self.inferencer.visualize([pair], [sample], **drawing)
        self.inferencer.postprocess([sample], [],
                                    loaded=[pair],
                                    pred_out_dir=str(self.folder),
                                    **self.options)

    def tidy(self, lonely: Iterable[str]) -> None:
        """Remove what killed processes left, and what is of no pair now.

        Args:
            lonely (Iterable[str]): Names whose image has no partner.
        """
        from mmivtuning.pairs.layout import clear_partials
        for folder in (self.folder, self.pictures):
            clear_partials(folder)
        for name in lonely:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Remove what an earlier run made of a pair that is broken now."""
        for path in self.paths(name):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def forget(self) -> None:
        """Remove what another run put together of all its pairs."""
        from .coco import COCO_FILE
        with contextlib.suppress(FileNotFoundError):
            (self.out / COCO_FILE).unlink()


def _key(cfg: Any, args: argparse.Namespace) -> str:
    """Return a hash of all that results depend on beside the pairs."""
    from mmivtuning.version import __version__

    from .manifest import hash_file, hash_texts
    options = {
        name: getattr(args, name)
        for name in ('task', 'amp', 'missing', 'score_thr', 'overlays',
                     'mask_format', 'float_maps')
    }
    return hash_texts(__version__, cfg.pretty_text, hash_file(args.weights),
                      hash_file(args.adapter), repr(sorted(options.items())))


def _predict(args: argparse.Namespace) -> int:
    """Predict what the arguments ask for."""
    from mmivtuning import apis

    # mmengine imports torch, which the help does not wait for.
    from mmivtuning.engine.data_root import parse_options, read_model_config
    from mmivtuning.pairs import PairError
    from mmivtuning.pairs.layout import locked

    from .inputs import open_inputs

    problems = Problems()
    lonely = []

    def unpaired(stem: str, message: str) -> None:
        lonely.append(stem)
        problems.add(message)

    source = args.visible if args.infrared is None else (args.visible,
                                                         args.infrared)
    requests = open_inputs(source, args.visible_suffix, args.infrared_suffix,
                           unpaired)
    if not len(requests):
        raise PairError(f"no file of '{args.visible}' has a partner in "
                        f"'{args.infrared}': files of a pair share their "
                        'stem; see --visible-suffix and --infrared-suffix')
    cfg = read_model_config(args.config, parse_options(args.cfg_options))
    task = task_of(cfg, args.task)
    # mmengine prints what it loads.
    with contextlib.redirect_stdout(sys.stderr):
        inferencer = getattr(apis, TASKS[task])(
            cfg,
            args.weights,
            device=args.device,
            adapter=args.adapter,
            missing=args.missing,
            amp=args.amp,
            show_progress=False)
    results = Results(inferencer, args, task)
    args.out.mkdir(parents=True, exist_ok=True)
    with locked(args.out):
        results.tidy(lonely)
        return _fill(args, requests, cfg, task, results, problems)


def _fill(args: argparse.Namespace, requests: Any, cfg: Any, task: str,
          results: Results, problems: Problems) -> int:
    """Make the results that are not there yet."""
    from mmivtuning.pairs import is_coloured

    from .manifest import Manifest
    inferencer = results.inferencer
    manifest = Manifest(
        args.out,
        dict(
            key=_key(cfg, args),
            task=task,
            config=str(args.config),
            weights=args.weights,
            adapter=args.adapter))
    if manifest.key_before not in (None, manifest.key):
        results.forget()
        sys.stderr.write(f"'{args.out}' has results of another config, other "
                         'weights or options: they are made again\n')
    made, kept, names, colour = 0, 0, [], False

    def left() -> Iterator:
        nonlocal kept
        for request in requests:
            names.append(request.name)
            if manifest.has(request, results.paths(request.name)):
                kept += 1
            else:
                yield request

    def broken(request: Any, error: Exception) -> None:
        results.remove(request.name)
        problems.add(f'{request.name}: {error}')
        names.remove(request.name)

    try:
        for pairs, data in inferencer.preprocess(
                _progress(left(), len(requests)), args.batch_size, broken):
            for pair, sample in zip(pairs, _forward(inferencer, pairs, data)):
                results.save(pair, sample)
                manifest.add(pair.request)
                if made < COLOUR_SAMPLES and not colour:
                    colour = is_coloured(pair.image[..., :3])
                made += 1
    finally:
        manifest.close()
    inferencer.finish(args.out, results.folder, names)
    if made and not colour:
        sys.stderr.write('note: no colour in the visible images: are '
                         '--visible and --infrared swapped?\n')
    count = len(problems.messages)
    sys.stdout.write(f'results: {made + kept} in {args.out} ({kept} from '
                     f'before), errors: {count}\n')
    if not made + kept:
        return 2
    return 1 if count and args.strict else 0


def _forward(inferencer: Any, pairs: List[Any], data: Any) -> List[Any]:
    """Feed a batch to the model; an error names its pairs."""
    try:
        return inferencer.forward(data)
    except RuntimeError as error:
        names = ', '.join(pair.request.name for pair in pairs)
        raise RuntimeError(f'{names}: {error}') from error


def _progress(requests: Iterable, total: int) -> Iterable:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return requests
    from rich.console import Console
    from rich.progress import track
    return track(
        requests,
        description='predict',
        total=total,
        console=Console(stderr=True))
