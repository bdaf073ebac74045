from __future__ import annotations

import weakref

import numpy as np
import pytest
import zarr

from napari_sam.automatic.linking import LinkSettings, StackGraph, find_gaps, link_planes, write_linked
from napari_sam.automatic.linking.multicut import multicut
from napari_sam.automatic.linking.overlaps import Overlaps, PlaneObjects
from napari_sam.errors import Cancelled, InputError
from napari_sam.evaluation.average_precision import average_precision
from napari_sam.evaluation.linking import ErrorRates, linked_to_one_neighbour, plane_by_plane
from napari_sam.evaluation.synthetic_volumes import KINDS, synthetic_volume

SHAPE = (9, 60, 80)


class Planes:
    """Planes that are counted as they are read."""

    def __init__(self, planes):
        self.planes, self.read = planes, []

    def __len__(self):
        return len(self.planes)

    def __getitem__(self, index):
        self.read.append(index)
        return self.planes[index].copy()


def link(planes, *, fill=False, settings=None):
    graph = StackGraph.of(planes, 3)
    mapping = link_planes(graph, settings)
    found = np.full(planes.shape, 99, np.int32)
    write_linked(planes, mapping, found, find_gaps(graph, mapping) if fill else ())
    return found


@pytest.fixture
def columns():
    """Two objects side by side, from the first plane to the last, with other numbers on each."""
    planes = np.zeros(SHAPE, np.int32)
    for index in range(SHAPE[0]):
        planes[index, 20:40, 20:40] = 1 + index % 3
        planes[index, 20:40, 40:60] = 8 - index % 3
    return planes


def two_columns(found, index):
    """The numbers of both objects on a plane."""
    return int(found[index, 30, 30]), int(found[index, 30, 50])


def test_objects_keep_their_numbers_from_plane_to_plane(columns):
    found = link(columns)
    assert {two_columns(found, index) for index in range(9)} == {(1, 2)} and set(np.unique(found)) == {0, 1, 2}
    assert np.array_equal(found > 0, columns > 0)


def test_a_plane_without_objects_is_bridged_and_filled_when_asked(columns):
    columns[4] = 0
    columns[5, :, :40] = 0
    assert two_columns(link(columns), 8) == (1, 2) and not link(columns)[4].any()
    found = link(columns, fill=True)
    whole = np.zeros(SHAPE[1:], np.int32)
    whole[20:40, 20:40], whole[20:40, 40:60] = 1, 2
    assert all(np.array_equal(plane, whole) for plane in found)


def test_what_is_filled_lies_between_its_neighbours_and_leaves_others_alone():
    planes = np.zeros(SHAPE, np.int32)
    for index, half in ((2, 10), (3, 10), (5, 14), (6, 14)):
        planes[index, 30 - half : 30 + half, 40 - half : 40 + half] = 7
    planes[4, 30:32, 40:42] = 3
    found = link(planes, fill=True, settings=LinkSettings(overlap=0.9))
    inside = found[4] == found[3, 25, 35]
    assert 22**2 < np.count_nonzero(inside) < 26**2 and not inside[30:32, 40:42].any()
    assert not found[:2].any() and not found[7:].any()


def test_a_gap_as_long_as_the_reach_is_not_bridged(columns):
    columns[3:6] = 0
    found = link(columns)
    assert not set(two_columns(found, 2)) & set(two_columns(found, 6))


def test_two_objects_that_are_one_on_a_plane_stay_two(columns):
    columns[4][columns[4] > 0] = 9
    found = link(columns)
    assert {two_columns(found, index) for index in (0, 3, 5, 8)} == {(1, 2)}


def test_an_object_that_is_two_on_a_plane_stays_one(columns):
    columns[4, 20:40, 30:40] = 9
    found = link(columns)
    assert set(np.unique(found)) == {0, 1, 2} and np.array_equal(found[4], found[3])


def test_objects_that_hardly_lie_on_each_other_stay_apart():
    planes = np.zeros(SHAPE, np.int32)
    planes[:4, 10:30, 10:30] = planes[4:, 26:46, 26:46] = 1
    assert link(planes)[0, 20, 20] != link(planes)[8, 40, 40]


def test_ahead_of_overlap_with_one_neighbour_on_volumes_with_errors():
    ours, theirs = [], []
    for seed in range(200, 203):
        for kind in KINDS[:2]:
            truth = synthetic_volume(kind, seed).labels
            planes = plane_by_plane(truth, seed)
            ours.append(average_precision(truth, link(planes))[0])
            theirs.append(average_precision(truth, linked_to_one_neighbour(planes))[0])
    better = np.array(ours) - theirs
    # About 0.45 on average, see benchmarks/linking.py.
    assert better.mean() > 0.25 and (better.reshape(3, 2).mean(axis=1) > 0.15).all()


