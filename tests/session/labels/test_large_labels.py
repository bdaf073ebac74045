"""Targets and previews of images that are too large for memory, and of layers that are not NumPy arrays."""

from __future__ import annotations

import copy
import errno
import gc
import os
import threading
import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from session_scenery import DISCS, SHAPE, discs

from napari_sam.errors import InputError
from napari_sam.inference.request import Candidate
from napari_sam.inference.worker import Worker
from napari_sam.session.candidates import preview_area
from napari_sam.session.candidates.preview_area import PreviewArea
from napari_sam.session.labels import max_label, storage
from napari_sam.session.labels.edit import join_edits
from napari_sam.session.labels.pixels import full_resolution, write_levels
from napari_sam.session.labels.tiled import TiledLabels
from napari_sam.session.labels.writer import LabelWriter
from napari_sam.session.viewing.plane_on_screen import find_view

STATM = Path("/proc/self/statm")


@pytest.fixture
def tiles():
    """Labels of 20 x 30 x 40 pixels in tiles of 4 x 8 x 16."""
    return TiledLabels(array((20, 30, 40), chunks=(4, 8, 16)))


def array(shape, dtype="int32", chunks=None):
    return zarr.create_array(zarr.storage.MemoryStore(), shape=shape, chunks=chunks or shape, dtype=dtype, fill_value=0)


def resident():
    """Bytes of this process in memory."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- tiles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_tiles_read_and_write_as_numpy_does(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 12, rng.integers(1, 5)))
    store = array(shape, chunks=tuple(int(n) for n in rng.integers(1, 6, len(shape))))
    ours, theirs = TiledLabels(store), np.zeros(shape, np.int32)
    ours._cached_tiles = 2  # so that tiles come back from the store
    for _ in range(20):
        key = any_key(rng, shape)
        value = rng.integers(0, 3, theirs[key].shape) if rng.random() < 0.5 and not listed(key) else rng.integers(0, 3)
        if rng.random() < 0.7:
            ours[key] = value
            theirs[key] = value
        assert np.array_equal(ours[key], theirs[key]) and np.shape(ours[key]) == np.shape(theirs[key])
    assert np.array_equal(ours, theirs) and np.array_equal(store[...], theirs)
    assert ours.max_label == theirs.max()


def listed(key):
    return isinstance(key[0], np.ndarray)


def any_key(rng, shape):
    """Anything that a layer's data are indexed with."""
    if rng.random() < 0.3:
        return tuple(rng.integers(-n, n, 15) for n in shape)
    key = []
    for n in shape:
        start, stop = sorted(int(i) for i in rng.integers(0, n + 1, 2))
        key.append(
            [int(rng.integers(-n, n)), slice(None), slice(start, stop, int(rng.integers(1, 4)))][rng.integers(3)]
        )
    return (*key[: rng.integers(1, len(shape) + 1)], ...) if rng.random() < 0.3 else tuple(key)


@pytest.mark.parametrize(
    "key",
    [
        (20, 0, 0),
        (0, -31, 0),
        (0, 0, 0, 0),
        (..., ..., 0),
        (slice(None, None, -1),),
        ([0], [99], [0]),
        ([True], [0], [0]),
        (slice(None), [0], [0]),
    ],
)
def test_tiles_refuse_what_they_do_not_hold(tiles, key):
    with pytest.raises(IndexError):
        tiles[key]


def test_a_tile_that_is_emptied_leaves_the_disk(tiles):
    tiles[3, 5:9, 7] = 4
    assert len(tiles.tiles) == 2 and tiles.max_label == 4
    tiles[:] = 0
    assert not tiles.tiles and tiles.max_label == 0 and tiles.store.nchunks_initialized == 0


def test_a_full_disk_changes_nothing(tiles, monkeypatch):
    tiles[0, 0, 0] = 1

    class Full:
        def __setitem__(self, key, value):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiles, "store", Full())
    with pytest.raises(OSError, match="No space"):
        tiles[0, 0, :3] = 7
    assert np.array_equal(tiles[0, 0, :3], [1, 0, 0]) and tiles.max_label == 1


