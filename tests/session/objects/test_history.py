"""What undo keeps: how much of it, and that it is what was there."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from session_scenery import DISCS, click

from napari_sam.inference.refinement import Refinement
from napari_sam.session import messages
from napari_sam.session.labels import undo_history
from napari_sam.session.labels.compressed import CompressedArray
from napari_sam.session.labels.tiled import TiledLabels
from napari_sam.session.labels.undo_history import EarlierSteps
from napari_sam.session.labels.writer import LabelWriter
from napari_sam.session.objects import history
from napari_sam.session.objects.history import History, HistoryStep
from napari_sam.session.prompts.drawing import PromptContents
from napari_sam.session.viewing.plane_on_screen import find_view

ROOM = 1_000_000


class Sized(Refinement):
    """Answers of a known size."""

    @property
    def nbytes(self):
        return ROOM // 4


def step(of=None):
    return HistoryStep(PromptContents(), PromptContents(), refinement=Sized() if of is None else of)


def active(shape, make=lambda values: values, seed=None):
    """Give labels in a viewer, who writes into them, and the plane on screen; with noise in them if there is a seed."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(shape, np.uint8))
    values = np.zeros(shape, np.int32)
    if seed is not None:
        values[:] = np.random.default_rng(seed).integers(0, 4, shape)
    layer = viewer.add_labels(make(values))
    return layer, LabelWriter(layer), find_view(viewer, image)


def in_zarr(values):
    array = zarr.create_array(zarr.storage.MemoryStore(), shape=values.shape, chunks=(8,) * values.ndim, dtype="int32")
    array[...] = values
    return array


def in_tiles(values):
    tiles = TiledLabels(in_zarr(np.zeros_like(values)))
    tiles[...] = values
    return tiles


# -- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, ">i8"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 7), (2, 3, 5)])
@pytest.mark.parametrize("most", [1, 2, 200])
def test_arrays_come_back_as_they_were(dtype, shape, most):
    array = np.random.default_rng(0).integers(0, most, shape).astype(dtype)
    for one in (array, array.T, array[..., ::-1] if shape else array):
        back = CompressedArray.of(one).array()
        assert (back.dtype, back.shape) == (one.dtype, one.shape)
        np.testing.assert_array_equal(back, one)


def test_arrays_take_little_room():
    y, x = np.ogrid[:1000, :1000]
    disc = y**2 + x**2 < 900**2
    assert CompressedArray.of(disc).nbytes < 20_000
    assert CompressedArray.of(np.full(1_000_000, 7, np.int32)).nbytes == 4
    kept = CompressedArray.of(disc)
    assert kept.nbytes == len(kept.contents)


