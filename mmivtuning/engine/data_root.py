"""Reading a config, with one option for the folder of all its data sets.

mmengine merges ``--cfg-options`` after a config has been evaluated: a new
``data_root`` at the top would change nothing below it. Our tools pass it on.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Union,
)

from mmengine.config import Config, DictAction

# Where the paths of a config's data sets and metrics are.
_SECTIONS = ('dataloader', 'evaluator')


class ConfigOptions(DictAction):
    """Read ``KEY=VALUE ...`` as the stock action; say if it is not that."""

    def __call__(self,
                 parser: ArgumentParser,
                 namespace: Namespace,
                 values: Sequence[str],
                 option_string: Optional[str] = None) -> None:
        """Read the values of an option.

        Raises:
            ValueError: If one is not ``KEY=VALUE``.
        """
        for value in values:
            if '=' not in value[1:]:
                raise ValueError(f'{option_string}: expected KEY=VALUE, got '
                                 f'{value!r}')
        super().__call__(parser, namespace, values, option_string)


def parse_options(texts: Sequence[str]) -> Dict[str, Any]:
    """Read the values of ``--cfg-options`` where they were kept as texts.

    Args:
        texts (Sequence[str]): ``KEY=VALUE`` each.

    Raises:
        ValueError: If one is not ``KEY=VALUE``.
    """
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=ConfigOptions)
    return parser.parse_args(['--cfg-options', *texts]).cfg_options


def read_config(path: Union[str, Path],
                options: Optional[Dict[str, Any]] = None) -> Config:
    """Read a config and change it; ``data_root`` moves its data sets.

    Args:
        path (str | Path): The config.
        options (dict, optional): As of ``--cfg-options``. Defaults to None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: See :func:`set_data_root`.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no such config: {path}')
    cfg = Config.fromfile(path)
    options = dict(options or {})
    data_root = options.pop('data_root', None)
    if data_root is not None:
        set_data_root(cfg, data_root)
    cfg.merge_from_dict(options)
    return cfg


def read_model_config(path: Union[str, Path],
                      options: Optional[Dict[str, Any]] = None) -> Config:
    """Read a config whose model is going to be built.

    Args:
        path (str | Path): See :func:`read_config`.
        options (dict, optional): Likewise. Defaults to None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config has no model, or see
            :func:`set_data_root`.
    """
    cfg = read_config(path, options)
    model = cfg.get('model')
    if not isinstance(model, dict) or 'backbone' not in model:
        raise ValueError(f'{path} has no model with a backbone')
    return cfg


def wrapped(dataset: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Go from the config of a data set inwards through what it wraps.

    Args:
        dataset (Mapping): A data set, a wrapper (``RepeatDataset``), or
            several joined (``ConcatDataset``), of which the first is taken.

    Yields:
        Mapping: The data set itself, the one in it, and so on.
    """
    while dataset:
        yield dataset
        dataset = dataset.get('dataset') or next(
            iter(dataset.get('datasets') or ()), None)


def pipeline_of(dataset: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """Return the outermost pipeline of a data set; empty if it has none."""
    return next((level['pipeline'] for level in wrapped(dataset)
                 if level.get('pipeline')), [])


def set_data_root(cfg: Config, data_root: str) -> None:
    """Move every path that lies in a config's ``data_root``.

    Args:
        cfg (Config): A config with a ``data_root`` at the top; changed in
            place.
        data_root (str): The new folder.

    Raises:
        ValueError: If the config has no ``data_root``, or nothing in it, or
            the new one is empty.
    """
    # `--cfg-options` turns names like 2024 into numbers.
    data_root = str(data_root)
    if not data_root:
        raise ValueError("data_root is empty: give '.' for the folder that "
                         'the command runs in')
    old = cfg.get('data_root')
    if not isinstance(old, str) or not old:
        raise ValueError(
            f'{cfg.filename} has no data_root that could be changed: give '
            'train_dataloader.dataset.data_root and the like')
    stem = old.rstrip('/')
    moved = 0

    def move(value: Any) -> Any:
        nonlocal moved
        if not isinstance(value, str):
            return value
        if value.rstrip('/') != stem and not value.startswith(stem + '/'):
            return value
        moved += 1
        rest = value[len(stem):].lstrip('/')
        return f'{data_root.rstrip("/")}/{rest}' if rest else data_root

    for name in list(cfg.keys()):
        if name.endswith(_SECTIONS) and cfg[name] is not None:
            cfg[name] = _map(cfg[name], move)
    if not moved:
        raise ValueError(f'no data set of {cfg.filename} lies in its '
                         f"data_root '{old}'")
    cfg.data_root = data_root


def _map(value: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to every leaf of nested dicts, lists and tuples."""
    if isinstance(value, dict):
        for key in list(value):
            value[key] = _map(value[key], function)
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(_map(item, function) for item in value)
    return function(value)
