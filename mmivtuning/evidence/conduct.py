"""Carrying a study out: look, plan, choose rates, train, report."""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .recipes import Run, make_run, score
from .scheduling import (
    Result,
    interruptible,
    load_failure,
    load_result,
    load_samples,
    run_all,
)
from .statistics import predicts_one_class
from .study import Method, Study
from .subjects import Absent, Present, find, fraction_of
from .trial import locked

# From the start of a process to its first step, and from its last to its end.
START_SECONDS = 12.
RUNS = 'runs'


@dataclass(frozen=True)
class Choice:
    """The rate of a method on a data set.

    Args:
        rate (float, optional): None if every rate crashed.
        scores (dict[float, float]): On the held-out pairs, by rate, the mean
            over seeds; empty without tuning.
        remark (str): Why it may not be the best one. Default: ''.
    """

    rate: Optional[float]
    scores: Dict[float, float]
    remark: str = ''


Choices = Dict[Tuple[str, str], Choice]


class Conductor:
    """A study in a folder.

    Args:
        study (Study): The study.
        out (Path): The folder, which may have some of it.
        say (Callable): Is given lines for the user.

    Attributes:
        present (list[Present]): The data sets that can be used.
        absent (list[Absent]): Those that cannot.
    """

    def __init__(self, study: Study, out: Path,
                 say: Callable[[str], None]) -> None:
        self.study = study
        self.out = out
        self.say = say
        self.runs = out / RUNS
        self._made: Dict[Tuple[Any, ...], Run] = {}
        self._crashed: Set[str] = set()
        self._step: Dict[Tuple[str, str], float] = {}
        found = [
            find(subject, out / 'data') for subject in study.subjects.values()
        ]
        self.present = [one for one in found if isinstance(one, Present)]
        self.absent = [one for one in found if isinstance(one, Absent)]
        for present in self.present:
            _check_shares(present)
        self._tuning: Dict[Tuple[str, str], List[Run]] = {
            (present.subject.name, method.name): self._tuning_runs(
                present, method)
            for present in self.present for method in study.methods.values()
        }

    # What there is to do.

    def _make(self, present: Present, method: Method, *args: Any,
              **kwargs: Any) -> Run:
        """Make a run, once."""
        key = (present.subject.name, method.name, *args,
               *sorted(kwargs.items()))
        if key not in self._made:
            self._made[key] = make_run(self.study, present, method, *args,
                                       **kwargs)
        return self._made[key]

    def _tuning_runs(self, present: Present, method: Method) -> List[Run]:
        """List the runs that choose the rate of a method on a data set."""
        rates = present.subject.rates
        if rates is None or len(rates) < 2:
            return []
        return [
            self._make(present, method, seed, rate, tuning=True)
            for rate in sorted(rates)
            for seed in self.study.seeds[:present.subject.tuning_seeds]
        ]

    def tuning_runs(self) -> List[Run]:
        """List all runs that choose rates."""
        return [run for runs in self._tuning.values() for run in runs]

    def choices(self) -> Choices:
        """Choose rates of the results that there are.

        A method whose tuning is not finished is left out.
        """
        chosen = {}
        for present in self.present:
            for method in self.study.methods:
                key = (present.subject.name, method)
                choice = self._choose(present, self._tuning[key])
                if choice is not None:
                    chosen[key] = choice
        return chosen

    def _choose(self, present: Present, runs: List[Run]) -> Optional[Choice]:
        """Choose one rate; None as long as runs are missing."""
        subject = present.subject
        if not runs:
            rates = subject.rates or [
                present.config.optim_wrapper.optimizer.lr
            ]
            return Choice(rates[0], {})
        found: Dict[float, List[Result]] = {run.rate: [] for run in runs}
        for run in runs:
            result = load_result(self.runs, run)
            if result is not None:
                found[run.rate].append(result)
            elif load_failure(self.runs, run) is None:
                return None
        whole = {rate: results for rate, results in found.items()
                 if len(results) == subject.tuning_seeds}
        if not whole:
            return Choice(None, {}, 'every rate crashed')
        measure = subject.chooser
        scores = {
            rate: mean(score(r['scores']['pair'], measure) for r in results)
            for rate, results in whole.items()
        }
        sign = -1 if measure.lower_is_better else 1
        # A score that is none is the worst one.
        best = max(scores, key=lambda r: (
            -math.inf if math.isnan(scores[r]) else sign * scores[r],
            -mean(result['loss'] for result in whole[r])))
        remarks = []
        if list(scores.values()).count(scores[best]) > 1:
            remarks.append('several rates score alike: the one with the '
                           'lowest training loss')
        if all(predicts_one_class(load_samples(self.runs, run, 'pair'))
               for run in runs if run.rate == best):
            remarks.append('one class only is predicted at it')
        ends = {'lowest': min(subject.rates), 'highest': max(subject.rates)}
        remarks += [
            f'the {name} of the grid' for name, end in ends.items()
            if best == end
        ]
        lost = len(found) - len(whole)
        if lost:
            remarks.append(f'{lost} rate(s) crashed')
        return Choice(best, scores, '; '.join(remarks))

    def final_runs(self, choices: Choices) -> List[Run]:
        """List the runs that are compared: seed by seed, all pairs first."""
        listed = []
        fractions = sorted(
            {share for p in self.present for share in p.subject.shares},
            reverse=True)
        for fraction in fractions:
            for seed in self.study.seeds:
                for present in self.present:
                    listed += self._final_runs(present, choices, seed,
                                               fraction)
        return listed

    def _final_runs(self, present: Present, choices: Choices, seed: int,
                    fraction: float) -> List[Run]:
        """List the runs of a seed and fraction on a data set."""
        subject = present.subject
        if fraction not in subject.shares:
            return []
        names = list(self.study.methods)
        if fraction < 1 and subject.fraction_methods:
            names = [n for n in names if n in subject.fraction_methods]
        listed = []
        for name in names:
            choice = choices.get((subject.name, name))
            if choice is not None and choice.rate is not None:
                listed.append(
                    self._make(present, self.study.methods[name], seed,
                               choice.rate, fraction))
        return listed

    def all_runs(self) -> List[Run]:
        """List every run; where no rate is chosen yet, with any one."""
        choices = self.choices()
        for present in self.present:
            rate = (present.subject.rates or [1e-4])[0]
            for method in self.study.methods:
                choices.setdefault((present.subject.name, method),
                                   Choice(rate, {}))
        return self.tuning_runs() + self.final_runs(choices)

    # How long it takes.

    def seconds(self, run: Run) -> float:
        """Estimate the time of a run on one core."""
        present = next(
            p for p in self.present if p.subject.name == run.subject)
        subject = present.subject
        steps = subject.tuning_steps if run.tuning else subject.steps
        tested = present.tested
        if run.tuning:
            tested = round(subject.held_out * len(present.positions))
        step = self._step.get(
            (run.subject, run.method),
            subject.step_seconds * self.study.methods[run.method].cost)
        return (START_SECONDS + steps * step +
                tested * len(run.tests) * subject.test_seconds)

    def remaining(self) -> Tuple[int, float]:
        """Count the runs that are not finished, and estimate their time.

        Steps take as long as they did in finished runs, if there are any.
        """
        left = []
        for run in self.all_runs():
            result = load_result(self.runs, run)
            if result is None:
                left.append(run)
            else:
                self._step[run.subject, run.method] = result['step_seconds']
        left = [run for run in left if run.identity not in self._crashed]
        return len(left), sum(self.seconds(run) for run in left)

    def plan(self, jobs: int) -> str:
        """Describe what is going to be done, and how long it takes."""
        study = self.study
        lines = [f'{study.title}: setting {study.setting!r}']
        if study.about:
            lines.append(' '.join(study.about.split()))
        lines.append(f'methods ({len(study.methods)}): '
                     f'{", ".join(study.methods)}')
        lines.append(f'seeds: {", ".join(map(str, study.seeds))}')
        for present in self.present:
            subject = present.subject
            rates = len(subject.rates or [])
            tuned = (f'{rates} rates of {subject.tuning_steps} steps, '
                     f'{subject.tuning_seeds} seed(s)'
                     if rates > 1 else 'no choice of rates')
            shares = ', '.join(f'{f:.0%}' for f in
                               subject.shares)
            lines.append(
                f'{subject.name}: {len(present.positions)} training and '
                f'{present.tested} validation pairs; {subject.steps} steps '
                f'of {subject.batch} pairs; {tuned}; {shares} of the pairs')
        lines += [f'{one.subject.name}: ABSENT, {one.reason}'
                  for one in self.absent]
        number, seconds = self.remaining()
        lines.append(
            f'runs: {len(self.all_runs())}, of which {number} are to be '
            f'done, {jobs} at a time; about {duration(seconds / jobs)} where '
            'every one has a quiet core of its own '
            f'({duration(seconds)} of computing)')
        return '\n'.join(lines)

    # Doing it.

    def conduct(self, jobs: int = 1) -> int:
        """Do all that is not done yet.

        Args:
            jobs (int): Runs at a time. Default: 1.

        Returns:
            int: Number of runs that crashed.

        Raises:
            RuntimeError: If another process conducts a study in the folder.
            KeyboardInterrupt: If it is interrupted.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with locked(self.out, 'conducts a study in'), interruptible():
            run_all(self.tuning_runs(), self.runs, jobs, self._tell)
            runs = self.final_runs(self.choices())
            run_all(runs, self.runs, jobs, self._tell)
        return len(self._crashed)

    def _tell(self, run: Run, what: str) -> None:
        """Tell the user what became of a run."""
        if what == 'crashed':
            self._crashed.add(run.identity)
        if what in ('found', 'starts'):
            self.say(f'{what:8} {run.label}')
            return
        number, seconds = self.remaining()
        self.say(f'{what:8} {run.label}; {number} to go, about '
                 f'{duration(seconds)} of computing')


def _check_shares(present: Present) -> None:
    """Raise if two shares are the same training pairs."""
    shares = present.subject.shares
    numbers = [len(fraction_of(present.positions, share, 0))
               for share in shares]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f'datasets.{present.subject.name}.fractions: of '
                         f'{len(present.positions)} training pairs, the '
                         f'shares {shares} are {numbers}: each must be '
                         'another number')


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    if seconds < 5400:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h'
