"""`mmivtuning predict`: many pairs, broken ones, interruptions."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools.coco import COCO

from mmivtuning.apis.predict_command import task_of
from mmivtuning.cli import main


def arguments(model, data, out, *more):
    return [
        'predict', '--config', model.config, '--weights', model.checkpoint,
        '--visible', data / 'visible', '--infrared', data / 'infrared',
        '--out', out, '--device', 'cpu', *more
    ]


@pytest.fixture
def predict(capsys):
    """Return a function that runs the command."""

    def run(*args):
        capsys.readouterr()
        status = main([str(part) for part in args])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def truncate(path, length):
    """Put the beginning of a file in its place; it links to all tests'."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:length])


def break_some(data):
    """Break three pairs of a folder, each in its way."""
    truncate(data / 'infrared/0003.png', 300)
    (data / 'infrared/0007.png').unlink()
    small = data / 'visible/0011.png'
    image = cv2.imread(str(small))
    small.unlink()
    cv2.imwrite(str(small), image[:50])


def results_of(out, task):
    suffix = 'json' if task == 'detection' else 'png'
    return sorted(path.name for path in (out / 'pred').rglob(f'*.{suffix}'))


def times_of(out):
    return {path: path.stat().st_mtime_ns
            for kind in ('pred', 'vis')
            for path in (out / kind).rglob('*.*')}


def test_broken_pairs_are_told_and_the_rest_is_done(
        trained, task, make_folders, tmp_path, predict):
    data, out = make_folders(20), tmp_path / 'out'
    break_some(data)
    command = arguments(trained[task], data, out, '--batch-size', 4)
    status, printed, errors = predict(*command)
    assert status == 0, errors
    assert 'WARNING' not in errors
    assert f'results: 17 in {out} (0 from before), errors: 3' in printed
    assert printed.count('\n') == 1
    told = [x for x in errors.splitlines() if x.startswith('error: ')]
    assert len(told) == 3
    for name, what in (('0007.png', 'no infrared partner'),
                       ('0003.png', 'truncated PNG'),
                       ('0011.png', 'must have one size')):
        assert any(name in line and what in line for line in told)
    assert len(results_of(out, task)) == 17
    # again: nothing is computed, the broken ones are told again
    before = times_of(out)
    status, printed, errors = predict(*command, '--strict')
    assert status == 1
    assert 'results: 17 in' in printed
    assert '(17 from before), errors: 3' in printed
    assert times_of(out) == before
    if task == 'detection':
        coco = COCO(str(out / 'predictions.json'))
        assert len(coco.getImgIds()) == 17
        assert len(coco.getAnnIds()) > 17


def test_results_equal_those_of_the_inferencer(
        trained, inferencer, task, make_folders, tmp_path, predict):
    data, out = make_folders(3), tmp_path / 'out'
    more = dict(
        segmentation=['--mask-format', 'palette'], saliency=['--float-maps'],
        detection=[])[task]
    status, printed, _ = predict(
        *arguments(trained[task], data, out, '--overlays', '--strict', *more))
    assert status == 0
    assert 'results: 3 in' in printed
    init_default_scope(inferencer.toolbox)
    folders = (str(data / 'visible'), str(data / 'infrared'))
    options = dict(
        segmentation=dict(mask_format='palette'),
        saliency=dict(float_maps=True), detection={})[task]
    inferencer(folders, out_dir=str(tmp_path / 'api'), **options)
    files = sorted(p.relative_to(tmp_path / 'api')
                   for p in (tmp_path / 'api').rglob('*.*'))
    assert len(files) == dict(
        segmentation=6, saliency=9, detection=7)[task]
    for file in files:
        assert (out / file).read_bytes() == (
            tmp_path / 'api' / file).read_bytes(), file
    assert {p.name for p in out.iterdir()} - {'predictions.json'} == {
        'pred', 'vis', 'manifest.jsonl'}


