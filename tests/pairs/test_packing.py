"""All files get in, all or nothing; see also test_archive_backends.py."""

import sys
import zipfile
from pathlib import Path

import pytest

from mmivtuning.pairs.packing import pack

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'set'
    (path / 'visible').mkdir(parents=True)
    for name in ('b.txt', 'visible/ä.png', 'visible/a.png'):
        (path / name).write_bytes(name.encode() * 3000)
    (path / 'empty.txt').touch()
    (path / 'visible/link.png').symlink_to(path / 'b.txt')
    return path


def read(path):
    if path.suffix == '.zip':
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    import lmdb
    with lmdb.open(str(path), subdir=False, readonly=True,
                   lock=False) as archive, archive.begin() as transaction:
        return {key.decode(): value for key, value in transaction.cursor()}


@pytest.mark.parametrize('suffix', ['.zip', '.lmdb'])
def test_every_byte_of_every_file(folder, tmp_path, suffix):
    out = tmp_path / 'new' / f'set{suffix}'
    assert pack(folder, out) == 5
    assert read(out) == {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_more_than_a_batch_of_an_lmdb(folder, tmp_path, monkeypatch):
    monkeypatch.setattr('mmivtuning.pairs.packing._BATCH_BYTES', 1000)
    pack(folder, tmp_path / 'set.lmdb')
    assert len(read(tmp_path / 'set.lmdb')) == 5


@pytest.mark.parametrize('suffix', ['.zip', '.lmdb'])
def test_interrupted_it_leaves_what_there_was(folder, tmp_path, suffix):
    out = tmp_path / f'set{suffix}'
    out.write_text('old')

    def stop(entries):
        yield entries[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(folder, out, force=True, progress=stop)
    assert out.read_text() == 'old'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['set', out.name]
    pack(folder, out, force=True)
    assert len(read(out)) == 5


def test_bad_input(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder'):
        pack(tmp_path / 'none', tmp_path / 'a.zip')
    with pytest.raises(ValueError, match=r'ends in \.zip or \.lmdb'):
        pack(folder, tmp_path / 'a.tar')
    with pytest.raises(ValueError, match='would lie in what is packed'):
        pack(folder, folder / 'a.zip')
    (tmp_path / 'there.zip').touch()
    with pytest.raises(FileExistsError, match='--force'):
        pack(folder, tmp_path / 'there.zip')
    (tmp_path / 'there.lmdb').mkdir()
    with pytest.raises(FileExistsError, match='is a folder'):
        pack(folder, tmp_path / 'there.lmdb', force=True)
    (tmp_path / 'nothing').mkdir()
    with pytest.raises(FileNotFoundError, match='no files'):
        pack(tmp_path / 'nothing', tmp_path / 'a.zip')


def test_a_name_too_long_for_a_key(folder, tmp_path):
    deep = folder.joinpath(*['folder' * 20] * 5)
    deep.mkdir(parents=True)
    (deep / 'a.png').touch()
    with pytest.raises(ValueError, match='has 610 bytes, .* at most 511'):
        pack(folder, tmp_path / 'a.lmdb')
    assert not (tmp_path / 'a.lmdb').exists()
    assert pack(folder, tmp_path / 'a.zip') == 6


def test_without_lmdb(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    with pytest.raises(ImportError, match='pip install lmdb'):
        pack(folder, tmp_path / 'a.lmdb')
    assert not (tmp_path / 'a.lmdb').exists()


def test_command(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / 'data_prep'))
    import pack as command
    assert command.main([str(folder), str(tmp_path / 'a.lmdb')]) == 0
    assert '5 files' in capsys.readouterr().out
    assert command.main([str(folder), str(tmp_path / 'a.lmdb')]) == 1
    assert 'nothing was written' in capsys.readouterr().err
