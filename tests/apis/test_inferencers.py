"""Every kind of input gives what files give, and what the runner gives."""

import copy
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from pycocotools.coco import COCO

from mmivtuning.engine.adapter import frozen_parameters, save_adapter
from mmivtuning.pairs import MissingPartnerError, PairError

SIZE = (112, 140)


def only(result):
    """The prediction of one pair, whether in a list or not."""
    found = result['predictions']
    return found[0] if isinstance(found, list) else found


def arrays_of(pair):
    return tuple(cv2.imread(path, cv2.IMREAD_UNCHANGED) for path in pair)


@pytest.fixture
def expected(inferencer, pair_files):
    """The prediction of the first pair."""
    return only(inferencer(pair_files[0]))


def test_predictions_have_the_form_of_their_task(expected, task):
    if task == 'detection':
        assert set(expected) == {'labels', 'scores', 'bboxes'}
        assert len(expected['labels']) > 3
        boxes = np.array(expected['bboxes'])
        assert boxes.shape == (len(expected['labels']), 4)
        assert (boxes.min(axis=0) >= 0).all()
        assert (boxes.max(axis=0) <= [140, 112] * 2).all()
        assert np.ptp(boxes[:, 2]) > 0
        return
    assert expected.shape == SIZE
    if task == 'saliency':
        assert expected.dtype == np.float32
        assert 0 <= expected.min() < expected.max() <= 1
    else:
        assert expected.dtype == np.int64
        assert len(np.unique(expected)) > 1


def test_every_kind_of_input_gives_the_same(inferencer, expected, pair_files,
                                            scenes, tmp_path, same):
    pair = pair_files[0]
    visible, infrared = arrays_of(pair)
    four = np.dstack([visible, infrared])
    cv2.imwrite(str(tmp_path / 'four.png'), four)
    for inputs in (tuple(map(Path, pair)), (visible, infrared), four,
                   str(tmp_path / 'four.png'), [pair], [list(pair)]):
        result = inferencer(inputs)
        assert same(only(result), expected)
        assert result['visualization'] == []
    folders = tuple(str(scenes / kind / 'val')
                    for kind in ('visible', 'infrared'))
    found = inferencer(folders)['predictions']
    assert len(found) == len(pair_files)
    assert same(found[0], expected)
    one_by_one = [only(inferencer(pair)) for pair in pair_files]
    assert all(map(same, found, one_by_one))
    assert not same(found[0], found[1])


def test_single_predictions_come_as_from_the_stock_classes(
        inferencer, pair_files, task):
    found = inferencer(pair_files[0])['predictions']
    assert isinstance(found, list) == (task == 'detection')
    assert isinstance(inferencer([pair_files[0]])['predictions'], list)
    assert inferencer([])['predictions'] == []


def test_data_samples(inferencer, pair_files, task):
    result = inferencer(pair_files, return_datasamples=True, batch_size=2)
    assert len(result['predictions']) == len(pair_files)
    sample = result['predictions'][1]
    assert sample.img_path == pair_files[1][0]
    assert sample.ori_shape == SIZE
    assert 'gt_instances' not in sample
    if task == 'detection':
        assert len(sample.pred_instances.bboxes)
    else:
        assert sample.pred_sem_seg.data.shape == (1, *SIZE)


def test_what_is_predicted_is_what_the_runner_predicts(
        trained, task, expected, pair_files, scenes, tmp_path, same):
    model = trained[task]
    cfg = Config.fromfile(model.config)
    cfg.work_dir = str(tmp_path / 'work')
    cfg.log_level = 'ERROR'
    cfg.load_from = str(model.checkpoint)
    cfg.test_dataloader.dataset.data_root = str(scenes)
    cfg.test_evaluator = dict(
        type='DumpResults', out_file_path=str(tmp_path / 'found.pkl'))
    cfg.experiment_name = f'{task}_{tmp_path.name}'
    init_default_scope(cfg.default_scope)
    Runner.from_cfg(cfg).test()
    found = {sample['img_path']: sample
             for sample in load(tmp_path / 'found.pkl')}
    sample = found[pair_files[0][0]]
    if task == 'detection':
        boxes = sample['pred_instances']
        sample = {key: boxes[key].tolist() for key in expected}
    elif task == 'saliency':
        sample = sample['seg_logits']['data'][0].numpy()
    else:
        sample = sample['pred_sem_seg']['data'][0].numpy()
    assert same(sample, expected)