def test_only_what_changed_is_made_again(trained, make_folders, tmp_path,
                                         predict):
    model = trained['segmentation']
    data, out = make_folders(4), tmp_path / 'out'
    command = arguments(model, data, out)
    assert predict(*command)[0] == 0
    before = times_of(out)

    def changed(*args):
        nonlocal before
        status, printed, errors = predict(*args)
        assert status == 0, errors
        now = times_of(out)
        found = sorted(path.stem for path in now
                       if now[path] != before.get(path))
        before = now
        kept = int(re.search(r'\((\d+) from before\)', printed).group(1))
        assert kept + len({*found}) == 4
        return found, errors

    assert changed(*command)[0] == []
    # a result is gone
    (out / 'pred/0001.png').unlink()
    assert changed(*command)[0] == ['0001']
    # an input is another
    file = data / 'infrared/0002.png'
    content = (data / 'infrared/0003.png').read_bytes()
    file.unlink()
    file.write_bytes(content)
    assert changed(*command)[0] == ['0002']
    # a manifest was cut off, or is none
    manifest = out / 'manifest.jsonl'
    manifest.write_text(manifest.read_text()[:-20])
    assert len(changed(*command)[0]) == 1
    manifest.write_text('[1]\nnot json\n')
    assert len(changed(*command)[0]) == 4
    # another option, other weights, another config
    every = ['0000', '0001', '0002', '0003']
    found, errors = changed(*command, '--missing', 'infrared')
    assert found == every
    assert 'other weights or options' in errors
    other = tmp_path / 'other.pth'
    other.write_bytes(model.checkpoint.read_bytes() + b' ')
    weights = [str(other) if part == model.checkpoint else part
               for part in command]
    assert changed(*command)[0] == every
    assert changed(*weights)[0] == every
    assert changed(*weights)[0] == []
    assert changed(*weights, '--cfg-options',
                   'model.data_preprocessor.mean=[1,2,3,4]')[0] == every


def test_a_pair_that_breaks_loses_its_result(trained, make_folders, tmp_path,
                                             predict):
    data, out = make_folders(3), tmp_path / 'out'
    command = arguments(trained['detection'], data, out)
    assert predict(*command)[0] == 0
    file = data / 'infrared/0001.png'
    file.unlink()
    file.write_bytes(b'')
    status, printed, errors = predict(*command)
    assert 'results: 2 in' in printed
    assert '0001.png' in errors
    assert 'empty (0 bytes)' in errors
    assert results_of(out, 'detection') == ['0000.json', '0002.json']
    assert len(COCO(str(out / 'predictions.json')).getImgIds()) == 2
    # one that lost its partner, too
    (data / 'infrared/0002.png').unlink()
    assert 'results: 1 in' in predict(*command)[1]
    assert results_of(out, 'detection') == ['0000.json']


def test_two_runs_do_not_write_to_one_folder(trained, make_folders, tmp_path,
                                             predict):
    from mmivtuning.pairs.layout import locked
    data, out = make_folders(1), tmp_path / 'out'
    out.mkdir()
    command = arguments(trained['segmentation'], data, out)
    with locked(out):
        status, _, errors = predict(*command)
    assert status == 2
    assert 'another process writes to' in errors
    assert not list(out.iterdir())
    assert predict(*command)[0] == 0


def test_nothing_but_results_is_cleared(trained, make_folders, tmp_path,
                                        predict):
    data, out = make_folders(1), tmp_path / 'out'
    # what another machine is making, by the number of a process there
    theirs = out / 'data' / '.scenes.partial-999999999'
    theirs.mkdir(parents=True)
    mine = out / 'pred' / '.0000.png.partial-999999999'
    mine.parent.mkdir()
    mine.touch()
    assert predict(*arguments(trained['segmentation'], data, out))[0] == 0
    assert theirs.is_dir()
    assert not mine.exists()


