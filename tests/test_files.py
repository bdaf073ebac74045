from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_sam import files
from napari_sam.errors import InputError
from napari_sam.files import format_bytes, parse_bytes, part_path, replacing, write_whole


class TestHome:
    def test_variable_decides(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NAPARI_SAM_HOME", str(tmp_path))
        assert files.home() == tmp_path

    def test_tilde_is_the_person(self, monkeypatch):
        monkeypatch.setenv("NAPARI_SAM_HOME", "~/models")
        assert files.home() == Path.home() / "models"

    def test_default_is_the_folder_of_the_platform(self, monkeypatch):
        monkeypatch.delenv("NAPARI_SAM_HOME", raising=False)
        assert files.home().name == "napari-sam-live"
        assert files.home().is_absolute()


class TestSizes:
    @pytest.mark.parametrize(
        ("count", "text"),
        [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_500, "1.5 kB"),
            (40_728_226, "40.7 MB"),
            (375_042_383, "375 MB"),
            (999_600_000, "1.00 GB"),
            (2_564_550_879, "2.56 GB"),
        ],
    )
    def test_are_written_as_people_say_them(self, count, text):
        assert format_bytes(count) == text

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("0", 0),
            ("12 bytes", 12),
            ("7 bytes", 7),
            ("500 MB", 500_000_000),
            ("1.5gb", 1_500_000_000),
            (" 2 TB ", 2 * 10**12),
        ],
    )
    def test_are_read_in_powers_of_ten(self, text, size):
        assert parse_bytes(text) == size

    @pytest.mark.parametrize("text", ["", "much", "-1 GB", "5 GiB", "1e9", "GB", "5", "5000000000"])
    def test_what_is_none_is_refused_with_an_example(self, text):
        with pytest.raises(InputError, match="20GB"):
            parse_bytes(text)


class TestReplacing:
    def test_the_name_is_taken_when_all_is_written(self, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_text("old")
        with replacing(path) as place:
            place.write_text("new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert os.listdir(tmp_path) == ["notes.txt"]

    def test_what_goes_wrong_leaves_what_was_there(self, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_text("old")
        with pytest.raises(RuntimeError), replacing(path) as place:
            place.write_text("half")
            raise RuntimeError
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["notes.txt"]

    @pytest.mark.parametrize("where", ["path", "place"])
    def test_links_are_replaced_and_not_written_through(self, tmp_path, where):
        victim, path = tmp_path / "victim", tmp_path / "notes.txt"
        victim.write_text("the person's own")
        (path if where == "path" else part_path(path)).symlink_to(victim)
        with replacing(path, part_path(path)) as place:
            place.write_text("new")
        assert victim.read_text() == "the person's own"
        assert not path.is_symlink()
        assert path.read_text() == "new"

    def test_a_text_is_not_written_through_a_link_either(self, tmp_path):
        victim, path = tmp_path / "victim", tmp_path / "notes.txt"
        victim.write_text("the person's own")
        (tmp_path / f"notes.txt.{os.getpid()}.tmp").symlink_to(victim)
        write_whole(path, "new")
        assert (victim.read_text(), path.read_text()) == ("the person's own", "new")

    def test_what_a_killed_process_left_is_cleared_up(self, tmp_path):
        path = tmp_path / "weights.pt"
        part_path(path).write_text("half of it, much longer")
        with replacing(path, part_path(path)) as place:
            assert not place.exists()
            place.write_text("all")
        assert os.listdir(tmp_path) == ["weights.pt"]

    def test_a_folder_takes_the_place_of_a_folder(self, tmp_path):
        path = tmp_path / "labels.zarr"
        path.mkdir()
        (path / "old").touch()
        with replacing(path) as place:
            place.mkdir()
            (place / "new").touch()
        assert os.listdir(path) == ["new"]
        assert os.listdir(tmp_path) == ["labels.zarr"]

    def test_a_file_never_takes_the_place_of_a_folder(self, tmp_path):
        path = tmp_path / "model.pt"
        path.mkdir()
        (path / "the person's own").touch()
        with pytest.raises(OSError), replacing(path) as place:
            place.write_text("weights")
        assert os.listdir(path) == ["the person's own"]
        assert os.listdir(tmp_path) == ["model.pt"]
