"""Tracks of a time series as a table."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from batch_finders import discs

from napari_sam.errors import InputError


@pytest.fixture
def movie(tmp_path):
    """Six frames: one object divides at 2, one is gone after 1, one comes at 4."""
    halves, still = [(20, 18, 5), (20, 32, 5)], (8, 70, 4)
    frames = [discs((40, 80), (20, 25, 8), still) for _ in range(2)]
    frames += [discs((40, 80), *halves) for _ in range(2)] + [discs((40, 80), *halves, (34, 70, 3)) for _ in range(2)]
    tifffile.imwrite(tmp_path / "movie.tif", np.stack(frames), imagej=True, metadata={"axes": "TYX"})
    return tmp_path / "movie.tif"


def read(path):
    return [tuple(map(int, line.split(" "))) for line in path.read_text().splitlines()]


def test_every_object_has_its_frames_and_its_mother(everything, movie, tmp_path):
    everything(tmp_path / "out.tif", movie, tracks=True)
    labels = tifffile.imread(tmp_path / "out.tif")
    mother, gone, fresh = labels[0, 20, 25], labels[0, 8, 70], labels[5, 34, 70]
    one, other = sorted([labels[3, 20, 18], labels[3, 20, 32]])
    table = read(tmp_path / "out_track.txt")
    assert sorted(table) == table and set(table) == {
        (mother, 0, 1, 0), (gone, 0, 1, 0), (one, 2, 5, mother), (other, 2, 5, mother), (fresh, 4, 5, 0),
    }  # fmt: skip
    for label, first, last, _mother in table:
        assert np.flatnonzero((labels == label).any(axis=(1, 2))).tolist() == list(range(first, last + 1))


def test_in_a_folder_each_time_series_has_a_table(everything, movie, stack, tmp_path):
    everything(tmp_path / "out", movie, stack, tracks=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["movie.tif", "movie_track.txt", "stack.tif"]
    assert len(read(tmp_path / "out" / "movie_track.txt")) == 5
    everything(tmp_path / "set", movie, tracks=True, format="coco")
    assert (tmp_path / "set" / "movie_track.txt").is_file()


def test_a_series_of_volumes_has_the_tracks_of_all_its_planes(everything, tmp_path):
    volume = np.zeros((2, 3, 40, 50), np.uint8)
    volume[...] = discs((40, 50), (10, 10, 5), (25, 35, 6))
    tifffile.imwrite(tmp_path / "movie.tif", volume, imagej=True, metadata={"axes": "TZYX"})
    everything(tmp_path / "out.ome.tif", tmp_path / "movie.tif", axis="t", tracks=True)
    assert read(tmp_path / "out_track.txt") == [(number, 0, 1, 0) for number in range(1, 7)]


@pytest.mark.parametrize(("name", "table"), [("o.npy", "o"), ("a.b.tif", "a.b"), ("t.zarr", "t")])
def test_the_table_is_called_as_the_labels(everything, movie, tmp_path, name, table):
    everything(tmp_path / name, movie, tracks=True)
    assert len(read(tmp_path / f"{table}_track.txt")) == 5


def test_without_time_there_are_no_tracks(everything, stack, tmp_path):
    with pytest.raises(InputError, match="no image is linked along t"):
        everything(tmp_path / "out.tif", stack, tracks=True)
    assert not (tmp_path / "out.tif").exists()


def test_a_table_that_is_there_is_not_replaced_by_accident(everything, movie, tmp_path, asked):
    (tmp_path / "out_track.txt").write_text("mine")
    with pytest.raises(InputError, match=r"out_track\.txt exists"):
        everything(tmp_path / "out.tif", movie, tracks=True)
    assert (tmp_path / "out_track.txt").read_text() == "mine" and not any(asked.iterdir())
    everything(tmp_path / "out.tif", movie, tracks=True, force=True)
    assert len(read(tmp_path / "out_track.txt")) == 5
