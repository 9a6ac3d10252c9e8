"""Tables and verdicts of results that are known."""

import csv
import json

import numpy as np
import pytest

from mmivtuning.evidence.conduct import duration
from mmivtuning.evidence.report import write
from mmivtuning.evidence.scheduling import FAILURE
from mmivtuning.evidence.study import TASKS, Subject
from mmivtuning.evidence.tables import Outcome

# By method: scores of the seeds 0, 1, 2.
SCORES = dict(
    iv=(60., 61., 62.), full=(50., 51.5, 52.), frozen=(55., 51., 49.),
    seen=(40., 41., 42.))


def areas(quality):
    """Areas whose mIoU is a quality, four pairs, three classes."""
    union = np.full((4, 3), 1000.)
    return np.stack([union * quality / 100, union], 1)


@pytest.fixture
def finished(conductor, pretend):
    """A study in which everything was trained."""
    one = conductor()
    for run in one.final_runs(one.choices()):
        value = SCORES[run.method][run.seed]
        pretend(one, run, value, areas(value))
    return one


def rows(path):
    """The rows of a CSV file."""
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_the_page(finished, tmp_path):
    path = write(Outcome(finished.study, finished), tmp_path / 'page', 'do it')
    text = path.read_text()
    assert ('| iv | 3 | 61.0 ± 1.0 | 51.0 ± 1.0 | 41.0 ± 1.0 | 0.390 ± 0.010 '
            '| 1,234 |') in text
    assert '| seen | 3 | 41.0 ± 1.0 | not tested | not tested |' in text
    assert '| iv − full | +9.8 | +10.0, +9.5, +10.0 | ' in text
    assert '| iv beats full (iv − full) | holds (+9.8) |' in text
    assert '| full beats frozen (full − frozen) | undecided (-0.5) |' in text
    assert 'Not finished' not in text
    assert 'One class only' not in text
    assert 'peak MB' not in text  # no GPU
    assert (path.parent / 'scores.png').stat().st_size > 1000
    assert not (path.parent / 'fractions.png').exists()


def test_the_tables(finished, tmp_path):
    write(Outcome(finished.study, finished), tmp_path / 'page', 'do it')
    found = rows(tmp_path / 'page' / 'runs.csv')
    # Three conditions for three methods, one for the fourth.
    assert len(found) == 2 * 3 * (3 * 3 + 1)
    assert {row['measure'] for row in found} == {'mIoU', 'cross entropy'}
    found = rows(tmp_path / 'page' / 'differences.csv')
    assert [(r['better'], r['than']) for r in found] == [
        ('iv', 'full'), ('iv', 'frozen'), ('iv', 'seen'), ('full', 'frozen')]
    first = found[0]
    assert float(first['mean']) == pytest.approx(29.5 / 3)
    assert float(first['seeds low']) < float(first['mean'])
    # All pairs are alike: the interval over them has no width.
    assert float(first['pairs low']) == pytest.approx(29.5 / 3)


def test_what_a_gpu_held_is_told_where_there_is_one(conductor, pretend,
                                                    tmp_path):
    one = conductor()
    runs = one.final_runs(one.choices())
    for run in runs:
        peak = dict(iv=3_000_000, full=None).get(run.method, 5_000_000)
        pretend(one, run, 50., peak_bytes=peak)
    text = write(Outcome(one.study, one), tmp_path / 'page', 'do it')
    lines = text.read_text().splitlines()
    header = next(line for line in lines if line.startswith('| method'))
    assert header.endswith('| MB kept for backward | peak MB of the GPU | '
                           'rate |')
    for name, cells in (('iv', '| 2 | 3 | 0.001 |'),
                        ('full', '| 2 | – | 0.001 |'),
                        ('frozen', '| 2 | 5 | 0.001 |')):
        assert next(line for line in lines if line.startswith(
            f'| {name} |')).endswith(cells)
    found = {(row['method'], row['peak bytes'])
             for row in rows(tmp_path / 'page' / 'runs.csv')}
    assert found == {('iv', '3000000'), ('full', ''), ('frozen', '5000000'),
                     ('seen', '5000000')}