def test_a_disk_that_is_full_in_the_middle_of_an_object_takes_nothing_of_it(tiles, monkeypatch):
    tiles[:, 5:9, 7] = 4
    before = np.asarray(tiles)

    class Filling:
        """A store that takes two more tiles, and then only what replaces them."""

        def __init__(self, store):
            self.store, self.taken = store, []

        def __getitem__(self, key):
            return self.store[key]

        def __setitem__(self, key, value):
            if key not in self.taken and len(self.taken) == 2:
                raise OSError(28, "No space left on device")
            self.taken.append(key)
            self.store[key] = value

    real = tiles.store
    monkeypatch.setattr(tiles, "store", Filling(real))
    with pytest.raises(OSError, match="No space"):
        tiles[:, 6:8, :12] = 9
    monkeypatch.setattr(tiles, "store", Filling(real))
    with pytest.raises(OSError, match="No space"):
        tiles[np.arange(12), np.full(12, 6), np.zeros(12, int)] = 9
    monkeypatch.setattr(tiles, "store", real)
    assert np.array_equal(np.asarray(tiles), before)
    assert tiles.max_label == 4


# -- where new labels go --------------------------------------------------------------------------


@pytest.fixture
def large(viewer, monkeypatch):
    """A volume that counts as too large for memory."""
    monkeypatch.setattr(storage, "DENSE_BYTES", 1000)
    stack = np.zeros((5, *SHAPE), np.uint8)
    stack[2] = discs()
    image = viewer.add_image(stack, contrast_limits=(0, 255), scale=(4, 1, 1), axis_labels=("z", "y", "x"))
    viewer.dims.set_current_step(0, 2)
    return image


def accept(session, *position):
    session.points.add(position)
    session.wait(20)
    session.accept()


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


def test_a_duplicated_layer_has_a_folder_of_its_own(large, open_session):
    session = open_session()
    accept(session, 2, *DISCS[0])
    data = session.target.data
    twin = copy.deepcopy(data)
    twin[2, 0, 0] = 9
    assert twin.folder != data.folder and data[2, 0, 0] == 0 and twin.max_label == 9
    assert np.array_equal(np.asarray(twin)[2] == 1, np.asarray(data)[2] == 1)


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


# -- layers that the person chose -----------------------------------------------------------------


def as_zarr(labels):
    return zarr.array(labels, store=zarr.storage.MemoryStore(), chunks=(16, 16))


def as_tensorstore(labels):
    import tensorstore

    return tensorstore.array(labels)


@pytest.mark.parametrize("store", [np.array, as_zarr, as_tensorstore], ids=["numpy", "zarr", "tensorstore"])
def test_labels_of_any_writable_kind_are_written(session, viewer, disc, store):
    session.target = viewer.add_labels(store(np.zeros(SHAPE, np.int32)))
    accept(session, *DISCS[0])
    session.wait(20)
    accept(session, *DISCS[1])
    assert np.array_equal(np.asarray(session.target.data), disc[0] + 2 * disc[1])
    session.target.undo()
    assert np.array_equal(np.asarray(session.target.data), disc[0].astype(int))
    session.undo()
    session.undo()
    session.undo()
    assert not np.asarray(session.target.data).any()


def read_only_zarr(labels):
    store = zarr.storage.MemoryStore()
    zarr.array(labels, store=store)
    return zarr.open_array(store.with_read_only(True), mode="r")


@pytest.mark.parametrize(
    ("store", "why"), [(da.from_array, "dask array"), (read_only_zarr, "read-only")], ids=["dask", "read-only zarr"]
)
def test_labels_that_cannot_be_changed_are_refused_with_words(session, viewer, store, why):
    session.target = viewer.add_labels(store(np.zeros(SHAPE, np.int32)))
    session.wait(20)
    accept(session, *DISCS[0])
    assert session.state.status.kind == "failed" and why in session.state.status.text
    assert len(session.points.data) == 1 and not np.asarray(session.target.data).any()


