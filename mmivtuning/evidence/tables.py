"""Tables of a study, as rows."""

from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

import numpy as np

from .conduct import Conductor
from .recipes import Run, score
from .scheduling import Result, load_failure, load_result, load_samples
from .statistics import Difference, compare, deviation, predicts_one_class
from .study import Measure, Study

RUN_COLUMNS = ('data set', 'method', 'fraction', 'seed', 'rate', 'tested on',
               'measure', 'score', 'loss', 'step seconds', 'backward bytes',
               'peak bytes', 'trainable in the backbone', 'trainable',
               'steps')
SUMMARY_COLUMNS = ('data set', 'method', 'fraction', 'tested on', 'measure',
                   'seeds', 'mean', 'standard deviation')
DIFFERENCE_COLUMNS = ('data set', 'better', 'than', 'fraction', 'measure',
                      'seeds', 'mean', 'standard deviation', 'seeds low',
                      'seeds high', 'pairs low', 'pairs high', 'verdict',
                      'runs that predict one class only')


class Cell(NamedTuple):
    """A measure of a method over seeds."""

    mean: float
    deviation: float
    by_seed: Dict[int, float]


class Cost(NamedTuple):
    """What a method costs: name, key of a result, scale and format."""

    name: str
    key: str
    scale: float
    form: str


COSTS = (Cost('trainable in the backbone', 'trainable_backbone', 1, ',.0f'),
         Cost('median s a step', 'step_seconds', 1, '.2f'),
         Cost('MB kept for backward', 'backward_bytes', 1e6, ',.0f'),
         Cost('peak MB of the GPU', 'peak_bytes', 1e6, ',.0f'))


class Outcome:
    """What came out of a study so far.

    Args:
        study (Study): The study.
        conductor (Conductor): Which knows its runs.
    """

    def __init__(self, study: Study, conductor: Conductor) -> None:
        self.study = study
        self.folder: Path = conductor.runs
        self.choices = conductor.choices()
        self.present = conductor.present
        self.absent = conductor.absent
        self.results: Dict[Tuple[str, str, float, int],
                           Tuple[Run, Result]] = {}
        self.failures: List[Tuple[Run, str]] = []
        self.waiting: List[Run] = []
        self._idle: Dict[Tuple[str, str], List[Tuple[Run, float]]] = {}
        self.sources = set()
        self.processors: Set[str] = set()
        self.versions: List[Dict[str, str]] = []
        final = conductor.final_runs(self.choices)
        for run in conductor.tuning_runs() + final:
            self._take(run)

    def _take(self, run: Run) -> None:
        """Take in what there is of a run."""
        result = load_result(self.folder, run)
        if result is None:
            reason = load_failure(self.folder, run)
            if reason is None:
                self.waiting.append(run)
            else:
                self.failures.append((run, reason))
            return
        self.sources.add(result.get('sources'))
        self.processors.add(result.get('computed_on', 'not told'))
        if result['versions'] not in self.versions:
            self.versions.append(result['versions'])
        if not run.tuning:
            key = (run.subject, run.method, run.fraction, run.seed)
            self.results[key] = (run, result)

    def of(self, subject: str, method: str,
           fraction: float = 1.) -> Dict[int, Tuple[Run, Result]]:
        """Return the results of a method by seed."""
        return {
            seed: self.results[subject, method, fraction, seed]
            for seed in self.study.seeds
            if (subject, method, fraction, seed) in self.results
        }

    def cell(self, subject: str, method: str, measure: Measure,
             condition: str = 'pair', fraction: float = 1.
             ) -> Optional[Cell]:
        """Summarise a measure over seeds; None if there is nothing."""
        found = {
            seed: score(result['scores'][condition], measure)
            for seed, (_, result) in self.of(subject, method,
                                             fraction).items()
            if condition in result['scores']
        }
        if not found:
            return None
        values = list(found.values())
        return Cell(float(np.mean(values)), deviation(values), found)

    def cost(self, subject: str, method: str, cost: Cost) -> Optional[float]:
        """Return the median of a cost over seeds; None if there is none."""
        found = [r.get(cost.key) for _, r in self.of(subject, method).values()]
        found = [value for value in found if value is not None]
        return float(np.median(found)) / cost.scale if found else None

    def costs(self, subject: str) -> List[Cost]:
        """List the costs that are known; the peak of a GPU needs one."""
        return [
            cost for cost in COSTS
            if any(self.cost(subject, name, cost) is not None
                   for name in self.study.methods)
        ]

    def difference(self, subject: str, better: str, than: str,
                   measure: Measure,
                   fraction: float = 1.) -> Optional[Difference]:
        """Compare two methods on the pair."""
        cells = [
            self.cell(subject, name, measure, fraction=fraction)
            for name in (better, than)
        ]
        if None in cells:
            return None
        seeds = sorted(set(cells[0].by_seed) & set(cells[1].by_seed))
        samples = tuple([
            load_samples(self.folder,
                         self.of(subject, name, fraction)[seed][0], 'pair')
            for seed in seeds
        ] for name in (better, than))
        if not seeds or any(s is None for part in samples for s in part):
            samples = None
        return compare(cells[0].by_seed, cells[1].by_seed, samples)

    def idle(self, subject: str,
             measure: Measure) -> List[Tuple[Run, float]]:
        """List the runs that predict one thing only, with their losses.

        A segmentor that gets one class right and no other, a detector
        without any mAP: differences between them say nothing.
        """
        key = (subject, measure.key)
        if key not in self._idle:
            self._idle[key] = self._list_idle(subject, measure)
        return self._idle[key]

    def _list_idle(self, subject: str,
                   measure: Measure) -> List[Tuple[Run, float]]:
        """Read the samples of all runs on a data set."""
        listed = []
        for key, (run, result) in sorted(self.results.items()):
            if key[0] != subject:
                continue
            samples = load_samples(self.folder, run, 'pair')
            if predicts_one_class(samples) or (
                    measure.key.startswith('coco/')
                    and score(result['scores']['pair'], measure) == 0):
                listed.append((run, result['loss']))
        return listed

    def idle_of(self, subject: str, measure: Measure, methods: Iterable[str],
                fraction: float = 1.) -> int:
        """Count such runs of some methods on a share of the pairs."""
        return sum(run.method in methods and run.fraction == fraction
                   for run, _ in self.idle(subject, measure))

    def contrasts(self) -> List[Tuple[str, str]]:
        """List the pairs of methods that are compared."""
        study = self.study
        listed = []
        if study.reference in study.methods:
            listed += [(study.reference, name) for name in study.methods
                       if name != study.reference]
        for pair in study.contrasts:
            if set(pair) <= set(study.methods) and pair not in listed:
                listed.append(pair)
        return listed


