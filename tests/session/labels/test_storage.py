"""Where new labels go: into memory, or onto the disk when they are large, at several resolutions on huge planes."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from session_scenery import DISCS, SHAPE, accept, discs

from napari_sam.session.labels import storage
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.labels.tiled import TiledLabels

STATM = Path("/proc/self/statm")


def resident():
    """Bytes of this process in memory."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_labels_of_a_large_image_are_on_disk_and_that_is_told_once(large, open_session, disc, home):
    session = open_session()
    accept(session, 2, *DISCS[0])
    data = session.target.data
    assert isinstance(data, TiledLabels) and data.folder.parent == home / "labels"
    assert np.array_equal(np.asarray(data)[2] > 0, disc[0])
    assert session.state.status.kind == "attention" and str(data.folder) in session.state.status.text
    accept(session, 2, *DISCS[1])
    assert session.state.status.kind == "idle" and "Object 2" in session.state.status.text
    assert session.state.next_id == 3


def test_what_is_on_disk_opens_as_ome_zarr(large, open_session, disc):
    session = open_session()
    accept(session, 2, *DISCS[0])
    group = zarr.open_group(str(session.target.data.folder), mode="r")
    assert np.array_equal(group["0"][2] > 0, disc[0])
    [multiscale] = group.attrs["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
    assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [4, 1, 1]


def test_labels_on_disk_stay_when_they_are_let_go_unless_they_are_empty(large):
    kept, empty = storage.empty_labels(large), storage.empty_labels(large)
    kept[2, 3, 4] = 1
    folders = kept.folder, empty.folder
    del kept, empty
    gc.collect()
    assert [folder.exists() for folder in folders] == [True, False]


def test_a_folder_that_cannot_be_made_is_told(large, open_session, home):
    session = open_session()
    home.mkdir(parents=True, exist_ok=True)
    (home / "labels").write_text("in the way")
    accept(session, 2, *DISCS[0])
    assert session.state.status.kind == "failed" and "kept on disk" in session.state.status.text
    assert len(session.points.data) == 1


def test_painting_in_labels_on_disk_is_undone_by_napari(large, open_session, disc):
    session = open_session()
    accept(session, 2, *DISCS[0])
    layer = session.target
    layer.brush_size, layer.selected_label = 5, 9
    layer.paint((2, 50, 10), 9)
    assert layer.data.max_label == 9 and session.state.next_id == 10
    layer.undo()
    assert np.array_equal(np.asarray(layer.data)[2] > 0, disc[0])
    layer.undo()
    assert not np.asarray(layer.data).any()
    layer.redo()
    session.undo()
    assert not np.asarray(layer.data).any()


def test_huge_planes_have_labels_at_several_resolutions(large, open_session, monkeypatch, disc):
    monkeypatch.setattr(storage, "PLANE_SIDE", 64)
    monkeypatch.setattr(storage, "_COARSEST", 30)
    session = open_session()
    accept(session, 2, *DISCS[0])
    target = session.target
    assert target.multiscale and [level.shape for level in target.data] == [(5, 60, 80), (5, 30, 40), (5, 15, 20)]
    assert np.array_equal(np.asarray(target.data[0])[2] > 0, disc[0])
    assert np.array_equal(np.asarray(target.data[1])[2] > 0, disc[0][1::2, 1::2])
    assert "cannot paint" in session.state.status.text
    session.undo()
    assert not any(np.asarray(level).any() for level in target.data)
    session.redo()
    assert np.asarray(target.data[2]).any() and session.state.next_id == 2


def test_a_plane_of_several_resolutions_shows_what_was_written_at_each(viewer, open_session, monkeypatch):
    for name, value in (("DENSE_BYTES", 0), ("PLANE_SIDE", 64), ("_COARSEST", 30)):
        monkeypatch.setattr(storage, name, value)
    viewer.add_image(discs(), contrast_limits=(0, 255))
    session = open_session()
    for centre, labels in zip(DISCS, ([0, 1], [0, 1, 2]), strict=True):
        accept(session, *centre)
        for level in range(3):
            session.target.data_level = level
            held = session.target._slice.image.raw
            assert np.array_equal(held, np.asarray(session.target.data[level])[: held.shape[0], : held.shape[1]])
        assert np.unique(session.target._slice.image.raw).tolist() == labels
    session.undo()
    assert np.unique(session.target._slice.image.raw).tolist() == [0, 1]


def test_a_full_disk_under_labels_is_called_that_and_costs_no_prompt(large, open_session, monkeypatch):
    session = open_session()
    session.points.add((2, *DISCS[0]))
    session.wait(60)
    with monkeypatch.context() as full_disk:

        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        full_disk.setattr(TiledLabels, "_write_tile", fail)
        session.accept()
        assert session.state.status.kind == "failed"
        assert session.state.status.text.startswith("The disk is full")
        assert len(session.points.data) == 1
    session.accept()
    assert len(session.points.data) == 0
    assert np.asarray(session.target.data[2]).any()


def lazy_volume(shape, reads):
    """Discs on every plane, made when they are read."""

    def plane(block_info=None):
        reads.append(1)
        (z, _), *_ = block_info[None]["array-location"]
        return np.pad(discs(), [(0, shape[1] - SHAPE[0]), (0, shape[2] - SHAPE[1])])[None] * (z > 0)

    return da.map_blocks(
        plane, dtype=np.uint8, chunks=((1,) * shape[0], shape[1:2], shape[2:3]), meta=np.zeros((0, 0, 0), np.uint8)
    )


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_a_volume_of_30_gb_takes_a_click_and_an_accept(viewer, open_session, disc):
    shape, reads = (7500, 2048, 2048), []
    image = viewer.add_image(lazy_volume(shape, reads), contrast_limits=(0, 255), scale=(2, 1, 1))
    viewer.dims.set_current_step(0, 4000)
    before = resident()
    reads.clear()
    session = open_session()
    session.wait(60)
    accept(session, 4000, *DISCS[0])
    assert session.state.next_id == 2
    data = full_resolution(session.target)
    assert isinstance(data, TiledLabels) and data.shape == shape
    assert np.array_equal(data[4000, : SHAPE[0], : SHAPE[1]] > 0, disc[0])
    viewer.dims.set_current_step(0, 4001)
    session.undo()
    session.redo()
    assert data.max_label == 1
    assert resident() - before < 500e6
    assert len(reads) < 40
    assert image.data.nbytes > 30e9