def test_a_pyramid_of_labels_is_written_at_all_its_resolutions(session, viewer, disc):
    levels = [np.zeros(SHAPE, np.int32), np.zeros((30, 40), np.int32)]
    session.target = viewer.add_labels(levels, multiscale=True)
    accept(session, *DISCS[0])
    assert np.array_equal(levels[0] > 0, disc[0]) and np.array_equal(levels[1] > 0, disc[0][1::2, 1::2])
    session.undo()
    assert not levels[0].any() and not levels[1].any()


def test_a_pyramid_of_images_takes_labels_of_its_full_resolution(viewer, open_session, disc):
    viewer.add_image([discs(), discs()[::2, ::2]], multiscale=True, contrast_limits=(0, 255), scale=(2, 3))
    session = open_session()
    coarse = viewer.add_labels(np.zeros((30, 40), int), scale=(4, 6))
    fine = viewer.add_labels(np.zeros(SHAPE, int), scale=(2, 3))
    assert session.target_choices() == [fine]
    with pytest.raises(InputError, match="another shape"):
        session.target = coarse
    session.target = fine
    accept(session, *DISCS[0])
    assert np.array_equal(fine.data > 0, disc[0])
    assert np.allclose(session.points.data_to_world((1, 1)), (2, 3))


@pytest.mark.parametrize("sizes", [((12, 20), (6, 10), (3, 5)), ((13, 21), (7, 11)), ((12, 20), (4, 20))])
@pytest.mark.parametrize("region", [(slice(0, 12), slice(0, 20)), (slice(3, 4), slice(7, 8)), (5, slice(2, 17))])
def test_a_block_reaches_every_resolution(sizes, region):
    levels = [np.zeros(size, int) for size in sizes]
    rng = np.random.default_rng(0)
    write_levels(levels, region, rng.integers(1, 9, levels[0][region].shape))
    for level in levels[1:]:
        places = [
            ((np.arange(few) + 0.5) * many / few).astype(int) for many, few in zip(sizes[0], level.shape, strict=True)
        ]
        assert np.array_equal(level, levels[0][np.ix_(*places)])


# -- ids ------------------------------------------------------------------------------------------


def test_the_ids_of_large_labels_are_counted_on_the_worker(session, viewer, monkeypatch):
    monkeypatch.setattr(max_label, "_BLOCK", 16)
    labels = as_zarr(np.zeros(SHAPE, np.int32))
    labels[59, 79] = 41
    session.target = viewer.add_labels(labels)
    assert session.state.next_id is None
    with pytest.raises(InputError, match="still being read"):
        _ = session._components.targets.find_writer(session.image).next_label
    session.wait(20)
    assert session.state.next_id == 42


def test_ids_that_are_painted_while_they_are_counted_count(session, viewer, monkeypatch):
    session.target = viewer.add_labels(as_zarr(np.zeros(SHAPE, np.int32)))
    session.target.selected_label = 50
    session.target.paint((5, 5), 50)
    session.wait(20)
    assert session.state.next_id == 51


def test_labels_that_cannot_be_read_are_no_target(session, viewer):
    class Broken:
        shape, ndim, dtype, size = SHAPE, 2, np.dtype(np.int32), SHAPE[0] * SHAPE[1]
        works = True

        def __getitem__(self, key):
            if not self.works:
                raise OSError("the disk is gone")
            return np.zeros(SHAPE, np.int32)[key]

        def __setitem__(self, key, value):
            raise AssertionError("not to be written")

    data = Broken()
    layer = viewer.add_labels(data)
    data.works = False
    session.target = layer
    session.wait(20)
    session.points.add(DISCS[0])
    session.wait(20)
    session.accept()
    assert session.state.status.kind == "failed" and "the disk is gone" in session.state.status.text
    assert len(session.points.data) == 1


def test_a_full_disk_under_labels_is_called_that_and_costs_no_prompt(large, open_session, monkeypatch):
    session = open_session()
    session.points.add((2, *DISCS[0]))
    session.wait(20)
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


