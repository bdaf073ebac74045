from __future__ import annotations

import os
import struct
import zipfile

import pytest

from napari_sam.errors import Cancelled, InputError
from napari_sam.evaluation.archive import open_files
from napari_sam.io import memory
from napari_sam.io.formats.archives import archive_problem, open_archive, read_member
from napari_sam.training.data.bbbc038 import read_archive


def archive(path, size=1000):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("images/a.png", "labels/a.png"):
            file.writestr(name, bytes(size))
    return path


def claiming(path, size):
    """Change the size that the directory of an archive states of every file."""
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        struct.pack_into("<I", data, at + 24, size)
    path.write_bytes(data)
    return path


def test_a_file_that_unpacks_to_more_or_less_than_it_says_is_refused(tmp_path):
    for size in (10, 2000):
        path = claiming(archive(tmp_path / "a.zip"), size)
        for read in (lambda p: open_files(p).read("images/a.png", lambda file: file), read_archive):
            with pytest.raises(InputError):
                read(path)
    with open_archive(archive(tmp_path / "a.zip")) as opened:
        assert read_member(opened, "images/a.png", "a") == bytes(1000)


def test_a_file_that_does_not_fit_into_memory_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    path = archive(tmp_path / "a.zip", 10**6)
    for read in (lambda p: open_files(p).read("images/a.png", lambda file: file), read_archive):
        with pytest.raises(InputError, match="of memory, and one read may take"):
            read(path)


def test_whole_archives_are_told_from_damaged_ones(tmp_path):
    path = archive(tmp_path / "a.zip", 10**6)
    assert archive_problem(path) is None
    whole = path.read_bytes()
    for damaged in (whole[:-30], whole[:60] + b"?" + whole[61:], b"GIF89a" + bytes(1000), b""):
        path.write_bytes(damaged)
        assert "cut or damaged" in archive_problem(path)
    path.write_bytes(whole)
    assert "cut or damaged" in archive_problem(claiming(path, 10))


def test_looking_for_damage_can_be_cancelled(tmp_path):
    def stop(_share):
        raise Cancelled

    with pytest.raises(Cancelled):
        archive_problem(archive(tmp_path / "a.zip"), stop)


def test_a_pipe_in_the_place_of_an_archive_or_of_a_picture_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    for read in (open_files, read_archive):
        with pytest.raises(InputError):
            read(tmp_path / "a.zip")
    for part in ("images", "labels"):
        (tmp_path / "set" / part).mkdir(parents=True)
        os.mkfifo(tmp_path / "set" / part / "a.png")
    with pytest.raises(InputError, match="it is a pipe"):
        read_archive(tmp_path / "set")