def run_rows(outcome: Outcome) -> Iterator[Tuple[Any, ...]]:
    """Yield a row for each run, condition and measure."""
    for present in outcome.present:
        subject = present.subject
        for (name, method, fraction, seed), (run, result) in sorted(
                outcome.results.items()):
            if name != subject.name:
                continue
            for condition in run.tests:
                for measure in subject.measures:
                    yield (name, method, fraction, seed, run.rate, condition,
                           measure.name,
                           score(result['scores'][condition], measure),
                           result['loss'], result['step_seconds'],
                           result['backward_bytes'],
                           result.get('peak_bytes', ''),
                           result['trainable_backbone'], result['trainable'],
                           result['steps'])


def summary_rows(outcome: Outcome) -> Iterator[Tuple[Any, ...]]:
    """Yield a row for each method, fraction, condition and measure."""
    for present in outcome.present:
        subject = present.subject
        for method in outcome.study.methods.values():
            for fraction in subject.shares:
                for condition in method.tests:
                    for measure in subject.measures:
                        cell = outcome.cell(subject.name, method.name,
                                            measure, condition, fraction)
                        if cell is not None:
                            yield (subject.name, method.name, fraction,
                                   condition, measure.name,
                                   len(cell.by_seed), cell.mean,
                                   cell.deviation)


def difference_rows(outcome: Outcome) -> Iterator[Tuple[Any, ...]]:
    """Yield a row for each comparison, share of the pairs and data set."""
    for present in outcome.present:
        subject = present.subject
        measure = subject.measures[0]
        for fraction in reversed(subject.shares):
            for better, than in outcome.contrasts():
                found = outcome.difference(subject.name, better, than,
                                           measure, fraction)
                if found is not None:
                    nothing = ('', '')
                    yield (subject.name, better, than, fraction, measure.name,
                           len(found.by_seed), found.mean, found.deviation,
                           *(found.seeds or nothing),
                           *(found.pairs or nothing), found.verdict,
                           outcome.idle_of(subject.name, measure,
                                           (better, than), fraction))