def test_batches_do_not_change_results(inferencer, pair_files, tmp_path,
                                       same):
    """Neither their size nor neighbours of another size do."""
    visible, infrared = arrays_of(pair_files[0])
    wide = (np.tile(visible, (1, 2, 1)), np.tile(infrared, (1, 2)))
    inputs = [*pair_files, wide, *pair_files[:1], wide]
    alone = inferencer(inputs)['predictions']
    for batch_size in (3, 100):
        together = inferencer(inputs, batch_size=batch_size)['predictions']
        assert len(together) == len(inputs)
        for one, other in zip(alone, together):
            if isinstance(one, np.ndarray) and one.dtype == np.int64:
                assert (one == other).mean() > 0.999
            else:
                assert same(one, other, 1e-3)
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        inferencer(inputs, batch_size=0)


def test_sixteen_bit_infrared(inferencer, pair_files, tmp_path, same):
    visible, infrared = arrays_of(pair_files[0])
    deep = infrared.astype(np.uint16) * 100 + 5000
    cv2.imwrite(str(tmp_path / 'deep.png'), deep)
    assert same(
        only(inferencer((visible, deep))),
        only(inferencer((pair_files[0][0], str(tmp_path / 'deep.png')))))


def test_videos(inferencer, pair_files, tmp_path):
    paths = []
    for index, name in enumerate(('v.avi', 'i.avi')):
        paths.append(str(tmp_path / name))
        writer = cv2.VideoWriter(paths[-1], cv2.VideoWriter_fourcc(*'MJPG'),
                                 5, SIZE[::-1])
        for pair in pair_files[:3]:
            writer.write(cv2.imread(pair[index]))
        writer.release()
    result = inferencer(tuple(paths), out_dir=str(tmp_path / 'out'))
    assert len(result['predictions']) == 3
    names = sorted(p.stem for p in (tmp_path / 'out/pred').iterdir())
    assert names == [f'v_00000{n}' for n in range(3)]


def test_files_are_saved(inferencer, expected, pair_files, scenes, tmp_path,
                         task):
    folders = tuple(str(scenes / kind / 'val')
                    for kind in ('visible', 'infrared'))
    result = inferencer(folders, out_dir=str(tmp_path), return_vis=True)
    stems = [Path(pair[0]).stem for pair in pair_files]
    ending = '.json' if task == 'detection' else '.png'
    assert sorted(p.name for p in (tmp_path / 'pred').iterdir()) == [
        f'{stem}{ending}' for stem in stems]
    pictures = sorted((tmp_path / 'vis').iterdir())
    assert [p.stem for p in pictures] == stems
    shown = cv2.imread(str(pictures[0]))[..., ::-1]
    assert np.array_equal(shown, result['visualization'][0])
    panels = 4 if task == 'detection' else 3
    assert shown.shape[1] > panels * SIZE[1]
    assert shown.shape[1] < (panels + 1) * SIZE[1]
    if task == 'detection':
        check_coco(tmp_path / 'predictions.json', result['predictions'],
                   stems)
        return
    saved = cv2.imread(str(tmp_path / f'pred/{stems[0]}.png'), -1)
    if task == 'saliency':
        assert np.array_equal(saved, np.rint(expected * 255))
    else:
        assert np.array_equal(saved, expected)