def test_counting_lets_other_work_through(viewer, monkeypatch):
    monkeypatch.setattr(max_label, "_BLOCK", 1)
    monkeypatch.setattr(max_label, "_TURN_S", 0.01)
    worker, turns, done = Worker(), [], threading.Event()

    class Slow:
        shape, ndim, dtype, size = (1, 60), 2, np.dtype(np.int32), 60

        def __getitem__(self, key):
            turns.append(done.is_set())
            time.sleep(0.002)
            return np.zeros(self.shape, np.int32)[key]

    layer = viewer.add_labels(Slow())
    turns.clear()
    writer = LabelWriter(layer, worker)
    assert writer.known_label is None
    worker.submit("prompts", lambda progress: done.set())
    assert worker.wait(20)
    assert writer.known_label == 1
    assert turns[0] is False and turns[-1] is True
    worker.close()


def test_counting_stops_when_another_target_is_chosen(session, viewer, monkeypatch):
    monkeypatch.setattr(max_label, "_TURN_S", 0.0)
    monkeypatch.setattr(max_label, "_BLOCK", 1)
    reads = []

    class Watched:
        shape, ndim, dtype, size = SHAPE, 2, np.dtype(np.int32), SHAPE[0] * SHAPE[1]

        def __getitem__(self, key):
            reads.append(key)
            return np.zeros(SHAPE, np.int32)[key]

    session.target = viewer.add_labels(Watched())
    session.target = viewer.add_labels(np.zeros(SHAPE, np.int32))
    session.wait(20)
    assert len(reads) < 100
    assert session.state.next_id == 1


# -- writing on many planes -----------------------------------------------------------------------


@pytest.fixture
def stack(viewer):
    image = viewer.add_image(np.zeros((6, *SHAPE), np.uint8), contrast_limits=(0, 255))
    return image, viewer.add_labels(np.zeros((6, *SHAPE), np.int32))


def planes(viewer, image):
    for z in range(6):
        viewer.dims.set_current_step(0, z)
        yield find_view(viewer, image)


def test_a_run_through_a_stack_is_one_step(viewer, stack, disc):
    image, layer = stack
    writer = LabelWriter(layer)
    layer.paint((0, 50, 5), 7)
    step = None
    for view in planes(viewer, image):
        written = writer.write(view, disc[0], (0, 0), only_empty=True, label=8 if step is None else step.label)
        step = join_edits(step, written)
    assert (layer.data == 8).sum() == 6 * disc[0].sum()
    for _ in range(2):
        layer.undo()
        assert np.unique(layer.data).tolist() == [0, 7]
        layer.redo()
        assert (layer.data == 8).sum() == 6 * disc[0].sum()
    step.undo()
    assert np.unique(layer.data).tolist() == [0, 7]
    step.redo()
    assert (layer.data == 8).sum() == 6 * disc[0].sum()
    layer.undo()
    layer.undo()
    assert not layer.data.any()


def test_more_planes_than_napari_keeps_steps_are_one_step(viewer, disc):
    image = viewer.add_image(np.zeros((150, *SHAPE), np.uint8), contrast_limits=(0, 255))
    layer = viewer.add_labels(np.zeros((150, *SHAPE), np.int32))
    writer, view, step = LabelWriter(layer), find_view(viewer, image), None
    for z in range(150):
        at = type(view)(view.axes, (z, None, None), view.shape)
        step = join_edits(step, writer.write(at, disc[0], (0, 0), only_empty=True, label=1))
    layer.undo()
    assert not layer.data.any()


def test_strokes_in_the_middle_of_a_run_survive_its_undo(viewer, stack, disc):
    image, layer = stack
    writer, step = LabelWriter(layer), None
    for number, view in enumerate(planes(viewer, image)):
        step = join_edits(step, writer.write(view, disc[0], (0, 0), only_empty=True, label=1))
        if number == 3:
            layer.brush_size = 3
            layer.paint((3, 15, 20), 9)  # across the object
    painted = layer.data == 9
    assert painted.any()
    step.undo()
    assert np.array_equal(layer.data, 9 * painted)
    step.redo()
    assert np.array_equal(layer.data == 9, painted) and (layer.data == 1).sum() == 6 * disc[0].sum() - painted.sum()
    step.undo()
    layer.undo()
    assert (layer.data == 1).any()  # napari's own undo takes back what was done last


