"""A conversion that was interrupted is gone on with, to the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from mmivtuning.pairs import conversion
from mmivtuning.pairs.conversion import convert
from mmivtuning.pairs.layout import Interrupted
from mmivtuning.pairs.sources import Item, Plan

FACTS = dict(
    task='detection', classes=('car', 'person'), palette=[[0] * 3] * 2,
    source='here', licence='none', splits={}, subsets={})
RECIPE = dict(version=1)
COUNT = 24


def make_plan(root, count=COUNT):
    rng = np.random.default_rng(0)
    items = []
    for number in range(count):
        names = dict(visible='png', infrared='png', yolo='txt')
        paths = {k: root / k / f'{number:03}.{v}' for k, v in names.items()}
        if not paths['yolo'].exists():
            for key, path in paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                shape = (30, 40, 3) if key == 'visible' else (30, 40)
                if key != 'yolo':
                    cv2.imwrite(str(path), rng.integers(0, 255, shape))
            paths['yolo'].write_text(f'{number % 2} 0.5 0.5 0.33 0.21\n')
        split = 'val' if number % 3 == 0 else 'train'
        items.append(Item(split, f'{number:03}', **paths))
    return Plan(items, {}, [])


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*') if path.is_file()
    }


def interrupt_after(count):

    def progress(records, total):
        assert total == COUNT
        for number, record in enumerate(records):
            if number == count:
                raise KeyboardInterrupt
            yield record

    return progress


def interrupted(plan, out, count, **options):
    with pytest.raises(KeyboardInterrupt):
        convert('set', plan, out, RECIPE, facts=FACTS,
                progress=interrupt_after(count), **options)
    assert not out.exists()
    [left] = out.parent.glob(f'.{out.name}.partial-*')
    return left


@pytest.fixture
def whole(tmp_path):
    convert('set', make_plan(tmp_path / 'source'), tmp_path / 'whole', RECIPE,
            facts=FACTS)
    return contents(tmp_path / 'whole')


@pytest.fixture
def converted(monkeypatch):
    """Stems of the pairs that were decoded in this process."""
    seen, read = [], conversion._read

    def note(item):
        seen.append(item.stem)
        return read(item)

    monkeypatch.setattr(conversion, '_read', note)
    return seen


@pytest.mark.parametrize('link', [False, True])
def test_gone_on_with(tmp_path, whole, converted, link):
    plan, out = make_plan(tmp_path / 'source'), tmp_path / 'a' / 'out'
    interrupted(plan, out, 10, link=link)
    interrupted(plan, out, 15, link=link)
    assert len(converted) == 16  # the last one was on its way
    convert('set', plan, out, RECIPE, facts=FACTS, link=link)
    assert len(converted) == COUNT
    assert contents(out) == whole
    assert [path.name for path in out.parent.iterdir()] == ['out']


def test_what_changed_is_converted_again(tmp_path, whole, converted):
    plan, out = make_plan(tmp_path / 'source'), tmp_path / 'a' / 'out'
    left = interrupted(plan, out, 10)
    journal = left / 'journal.jsonl'
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 12
    # Killed within the last line.
    journal.write_bytes(b''.join(lines[:-1]) + lines[-1][:-5])
    image = np.full((30, 40), 7, np.uint8)
    cv2.imwrite(str(plan.items[4].infrared), image)
    plan.items[5].yolo.write_text('0 0.25 0.25 0.1 0.1\n')
    del converted[:]
    convert('set', plan, out, RECIPE, facts=FACTS)
    assert converted == ['004', '005'] + [f'{n:03}' for n in range(10, COUNT)]
    convert('set', plan, tmp_path / 'new', RECIPE, facts=FACTS)
    assert contents(out) == contents(tmp_path / 'new') != whole


@pytest.mark.parametrize('line', [
    b'5\n', b'null\n', b'[[1], "x", {}]\n', b'["train", "x", 1]\n', b'{}\n',
    b'["train", "001", {}]\n', b'\0\xff\n', b'["train", "001", {}]'])
def test_a_line_that_is_no_entry(tmp_path, whole, line):
    plan, out = make_plan(tmp_path / 'source'), tmp_path / 'a' / 'out'
    left = interrupted(plan, out, 10)
    with open(left / 'journal.jsonl', 'ab') as file:
        file.write(line)
    interrupted(plan, out, 15)
    convert('set', plan, out, RECIPE, facts=FACTS)
    assert contents(out) == whole


@pytest.mark.parametrize('damage', ['missing', 'empty'])
def test_a_file_that_is_no_more_is_made_again(tmp_path, whole, damage):
    plan, out = make_plan(tmp_path / 'source'), tmp_path / 'a' / 'out'
    left = interrupted(plan, out, 10)
    for path in left.rglob('*.png'):
        path.unlink() if damage == 'missing' else path.write_bytes(b'')
    convert('set', plan, out, RECIPE, facts=FACTS)
    assert contents(out) == whole


def test_links_to_sources_are_not_written_through(tmp_path):
    facts = dict(FACTS, task='saliency', classes=())
    items = []
    for item in make_plan(tmp_path / 'source').items:
        mask = tmp_path / 'source' / 'mask' / f'{item.stem}.png'
        mask.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(mask), np.full((30, 40), 255, np.uint8))
        items.append(item._replace(yolo=None, mask=mask))
    options = dict(facts=facts, link=True)
    out = tmp_path / 'a' / 'out'
    with pytest.raises(KeyboardInterrupt):
        convert('set', Plan(items, {}, []), out, RECIPE,
                progress=interrupt_after(10), **options)
    for item in items:  # to be binarised now, so not linked
        cv2.imwrite(str(item.mask), np.full((30, 40), 200, np.uint8))
    before = contents(tmp_path / 'source')
    convert('set', Plan(items, {}, []), out, RECIPE, **options)
    assert contents(tmp_path / 'source') == before
    masks = list((out / 'masks').rglob('*.png'))
    assert len(masks) == COUNT
    for mask in masks:
        assert not mask.is_symlink()
        assert (cv2.imread(str(mask), -1) == 255).all()


def test_killed_while_the_lists_are_written(tmp_path, whole, converted,
                                            monkeypatch):
    plan, out = make_plan(tmp_path / 'source'), tmp_path / 'a' / 'out'

    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(conversion, 'write_json', killed)
        with pytest.raises(SystemExit):
            convert('set', plan, out, RECIPE, facts=FACTS)
    del converted[:]
    convert('set', plan, out, RECIPE, facts=FACTS)
    assert converted == []
    assert contents(out) == whole


def test_a_worker_that_is_killed(tmp_path, whole, monkeypatch):
    plan, out = make_plan(tmp_path / 'source'), tmp_path / 'a' / 'out'
    main, put = os.getpid(), conversion._put

    def killing(source, target, link):
        if os.getpid() != main and source.stem == '020':
            os.kill(os.getpid(), signal.SIGKILL)
        return put(source, target, link)

    with monkeypatch.context() as patch:
        patch.setattr(conversion, '_put', killing)
        with pytest.raises(Interrupted, match='a process was killed'):
            convert('set', plan, out, RECIPE, facts=FACTS, jobs=2)
    assert list(out.parent.glob('.out.partial-*/journal.jsonl'))
    convert('set', plan, out, RECIPE, facts=FACTS, jobs=2)
    assert contents(out) == whole


@pytest.mark.parametrize('change', ['recipe', 'link', 'pairs', 'journal'])
def test_another_conversion_starts_anew(tmp_path, converted, change):
    plan, out = make_plan(tmp_path / 'source'), tmp_path / 'a' / 'out'
    left = interrupted(plan, out, 10)
    recipe, options = RECIPE, {}
    if change == 'recipe':
        recipe = dict(version=2)
    elif change == 'link':
        options = dict(link=True)
    elif change == 'pairs':
        plan = make_plan(tmp_path / 'source', 20)
    else:
        (left / 'journal.jsonl').write_text('no json')
    del converted[:]
    convert('set', plan, out, recipe, facts=FACTS, **options)
    assert len(converted) == len(plan.items)
    found = json.loads((out / 'meta.json').read_text())['counts']
    assert sum(found.values()) == len(plan.items)
    assert [path.name for path in out.parent.iterdir()] == ['out']
    assert len(list((out / 'visible').rglob('*.png'))) == len(plan.items)


@pytest.mark.parametrize('number', [
    signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_with_workers(tmp_path, whole, number):
    out = tmp_path / 'a' / 'out'
    code = f'''
import signal, sys, time
# What runs the tests in the background may ignore it, which is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(__file__.rpartition('/')[0])!r})
from pathlib import Path
from test_journal import FACTS, RECIPE, convert, make_plan

def slowly(records, total):
    for record in records:
        time.sleep(0.2)
        yield record

convert('set', make_plan(Path({str(tmp_path / 'source')!r})),
        Path({str(out)!r}), RECIPE, facts=FACTS, jobs=2, progress=slowly)
'''
    process = subprocess.Popen([sys.executable, '-c', code],
                               start_new_session=True)
    deadline = time.time() + 60
    journals = []
    while not journals or journals[0].read_bytes().count(b'\n') < 5:
        assert process.poll() is None, 'it ended before it was killed'
        assert time.time() < deadline
        time.sleep(0.05)
        journals = list(out.parent.glob('.out.partial-*/journal.jsonl'))
    if number == signal.SIGINT:  # as a terminal does
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait(60)
    assert not out.exists()
    assert journals[0].is_file()
    convert('set', make_plan(tmp_path / 'source'), out, RECIPE, facts=FACTS,
            jobs=2)
    assert contents(out) == whole
    assert [path.name for path in out.parent.iterdir()] == ['out']