def test_swapped_modalities_are_noted(trained, make_folders, tmp_path,
                                      predict):
    data, out = make_folders(1), tmp_path / 'out'
    command = arguments(trained['segmentation'], data, out)
    assert 'swapped' not in predict(*command)[2]
    (data / 'visible').rename(data / 'other')
    (data / 'infrared').rename(data / 'visible')
    (data / 'other').rename(data / 'infrared')
    assert 'are --visible and --infrared swapped?' in predict(*command)[2]


def test_a_batch_that_the_model_refuses_is_named(
        trained, make_folders, tmp_path, predict, monkeypatch):
    from mmivtuning.apis import PairedSegInferencer

    def fail(self, inputs, **kwargs):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(PairedSegInferencer, 'forward', fail)
    status, _, errors = predict(*arguments(
        trained['segmentation'], make_folders(3), tmp_path / 'out',
        '--batch-size', 2))
    assert status == 2
    assert 'error: 0000, 0001: out of memory' in errors


def test_one_pair_of_files_and_an_adapter(trained, build, pair_files,
                                          tmp_path, predict):
    from mmivtuning.engine.adapter import save_adapter
    model = trained['saliency']
    file = save_adapter(model.inferencer().model, tmp_path / 'a.safetensors')
    visible, infrared = pair_files[0]
    status, printed, errors = predict(
        'predict', '--config', model.config, '--weights', model.checkpoint,
        '--adapter', file, '--visible', visible, '--infrared', infrared,
        '--out', tmp_path / 'out', '--amp')
    assert status == 0, errors
    assert 'results: 1 in' in printed
    assert results_of(tmp_path / 'out', 'saliency') == [
        f'{Path(visible).stem}.png']


def test_videos_frame_by_frame(trained, pair_files, tmp_path, predict):
    paths = []
    for index, name in enumerate(('v.avi', 'i.avi')):
        paths.append(str(tmp_path / name))
        writer = cv2.VideoWriter(paths[-1], cv2.VideoWriter_fourcc(*'MJPG'),
                                 5, (140, 112))
        for pair in pair_files[:3]:
            writer.write(cv2.imread(pair[index]))
        writer.release()
    model, out = trained['segmentation'], tmp_path / 'out'
    command = ['predict', '--config', model.config, '--weights',
               model.checkpoint, '--visible', paths[0], '--infrared',
               paths[1], '--out', out]
    assert 'results: 3 in' in predict(*command)[1]
    assert results_of(out, 'segmentation') == [
        f'v_00000{n}.png' for n in range(3)]
    (out / 'pred/v_000001.png').unlink()
    assert '(2 from before)' in predict(*command)[1]