def test_an_object_that_is_corrected_leaves_its_old_pixels(viewer, stack, disc):
    image, layer = stack
    writer, view = LabelWriter(layer), next(planes(viewer, image))
    layer.data[0, 50:, :5] = 3
    writer.write(view, disc[0], (0, 0), only_empty=True, label=4)
    written = writer.write(view, disc[1][30:, 50:], (30, 50), only_empty=True, label=4, replace=True)
    assert np.array_equal(layer.data[0] == 4, disc[1]) and (layer.data[0] == 3).sum() == 50
    laid = np.zeros(SHAPE, bool)
    (top, left), (height, width) = written.origin, written.drawn.shape
    laid[top : top + height, left : left + width] = written.drawn.array()
    assert np.array_equal(laid, disc[1])
    assert writer.write(view, disc[1], (0, 0), only_empty=True, label=4, replace=True) is None
    written.undo()
    assert np.array_equal(layer.data[0] == 4, disc[0])


# -- the preview ----------------------------------------------------------------------------------


def candidate(box, plane=(50_000, 50_000)):
    (y0, x0), (y1, x1) = box
    mask = np.zeros((y1 - y0, x1 - x0), bool)
    mask[1:-1, 1:-1] = True
    mask[0, 0] = mask[-1, -1] = True
    return Candidate(0.9, int(mask.sum()), (y0, x0), mask)


def test_a_sheet_holds_the_mask_and_stays_where_it_is_while_it_can():
    plane = (50_000, 50_000)
    first = PreviewArea.for_plane(plane).for_mask(candidate(((30_000, 40_000), (30_100, 40_200))), plane)
    assert first.step == 1 and max(first.shape) <= 768
    inside, mask = first.place(candidate(((30_000, 40_000), (30_100, 40_200))))
    assert mask.shape == (100, 200) and inside[0].start == 30_000 - first.start[0]
    assert first.for_mask(candidate(((30_010, 40_010), (30_090, 40_190))), plane) is first
    other = first.for_mask(candidate(((10, 49_900), (80, 50_000))), plane)
    assert other.start[0] == 0 and other.start[1] + other.shape[1] == 50_000


def test_a_mask_that_is_too_large_to_draw_is_drawn_smaller():
    plane = (50_000, 50_000)
    big = Candidate(0.9, 1, (5000, 6000), np.broadcast_to(np.True_, (30_000, 20_000)))
    drawn = PreviewArea.for_plane(plane).for_mask(big, plane)
    assert drawn.step == 8 and max(drawn.shape) <= 4096
    (rows, columns), mask = drawn.place(big)
    assert (
        mask.all()
        and abs(mask.shape[0] - 30_000 / 8) <= 1
        and mask.shape == (rows.stop - rows.start, columns.stop - columns.start)
    )
    assert drawn.start[0] + rows.start * 8 + 4 >= 5000 > drawn.start[0] + rows.start * 8 + 4 - 8


def test_the_preview_of_a_huge_plane_covers_the_surroundings_of_the_mask(image, open_session, disc, monkeypatch):
    for name, value in (("_WHOLE", 0), ("_GRID", 8), ("_MARGIN", 2)):
        monkeypatch.setattr(preview_area, name, value)
    session = open_session()
    for centre, mask in zip(DISCS, disc, strict=True):
        session.points.add(centre)
        session.wait(20)
        preview = session.preview
        assert max(preview.data.shape) <= 24 and not preview.editable
        shift = np.rint(preview.translate).astype(int)
        laid = np.zeros(SHAPE, bool)
        height, width = preview.data.shape
        laid[shift[0] : shift[0] + height, shift[1] : shift[1] + width] = preview.data
        assert np.array_equal(laid, mask)
        session.clear()
        assert not session.preview.data.any()


# -- a volume of 30 GB ----------------------------------------------------------------------------


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
    before, start = resident(), time.perf_counter()
    reads.clear()
    session = open_session()
    session.wait(60)
    opened = time.perf_counter() - start
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
    assert opened < 20
    assert len(reads) < 40
    assert image.data.nbytes > 30e9