def test_processors_are_told(conductor, pretend, tmp_path):
    one = conductor()
    for run in one.final_runs(one.choices()):
        kind = dict(iv='x86_64, AVX512', full=None).get(run.method,
                                                        'x86_64, AVX2')
        pretend(one, run, 50., **(dict(computed_on=kind) if kind else {}))
    text = write(Outcome(one.study, one), tmp_path / 'page',
                 'do it').read_text()
    assert '- processors: not told; x86_64, AVX2; x86_64, AVX512\n' in text


def test_unfinished_and_crashed_runs_are_told(conductor, pretend, tmp_path):
    one = conductor()
    runs = one.final_runs(one.choices())
    for run in runs[:5]:
        pretend(one, run, 50.)
    folder = one.runs / runs[5].folder
    folder.mkdir(parents=True)
    (folder / FAILURE).write_text(
        json.dumps(dict(reason='KeyError: a | b (exit status 1)')))
    text = write(Outcome(one.study, one), tmp_path / 'page', 'x').read_text()
    assert '**Not finished: 6 of the runs known so far' in text
    assert runs[5].label in text
    assert r'KeyError: a \| b' in text
    # Three methods have one seed yet: it is not enough to judge.
    assert 'not measured' in text
    assert '(one seed)' in text


def test_a_page_without_any_result(conductor, tmp_path):
    one = conductor()
    text = write(Outcome(one.study, one), tmp_path / 'page', 'x').read_text()
    assert '**Not finished: 12' in text
    assert '.png' not in text


def test_absent_sets_are_on_the_page(conductor, study_content, tmp_path,
                                     monkeypatch):
    monkeypatch.delenv('MMIVTUNING_REAL_DATA', raising=False)
    content = study_content()
    tiny = content['datasets']['tiny']
    content['datasets']['field'] = dict(
        task='segmentation', config=tiny['config'], folder='cwfid')
    one = conductor(**content)
    assert [a.subject.name for a in one.absent] == ['field']
    assert 'field: ABSENT, MMIVTUNING_REAL_DATA is not set' in one.plan(1)
    text = write(Outcome(one.study, one), tmp_path / 'page', 'x').read_text()
    assert '- field: MMIVTUNING_REAL_DATA is not set' in text


def test_runs_that_predict_one_class_are_named(conductor, pretend, tmp_path):
    one = conductor()
    lazy = areas(90.)
    lazy[:, 0, 1:] = 0
    for run in one.final_runs(one.choices()):
        pretend(one, run, 30., lazy if run.method == 'full' else areas(30.))
    text = write(Outcome(one.study, one), tmp_path / 'page', 'x').read_text()
    line = next(t for t in text.splitlines() if 'One class only' in t)
    assert 'tiny-full-100-0.001-seed0 (loss 0.500)' in line
    assert line.count('tiny-full') == 3
    assert 'tiny-iv' not in line
    # Wherever such runs are compared, it is said.
    assert '| iv beats full (iv − full) | undecided (+0.0), one class only |' \
        in text
    assert 'undecided (one class only: 3 runs) |' in text
    found = {(r['better'], r['than']): r['runs that predict one class only']
             for r in rows(tmp_path / 'page' / 'differences.csv')}
    assert found['iv', 'full'] == '3'
    assert found['iv', 'frozen'] == '0'


@pytest.fixture
def tuned(conductor, study_content):
    """A study with three rates, and shares of the pairs."""
    content = study_content()
    content['settings']['short'].update(
        rates=[1e-4, 1e-3, 1e-2], fractions=[0.5, 1],
        fraction_methods=['iv', 'full'])
    return conductor(**content)