def test_results_of_other_weights_are_not_left_in_one_document(
        trained, make_folders, tmp_path, predict, monkeypatch):
    from mmivtuning.apis import PairedDetInferencer
    data, out = make_folders(2), tmp_path / 'out'
    command = arguments(trained['detection'], data, out)
    assert predict(*command)[0] == 0

    def stop(self, inputs, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(PairedDetInferencer, 'forward', stop)
    assert predict(*command, '--missing', 'visible')[0] == 130
    assert not (out / 'predictions.json').exists()


@pytest.mark.parametrize(('changes', 'message'), [
    (['--weights', 'nowhere.pth'], "--weights: no such path: 'nowhere.pth'"),
    (['--config', 'nowhere.py'], "--config: no such path: 'nowhere.py'"),
    (['--visible', 'nowhere'], "--visible: no such path: 'nowhere'"),
    (['--batch-size', '0'], '--batch-size must be at least 1'),
    (['--score-thr', '7'], '--score-thr must be from 0 to 1'),
    (['--device', 'toaster'], 'toaster'),
    (['--infrared-suffix', '_x.png'], "ends in '_x.png'"),
    (['--cfg-options', 'default_scope=mmpretrain'], 'give --task'),
    (['--cfg-options', 'nonsense'], "expected KEY=VALUE, got 'nonsense'"),
    (['--cfg-options', '=1'], "expected KEY=VALUE, got '=1'"),
    (['--cfg-options', 'model=3'], 'has no model with a backbone'),
    (['--task', 'detection'], ''),
])
def test_what_cannot_be_done_is_said(trained, make_folders, tmp_path, predict,
                                     changes, message):
    data, out = make_folders(1), tmp_path / 'out'
    status, printed, errors = predict(
        *arguments(trained['segmentation'], data, out, *changes))
    assert status == 2
    assert printed == ''
    assert errors.splitlines()[-1].startswith('error: ') or (
        'error: ' in errors)
    assert message in errors
    assert 'Traceback' not in errors
    assert not out.exists()


def test_results_do_not_go_where_images_are(trained, make_folders, predict,
                                            tmp_path):
    data = make_folders(1)
    for out in (data / 'visible', data / 'infrared/results'):
        status, _, errors = predict(
            *arguments(trained['segmentation'], data, out))
        assert status == 2
        assert 'results would be read as images' in errors
    # nor on them: `vis` is what many call their visible images
    for folder, more in (('vis', ['--overlays']), ('pred', [])):
        (data / 'visible').rename(data / folder)
        before = (data / folder / '0000.png').read_bytes()
        command = arguments(trained['segmentation'], data, data, *more)
        command[command.index(data / 'visible')] = data / folder
        status, _, errors = predict(*command)
        assert status == 2
        assert 'results would replace images' in errors
        assert (data / folder / '0000.png').read_bytes() == before
        (data / folder).rename(data / 'visible')
    file = tmp_path / 'file'
    file.write_text('')
    status, _, errors = predict(
        *arguments(trained['segmentation'], data, file))
    assert status == 2
    assert 'expected a folder' in errors


def test_pairs_without_a_partner_at_all(trained, make_folders, tmp_path,
                                        predict):
    data = make_folders(2)
    for path in (data / 'infrared').iterdir():
        path.rename(path.with_name(f'other_{path.name}'))
    status, _, errors = predict(
        *arguments(trained['segmentation'], data, tmp_path / 'out'))
    assert status == 2
    assert 'no file of' in errors
    assert errors.count('has no infrared partner') == 2


def test_where_every_pair_is_broken_nothing_was_done(
        trained, make_folders, tmp_path, predict):
    data = make_folders(2)
    for path in list((data / 'infrared').iterdir()):
        truncate(path, 20)
    status, printed, errors = predict(
        *arguments(trained['segmentation'], data, tmp_path / 'out'))
    assert status == 2
    assert 'results: 0 in' in printed
    assert 'errors: 2' in printed


def test_weights_are_asked_for(trained, make_folders, tmp_path, predict):
    command = arguments(trained['segmentation'], make_folders(1),
                        tmp_path / 'out')
    del command[3:5]
    status, _, errors = predict(*command)
    assert status == 2
    assert 'give --weights' in errors


def test_tasks_are_told_from_configs(root):
    for path in sorted((root / 'configs').glob('[ds]*/*/*iv_*.py')):
        cfg = Config.fromfile(path)
        expected = dict(
            segmentation='segmentation', detection='detection',
            salient_object='saliency')[path.parent.parent.name]
        assert task_of(cfg) == expected, path
    assert task_of(Config(dict()), 'saliency') == 'saliency'
    with pytest.raises(ValueError, match='give --task'):
        task_of(Config(dict(default_scope='mmseg', model=dict(type='X'))))
    heads = [dict(num_classes=9), dict(num_classes=2, out_channels=1)]
    cfg = Config(dict(default_scope='mmseg', model=dict(decode_head=heads)))
    assert task_of(cfg) == 'saliency'


def start(model, data, out):
    """Start the command in a process that Ctrl-C reaches."""
    environment = dict(
        os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='-1')
    return subprocess.Popen(
        [sys.executable, '-m', 'mmivtuning',
         *map(str, arguments(model, data, out, '--overlays'))],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # the parent may ignore it, as shells let background jobs do
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler))