# -- one write ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1300, 1300), (3, 1300, 1300)])
def test_a_megapixel_over_other_labels_takes_little_room(shape):
    layer, writer, view = active(shape)
    layer.data[...] = (np.arange(1300) // 50)[:, None] + 1
    y, x = np.ogrid[:1200, :1200]
    mask = (y - 600) ** 2 + (x - 600) ** 2 < 592**2
    first = writer.write(view, mask, (10, 10), only_empty=False)  # what is made once is not this step's
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        written = writer.write(view, mask, (60, 60), only_empty=False)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert written is not None and first is not None
    assert kept < 1_000_000  # 20 to 25 MB as lists of coordinates


@pytest.mark.parametrize("make", [np.array, in_zarr, in_tiles])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_undo_and_redo_of_napari_bring_back_every_pixel(make, ndim, seed):
    rng = np.random.default_rng(seed)
    layer, writer, view = active((3, 40, 50)[3 - ndim :], make, seed)
    states = [np.array(layer.data)]
    for number in range(12):
        size = rng.integers(1, 20, 2)
        mask, origin = rng.random(size) < 0.6, tuple(int(at) for at in rng.integers(0, 20, 2))
        again = number % 3 == 2
        label = int(rng.integers(1, 4)) if again else None
        if writer.write(view, mask, origin, only_empty=bool(rng.integers(2)), label=label, replace=again) is not None:
            states.append(np.array(layer.data))
    assert len(states) > 6
    for state in reversed(states[:-1]):
        layer.undo()
        np.testing.assert_array_equal(layer.data, state)
    for state in states[1:]:
        layer.redo()
        np.testing.assert_array_equal(layer.data, state)


def test_what_was_painted_since_stays_and_the_step_that_says_so_is_compact():
    layer, writer, view = active((1300, 1300))
    written = writer.write(view, np.ones((1000, 1000), bool), (0, 0), only_empty=True)
    layer.data_setitem((np.array([5]), np.array([5])), 9)
    written.undo()
    assert np.argwhere(layer.data).tolist() == [[5, 5]]
    assert undo_history.held_bytes(layer._undo_history[-1]) < 10_000
    layer.undo()
    assert np.count_nonzero(layer.data == written.label) == 999_999
    layer.redo()
    written.redo()
    assert np.count_nonzero(layer.data == written.label) == 999_999 and layer.data[5, 5] == 9


def test_napari_without_the_compact_form_keeps_its_own(monkeypatch):
    monkeypatch.setattr(undo_history, "_PAINT_RECORD", None)
    layer, writer, view = active((60, 80))
    written = writer.write(view, np.ones((10, 10), bool), (0, 0), only_empty=True)
    assert undo_history.held_bytes(layer._undo_history[-1]) >= 2 * 4 * 100  # coordinates
    written.undo()
    assert not layer.data.any()
    written.redo()
    assert layer.data.sum() == 100


def test_data_that_were_replaced_are_not_kept_for_undo():
    layer, writer, view = active((60, 80))
    written = writer.write(view, np.ones((10, 10), bool), (0, 0), only_empty=True)
    old = weakref.ref(layer.data)
    layer.data = layer.data.copy()
    gc.collect()
    assert old() is None
    written.undo()
    assert not layer.data.any()


# -- napari's history -----------------------------------------------------------------------------


def noise(writer, view, seed):
    return writer.write(view, np.random.default_rng(seed).random((200, 200)) < 0.5, (0, 0), only_empty=False)


def test_the_oldest_steps_of_napari_go_when_they_take_too_much(monkeypatch):
    layer, writer, view = active((200, 200))
    noise(writer, view, 0)
    size = undo_history.held_bytes(layer._undo_history[-1])
    monkeypatch.setattr(undo_history, "MAX_BYTES", 10 * size)
    for seed in range(1, 15):
        noise(writer, view, seed)
        newest = layer._undo_history[-1]
    held = sum(map(undo_history.held_bytes, layer._undo_history))
    assert 1 < len(layer._undo_history) < 15 and held <= 10 * size
    monkeypatch.setattr(undo_history, "MAX_BYTES", 0)
    noise(writer, view, 8)
    assert len(layer._undo_history) == 1 and layer._undo_history[-1] is not newest  # the newest is never let go


def test_strokes_of_the_person_count(monkeypatch):
    layer, writer, view = active((200, 200))
    layer.data_setitem(np.nonzero(np.ones((200, 200))), 5)  # napari's own lists of coordinates
    assert undo_history.held_bytes(layer._undo_history[-1]) >= 200 * 200 * 2 * 8
    monkeypatch.setattr(undo_history, "MAX_BYTES", 100_000)
    noise(writer, view, 0)
    assert len(layer._undo_history) == 1


def test_a_step_that_fell_off_is_undone_and_nothing_else_is_redone(monkeypatch):
    layer, writer, view = active((60, 80))
    monkeypatch.setattr(undo_history, "MAX_BYTES", 0)
    older = writer.write(view, np.ones((10, 10), bool), (0, 0), only_empty=True)
    writer.write(view, np.ones((10, 10), bool), (20, 20), only_empty=True)
    layer.undo()  # napari's, of the newer one
    older.undo()
    assert not layer.data.any()


def test_steps_of_an_earlier_session_are_not_kept_after_napari_let_them_go(monkeypatch):
    layer, writer, view = active((200, 200))
    noise(writer, view, 0)
    earlier = EarlierSteps(layer)
    assert earlier.next_to_undo(layer) and len(earlier._changes) == 1
    monkeypatch.setattr(undo_history, "MAX_BYTES", 0)
    noise(writer, view, 1)
    assert not earlier.next_to_undo(layer) and not earlier._changes


# -- the session's history ------------------------------------------------------------------------


def test_steps_are_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(history, "ROOM", ROOM)
    steps = History()
    made = [step() for _ in range(6)]
    for one in made:
        steps.add(one)
    assert steps.done == made[-4:] and steps.shortened
    steps.undo()
    steps.add(step())
    assert len(steps.done) == 4


def test_the_newest_step_stays_however_large_it_is(monkeypatch):
    monkeypatch.setattr(history, "ROOM", ROOM // 8)
    steps = History()
    for _ in range(3):
        steps.add(newest := step())
        assert steps.done == [newest]


def test_a_step_that_grows_pushes_older_ones_out(monkeypatch):
    monkeypatch.setattr(history, "ROOM", ROOM)
    steps = History()
    for _ in range(4):
        steps.add(step())
    steps.add(growing := step(Refinement()))
    assert len(steps.done) == 5
    grown = steps.change(growing, refinement=Sized())
    assert len(steps.done) == 4 and steps.done[-1] is grown


def test_steps_that_fit_are_all_kept_up_to_their_number():
    steps = History()
    for _ in range(history.LIMIT):
        steps.add(step(Refinement()))
    assert len(steps.done) == history.LIMIT and not steps.shortened
    steps.add(step(Refinement()))
    assert len(steps.done) == history.LIMIT and steps.shortened


def test_an_accept_knows_what_it_holds(session):
    click(session, DISCS[0])
    session.wait(20)
    session.accept()
    session.wait(20)
    newest = session._components.log.history(session.image).done[-1]
    [part] = newest.written.parts
    [record] = newest.holds.planes.values()
    assert record.drawn is part.drawn is part.change.pixels  # one mask, counted once
    logits = sum(one.made.mask.logits.nbytes for one in newest.refinement.steps)
    drawn = newest.after.points.nbytes
    assert logits > 0
    assert newest.nbytes == part.change.nbytes + logits + drawn


def test_undo_says_that_older_steps_are_no_longer_kept(session, monkeypatch):
    monkeypatch.setattr(history, "ROOM", 0)
    click(session, DISCS[0])
    click(session, (15, 25), positive=False)
    session.wait(20)
    session.undo()
    assert len(session.points.data) == 1 and session.state.can_undo
    session.undo()
    assert session.state.status.text == messages.NO_OLDER_STEPS == "Older steps are no longer kept."
    assert len(session.points.data) == 1 and not session.state.can_undo
