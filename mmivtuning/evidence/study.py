"""What a study file says: methods x data sets x seeds, and what is claimed.

A study is a YAML file. It is no config of a model: nothing in it is computed,
mim does not take it for one, and a reader sees all of it.
"""

import re
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import yaml

MODALITIES = ('visible', 'infrared')
# What a model is tested on, and what is taken away for it.
CONDITIONS = {
    'pair': None,
    'without infrared': 'infrared',
    'without visible': 'visible'
}
KEPT_WEIGHTS = ('none', 'first seed', 'all')


@dataclass(frozen=True)
class Measure:
    """A figure of a task.

    Args:
        name (str): What tables call it.
        key (str): In what the metrics return.
        scale (float): What that figure is times.
        unit (str): Of the product. Default: 'percent'.
        digits (int): Of it after the point, in tables. Default: 1.
        lower_is_better (bool): Default: False.
    """

    name: str
    key: str
    scale: float
    unit: str = 'percent'
    digits: int = 1
    lower_is_better: bool = False


# The first measure of a task decides claims, and chooses rates unless
# CHOOSERS names another.
TASKS: Dict[str, Tuple[Measure, ...]] = dict(
    segmentation=(Measure('mIoU', 'mIoU', 1.),
                  Measure('cross entropy', 'cross_entropy', 1., 'nats a pixel',
                          3, True)),
    detection=(Measure('mAP', 'coco/bbox_mAP', 100.),
               Measure('mAP50', 'coco/bbox_mAP_50', 100.)),
    saliency=(Measure('S-measure', 'saliency/Smeasure', 100.), ))
# After few steps segmentors of many rates predict one class: their mIoU is
# alike, their loss is not.
CHOOSERS = dict(segmentation='cross entropy')


def check_number(where: str,
                 value: Any,
                 low: float = 0.,
                 high: float = float('inf'),
                 whole: bool = False) -> None:
    """Raise if a value is no number of a range, ends but infinity included."""
    kind = Integral if whole else Real
    if (not isinstance(value, kind) or isinstance(value, bool)
            or value == float('inf') or not low <= value <= high):
        hint = ''
        if isinstance(value, str):
            hint = ' (YAML reads 1e-4 as text: write 1.0e-4)'
        raise ValueError(f'{where} must be {"an integer" if whole else "a"} '
                         f'{"" if whole else "number "}from {low:g} to '
                         f'{high:g}, found {value!r}{hint}')


