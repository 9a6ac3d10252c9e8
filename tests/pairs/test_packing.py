"""All files get in, all or nothing; see also test_archive_backends.py."""

import os
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


def test_a_folder_that_cannot_be_read(folder, tmp_path, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith('visible'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(PermissionError, match='visible'):
        pack(folder, tmp_path / 'a.zip')
    assert not (tmp_path / 'a.zip').exists()


@pytest.mark.parametrize('suffix', ['.zip', '.lmdb'])
def test_links_that_lead_back_and_old_files(folder, tmp_path, suffix):
    (folder / 'loop').symlink_to('.')
    (folder / 'visible/loop').symlink_to('..')
    os.utime(folder / 'b.txt', (0, 0))
    assert pack(folder, tmp_path / f'a{suffix}') == 5


def test_a_link_to_nothing_is_something(folder, tmp_path):
    (tmp_path / 'a.zip').symlink_to('nowhere.zip')
    with pytest.raises(FileExistsError, match='--force'):
        pack(folder, tmp_path / 'a.zip')


def test_a_name_that_is_no_text(folder, tmp_path):
    with open(os.fsencode(folder) + b'/\xff.png', 'wb'):
        pass
    for suffix in ('.zip', '.lmdb'):
        with pytest.raises(ValueError, match=r"xff\.png.*rename the file"):
            pack(folder, tmp_path / f'a{suffix}')


def test_what_lmdb_refuses_is_an_os_error(folder, tmp_path, monkeypatch):
    # Too small a map, as if the files had grown meanwhile.
    monkeypatch.setattr(Path, 'read_bytes', lambda self: bytes(2**24))
    with pytest.raises(OSError, match='the LMDB cannot be written'):
        pack(folder, tmp_path / 'a.lmdb')
    assert not (tmp_path / 'a.lmdb').exists()


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
