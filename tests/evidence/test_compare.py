"""tools/compare.py as a user runs it: interrupted, restarted, crashing."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mmivtuning.evidence.trial import whole_checkpoint

ROOT = Path(__file__).parents[2]
STUDY = ROOT / 'configs/studies/evidence.yml'


@pytest.fixture(scope='module')
def tool(load_tool):
    """Return tools/compare.py as a module."""
    return load_tool('compare')


def start(study, out, *arguments):
    """Start a study; it is on the CPU, with one thread."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / 'tools/compare.py'), str(study), '--out',
         str(out), *arguments],
        cwd=ROOT,
        env=dict(os.environ, CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1'),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True)


def run(study, out, *arguments, status=0):
    """Run a study and return what it told."""
    process = start(study, out, *arguments)
    told, _ = process.communicate(timeout=600)
    assert process.returncode == status, told
    return told


def results(out):
    """The results that there are, by run, with the time of their file."""
    return {
        path.parent.name: (path.stat().st_mtime_ns, path.read_text())
        for path in (out / 'runs').glob('*/result.json')
    }


def alive(pid):
    """Whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_smallest_setting_goes_on_where_it_was_stopped(tmp_path):
    out = tmp_path / 'out'
    process = start(STUDY, out, '--setting', 'smoke')
    told = []
    for line in process.stdout:
        told.append(line)
        if line.startswith('done'):
            break
    process.send_signal(signal.SIGINT)
    told += process.stdout
    text = ''.join(told)
    assert process.wait(60) == 130, text
    # The plan comes before anything is done.
    assert text.index('runs: 4, of which 4') < text.index('starts')
    before = results(out)
    assert len(before) == 1
    assert 'Not finished: 3' in (out / 'results.md').read_text()

    told = run(STUDY, out, '--setting', 'smoke', '--jobs', '2')
    assert 'runs: 4, of which 3' in told, told
    after = results(out)
    assert len(after) == 4
    name, content = before.popitem()
    assert after[name] == content
    text = (out / 'results.md').read_text()
    assert 'Not finished' not in text
    assert '| iv | 2 | ' in text
    assert '| frozen | 2 | ' in text
    assert '- processors: ' in text
    assert 'not told' not in text
    assert all(json.loads(result)['peak_bytes'] is None  # no GPU
               for _, result in after.values())
    # Nothing but tables and plots may be published: no pair, no map of one.
    run(STUDY, out, '--setting', 'smoke', '--report', '--publish',
        str(tmp_path / 'shown'))
    assert {p.name for p in (tmp_path / 'shown').iterdir()} == {
        'results.md', 'runs.csv', 'summary.csv', 'differences.csv',
        'scores.png', 'costs.png'}
    assert results(out) == after
    pictures = [p for p in (out / 'runs').rglob('*')
                if p.suffix in ('.png', '.jpg')]
    assert pictures == []


def test_bad_studies_end_with_one_line(tmp_path):
    told = run(tmp_path / 'none.yml', tmp_path / 'out', status=2)
    assert told.startswith('error: no such study')


def test_a_study_without_any_data_is_an_error(study_file, study_content,
                                              tmp_path, monkeypatch):
    monkeypatch.delenv('MMIVTUNING_REAL_DATA', raising=False)
    content = study_content()
    tiny = content['datasets']['tiny']
    content['datasets'] = dict(field=dict(
        task='segmentation', config=tiny['config'], folder='cwfid'))
    told = run(study_file(**content), tmp_path / 'out', status=2)
    assert 'field: ABSENT' in told
    assert 'error: no data set of this setting is there' in told
    assert not (tmp_path / 'out').exists()


def test_only_tables_and_plots_are_published(tool, tmp_path):
    source, target = tmp_path / 'out', tmp_path / 'shown'
    source.mkdir()
    target.mkdir()
    for name in ('results.md', 'runs.csv', 'scores.png', 'prompts.png'):
        (source / name).write_text('new')
    (target / 'fractions.png').write_text('of another state')
    (target / 'README.md').write_text('kept')
    tool.publish(source, target)
    assert {path.name for path in target.iterdir()} == {
        'results.md', 'runs.csv', 'scores.png', 'README.md'}
    with pytest.raises(ValueError, match='is --out'):
        tool.publish(source, source / '..' / 'out')


@pytest.mark.parametrize(('study', 'shown'), [
    ('configs/studies/evidence.yml', 'configs/studies/evidence.yml'),
    (str(STUDY), 'configs/studies/evidence.yml'),
    ('/elsewhere/mine.yml', 'mine.yml'),
])
def test_pages_name_no_folder_of_this_machine(tool, study, shown,
                                              monkeypatch):
    monkeypatch.chdir(ROOT)
    args = tool.parse_args([study, '--setting', 'small', '--out', '/tmp/out'])
    assert tool.command_of(args) == (
        f'python tools/compare.py {shown} --setting small --out OUT')


def test_workers_change_no_figure(study_file, study_content, tmp_path):
    found = []
    for workers in (0, 1):
        content = study_content()
        content['settings']['short'].update(
            methods=['frozen'], seeds=[0], steps=2, workers=workers)
        out = tmp_path / str(workers)
        run(study_file(**content), out)
        _, text = results(out).popitem()[1]
        found.append(json.loads(text))
    assert found[0]['backward_bytes'] == found[1]['backward_bytes'] > 0
    assert found[0]['scores'] == found[1]['scores']
    assert found[0]['loss'] == found[1]['loss']


@pytest.mark.slow
def test_a_crash_is_recorded_and_the_others_go_on(study_file, study_content,
                                                  tmp_path):
    content = study_content()
    content['methods']['broken'] = dict(
        backbone=dict(tuning='iv', tuning_options=dict(nonsense=1)))
    content['settings']['short'].update(
        methods=['broken', 'frozen'], seeds=[0], steps=2, tuning_steps=1,
        rates=[1e-4, 1e-3])
    out = tmp_path / 'out'
    told = run(study_file(**content), out, status=1)
    assert told.count('crashed') == 2
    text = (out / 'results.md').read_text()
    assert "has no tuning_options ['nonsense']" in text
    assert '| frozen | 1 |' in text
    assert '## Rates' in text


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'config', 'measure'), [
    ('boxes', 'detection/scenes/'
     'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py', 'mAP50'),
    ('salient', 'salient_object/scenes/'
     'vit-tiny-random_segformer_iv_4i_scenes-saliency-56x70.py', 'S-measure'),
])
def test_other_tasks(study_file, study_content, tmp_path, name, config,
                     measure):
    content = study_content()
    tiny = content['datasets'].pop('tiny')
    task = 'detection' if name == 'boxes' else 'saliency'
    content['datasets'][name] = dict(
        tiny, task=task, config=str(ROOT / 'configs' / config))
    content['settings']['short'].update(
        methods=['iv'], seeds=[0], steps=2, tuning_steps=1, rates=[1e-4, 1e-3],
        keep_weights='all')
    out = tmp_path / 'out'
    run(study_file(**content), out)
    text = (out / 'results.md').read_text()
    assert f'{measure}, pair' in text
    assert len(list((out / 'runs').glob('*/adapter.safetensors'))) == 1


@pytest.mark.slow
def test_a_run_goes_on_from_its_checkpoint(study_file, study_content,
                                           tmp_path):
    content = study_content()
    content['settings']['short'].update(
        methods=['iv'], seeds=[0], steps=120, checkpoint_interval=5)
    study, out = study_file(**content), tmp_path / 'out'
    process = start(study, out)
    end = time.monotonic() + 120
    while not list(out.glob('runs/*/iter_*.pth')):
        assert time.monotonic() < end
        time.sleep(0.05)
    children = subprocess.run(
        ['ps', '-o', 'pid=', '--ppid', str(process.pid)],
        stdout=subprocess.PIPE, text=True).stdout.split()
    # Killed, not asked: what it started ends all the same.
    process.kill()
    process.wait()
    end = time.monotonic() + 30
    while any(alive(int(pid)) for pid in children):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert not results(out)
    run(study, out)
    folder = next((out / 'runs').iterdir())
    assert 'resumed epoch: 0, iter: ' in (folder / 'log.txt').read_text()
    assert not list(folder.glob('*.pth'))
    _, text = results(out).popitem()[1]
    assert json.loads(text)['steps'] == 120


def test_truncated_checkpoints_are_passed_over(tmp_path):
    assert whole_checkpoint(tmp_path) is None
    for step in (5, 10):
        torch.save(dict(step=step), tmp_path / f'iter_{step}.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_15.pth'))
    data = (tmp_path / 'iter_10.pth').read_bytes()
    (tmp_path / 'iter_15.pth').write_bytes(data[:len(data) // 2])
    assert whole_checkpoint(tmp_path).name == 'iter_10.pth'


def test_another_process_keeps_out(study_file, study_content, tmp_path):
    path = study_file(**study_content())
    out = tmp_path / 'out'
    out.mkdir()
    with open(out / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = run(path, out, status=2)
    assert 'another process conducts a study' in told