def check_text(where: str, value: Any) -> None:
    """Raise if a value is no text, or an empty one."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'{where} must be text, found {value!r}')


def check_mapping(where: str, value: Any) -> None:
    """Raise if a value is no mapping."""
    if not isinstance(value, Mapping):
        raise ValueError(f'{where} must be a mapping, found {value!r}')


def check_name(where: str, value: Any) -> None:
    """Raise if a value cannot be part of the name of a folder."""
    if not isinstance(value, str) or not re.fullmatch(r'\w[\w.-]*', value):
        raise ValueError(f'{where} are named by letters, digits, _, - and '
                         f'dots, found {value!r}')


def check_list(where: str, value: Any) -> None:
    """Raise if a value is no list, or an empty one, or has repetitions."""
    if not isinstance(value, list) or not value:
        raise ValueError(f'{where} must be a list that is not empty, found '
                         f'{value!r}')
    if any(value.count(item) > 1 for item in value):
        raise ValueError(f'{where} names something twice: {value}')


@dataclass(frozen=True)
class Method:
    """A way of training.

    Args:
        name (str): What tables call it.
        backbone (dict): Arguments of the backbone, ``tuning`` above all.
        missing (str, optional): The modality that it never sees, in training
            as in testing. Default: None.
        dual (bool): Whether it is two backbones (:class:`DualBackbone`).
            Default: False.
        tests (list[str]): Of ``CONDITIONS``; the first one is ``'pair'``:
            what it was trained on. Default: all, or that one if a modality
            is missing.
        cost (float): Time of a step, as a multiple of that of ``iv``; for
            the plan. Default: 1.
        options (dict): Changes of the config, with dots in their keys.
    """

    name: str
    backbone: Mapping[str, Any] = field(default_factory=dict)
    missing: Optional[str] = None
    dual: bool = False
    tests: Optional[List[str]] = None
    cost: float = 1.
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f'methods.{self.name}'
        check_mapping(f'{where}.backbone', self.backbone)
        check_mapping(f'{where}.options', self.options)
        if not self.dual and 'tuning' not in self.backbone:
            raise ValueError(f'{where}.backbone must say its tuning, found '
                             f'{dict(self.backbone)}')
        if self.missing is not None and self.missing not in MODALITIES:
            raise ValueError(f'{where}.missing must be one of {MODALITIES}, '
                             f'found {self.missing!r}')
        if self.tests is None:
            tests = list(CONDITIONS)[:1 if self.missing else None]
            object.__setattr__(self, 'tests', tests)
        check_list(f'{where}.tests', self.tests)
        if self.tests[0] != 'pair' or any(
                name not in list(CONDITIONS) for name in self.tests):
            raise ValueError(f"{where}.tests must begin with 'pair' and have "
                             f'others of {list(CONDITIONS)}, found '
                             f'{self.tests}')
        check_number(f'{where}.cost', self.cost, 0.01)


@dataclass(frozen=True)
class Subject:
    """A data set of a study, at the length of a setting.

    Args:
        name (str): What tables call it.
        task (str): One of ``TASKS``.
        config (str): The config, relative to the folder of the study.
        folder (str, optional): Of ``MMIVTUNING_REAL_DATA``. Default: None,
            which needs ``scenes``.
        scenes (dict, optional): Numbers of synthetic pairs, ``train`` and
            ``val``, and their ``size``. Default: None.
        measure (str, optional): What the measure is called instead of its
            own name, where it means something else. Default: None.
        note (str): What a reader of its figures must know. Default: ''.
        size (list[int], optional): Height and width of training and testing.
            Default: None, the config's.
        steps (int): Of training. Default: 100.
        tuning_steps (int, optional): Of each training that chooses a rate.
            Default: None, half of ``steps``.
        batch (int): Pairs of a step. Default: 2.
        rates (list[float]): The grid of learning rates. Default: that of
            the config alone, without tuning.
        tuning_seeds (int): How many of the seeds choose a rate, by their mean
            score; one that crashes with any of them is lost. Default: 1.
        held_out (float): Share of the training pairs on which rates are
            chosen. Default: 0.25.
        fractions (list[float]): Shares of the training pairs. Default: 1.
        fraction_methods (list[str], optional): Who is trained on fractions
            under 1. Default: None, all.
        step_seconds (float): Estimated time of a step of ``iv`` on one quiet
            core; for the plan. Default: 1.3.
        test_seconds (float): Likewise, of a test of one pair. Default: 0.3.
        options (dict): Changes of the config, with dots in their keys.
    """

    name: str
    task: str
    config: str
    folder: Optional[str] = None
    scenes: Optional[Mapping[str, Any]] = None
    measure: Optional[str] = None
    note: str = ''
    size: Optional[List[int]] = None
    steps: int = 100
    tuning_steps: Optional[int] = None
    batch: int = 2
    rates: Optional[List[float]] = None
    tuning_seeds: int = 1
    held_out: float = 0.25
    fractions: List[float] = field(default_factory=lambda: [1.])
    fraction_methods: Optional[List[str]] = None
    step_seconds: float = 1.3
    test_seconds: float = 0.3
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f'datasets.{self.name}'
        if self.task not in list(TASKS):
            raise ValueError(f'{where}.task must be one of {tuple(TASKS)}, '
                             f'found {self.task!r}')
        check_text(f'{where}.config', self.config)
        if self.measure is not None:
            check_text(f'{where}.measure', self.measure)
        if self.note:
            check_text(f'{where}.note', self.note)
        check_mapping(f'{where}.options', self.options)
        if (self.folder is None) == (self.scenes is None):
            raise ValueError(f'{where} needs either folder or scenes')
        if self.scenes is None:
            check_text(f'{where}.folder', self.folder)
        else:
            check_mapping(f'{where}.scenes', self.scenes)
        for name in ('steps', 'batch', 'tuning_seeds'):
            check_number(f'{where}.{name}', getattr(self, name), 1, whole=True)
        if self.tuning_steps is None:
            object.__setattr__(self, 'tuning_steps', max(self.steps // 2, 1))
        check_number(
            f'{where}.tuning_steps', self.tuning_steps, 1, whole=True)
        for name in ('step_seconds', 'test_seconds'):
            check_number(f'{where}.{name}', getattr(self, name))
        check_number(f'{where}.held_out', self.held_out, 0.01, 0.9)
        check_list(f'{where}.fractions', self.fractions)
        for value in self.fractions:
            check_number(f'{where}.fractions', value, 0.01, 1)
        if self.fraction_methods is not None:
            check_list(f'{where}.fraction_methods', self.fraction_methods)
        if self.rates is not None:
            check_list(f'{where}.rates', self.rates)
            for value in self.rates:
                check_number(f'{where}.rates', value, 1e-12)
        if self.size is not None:
            check_list(f'{where}.size', [self.size])
            if not isinstance(self.size, list) or len(self.size) != 2:
                raise ValueError(f'{where}.size must be [height, width], '
                                 f'found {self.size!r}')
            for value in self.size:
                check_number(f'{where}.size', value, 1, whole=True)

    @property
    def measures(self) -> Tuple[Measure, ...]:
        """The measures, the first one under the name given here."""
        first, *others = TASKS[self.task]
        if self.measure:
            first = replace(first, name=self.measure)
        return (first, *others)

    @property
    def chooser(self) -> Measure:
        """The measure that chooses rates."""
        name = CHOOSERS.get(self.task)
        return next((m for m in self.measures if m.name == name),
                    self.measures[0])

    @property
    def shares(self) -> List[float]:
        """The shares of the training pairs, rising; the last one is 1."""
        return sorted({*self.fractions, 1.})


@dataclass(frozen=True)
class Claim:
    """That one method is better than another."""

    text: str
    better: str
    than: str


@dataclass(frozen=True)
class Study:
    """A study at one of its lengths; see :func:`read_study`."""

    title: str
    setting: str
    about: str
    methods: Dict[str, Method]
    subjects: Dict[str, Subject]
    seeds: List[int]
    reference: str
    contrasts: List[Tuple[str, str]]
    claims: List[Claim]
    workers: int
    checkpoint_interval: Optional[int]
    keep_weights: str


_STUDY_KEYS = ('title', 'about', 'methods', 'datasets', 'reference',
               'contrasts', 'claims', 'settings')
_SETTING_KEYS = ('about', 'methods', 'datasets', 'seeds', 'workers',
                 'checkpoint_interval', 'keep_weights')
# Of a data set, those that a setting gives all of its data sets.
_SHARED_KEYS = ('steps', 'tuning_steps', 'batch', 'rates', 'tuning_seeds',
                'held_out', 'fractions', 'fraction_methods', 'step_seconds',
                'test_seconds')


def _check_keys(where: str, content: Any, known: Any) -> None:
    """Raise if a value is no mapping or has a key that nobody reads."""
    check_mapping(where, content)
    unknown = [key for key in content if key not in known]
    if unknown:
        raise ValueError(f'{where} has no {unknown}; it has {list(known)}')


def _check_entries(where: str, content: Any) -> None:
    """Raise if a value is no mapping of mappings."""
    if not isinstance(content, Mapping) or not all(
            isinstance(entry, Mapping) for entry in content.values()):
        raise ValueError(f'{where} must give names mappings, found '
                         f'{content!r}'[:300])


def _known(where: str, names: Any, known: Mapping[str, Any]) -> None:
    """Raise if something is named that does not exist."""
    # A list, because names of a file may be what no mapping can look up.
    unknown = [name for name in names if name not in list(known)]
    if unknown:
        raise ValueError(f'{where} names {unknown}, which the study does not '
                         f'have; it has {list(known)}')


def _build(kind: type, where: str, name: str, content: Any) -> Any:
    """Build one of the classes above of a mapping."""
    known = [f.name for f in fields(kind) if f.name != 'name']
    _check_keys(where, content, known)
    missing = [
        key for key in ('task', 'config') if key in known
        and key not in content
    ]
    if missing:
        raise ValueError(f'{where} lacks {missing}')
    return kind(name=name, **content)


class _Loader(yaml.SafeLoader):
    """A loader to which a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode,
                          deep: bool = False) -> Dict[Any, Any]:
        """Construct a mapping; YAML's own takes the last of equal keys."""
        names = [key.value for key, _ in node.value
                 if isinstance(key, yaml.ScalarNode)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'{twice} come twice in the mapping that begins '
                             f'in line {node.start_mark.line + 1}')
        return super().construct_mapping(node, deep)