def check_coco(path, predictions, stems):
    """That a document holds the predictions and pycocotools reads it."""
    coco = COCO(str(path))
    assert [i['file_name'] for i in coco.loadImgs(coco.getImgIds())] == [
        f'{stem}.png' for stem in stems]
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == [
        'car', 'person', 'sign', 'cone']
    assert len(coco.getAnnIds()) == sum(len(p['labels'])
                                        for p in predictions) > 0
    for number, found in enumerate(predictions, 1):
        boxes = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        assert [b['category_id'] - 1 for b in boxes] == found['labels']
        assert [b['score'] for b in boxes] == found['scores']
        left, top, width, height = np.array([b['bbox'] for b in boxes]).T
        assert np.allclose(
            np.stack([left, top, left + width, top + height], 1),
            found['bboxes'])
    results = coco.loadRes(json.loads(path.read_text())['annotations'])
    assert len(results.getAnnIds()) == len(coco.getAnnIds())


def test_nothing_is_saved_unless_asked_for(inferencer, pair_files, tmp_path):
    inferencer(pair_files[0], out_dir=str(tmp_path), no_save_vis=True)
    assert not (tmp_path / 'vis').exists()
    shutil.rmtree(tmp_path / 'pred')
    inferencer(pair_files[0], out_dir=str(tmp_path), no_save_pred=True)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ['vis']


def test_formats_of_files(inferencers, pair_files, tmp_path):
    inferencer = inferencers['segmentation']
    init_default_scope('mmseg')
    expected = only(inferencer(pair_files[0]))
    inferencer(
        pair_files[0], out_dir=str(tmp_path), mask_format='palette')
    file = next((tmp_path / 'pred').iterdir())
    picture = Image.open(file)
    assert picture.mode == 'P'
    assert np.array_equal(np.array(picture), expected)
    palette = np.array(inferencer.model.dataset_meta['palette'])
    assert np.array_equal(np.array(picture.convert('RGB')), palette[expected])
    with pytest.raises(ValueError, match="got 'jpeg'"):
        inferencer(pair_files[0], out_dir=str(tmp_path), mask_format='jpeg')
    with pytest.raises(ValueError, match='float_maps'):
        inferencer(pair_files[0], float_maps=True)

    inferencer = inferencers['saliency']
    expected = only(inferencer(pair_files[0], out_dir=str(tmp_path / 's'),
                               float_maps=True))
    saved = np.load(next((tmp_path / 's/pred').glob('*.npy')))
    assert saved.dtype == np.float32
    assert np.array_equal(saved, expected)


def test_boxes_are_drawn_above_a_score(inferencers, pair_files):
    inferencer = inferencers['detection']
    init_default_scope('mmdet')
    drawn, bare = (
        inferencer(pair_files[0], return_vis=True, pred_score_thr=score)
        ['visualization'][0] for score in (0., 1.))
    visible = bare[-SIZE[0]:, :SIZE[1]]
    assert np.array_equal(bare[-SIZE[0]:, -2 * SIZE[1] - 6:-SIZE[1] - 6],
                          visible)
    assert not np.array_equal(drawn, bare)


def test_a_head_of_two_outputs_gives_a_map(root, save, build, pair_files,
                                           tmp_path, trained):
    cfg = Config.fromfile(trained['saliency'].config)
    cfg.model.decode_head.update(
        out_channels=2, loss_decode=dict(type='CrossEntropyLoss'))
    cfg.model.decode_head.pop('threshold')
    file = save(build(cfg), cfg, tmp_path / 'two.pth')
    inferencer = trained['saliency'].inferencer(model=cfg, weights=file)
    result = inferencer(pair_files[0], return_datasamples=True,
                        return_vis=True)
    saliency = result['predictions'].seg_logits.data[0]
    ids = result['predictions'].pred_sem_seg.data[0]
    assert torch.equal(saliency > 0.5, ids == 1)
    wrong = trained['saliency'].inferencer(
        model=trained['segmentation'].config,
        weights=trained['segmentation'].checkpoint)
    with pytest.raises(ValueError, match='5 outputs'):
        wrong(pair_files[0])


def test_a_missing_modality_does_not_count(trained, task, pair_files, same):
    visible, infrared = arrays_of(pair_files[0])
    other = infrared[::-1].copy()
    inferencer = trained[task].inferencer(missing='infrared')
    found = only(inferencer((visible, infrared)))
    assert same(found, only(inferencer((visible, other))))
    assert not same(found, only(trained[task].inferencer()(
        (visible, infrared))))
    with pytest.raises(ValueError, match="got 'depth'"):
        trained[task].inferencer(missing='depth')


