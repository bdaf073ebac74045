"""Parts of an object: one around each point, and together just the object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam.errors import InputError
from napari_sam.inference.request import candidate_of
from napari_sam.planes.source import PlaneIndex
from napari_sam.progress import no_progress
from napari_sam.session.objects.editing.search import LabelSearch
from napari_sam.session.objects.editing.splitting import SplitOrder, grow_parts, split_object


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**16), ndim=st.integers(2, 4), count=st.integers(2, 5))
def test_parts_cover_the_mask_exactly_and_each_has_its_point(seed, ndim, count):
    chance = np.random.default_rng(seed)
    mask = chance.random([9] * ndim) < chance.uniform(0.2, 0.9)
    places = np.argwhere(mask)
    seeds = chance.permutation(places)[:count]
    parts = grow_parts(mask, seeds)
    np.testing.assert_array_equal(parts > 0, mask)
    assert sorted(parts[tuple(seeds.T)]) == list(range(1, len(seeds) + 1))
    areas = np.bincount(parts.ravel())[1:]
    assert areas[0] == areas.max()


def test_the_border_runs_through_the_narrow_place():
    y, x = np.ogrid[:40, :80]
    mask = ((y - 20) ** 2 + (x - 20) ** 2 <= 256) | ((y - 20) ** 2 + (x - 55) ** 2 <= 400)
    # Neither point is in the middle of its disc.
    parts = grow_parts(mask, np.array([(12, 14), (28, 62)]))
    assert (parts[:, :30][mask[:, :30]] == 2).all() and (parts[:, 41:][mask[:, 41:]] == 1).all()


def test_long_pixels_count_as_long():
    mask = np.ones((9, 40), bool)
    near = grow_parts(mask, np.array([(4, 2), (4, 37)]), spacing=(1.0, 1.0))
    far = grow_parts(mask, np.array([(4, 2), (4, 37)]), spacing=(10.0, 1.0))
    for parts in (near, far):
        assert (parts > 0).all() and parts[4, 2] != parts[4, 37]


def order_for(data, points, ask, *, whole=True, at=0):
    index = (None, None) if data.ndim == 2 else (at, None, None)
    view = PlaneIndex((data.ndim - 2, data.ndim - 1), index, data.shape[-2:])
    return SplitOrder(LabelSearch(data, view, (3,), whole), np.array(points), (1.0,) * data.ndim, ask)


def halves(border):
    """A model that knows where the border is."""

    def ask(prompts, _progress):
        mask = np.zeros((30, 30), bool)
        [point] = [point for point in prompts.points if point.positive]
        part = slice(None, border) if point.position[1] < border else slice(border, None)
        mask[:, part] = True
        return candidate_of(mask, 0.9)

    return ask


def test_the_model_tells_the_parts_apart_where_it_can():
    data = np.zeros((30, 30), int)
    data[5:25, 3:28] = 3
    parts = split_object(order_for(data, [(10, 5), (10, 20)], halves(8)), no_progress)
    [((top, left), numbers)] = parts.planes.values()
    whole = np.zeros_like(data)
    whole[top : top + numbers.shape[0], left : left + numbers.shape[1]] = numbers
    assert parts.by_model
    np.testing.assert_array_equal(whole[data == 3][whole[data == 3] == 2].size, 20 * 5)
    np.testing.assert_array_equal(np.argwhere(whole == 2)[:, 1].max(), 7)


def test_a_model_that_sees_one_object_is_not_believed():
    data = np.zeros((30, 30), int)
    data[5:25, 3:28] = 3
    parts = split_object(order_for(data, [(10, 5), (10, 20)], lambda *_: candidate_of(data == 3, 0.9)), no_progress)
    assert not parts.by_model and parts.count == 2

    def fails(*_):
        raise InputError("no model")

    assert not split_object(order_for(data, [(10, 5), (10, 20)], fails), no_progress).by_model


def test_in_a_stack_the_parts_of_the_plane_grow_into_the_others():
    data = np.zeros((4, 30, 30), int)
    data[1:, 5:25, 3:28] = 3
    parts = split_object(order_for(data, [(2, 10, 5), (2, 10, 20)], halves(8), at=2), no_progress)
    assert parts.by_model and len(parts.planes) == 3
    for numbers in (numbers for _, numbers in parts.planes.values()):
        assert set(np.unique(numbers)) == {1, 2}


def test_points_that_do_not_lie_on_it_any_more_are_refused():
    data = np.zeros((30, 30), int)
    data[5:25, 3:28] = 3
    with pytest.raises(InputError, match="does not lie on the object"):
        split_object(order_for(data, [(10, 5), (1, 1)], None), no_progress)
    with pytest.raises(InputError, match="not there any more"):
        split_object(order_for(np.zeros((30, 30), int), [(10, 5), (10, 6)], None), no_progress)
