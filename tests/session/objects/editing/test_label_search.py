"""Where objects lie, in arrays of any kind: the boxes on each plane, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam.masks import bounding_box
from napari_sam.planes.source import PlaneIndex
from napari_sam.session.labels.tiled import make_tiled
from napari_sam.session.objects.editing import search
from napari_sam.session.objects.editing.search import LabelSearch, find_boxes


def view_of(data, axes):
    index = tuple(None if axis in axes else size // 2 for axis, size in enumerate(data.shape))
    return PlaneIndex(axes, index, (data.shape[axes[0]], data.shape[axes[1]]))


def expected(data, view, labels, *, whole):
    """By looking at every plane as a whole."""
    others = [axis for axis in range(data.ndim) if axis not in view.axes]
    found = {}
    for place in np.ndindex(*(data.shape[axis] for axis in others)):
        index = [None] * data.ndim
        for axis, at in zip(others, place, strict=True):
            index[axis] = at
        if whole or tuple(index) == view.index:
            plane = data[tuple(slice(None) if at is None else at for at in index)]
            if (box := bounding_box(np.isin(plane, labels))) is not None:
                found[tuple(index)] = (*box[0], *box[1])
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    shape=st.lists(st.integers(3, 7), min_size=2, max_size=5),
    whole=st.booleans(),
    block=st.sampled_from([1, 7, 40, 10**6]),
)
def test_boxes_are_those_of_looking_at_every_plane(seed, shape, whole, block):
    chance = np.random.default_rng(seed)
    data = chance.integers(0, 3, shape) * (chance.random(shape) < 0.1)
    axes = tuple(sorted(chance.choice(len(shape), 2, replace=False).tolist()))
    view, labels = view_of(data, axes), tuple(chance.choice([1, 2], chance.integers(1, 3), replace=False).tolist())
    from napari_sam.session.labels import max_label

    before, max_label._BLOCK = max_label._BLOCK, block
    try:
        found = find_boxes(LabelSearch(data, view, labels, whole))
    finally:
        max_label._BLOCK = before
    assert {plane.index: corners for plane, corners in found.items()} == expected(data, view, labels, whole=whole)


@pytest.mark.parametrize("whole", [True, False])
def test_of_labels_on_disk_only_the_tiles_that_may_hold_the_object_are_read(monkeypatch, whole):
    [tiled] = make_tiled([(40, 300, 300)], [(8, 100, 100)], {})
    plain = np.zeros(tiled.shape, int)
    for place, label in (((3, 20, 30), 2), ((21, 250, 150), 9), ((20, 10, 10), 3), ((3, 280, 280), 9)):
        tiled[place] = plain[place] = label
    read = []
    original = type(tiled).__getitem__
    monkeypatch.setattr(type(tiled), "__getitem__", lambda self, key: read.append(key) or original(self, key))
    view = PlaneIndex((1, 2), (21, None, None), (300, 300))
    found = find_boxes(LabelSearch(tiled, view, (9,), whole))
    assert {plane.index: corners for plane, corners in found.items()} == expected(plain, view, (9,), whole=whole)
    assert len(read) == (2 if whole else 1)  # tiles whose largest id is less hold no 9


def test_much_is_not_searched_at_once(monkeypatch):
    data = np.zeros((4, 50, 50), int)
    view = view_of(data, (1, 2))
    monkeypatch.setattr(search, "AT_ONCE", 2500)
    assert LabelSearch(data, view, (1,), whole=False).quick
    assert not LabelSearch(data, view, (1,), whole=True).quick
    shares = []
    find_boxes(LabelSearch(data, view, (1,), whole=True), shares.append)
    assert shares[0] == 0 and shares == sorted(shares)