def test_sixteen_bits_of_precision_are_close(trained, task, expected,
                                             pair_files):
    found = only(trained[task].inferencer(amp=True)(pair_files[0]))
    if task == 'detection':
        # an order of near ties may differ
        assert len(found['scores'])
        assert abs(found['scores'][0] - expected['scores'][0]) < 0.05
    elif task == 'saliency':
        assert found.dtype == np.float32
        assert not np.array_equal(found, expected)
        assert np.abs(found - expected).mean() < 0.02
    else:
        assert (found == expected).mean() > 0.9


@pytest.fixture
def based(trained, task, build, save, tmp_path):
    """A config with a pretrained backbone; a checkpoint and an adapter."""
    cfg = Config.fromfile(trained[task].config)
    model = build(cfg)
    base = {name: value for name, value in frozen_parameters(model).items()
            if name.startswith('backbone.')}
    torch.save(dict(state_dict=base), tmp_path / 'base.pth')
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained',
        checkpoint=str(tmp_path / 'base.pth'),
        prefix='backbone.')
    model = build(cfg)
    return (cfg, save(model, cfg, tmp_path / 'full.pth'),
            save_adapter(model, tmp_path / 'adapter.safetensors'))


def test_base_and_adapter_equal_a_full_checkpoint(based, trained, task,
                                                  pair_files, tmp_path, same):
    cfg, full, adapter = based
    expected = only(trained[task].inferencer(
        model=cfg, weights=full)(pair_files[0]))
    other = torch.load(full)
    for name, value in other['state_dict'].items():
        if 'prompt' in name or 'infrared_embed' in name:
            value += torch.rand_like(value.float()).to(value.dtype)
    torch.save(other, tmp_path / 'other.pth')
    assert not same(expected, only(trained[task].inferencer(
        model=cfg, weights=tmp_path / 'other.pth')(pair_files[0])))
    for weights in (dict(weights=adapter),
                    dict(weights=None, adapter=adapter),
                    dict(weights=tmp_path / 'other.pth', adapter=adapter)):
        found = trained[task].inferencer(model=cfg, **weights)(pair_files[0])
        assert same(only(found), expected)


def test_weights_that_do_not_fit_are_refused(trained, tmp_path):
    model = trained['segmentation']
    config = model.config

    def fails(error, message, **kwargs):
        with pytest.raises(error, match=message):
            model.inferencer(**kwargs)

    fails(RuntimeError, r'detection\.pth does not fit',
          weights=trained['detection'].checkpoint)
    fails(FileNotFoundError, 'nowhere', weights=tmp_path / 'nowhere.pth')
    fails(FileNotFoundError, r'nowhere\.py', model='nowhere.py')
    fails(ValueError, 'No|must be', model=None, weights=None)
    (tmp_path / 'text.pth').write_text('no checkpoint')
    fails(RuntimeError, 'text.pth cannot be read',
          weights=tmp_path / 'text.pth')
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(model.checkpoint.read_bytes()[:50000])
    fails(RuntimeError, 'cut.pth cannot be read', weights=cut)
    (tmp_path / 'text.safetensors').write_text('no adapter')
    fails(RuntimeError, 'text.safetensors cannot be read',
          weights=tmp_path / 'text.safetensors')
    state = torch.load(model.checkpoint)
    state['state_dict']['backbone.patch_embed.projection.bias'][0] = (
        float('nan'))
    torch.save(state, tmp_path / 'nan.pth')
    fails(RuntimeError, r'nan\.pth does not fit.*\s+not finite: backbone',
          weights=tmp_path / 'nan.pth')
    adapter = save_adapter(
        model.inferencer().model, tmp_path / 'a.safetensors')
    # the tiny configs have random backbones: another one than that
    fails(RuntimeError, 'other frozen weights', weights=adapter)
    fails(ValueError, 'needs a config', model=None, weights=adapter)
    fails(ValueError, 'both adapters', weights=adapter, adapter=adapter)
    cfg = Config.fromfile(config)
    cfg.model.data_preprocessor = dict(type='SegDataPreProcessor')
    fails(ValueError, 'mmivtuning.PairedSegDataPreprocessor', model=cfg)
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.pipeline[0] = dict(type='LoadImageFromFile')
    fails(ValueError, 'LoadPairedImage', model=cfg)
    cfg.test_dataloader = None
    fails(ValueError, 'no test_dataloader', model=cfg)


