"""Areas, boxes and centres of objects: measured in blocks, kept up to date, compared with scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import regionprops_table

from napari_sam.regions import RegionTable, combine, measure, measure_blocks

SHAPES = ((30, 40), (6, 20, 25))


def scene(shape, seed=0, largest=12):
    """Random boxes that overlap, so that some objects are in pieces, and some are gone."""
    random, labels = np.random.default_rng(seed), np.zeros(shape, np.int32)
    for label in range(1, largest + 1):
        low = [int(random.integers(0, side - 2)) for side in shape]
        labels[tuple(slice(at, at + int(random.integers(1, 9))) for at in low)] = label
    return labels


def assert_is_measured(table, labels):
    names = ("label", "area", "bbox", "centroid")
    known = regionprops_table(labels, properties=names)
    ndim = labels.ndim
    np.testing.assert_array_equal(table.labels, known["label"])
    np.testing.assert_array_equal(table.area, known["area"])
    for axis in range(ndim):
        np.testing.assert_array_equal(table.low[:, axis], known[f"bbox-{axis}"])
        np.testing.assert_array_equal(table.high[:, axis], known[f"bbox-{ndim + axis}"])
        np.testing.assert_allclose(table.center[:, axis], known[f"centroid-{axis}"], rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1, 300_000_000])
def test_objects_are_measured_as_scikit_image_does(shape, scale):
    labels = scene(shape).astype(np.int64) * scale
    table = measure(labels)
    assert_is_measured(measure(scene(shape)), scene(shape))
    np.testing.assert_array_equal(table.labels, np.unique(labels[labels > 0]))
    np.testing.assert_array_equal(table.area, measure(scene(shape)).area)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [1, 7, 100])
def test_blocks_come_to_the_whole(shape, side):
    labels, shares = scene(shape), []
    starts = np.ndindex(*(-(-length // side) for length in shape))
    blocks = [
        tuple(slice(at * side, min((at + 1) * side, length)) for at, length in zip(start, shape, strict=True))
        for start in starts
    ]
    assert_is_measured(measure_blocks(labels, blocks, shares.append, len(blocks)), labels)
    assert shares[-1] == 1
    assert shares == sorted(shares)


@given(
    seed=st.integers(0, 10_000),
    which=st.sampled_from(SHAPES),
    strokes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 14)), min_size=1, max_size=6),
)
def test_what_is_painted_is_measured_anew(seed, which, strokes):
    labels = scene(which, seed)
    table, boxes = measure(labels), []
    for at, value in strokes:
        random = np.random.default_rng(at)
        low = [int(random.integers(0, side)) for side in which]
        high = [min(side, start + int(random.integers(1, 12))) for side, start in zip(which, low, strict=True)]
        labels[tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))] = value
        boxes.append((tuple(low), tuple(high)))
    assert_is_measured(table.updated(labels, boxes), labels)


def test_only_what_is_near_a_change_is_read():
    labels = np.zeros((1000, 1000), np.uint16)
    labels[10:20, 10:20], labels[800:900, 800:900] = 1, 2
    table = measure(labels)
    read = []

    class Spy:
        def __getitem__(self, key):
            read.append(labels[key].size)
            return labels[key]

    labels[15:30, 15:30] = 3
    table = table.updated(Spy(), [((15, 15), (30, 30))])
    assert_is_measured(table, labels)
    assert sum(read) < 1000
    assert table.find(3) == 2
    assert table.find(4) is None


def test_no_objects():
    table = measure(np.zeros((4, 5, 6), int))
    assert (len(table), table.ndim, table.center.shape) == (0, 3, (0, 3))
    assert len(combine([], 2)) == len(RegionTable.empty(2)) == 0
    assert table.find(1) is None
