"""Whole images are held back, or a strip of the only one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material_scenery import grid, plane, squares

from napari_sam.errors import InputError
from napari_sam.training.material import TaughtPlane, split_material


def of_counts(counts, first=0):
    """One plane a number, with as many objects: of group g0, g1, ..."""
    made = []
    for number, count in enumerate(counts, first):
        labels = np.zeros((4, 80), np.uint8)
        labels[1, : 2 * count : 2] = np.arange(1, count + 1)
        made.append(TaughtPlane(f"p{number}", f"g{number}", np.zeros((4, 80, 3), np.uint8), labels, True))
    return made


def objects(planes):
    return sum(plane.objects for plane in planes)


def groups(planes):
    return {plane.group for plane in planes}


counts = st.lists(st.integers(1, 30), min_size=2, max_size=12)


@given(counts, st.lists(st.integers(0, 5), max_size=12), st.integers(0, 99), st.floats(0.05, 0.6))
@settings(max_examples=200, deadline=None)
def test_whole_groups_are_held_out(counts, more, seed, share):
    planes = of_counts(counts)
    # Further planes of some of the groups.
    planes += [planes[at % len(counts)] for at in more]
    split = split_material(planes, share=share, seed=seed)
    assert groups(split.training).isdisjoint(groups(split.held_out))
    assert len(split.training) + len(split.held_out) == len(planes)
    assert objects(split.training) + objects(split.held_out) == objects(planes)
    assert split.training
    assert split.held_out
    assert not split.same_image


@given(st.lists(st.integers(1, 8), min_size=2, max_size=8), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_three_objects_are_on_each_side_wherever_they_can_be(counts, seed):
    sums = {0}
    for count in counts:
        sums |= {one + count for one in sums}
    split = split_material(of_counts(counts), seed=seed)
    if any(3 <= one <= sum(counts) - 3 for one in sums):
        assert objects(split.held_out) >= 3
        assert objects(split.training) >= 3


@given(st.permutations(range(9)), st.integers(0, 9))
@settings(deadline=None)
def test_the_order_of_planes_does_not_matter(order, seed):
    planes = of_counts([5, 9, 3, 12, 7, 4, 8, 6, 10])
    shuffled = [planes[at] for at in order]
    assert groups(split_material(shuffled, seed=seed).held_out) == groups(split_material(planes, seed=seed).held_out)


def test_about_the_share_is_held_out():
    planes = of_counts([10] * 30)
    for seed in range(20):
        split = split_material(planes, share=0.2, seed=seed)
        assert objects(split.held_out) == 60
    assert len({frozenset(groups(split_material(planes, seed=seed).held_out)) for seed in range(20)}) > 10


@pytest.mark.parametrize("counts", [[2, 2, 1, 1], [2, 1, 1, 1, 1], [1] * 6, [2, 2, 2, 1], [2, 2, 2, 2]])
@pytest.mark.parametrize("seed", range(6))
def test_very_small_groups_are_gathered(counts, seed):
    split = split_material(of_counts(counts), seed=seed)
    assert objects(split.held_out) >= 3
    assert objects(split.training) >= 3


@pytest.mark.parametrize("seed", range(6))
def test_one_large_group_is_learnt_from(seed):
    split = split_material(of_counts([30, 6, 5]), seed=seed)
    assert "g0" in groups(split.training)


@pytest.mark.parametrize("seed", range(10))
def test_a_group_that_is_added_changes_little(seed):
    planes = of_counts([10] * 20)
    held = groups(split_material(planes, seed=seed).held_out)
    after = groups(split_material(planes + of_counts([10], first=20), seed=seed).held_out)
    assert len(held - after) <= 1
    # More planes of a group change nothing of its place in the row.
    more = groups(split_material([*planes, *planes[:1]], seed=seed).held_out)
    assert len(held - more) <= 1


@given(counts, counts, st.integers(0, 9))
@settings(deadline=None)
def test_what_was_held_out_before_stays_so(first, second, seed):
    planes = of_counts([count + 3 for count in first])
    before = split_material(planes, seed=seed)
    after = split_material(planes + of_counts(second, first=len(first)), seed=seed, before=before.held_out)
    assert groups(before.held_out) <= groups(after.held_out)
    assert objects(after.training) >= 3


def test_something_is_left_to_learn_from_whatever_was_held_out_before():
    planes = of_counts([5, 5, 5])
    split = split_material(planes, before=planes)
    assert len(split.training) == 1


def test_a_split_is_told():
    words = split_material(of_counts([10] * 5)).words
    assert words.startswith("It learns from 40 objects in 4 images, and is measured on 10 objects in 1 other image,")


def test_of_one_image_a_strip_is_held_out():
    whole = plane()
    split = split_material([whole])
    assert split.same_image
    assert split.words.startswith("There is only one image: it is measured on a part of it that was not learnt from.")
    (rest,), (strip,) = split.training, split.held_out
    assert rest.objects + strip.objects == whole.objects == 36
    assert strip.objects == 12
    area = strip.labels.size / whole.labels.size
    assert 0.15 <= area <= 0.36
    assert rest.labels.size + strip.labels.size == whole.labels.size
    assert {rest.name, strip.name} == {"cells.tif, upper part", "cells.tif, lower part"}
    assert rest.complete
    assert strip.complete


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(12, 60), st.integers(12, 60)),
    st.integers(3, 40),
    st.integers(1, 3),
)
@settings(max_examples=150, deadline=None)
def test_strips_share_no_pixel_and_lose_only_what_they_cross(seed, shape, count, planes):
    rng = np.random.default_rng(seed)
    made = []
    for number in range(planes):
        places = [(int(rng.integers(0, shape[0] - 3)), int(rng.integers(0, shape[1] - 3))) for _ in range(count)]
        labels = squares(shape, places, side=int(rng.integers(2, 5)))
        image = np.arange(np.prod(shape), dtype=np.uint32).view(np.uint8).reshape(*shape, 4)[..., :3]
        made.append(TaughtPlane(f"p{number}", "g", image, labels, True))
    split = split_material(made)
    assert split.same_image
    if not split.held_out:
        return
    assert split.training
    known = {p.name: p for p in made}
    for part in (*split.training, *split.held_out):
        whole = known[part.name.split(",")[0]]
        # Each pixel of these images is another one.
        other = [p for p in (*split.training, *split.held_out) if p.name.split(",")[0] == whole.name and p is not part]
        here = {tuple(value) for value in part.image.reshape(-1, 3)}
        assert all(here.isdisjoint({tuple(value) for value in p.image.reshape(-1, 3)}) for p in other)
        for label in np.unique(part.labels[part.labels > 0]):
            assert (part.labels == label).sum() == (whole.labels == label).sum()
    taken, left = split.held_out[0].image.shape[:2], split.training[0].image.shape[:2]
    axis = 0 if taken[1] == shape[1] and left[1] == shape[1] else 1
    assert taken[axis] + left[axis] == shape[axis]
    assert 0.15 * shape[axis] - 1 <= taken[axis] <= 0.35 * shape[axis] + 1
    # Along one axis, and at one place of all planes.
    assert len({p.image.shape for p in split.training}) == 1
    assert len({p.image.shape for p in split.held_out}) == 1


def test_the_cut_crosses_as_few_objects_as_it_can():
    labels = np.zeros((100, 100), np.uint8)
    for number, x in enumerate(range(5, 95, 10), 1):
        labels[10:60, x : x + 6] = number  # tall ones, which a cut along a row would cross
        labels[70:80, x : x + 6] = 20 + number
    labels[70:80, 24:36] = 50
    split = split_material([plane(labels=labels)])
    assert objects(split.training) + objects(split.held_out) == plane(labels=labels).objects


def test_a_part_that_lost_many_objects_is_not_complete():
    labels = np.zeros((40, 40), np.uint8)
    labels[1, 1:39], labels[38, 1:39] = 1, 2  # every cut along a column crosses these
    labels[3:37, 1], labels[3:37, 38] = 3, 4  # and along a row these
    for number, (y, x) in enumerate([(4, 4), (4, 34), (34, 4), (34, 34), (4, 18), (18, 4), (34, 18), (18, 34)], 5):
        labels[y : y + 2, x : x + 2] = number
    split = split_material([plane(labels=labels)])
    assert objects(split.training) + objects(split.held_out) == 10
    assert not any(part.complete for part in (*split.training, *split.held_out))


def test_nothing_is_held_out_where_no_cut_has_objects_on_both_sides():
    split = split_material([plane(labels=squares((96, 96), [(45, 45)], side=3))])
    assert split.held_out == ()
    assert len(split.training) == 1
    assert "nothing is measured" in split.words


def test_planes_of_one_stack_are_cut_at_one_place():
    stack = [plane(at, name=f"s.tif, z = {at}", labels=np.roll(grid(), at, 0)) for at in range(4)]
    split = split_material(stack)
    assert split.words.startswith("All planes are of one image")
    assert len({part.image.shape for part in split.held_out}) == 1
    assert len({part.name.rsplit(", ", 1)[1] for part in split.held_out}) == 1


def test_large_numbers_cost_nothing():
    labels = grid().astype(np.int64)
    labels[labels > 0] += 2**40
    split = split_material([plane(labels=labels)])
    assert objects(split.training) + objects(split.held_out) == 36
    assert split.training[0].labels.max() > 2**40


def test_what_cannot_be_split_is_refused():
    with pytest.raises(InputError, match="no planes"):
        split_material([])
    with pytest.raises(InputError, match="between 0 and 1"):
        split_material(of_counts([3, 3]), share=1.0)
