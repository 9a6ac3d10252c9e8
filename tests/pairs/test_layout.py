"""All or nothing: how a data set is written."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mmivtuning.pairs.layout import (
    PairStatistics,
    atomic_folder,
    locked,
    run_length,
    unfinished,
)
from mmivtuning.pairs.reporting import write_atomically

ROOT = Path(__file__).resolve().parents[2]


def names(folder: Path) -> list:
    return sorted(path.name for path in folder.iterdir())


def test_appears_when_finished(tmp_path):
    out = tmp_path / 'deep' / 'out'
    with atomic_folder(out) as folder:
        (folder / 'meta.json').write_text('1')
        assert not out.exists()
        assert folder.parent == out.parent
    assert names(out) == ['meta.json']
    assert names(out.parent) == ['out']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_keeps_what_was_there(tmp_path, error):
    out = tmp_path / 'out'
    with atomic_folder(out) as folder:
        (folder / 'meta.json').write_text('old')

    def fail() -> None:
        with atomic_folder(out, force=True) as folder:
            (folder / 'meta.json').write_text('new')
            raise error

    with pytest.raises(error):
        fail()
    assert (out / 'meta.json').read_text() == 'old'
    assert names(tmp_path) == ['out']


def test_force_replaces_a_data_set_only(tmp_path):
    out = tmp_path / 'out'
    for content in ('old', 'new'):
        with atomic_folder(out, force=True) as folder:
            (folder / 'meta.json').write_text(content)
            (folder / content).write_text('')
    assert names(out) == ['meta.json', 'new']
    (out / 'meta.json').unlink()
    with pytest.raises(FileExistsError, match='no meta.json'), \
            atomic_folder(out, force=True):
        pass
    with pytest.raises(FileExistsError, match='--force'), atomic_folder(out):
        pass
    assert names(tmp_path) == ['out']


def test_an_empty_folder_is_free(tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    with atomic_folder(out) as folder:
        (folder / 'a').write_text('')
    assert names(out) == ['a']


def test_a_file_in_the_way(tmp_path):
    (tmp_path / 'out').write_text('mine')
    for force in (False, True):
        with pytest.raises(FileExistsError, match='out'), \
                atomic_folder(tmp_path / 'out', force):
            pass
    assert (tmp_path / 'out').read_text() == 'mine'


def test_from_another_thread(tmp_path):

    def write() -> None:
        with atomic_folder(tmp_path / 'out') as folder:
            (folder / 'a').write_text('')

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert names(tmp_path / 'out') == ['a']


def test_killed_while_writing_and_started_again(tmp_path):
    code = ('import sys, time\n'
            'from pathlib import Path\n'
            'from mmivtuning.pairs.layout import atomic_folder\n'
            'with atomic_folder(Path(sys.argv[1])) as folder:\n'
            "    (folder / 'half').write_text('')\n"
            '    time.sleep(60)\n')
    out = tmp_path / 'dir' / 'out'
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    process = subprocess.Popen([sys.executable, '-c', code,
                                str(out)],
                               env=environment)
    while not list(out.parent.glob('.out.partial-*/half')):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not out.exists()
    with atomic_folder(out) as folder:
        (folder / 'whole').write_text('')
    assert names(out.parent) == ['out']
    assert names(out) == ['whole']


def test_a_swap_that_was_cut_off_is_brought_back(tmp_path):
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    out = tmp_path / 'out'
    old = tmp_path / f'.out.old-{ended.pid}'
    old.mkdir()
    (old / 'meta.json').write_text('old')

    def fail() -> None:
        with atomic_folder(out, force=True):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert (out / 'meta.json').read_text() == 'old'
    assert names(tmp_path) == ['out']


def test_statistics_equal_numpy():
    rng = np.random.default_rng(0)
    statistics, pixels = PairStatistics(), []
    assert statistics.result() is None
    for size in ((5, 7), (8, 3)):
        visible = rng.integers(0, 256, (*size, 3), np.uint8)
        infrared = rng.integers(0, 256, size, np.uint8)
        statistics.add(PairStatistics.of_pair(visible, infrared))
        pixels.append(
            np.dstack([visible[..., ::-1], infrared]).reshape(-1, 4))
    pixels = np.concatenate(pixels).astype(float)
    result = statistics.result()
    assert np.allclose(result['mean'], pixels.mean(0), atol=6e-4)
    assert np.allclose(result['std'], pixels.std(0), atol=6e-4)


@pytest.mark.parametrize('mask', [
    np.zeros((3, 4), bool),
    np.ones((3, 4), bool),
    np.random.default_rng(0).random((5, 9)) < 0.5
])
def test_run_lengths(mask):
    codec = pytest.importorskip('pycocotools.mask')
    runs = run_length(mask)
    assert np.array_equal(
        codec.decode(codec.frPyObjects(runs, *mask.shape)), mask)


def test_one_process_at_a_time(tmp_path):
    with locked(tmp_path):
        with pytest.raises(RuntimeError, match='another process writes to'):
            with locked(tmp_path):
                pass
    with locked(tmp_path):
        assert names(tmp_path) == []


def test_names_as_long_as_a_file_system_allows(tmp_path):
    path = tmp_path / ('字' * 83 + '.png')
    other = path.with_name('字' * 83 + '.txt')
    write_atomically(path, b'1')
    write_atomically(other, b'2')
    assert path.read_bytes() + other.read_bytes() == b'12'
    assert len(names(tmp_path)) == 2
    # what a killed process left of it is cleared
    dead = subprocess.run(
        [sys.executable, '-c', 'import os; print(os.getpid())'],
        check=True, stdout=subprocess.PIPE, text=True)
    left = unfinished(path, 'partial')
    left = left.with_name(f"{left.name.rpartition('-')[0]}-{int(dead.stdout)}")
    left.touch()
    write_atomically(path, b'3')
    assert len(names(tmp_path)) == 2
