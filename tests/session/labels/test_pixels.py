"""Layers that the person chose: any kind of array, at one resolution or several, and those that cannot be written."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from label_scenery import in_zarr
from session_scenery import DISCS, SHAPE, accept, discs

from napari_sam.errors import InputError
from napari_sam.session.labels.pixels import write_levels


def as_tensorstore(labels):
    import tensorstore

    return tensorstore.array(labels)


@pytest.mark.parametrize("store", [np.array, in_zarr, as_tensorstore], ids=["numpy", "zarr", "tensorstore"])
def test_labels_of_any_writable_kind_are_written(session, viewer, disc, store):
    session.target = viewer.add_labels(store(np.zeros(SHAPE, np.int32)))
    accept(session, *DISCS[0])
    session.wait(60)
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
    session.wait(60)
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
