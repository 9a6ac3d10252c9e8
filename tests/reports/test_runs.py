"""What runs leave is read, and what cannot be read is told."""

import json
import math

import pytest

from mmivtuning.reports.runs import (
    choose_run,
    find_runs,
    last_tables,
    read_run,
)


def test_a_run_is_read(write_run):
    run = read_run(write_run())
    assert [record.step for record in run.train] == [10, 20]
    assert run.train[-1].values['loss'] == 0.5
    assert [record.values['mIoU'] for record in run.val] == [45., 51.75]
    assert run.problems == ()
    log = run.log
    assert log.name == 'tiny_20250131_120000'
    assert log.started == '2025/01/31 12:00:00'
    assert log.ended == '2025/01/31 12:00:05'
    assert log.reached == 'iteration 20 of 20'
    assert dict(log.environment) == {
        'sys.platform': 'linux',
        'Python': '3.11.7 (main) [GCC 12.2.0]',
        'PyTorch': '2.1.2+cu121',
        'TorchVision': '0.16.2+cu121',
        'cudnn_benchmark': 'True',
        'seed': '0'
    }


def test_the_last_table_of_classes(write_run):
    log = read_run(write_run()).log
    assert [table.step for table in log.tables] == [10, 20]
    table, = last_tables(log.tables)
    assert table.phase == 'val'
    assert table.titles == ('Class', 'IoU', 'Acc')
    assert table.rows == (('background', '91.00', '96.00'),
                          ('<car>', '12.50', '20.00'))


def test_without_scalars_the_text_log_serves(write_run):
    run = read_run(write_run(scalars=None))
    assert [(record.step, record.values['loss']) for record in run.train
            ] == [(10, 0.9), (20, 0.5)]
    # the remaining time is not a number
    assert 'eta' not in run.train[0].values
    assert [(record.step, record.values['mIoU']) for record in run.val
            ] == [(10, 45.), (20, 51.75)]
    assert 'text log' in run.problems[0]


def test_without_a_text_log(write_run):
    run = read_run(write_run(log=None))
    assert len(run.train) == 2
    assert 'environment' in run.problems[0]


def test_the_log_of_a_run_that_was_cut_off(write_run):
    scalars = ('{"lr": 0.1, "loss": 1.0, "iter": 10, "step": 10}\n'
               'garbage\n[1]\n{"loss": 2, "step": "x"}\n'
               '{"lr": 0.1, "loss": NaN, "iter": 20, "step": 20}\n'
               '{"lr": 0.1, "loss": 0.')
    run = read_run(write_run(scalars=scalars))
    assert [record.step for record in run.train] == [10, 20]
    cut, lost = run.problems
    assert '4 lines' in cut
    assert 'line 2, 3, 4, 6' in cut
    assert 'not finite 1 times, first at iteration 20' in lost


def test_a_file_without_a_readable_line(write_run):
    folder = write_run(log='', scalars='\0\0\0{{{')
    with pytest.raises(ValueError, match='1 lines cannot be read'):
        choose_run(folder.parent)


def test_validations_counted_in_epochs(write_run):
    """mmengine gives them the number of the epoch as step."""
    scalars = []
    for epoch in (1, 2):
        scalars += [
            dict(lr=.1, loss=1., epoch=epoch, iter=10 * epoch,
                 step=10 * epoch),
            {'coco/bbox_mAP': .5, 'coco/bbox_mAP_s': -1., 'step': epoch}
        ]
    run = read_run(write_run(scalars=scalars))
    assert [(r.step, r.epoch) for r in run.val] == [(10, 1), (20, 2)]
    # no objects of that size
    assert math.isnan(run.val[0].values['coco/bbox_mAP_s'])


def test_the_latest_run_that_trained(write_run):
    work_dir = write_run('20250131_120000').parent
    write_run('20250131_130000')
    tested = write_run('20250131_140000', scalars=None, log='')
    (tested / '20250131_140000.json').write_text(json.dumps({'mIoU': 50.}))
    (work_dir / 'checkpoints').mkdir()
    run, others = choose_run(work_dir)
    assert run.folder.name == '20250131_130000'
    assert [other.folder.name for other in others] == [
        '20250131_140000', '20250131_120000']
    assert others[0].tests == {'mIoU': 50.}
    run, others = choose_run(work_dir, '20250131_120000')
    assert run.folder.name == '20250131_120000'
    with pytest.raises(FileNotFoundError, match="no run 'x'; there are: 20"):
        choose_run(work_dir, 'x')


def test_the_folder_of_the_run_itself(write_run):
    folder = write_run()
    assert find_runs(folder) == [folder]
    # the output of a queue beside the runs
    (folder.parent / 'slurm.log').touch()
    assert find_runs(folder.parent) == [folder]


def test_folders_without_logs(write_run, tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder'):
        find_runs(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='has no logs of a run'):
        find_runs(tmp_path / 'empty')
    write_run()
    # one too high: it says where there is one
    with pytest.raises(FileNotFoundError, match='there are some in .*work'):
        find_runs(tmp_path)
    with pytest.raises(NotADirectoryError):
        find_runs(tmp_path / 'work/20250131_120000/20250131_120000.log')


def test_the_file_of_a_test_that_is_no_json(write_run):
    folder = write_run()
    (folder / '20250131_120000.json').write_text('[1, 2')
    assert 'json: ' in read_run(folder).problems[0]


def test_numbers_that_are_none(write_run):
    deep = '[' * 100_000
    scalars = (f'{{"loss": {10**400}, "step": 1, "iter": 1}}\n{deep}\n'
               '{"loss": 1, "step": Infinity, "iter": 1}\n'
               '{"loss": true, "lr": "x", "a": [1], "step": 3, "iter": 3}\n')
    folder = write_run(scalars=scalars)
    (folder / '20250131_120000.json').write_text(deep)
    run = read_run(folder)
    assert [(r.step, r.values) for r in run.train] == [(3, {})]
    assert len(run.problems) == 2