def test_models_that_were_not_trained_are_told(trained):
    with pytest.warns(UserWarning, match='not trained'):
        trained['segmentation'].inferencer(weights=None)


def test_configs_come_from_checkpoints_too(trained, task, expected,
                                           pair_files, same):
    found = trained[task].inferencer(model=None)(pair_files[0])
    assert same(only(found), expected)


def test_classes_are_given_or_found(trained, scenes):
    model = trained['segmentation']
    meta = model.inferencer().model.dataset_meta
    assert tuple(meta['classes'])[1] == 'car'
    names = ('a', 'b', 'c', 'd', 'e')
    meta = model.inferencer(classes=names).model.dataset_meta
    assert meta['classes'] == names
    # two test sets in a wrapper
    cfg = Config.fromfile(trained['saliency'].config)
    dataset = copy.deepcopy(cfg.test_dataloader.dataset)
    pipeline = dataset.pop('pipeline')
    cfg.test_dataloader.dataset = dict(
        type='mmivtuning.SaliencyBenchmarks',
        pipeline=pipeline,
        datasets=[dict(dataset, name='a'), dict(dataset, name='b')])
    found = trained['saliency'].inferencer(model=cfg)
    assert len(found.model.dataset_meta['classes']) == 2


def test_broken_pairs_are_named(inferencer, task, pair_files, tmp_path):
    visible, infrared = pair_files[0]
    cut = tmp_path / 'cut.png'
    cut.write_bytes(Path(infrared).read_bytes()[:500])
    thin = np.full((1, 3000, 3), 7, np.uint8)
    for pair, error, message in (
        ((visible, cut), PairError, 'cut.png.* truncated'),
        ((visible, tmp_path / 'no.png'), FileNotFoundError, 'no.png'),
        ((visible, tmp_path), PairError, 'a file and a folder'),
        (visible, PairError, 'needs 4'),
        ((thin, thin), PairError, 'visible array 0.* cannot be prepared'),
    ):
        if pair[0] is thin and task == 'saliency':
            # resized to one size, whatever its own
            assert only(inferencer(pair)).shape == (1, 3000)
            continue
        with pytest.raises(error, match=message):
            inferencer(pair)
    folder = tmp_path / 'lonely'
    folder.mkdir()
    shutil.copy(infrared, folder / 'other.png')
    with pytest.raises(MissingPartnerError, match='no visible partner'):
        inferencer((str(Path(visible).parent), str(folder)))


def test_a_progress_bar(trained, pair_files, capsys):
    model = trained['segmentation']
    model.inferencer(show_progress=True)(pair_files)
    assert '100%' in capsys.readouterr().out


def test_results_never_replace_images(inferencer, make_folders):
    data = make_folders(1)
    (data / 'visible').rename(data / 'vis')
    folders = (str(data / 'vis'), str(data / 'infrared'))
    one = tuple(f'{folder}/0000.png' for folder in folders)
    before = (data / 'vis/0000.png').read_bytes()
    for inputs in (folders, one, [one]):
        with pytest.raises(ValueError, match='results would replace images'):
            inferencer(inputs, out_dir=str(data))
    with pytest.raises(ValueError, match='results would be read as images'):
        inferencer(folders, out_dir=folders[1])
    assert (data / 'vis/0000.png').read_bytes() == before
    inferencer(one, out_dir=str(data), no_save_vis=True)
    assert (data / 'vis/0000.png').read_bytes() == before
