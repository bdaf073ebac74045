"""What was written is undone and redone as one step, in little memory, and what was painted since stays."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from label_scenery import in_tiles, in_zarr, layer_and_writer
from session_scenery import SHAPE

from napari_sam.session.labels import undo_history
from napari_sam.session.labels.edit import join_edits
from napari_sam.session.labels.writer import LabelWriter
from napari_sam.session.viewing.plane_on_screen import find_view


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


@pytest.mark.parametrize("shape", [(1300, 1300), (3, 1300, 1300)])
def test_a_megapixel_over_other_labels_takes_little_room(shape):
    layer, writer, view = layer_and_writer(shape)
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
    layer, writer, view = layer_and_writer((3, 40, 50)[3 - ndim :], make, seed)
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
    layer, writer, view = layer_and_writer((1300, 1300))
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


def test_data_that_were_replaced_are_not_kept_for_undo():
    layer, writer, view = layer_and_writer((60, 80))
    written = writer.write(view, np.ones((10, 10), bool), (0, 0), only_empty=True)
    old = weakref.ref(layer.data)
    layer.data = layer.data.copy()
    gc.collect()
    assert old() is None
    written.undo()
    assert not layer.data.any()


def test_many_objects_are_one_step_and_their_ids_follow_on(viewer, stack, disc):
    image, layer = stack
    view = next(planes(viewer, image))
    writer = LabelWriter(layer)
    layer.data[0][disc[0]] = 4
    objects = np.zeros(SHAPE, np.int32)
    objects[disc[0]], objects[disc[1]] = 1, 2
    objects[0, 0] = 3
    written, offset = writer.write_objects(view, objects, (0, 0), only_empty=True)
    assert offset == 4
    np.testing.assert_array_equal(layer.data[0], np.where(disc[0], 4, np.where(objects, objects + 4, 0)))
    assert writer.next_label == 8
    written.undo()
    np.testing.assert_array_equal(layer.data[0], np.where(disc[0], 4, 0))
    written.redo()
    assert writer.next_label == 8
    written, offset = writer.write_objects(view, objects, (0, 0), only_empty=False)
    np.testing.assert_array_equal(layer.data[0], np.where(objects, objects + 7, 0))
    layer.undo()
    assert np.unique(layer.data[0]).tolist() == [0, 4, 6, 7]


def test_objects_without_a_free_pixel_are_not_written(viewer, stack, disc):
    image, layer = stack
    view = next(planes(viewer, image))
    layer.data[0][disc[0]] = 4
    before = layer.data.copy()
    assert LabelWriter(layer).write_objects(view, disc[0].astype(np.int32), (0, 0), only_empty=True) is None
    assert LabelWriter(layer).write_objects(view, np.zeros(SHAPE, np.int32), (0, 0), only_empty=False) is None
    np.testing.assert_array_equal(layer.data, before)