def test_rates_are_chosen_method_by_method(tuned, pretend, tmp_path):
    assert tuned.final_runs(tuned.choices()) == []
    # 3 rates of 4 methods; then 4 methods and half the pairs for two.
    number, seconds = tuned.remaining()
    assert number == 12 + 3 * 4 + 3 * 2
    assert '30 are to be done' in tuned.plan(2)
    best = dict(iv=1e-3, full=1e-4)
    for run in tuned.tuning_runs():
        if run.method == 'seen' and run.rate == 1e-2:
            folder = tuned.runs / run.folder
            folder.mkdir(parents=True)
            (folder / FAILURE).write_text('{"reason": "diverged"}')
            continue
        value = 50. if run.rate == best.get(run.method) else 40.
        # Alike, `frozen` is told apart by its loss.
        pretend(tuned, run, value, loss=1 - run.rate)
    choices = {method: choice
               for (_, method), choice in tuned.choices().items()}
    assert choices['iv'].rate == 1e-3
    assert choices['iv'].remark == ''
    assert choices['full'].rate == 1e-4
    assert choices['full'].remark == 'the lowest of the grid'
    assert choices['frozen'].rate == 1e-2
    assert 'several rates score alike' in choices['frozen'].remark
    assert choices['seen'].rate == 1e-3
    assert '1 rate(s) crashed' in choices['seen'].remark
    runs = tuned.final_runs(tuned.choices())
    assert len(runs) == 18
    assert {run.rate for run in runs if run.method == 'full'} == {1e-4}
    # All pairs come first.
    assert [run.fraction for run in runs] == [1.] * 12 + [0.5] * 6
    for run in runs:
        value = 60. * run.fraction - (run.method == 'full') * (3. + run.seed)
        pretend(tuned, run, value, areas(value))
    page = write(Outcome(tuned.study, tuned), tmp_path / 'page', 'x')
    text = page.read_text()
    assert ('| tiny | iv | cross entropy, lowest | 0.600 | 0.500 | 0.600 '
            '| 0.001 | – |') in text
    assert 'mIoU in percent, cross entropy in nats a pixel: mean' in text
    assert ' | 0.400 ± 0.000 | 1,234 | ' in text
    assert 'By share of the training pairs' in text
    assert (page.parent / 'fractions.png').is_file()
    assert '| iv | 30.0 ± 0.0 | 60.0 ± 0.0 |' in text
    assert '| iv − full, 50% | +4.0 | +3.0, +4.0, +5.0 | ' in text
    # Others have no run at that share.
    assert 'iv − frozen, 50%' not in text
    found = [(row['better'], row['than'], float(row['fraction']))
             for row in rows(page.parent / 'differences.csv')]
    assert found == [
        *((a, b, 1.) for a, b in Outcome(tuned.study, tuned).contrasts()),
        ('iv', 'full', .5)
    ]


def test_a_rate_is_chosen_by_the_mean_of_several_seeds(
        conductor, study_content, pretend, tmp_path):
    content = study_content()
    content['settings']['short'].update(
        methods=['iv', 'full'], rates=[1e-4, 1e-3], tuning_seeds=2)
    one = conductor(**content)
    assert len(one.tuning_runs()) == 2 * 2 * 2
    assert '2 rates of 2 steps, 2 seed(s)' in one.plan(1)
    # The higher rate leads on the first seed, and learns nothing on the next.
    scores = {(1e-4, 0): 60., (1e-4, 1): 58., (1e-3, 0): 64., (1e-3, 1): 20.}
    *most, last = one.tuning_runs()
    for run in most:
        pretend(one, run, scores[run.rate, run.seed])
    assert {method for _, method in one.choices()} == {'iv'}
    folder = one.runs / last.folder
    folder.mkdir(parents=True)
    (folder / FAILURE).write_text('{"reason": "diverged"}')
    choices = {method: choice for (_, method), choice in one.choices().items()}
    assert choices['iv'].rate == choices['full'].rate == 1e-4
    assert choices['iv'].scores == pytest.approx({1e-4: .41, 1e-3: .58})
    assert '1 rate(s) crashed' in choices['full'].remark
    text = write(Outcome(one.study, one), tmp_path / 'page', 'x').read_text()
    assert 'mean over seeds (tiny: 2)' in text
    assert ('| tiny | iv | cross entropy, lowest | 0.410 | 0.580 | 0.0001 '
            '|') in text


def test_a_method_whose_rates_all_crash_is_left_out(tuned):
    for run in tuned.tuning_runs():
        folder = tuned.runs / run.folder
        folder.mkdir(parents=True)
        (folder / FAILURE).write_text('{"reason": "diverged"}')
    assert {c.rate for c in tuned.choices().values()} == {None}
    assert tuned.final_runs(tuned.choices()) == []