def read_study(path: Union[str, Path], setting: Optional[str] = None) -> Study:
    """Read a study file.

    Args:
        path (str | Path): The YAML file.
        setting (str, optional): Which of its lengths. Default: None, the
            first one.

    Returns:
        Study: All of it, checked.

    Raises:
        FileNotFoundError: If there is no such file, or no config that it
            names.
        ValueError: If it is no YAML, or a key or a value does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no such study: {path}')
    try:
        content = yaml.load(path.read_text(encoding='utf-8'), _Loader)
        study = _parse(content, setting)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is no YAML: {error}') from error
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    for name, subject in study.subjects.items():
        config = (path.parent / subject.config).resolve()
        if not config.is_file():
            raise FileNotFoundError(f'{path}: datasets.{name}.config is '
                                    f'{config}, which does not exist')
        study.subjects[name] = replace(subject, config=str(config))
    return study


def _parse(content: Any, setting: Optional[str]) -> Study:
    """Turn the content of a file into a study."""
    _check_keys('a study', content, _STUDY_KEYS)
    lacking = [
        key for key in ('title', 'methods', 'datasets', 'reference',
                        'settings') if not content.get(key)
    ]
    if lacking:
        raise ValueError(f'the study lacks {lacking}')
    check_text('title', content['title'])
    for key in ('methods', 'datasets', 'settings'):
        _check_entries(key, content[key])
        for name in content[key]:
            check_name(key, name)
    settings = content['settings']
    setting = next(iter(settings)) if setting is None else setting
    if setting not in settings:
        raise ValueError(f'no setting {setting!r}; there are '
                         f'{list(settings)}')
    chosen = settings[setting]
    _check_keys(f'settings.{setting}', chosen, _SETTING_KEYS + _SHARED_KEYS)

    every_method = {
        name: _build(Method, f'methods.{name}', name, entry)
        for name, entry in content['methods'].items()
    }
    names = chosen.get('methods') or list(every_method)
    check_list(f'settings.{setting}.methods', names)
    _known(f'settings.{setting}.methods', names, every_method)

    overrides = chosen.get('datasets') or list(content['datasets'])
    if not isinstance(overrides, Mapping):
        check_list(f'settings.{setting}.datasets', overrides)
    _known(f'settings.{setting}.datasets', overrides, content['datasets'])
    if not isinstance(overrides, Mapping):
        overrides = dict.fromkeys(overrides)
    _check_entries(f'settings.{setting}.datasets',
                   {name: changes or {}
                    for name, changes in overrides.items()})
    shared = {key: chosen[key] for key in _SHARED_KEYS if key in chosen}
    subjects = {}
    for name, changes in overrides.items():
        entry = dict(content['datasets'][name])
        entry.update(shared)
        entry.update(changes or {})
        subject = _build(Subject, f'datasets.{name}', name, entry)
        _known(f'datasets.{name}.fraction_methods',
               subject.fraction_methods or [], names)
        subjects[name] = subject

    seeds = chosen.get('seeds', [0, 1, 2])
    check_list(f'settings.{setting}.seeds', seeds)
    for seed in seeds:
        check_number(f'settings.{setting}.seeds', seed, 0, 2**31, True)
    for name, subject in subjects.items():
        check_number(f'datasets.{name}.tuning_seeds', subject.tuning_seeds, 1,
                     len(seeds), True)
    reference = content['reference']
    _known('reference', [reference], every_method)
    contrasts = content.get('contrasts') or []
    if contrasts:
        check_list('contrasts', contrasts)
    for pair in contrasts:
        if not isinstance(pair, list) or len(pair) != 2 or (
                pair[0] == pair[1]):
            raise ValueError('a contrast names two methods, found '
                             f'{pair!r}')
        _known('contrasts', pair, every_method)
    claims = []
    if content.get('claims'):
        check_list('claims', content['claims'])
    for entry in content.get('claims') or []:
        _check_keys('a claim', entry, ('text', 'better', 'than'))
        if len(entry) < 3:
            raise ValueError('a claim has text, better and than, found '
                             f'{dict(entry)}')
        check_text('the text of a claim', entry['text'])
        claim = Claim(**entry)
        _known('claims', (claim.better, claim.than), every_method)
        if claim.better == claim.than:
            raise ValueError(f'a claim compares two methods, found {entry}')
        claims.append(claim)

    about = chosen.get('about') or content.get('about') or ''
    if about:
        check_text('about', about)
    interval = chosen.get('checkpoint_interval')
    if interval is not None:
        check_number('checkpoint_interval', interval, 1, whole=True)
    workers = chosen.get('workers', 1)
    check_number('workers', workers, 0, 64, whole=True)
    keep = chosen.get('keep_weights', 'none')
    if keep not in KEPT_WEIGHTS:
        raise ValueError(f'keep_weights must be one of {KEPT_WEIGHTS}, found '
                         f'{keep!r}')
    return Study(
        title=content['title'],
        setting=setting,
        about=about,
        methods={name: every_method[name]
                 for name in names},
        subjects=subjects,
        seeds=seeds,
        reference=reference,
        contrasts=[tuple(pair) for pair in contrasts],
        claims=claims,
        workers=workers,
        checkpoint_interval=interval,
        keep_weights=keep)
