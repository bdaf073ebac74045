from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import platformdirs
import pytest

from napari_sam.cache import settings
from napari_sam.cache.disk import DiskStore
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.errors import CacheError


@pytest.fixture(scope="module")
def folder_of_the_module() -> Path:
    return settings.folder()


def test_no_test_uses_the_folder_of_the_person_who_runs_it(folder_of_the_module, home, tmp_path_factory):
    assert tmp_path_factory.getbasetemp() in folder_of_the_module.parents
    assert home in settings.folder().parents


def test_the_folder_is_the_home_or_the_cache_of_the_user_or_the_chosen_one(home, monkeypatch):
    assert settings.folder() == home / "embeddings"
    monkeypatch.delenv("NAPARI_SAM_HOME")
    assert Path(platformdirs.user_cache_dir("napari-sam-live", appauthor=False)) in settings.folder().parents
    monkeypatch.setenv("NAPARI_SAM_CACHE", "~/fast-disk")
    assert settings.folder() == Path.home() / "fast-disk"


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no", "false"])
def test_the_cache_on_disk_can_be_switched_off(word, monkeypatch):
    assert EmbeddingCache.default().disk is not None
    monkeypatch.setenv("NAPARI_SAM_CACHE", word)
    assert EmbeddingCache.default().disk is None
    with pytest.raises(CacheError, match="NAPARI_SAM_CACHE"):
        settings.required_folder()


def test_the_limit_is_what_was_said_last_of_all_by_the_environment(tmp_path, monkeypatch):
    store = DiskStore(tmp_path)
    settings.choose_limit(tmp_path, 5_000)
    assert store.limit == 5_000
    assert DiskStore(tmp_path, 3).limit == 3
    monkeypatch.setenv("NAPARI_SAM_CACHE_SIZE", "7kB")
    assert store.limit == 7_000
    monkeypatch.delenv("NAPARI_SAM_CACHE_SIZE")
    settings.choose_limit(tmp_path, None)
    assert store.limit > 7_000


def test_a_limit_that_cannot_be_read_is_told_and_left_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("NAPARI_SAM_CACHE_SIZE", "plenty")
    assert settings.chosen_limit(tmp_path) is None
    assert "'plenty' is not a size" in caplog.text


def test_a_limit_that_cannot_be_kept_is_an_error_with_a_way_out(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match="NAPARI_SAM_CACHE"):
        settings.choose_limit(tmp_path / "file", 1)


def test_by_default_a_tenth_of_the_free_disk_is_used_and_not_less_as_it_fills(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    disk = {"free": 40_000_000_000}
    monkeypatch.setattr(settings.shutil, "disk_usage", lambda _: usage(0, 0, disk["free"]))
    empty = settings.default_limit(tmp_path / "not" / "there yet", 0)
    assert empty == 4_000_000_000
    disk["free"] -= 3_000_000_000  # which the cache itself has taken
    assert settings.default_limit(tmp_path, 3_000_000_000) == empty
    disk["free"] = 10**12
    assert settings.default_limit(tmp_path, 0) == settings.MOST == 10**10


def test_the_cache_needs_no_torch():
    code = "import sys, napari_sam.cache; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