def interrupt(process, out, number, at_least):
    """Send a signal once so many pairs are done."""
    manifest = out / 'manifest.jsonl'
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        if manifest.is_file() and (
                manifest.read_text().count('\n') > at_least):
            break
        time.sleep(0.005)
    process.send_signal(number)
    return process.communicate(timeout=120)


@pytest.mark.parametrize(('number', 'expected'), [
    (signal.SIGINT, 130),
    pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
    pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow)
])
def test_an_interrupted_run_goes_on(trained, make_folders, tmp_path, predict,
                                    number, expected):
    data, out = make_folders(60), tmp_path / 'out'
    process = start(trained['detection'], data, out)
    _, errors = interrupt(process, out, number, 5)
    assert process.returncode == expected, errors
    if number == signal.SIGINT:
        assert 'interrupted: the same command goes on' in errors
        assert 'Traceback' not in errors
    done = times_of(out)
    assert 5 <= len(results_of(out, 'detection')) < 60
    # every file is whole
    for path in done:
        if '.partial-' in path.name:
            assert number == signal.SIGKILL
        elif path.suffix == '.json':
            json.loads(path.read_text())
        else:
            assert cv2.imread(str(path)) is not None
    status, printed, errors = predict(
        *arguments(trained['detection'], data, out, '--overlays'))
    assert status == 0, errors
    kept = int(re.search(r'\((\d+) from before\)', printed).group(1))
    assert 5 <= kept < 60
    now = times_of(out)
    assert sum(done.get(path) == when for path, when in now.items()
               if path.suffix == '.json') >= kept
    assert not list(out.rglob('.*.partial-*'))
    assert len(results_of(out, 'detection')) == 60
    assert len(COCO(str(out / 'predictions.json')).getImgIds()) == 60


@pytest.mark.slow
def test_two_hundred_pairs(trained, task, make_folders, tmp_path, predict):
    data, out = make_folders(200), tmp_path / 'out'
    break_some(data)
    command = arguments(trained[task], data, out, '--batch-size', 8)
    status, printed, errors = predict(*command)
    assert status == 0
    assert 'results: 197 in' in printed
    assert 'errors: 3' in printed
    assert len(results_of(out, task)) == 197
    assert predict(*command, '--strict')[0] == 1


def test_memory_does_not_grow_with_the_pairs(trained, make_folders, tmp_path,
                                             predict, monkeypatch):
    """At most a batch of loaded pairs is alive at any time."""
    import weakref

    from mmivtuning.apis.base import PairedInferencer
    alive, most = weakref.WeakSet(), []

    class Image(np.ndarray):
        """An array for sets."""

        __hash__ = object.__hash__

    load = PairedInferencer._load

    def counted(self, request):
        pair = load(self, request)
        image = pair.image.view(Image)
        alive.add(image)
        most.append(len(alive))
        return pair._replace(image=image)

    monkeypatch.setattr(PairedInferencer, '_load', counted)
    status, _, _ = predict(*arguments(
        trained['saliency'], make_folders(20), tmp_path / 'out',
        '--batch-size', 2))
    assert status == 0
    assert len(most) == 20
    # a batch that was just done, and the one that is being filled
    assert max(most) <= 5


def test_help_says_what_comes_out_without_torch():
    code = ('import sys; from mmivtuning.cli import main\n'
            'try: main(["predict", "--help"])\n'
            'finally: assert "torch" not in sys.modules')
    printed = subprocess.run(
        [sys.executable, '-c', code], check=True, text=True,
        stdout=subprocess.PIPE).stdout
    for part in ('--visible PATH', 'manifest.jsonl', 'exit status',
                 'segmentation,detection,saliency'):
        assert part in printed