def test_no_worse_than_one_neighbour_on_volumes_without_errors():
    ours, theirs = [], []
    for kind in KINDS:
        truth = synthetic_volume(kind, 300).labels
        planes = plane_by_plane(truth, 0, ErrorRates(0, 0, 0))
        ours.append(average_precision(truth, link(planes))[0])
        theirs.append(average_precision(truth, linked_to_one_neighbour(planes))[0])
    assert np.mean(ours) >= np.mean(theirs)


def test_each_plane_is_read_once_to_link_and_once_to_write(columns):
    columns[4] = 0
    planes = Planes(columns)
    graph = StackGraph.of(planes, 3)
    assert planes.read == list(range(9))
    planes.read.clear()
    mapping = link_planes(graph)
    write_linked(planes, mapping, np.zeros(SHAPE, np.int32), find_gaps(graph, mapping))
    assert sorted(planes.read) == list(range(9))


def test_the_last_few_planes_alone_are_in_memory(columns, monkeypatch):
    alive, most, of = weakref.WeakSet(), [], PlaneObjects.of

    class Watched(PlaneObjects):
        __slots__ = ("__weakref__",)

    def watched(plane):
        most.append(len(alive))
        found = of(plane)
        kept = Watched(*(getattr(found, name) for name in PlaneObjects.__slots__))
        alive.add(kept)
        return kept

    monkeypatch.setattr("napari_sam.automatic.linking.stack.PlaneObjects.of", watched)
    StackGraph.of(columns, 2)
    assert max(most) == 2


def test_labels_may_be_any_numbers_and_stores_anything(columns, tmp_path):
    far = np.where(columns > 0, columns.astype(np.int64) + 2**40, 0)
    store = zarr.create_array(str(tmp_path / "linked.zarr"), shape=SHAPE, chunks=(1, 30, 30), dtype="int32")
    mapping = link_planes(StackGraph.of(far))
    write_linked(far, mapping, store)
    assert np.array_equal(store[:], link(columns))
    assert mapping[0] == {2**40 + 1: 1, 2**40 + 8: 2}


def test_a_stack_of_nothing_has_no_objects():
    graph = StackGraph.of(np.zeros(SHAPE, np.uint8))
    assert link_planes(graph) == [{}] * 9 and find_gaps(graph, [{}] * 9) == []


def test_what_cannot_be_linked_is_refused(columns):
    with pytest.raises(InputError, match="integers"):
        StackGraph.of(columns.astype(float))
    with pytest.raises(InputError, match="one shape"):
        StackGraph.of([columns[0], columns[1, :50]])
    with pytest.raises(InputError, match="one plane at least"):
        LinkSettings(reach=0)


def test_linking_is_cancelled_between_planes(columns):
    def cancel(share):
        if share > 0.5:
            raise Cancelled

    planes = Planes(columns)
    with pytest.raises(Cancelled):
        StackGraph.of(planes, 3, cancel)
    assert len(planes.read) == 5


def test_overlaps_in_both_directions_and_of_the_union():
    one, two = np.zeros((20, 20), int), np.zeros((20, 20), int)
    one[:10, :10], two[:10, 5:9], two[15:, 15:] = 3, 8, 4
    first, second = PlaneObjects.of(one), PlaneObjects.of(two)
    common = Overlaps.of(first, second)
    assert first.labels[common.one].tolist() == [3] and second.labels[common.two].tolist() == [8]
    assert common.shares.tolist() == [[0.4, 1.0]] and common.iou.tolist() == [0.4]
    assert first.centre.tolist() == [[4.5, 4.5]] and second.low.tolist() == [[15, 15], [0, 5]]


def test_edges_of_clusters_add_up():
    edges = np.array([[0, 1], [0, 2], [1, 2], [2, 3], [0, 3], [1, 3]])
    # 3 is drawn to 2 and pushed away by 0 and 1, which 2 is drawn to more.
    weights = np.array([1.0, 0.9, 0.9, 0.5, -0.3, -0.3])
    assert multicut(edges, weights, np.arange(4), 0.0).tolist() == [0, 0, 0, 1]
    weights[-1] = -0.1
    assert multicut(edges, weights, np.arange(4), 0.0).tolist() == [0, 0, 0, 0]


def test_clusters_with_planes_in_common_repel_each_other():
    edges, weights = np.array([[0, 2], [1, 3], [2, 3]]), np.array([1.0, 1.0, 0.5])
    groups = np.array([0, 0, 1, 2])
    assert multicut(edges, weights, groups, 0.4).tolist() == [0, 0, 0, 0]
    assert multicut(edges, weights, groups, 0.6).tolist() == [0, 1, 0, 1]


def test_the_order_of_edges_changes_nothing():
    rng = np.random.default_rng(0)
    pairs = np.array([(one, two) for two in range(30) for one in range(two)])
    weights, groups = rng.choice([-1.0, -0.5, 0.5], len(pairs)), rng.integers(0, 5, 30)
    expected = multicut(pairs, weights, groups, 0.2)
    order = rng.permutation(len(pairs))
    assert len(set(expected.tolist())) > 2
    assert np.array_equal(multicut(pairs[order], weights[order], groups, 0.2), expected)