def test_a_rate_at_which_one_class_is_predicted_is_told(tuned, pretend):
    lazy = areas(90.)
    lazy[:, 0, 1:] = 0
    for run in tuned.tuning_runs():
        pretend(tuned, run, 30. + (run.rate == 1e-3),
                lazy if run.method == 'full' else areas(30.))
    remarks = {method: choice.remark
               for (_, method), choice in tuned.choices().items()}
    assert remarks['full'] == 'one class only is predicted at it'
    assert remarks['iv'] == ''


def test_where_one_class_is_predicted_the_loss_chooses(tuned, pretend):
    losses = {1e-4: 0.3, 1e-3: 0.2, 1e-2: float('nan')}
    for run in tuned.tuning_runs():
        pretend(tuned, run, 30., scores=dict(
            pair=dict(mIoU=30., cross_entropy=losses[run.rate])))
    assert {c.rate for c in tuned.choices().values()} == {1e-3}


def test_boxes_and_objects_choose_rates_by_their_first_measure(study_content):
    tiny = study_content()['datasets']['tiny']
    named = {task: Subject('one', **dict(tiny, task=task)).chooser.name
             for task in TASKS}
    assert named == dict(segmentation='cross entropy', detection='mAP',
                         saliency='S-measure')


def test_a_plot_of_an_earlier_state_goes(finished, tmp_path):
    folder = tmp_path / 'page'
    folder.mkdir()
    (folder / 'fractions.png').write_text('of other settings')
    write(Outcome(finished.study, finished), folder, 'do it')
    assert not (folder / 'fractions.png').exists()


def test_results_of_shares_alone_have_a_page(conductor, study_content,
                                             pretend, tmp_path):
    content = study_content()
    content['settings']['short']['fractions'] = [0.5, 1]
    one = conductor(**content)
    for run in one.final_runs(one.choices()):
        if run.fraction < 1:
            pretend(one, run, 50.)
    path = write(Outcome(one.study, one), tmp_path / 'page', 'do it')
    assert 'Not finished' in path.read_text()
    assert not (path.parent / 'costs.png').exists()


def test_shares_that_are_the_same_pairs(conductor, study_content):
    content = study_content()
    content['settings']['short']['fractions'] = [0.5, 0.97, 1]
    with pytest.raises(ValueError, match=r'are \[4, 8, 8\]'):
        conductor(**content)


@pytest.mark.parametrize('damage', ['cut', 'empty', 'absent', 'test'])
def test_a_run_without_its_samples_is_done_again(finished, damage):
    run = finished.final_runs(finished.choices())[0]
    path = finished.runs / run.folder / 'samples.npz'
    content = path.read_bytes()
    if damage == 'absent':
        path.unlink()
    elif damage == 'test':
        np.savez(path, other=np.zeros(3))
    else:
        path.write_bytes(content[:len(content) // 2 * (damage == 'cut')])
    # It would make a verdict stronger: one interval less.
    assert run in Outcome(finished.study, finished).waiting


def test_damage_within_the_samples(finished, tmp_path):
    run = finished.final_runs(finished.choices())[0]
    path = finished.runs / run.folder / 'samples.npz'
    content = bytearray(path.read_bytes())
    content[60:160] = bytes(100)
    path.write_bytes(content)
    page = write(Outcome(finished.study, finished), tmp_path / 'page', 'x')
    assert '| iv beats full (iv − full) | holds over seeds (' in (
        page.read_text())


@pytest.mark.parametrize('broken', ['', '{', '[]', '{"status": "done"}'])
def test_a_broken_result_is_none(conductor, broken):
    one = conductor()
    run = one.final_runs(one.choices())[0]
    folder = one.runs / run.folder
    folder.mkdir(parents=True)
    (folder / 'result.json').write_text(broken)
    assert run in Outcome(one.study, one).waiting


def test_durations_are_for_people():
    assert duration(20) == '20 s'
    assert duration(150) == '2 min'
    assert duration(7200) == '2.0 h'
