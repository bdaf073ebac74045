"""Runs through stacks of large planes: they read crops around the object, and coarser levels where it is large."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam.masks import BoxedMask, iou
from napari_sam.planes import Crop
from napari_sam.planes.source import ArrayPlanes
from napari_sam.propagation import STRATEGIES, Annotated, Ending, PropagationStep, propagate
from napari_sam.propagation.stack_crops import KnownPlane, StackCrops
from stack_scenery import AsItIs, BrightEngine, disc, split_results

SIDE, COUNT = 20_000, 10
CORNER = (9500, 8500)  # of the small stack in the large one


class DiscStore:
    """A level of a volume of one disc per plane, computed when it is read, that counts the pixels that it gives."""

    def __init__(self, discs, factor=1):
        self.discs, self.factor = discs, factor
        self.shape = (len(discs), SIDE // factor, SIDE // factor)
        self.ndim, self.dtype = 3, np.dtype(np.uint8)
        self.read = 0

    def __getitem__(self, key):
        plane, rows, columns = key
        y, x = (np.arange(*part.indices(self.shape[1])) for part in (rows, columns))
        self.read += len(y) * len(x)
        if self.discs[plane] is None:
            return np.zeros((len(y), len(x)), np.uint8)
        centre_y, centre_x, radius, *stretch = self.discs[plane]
        y, x = ((at + 0.5) * self.factor - 0.5 for at in (y, x))
        inside = (y[:, None] - centre_y) ** 2 + ((x - centre_x) / (stretch or [1])[0]) ** 2 <= radius**2
        return np.where(inside, 200, 0).astype(np.uint8)


def large(discs, factors=(1, 2, 4, 8)):
    levels = [DiscStore(discs, factor) for factor in factors]
    return ArrayPlanes(levels[0], 0, (0, None, None), (0.0, 255.0), coarser=tuple(levels[1:])), levels


def boxed(one):
    """A disc of the large stack, as a person annotated it."""
    y, x, radius = one
    low = int(y - radius) - 1, int(x - radius) - 1
    side = int(2 * radius) + 3
    return BoxedMask(low, disc(y - low[0], x - low[1], radius, (side, side)), (SIDE, SIDE))


# The crop, which lies on a grid, moves on at y = 9984.
DRIFTING = [(9966 + 4 * k, 9000 + 3 * k, 40 + k) for k in range(COUNT)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_through_huge_planes_reads_little_and_finds_what_one_through_the_crop_finds(strategy):
    planes, levels = large([*DRIFTING[:-1], None])
    height = 1400
    small = np.zeros((COUNT, height, height), np.uint8)
    for plane, (y, x, radius) in zip(small[:-1], DRIFTING[:-1], strict=True):
        plane[disc(y - CORNER[0], x - CORNER[1], radius, (height, height))] = 200
    cropped = ArrayPlanes(small, 0, (0, None, None), (0.0, 255.0))
    wanted, ends = split_results(propagate(BrightEngine(), cropped, [Annotated(4, small[4] > 100)], strategy=strategy))
    found, endings = split_results(
        propagate(BrightEngine(), planes, [Annotated(4, boxed(DRIFTING[4]))], strategy=strategy)
    )
    assert sorted(found) == sorted(wanted) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert endings == ends
    for index, step in found.items():
        assert step.boxed.plane == (SIDE, SIDE)
        assert step.boxed.origin == tuple(np.add(wanted[index].boxed.origin, CORNER))
        assert np.array_equal(step.boxed.mask, wanted[index].boxed.mask)
        assert (step.score, step.overlap) == (wanted[index].score, wanted[index].overlap)
    assert 0 < levels[0].read < 0.05 * COUNT * SIDE**2
    assert not any(level.read for level in levels[1:])


def test_a_large_object_is_carried_through_a_coarser_level():
    discs = [(9000 + 80 * k, 11_000 - 60 * k, 1200 + 16 * k) for k in range(COUNT)]
    planes, levels = large(discs)
    engine = BrightEngine()
    found, _ = split_results(propagate(engine, planes, [Annotated(5, boxed(discs[5]))]))
    assert sorted(found) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    for index, step in found.items():
        assert step.boxed.iou(boxed(discs[index])) > 0.99
    assert levels[0].read == 0
    assert sum(level.read for level in levels) < 0.05 * COUNT * SIDE**2
    assert max(max(plane.shape) for plane, _ in engine.asked) <= 1100


def test_the_crop_grows_with_an_object_that_goes_on_beyond_it(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "as it is", AsItIs())
    one, other = (10_000, 9460, 20, 7), (10_000, 9660, 20, 20)  # a bar of 280 pixels becomes one of 800
    planes, _ = large([one, other])
    start = BoxedMask((9970, 9300), planes.data[0, 9970:10_031, 9300:9621] > 100, (SIDE, SIDE))
    engine = BrightEngine()
    found, _ = split_results(propagate(engine, planes, [Annotated(0, start)], strategy="as it is"))
    truth = BoxedMask((9970, 9200), planes.data[1, 9970:10_031, 9200:10_101] > 100, (SIDE, SIDE))
    assert sorted(found) == [1]
    assert found[1].boxed.iou(truth) > 0.9
    assert [plane.spacing for plane, _ in engine.asked] == [(1.0, 1.0), (2.0, 2.0)]


def test_a_run_over_large_planes_goes_on_as_if_it_had_not_been_cut_short():
    discs = [(10_000 + 300 * k, 9000, 300 * 1.25**k) for k in range(6)]
    planes, _ = large(discs)
    start = [Annotated(1, boxed(discs[1]))]
    whole = list(propagate(BrightEngine(), planes, start))
    for done in range(len(whole)):
        again = list(propagate(BrightEngine(), planes, start, earlier=whole[:done]))
        assert len(again) == len(whole)
        for one, other in zip(again, whole, strict=True):
            if isinstance(other, Ending):
                assert one == other
            else:
                assert (one.index, one.score, one.boxed.origin) == (other.index, other.score, other.boxed.origin)
                assert np.array_equal(one.boxed.mask, other.boxed.mask)


def test_what_has_been_found_before_is_not_read_again():
    planes, levels = large(DRIFTING)
    start = [Annotated(0, boxed(DRIFTING[0]))]
    whole = list(propagate(BrightEngine(), planes, start))
    levels[0].read = 0
    again = propagate(BrightEngine(), planes, start, earlier=whole)
    assert len(list(again)) == len(whole)
    assert levels[0].read == 0


def test_interpolation_sees_both_annotated_planes():
    discs = [(10_000 + 200 * k, 9000, 100) for k in range(COUNT)]
    planes, _ = large(discs)
    ends = [Annotated(index, boxed(discs[index])) for index in (0, COUNT - 1)]
    found, _ = split_results(propagate(BrightEngine(), planes, ends, strategy="interpolate"))
    assert sorted(found) == list(range(1, COUNT - 1))
    for index, step in found.items():
        assert step.boxed.iou(boxed(discs[index])) > 0.9


def test_a_mark_is_found_in_data_pixels_of_the_plane():
    planes, _ = large(DRIFTING)
    y, x, _ = DRIFTING[3]
    start = [Annotated(0, boxed(DRIFTING[0]))]
    found, _ = split_results(propagate(BrightEngine(), planes, start, marks={3: [(y, x)], 2: [(y - 5000, x)]}))
    assert sorted(found) == [1, 2]


def test_planes_that_the_model_sees_as_a_whole_are_not_cut():
    planes = ArrayPlanes(np.zeros((3, 1500, 1200), np.uint8), 0, (0, None, None))
    crops = StackCrops(BrightEngine(), planes, 0, 4)
    assert crops.around([BoxedMask((3, 4), np.ones((2, 2), bool), (1500, 1200))]).is_whole((1500, 1200))


def test_grey_values_of_a_crop_are_those_of_its_plane():
    data = np.zeros((2, 3000, 3000), np.float32)
    data[:, 10, 10], data[:, 2000:2010, 2000:2010] = 200, 20
    planes = ArrayPlanes(data, 0, (0, None, None))
    crops = StackCrops(BrightEngine(), planes, 0, 4)
    mask = BoxedMask((2000, 2000), np.ones((10, 10), bool), (3000, 3000))
    crop = crops.around([mask])
    assert not crop.is_whole((3000, 3000))
    assert crops.plane(1, crop).rendered.max() == round(255 * 20 / 200)


@pytest.mark.parametrize("steps", [(1.0, 1.0), (2.0, 2.0), (4.0, 4.0), (8.0, 4.0)])
def test_masks_come_back_from_the_plane_as_they_were_on_the_picture(steps):
    crop = Crop((160, 320), (640, 512), steps)
    mask = np.random.default_rng(0).random(crop.picture) > 0.5
    back = crop.on_picture(crop.boxed(mask, (2000, 2000)))
    assert iou(mask, back) > (0.999 if steps[0] <= 2 else 0.9)
    smooth = np.hypot(*np.ogrid[-30:50, -40 : crop.picture[1] - 40]) < 20 if crop.picture[0] == 80 else mask
    assert iou(smooth, crop.on_picture(crop.boxed(smooth, (2000, 2000)))) > 0.9


def test_a_speck_keeps_a_pixel_of_a_coarse_picture():
    planes, _ = large(DRIFTING)
    crops = StackCrops(BrightEngine(), planes, 0, 4)
    known = KnownPlane(0, BoxedMask((9003, 9003), np.ones((1, 1), bool), (SIDE, SIDE)))
    seen = crops.seen(known, Crop((8192, 8192), (2048, 2048), (8.0, 8.0)))
    assert np.argwhere(seen.mask).tolist() == [[101, 101]]
    # Interpolation looks at annotated planes, and finds nothing between a mask and none.
    start = crops.annotated(known, Crop((8192, 8192), (2048, 2048), (8.0, 8.0)))
    assert np.array_equal(start.mask, seen.mask)


def test_a_step_lays_its_mask_out_on_the_whole_plane():
    step = PropagationStep(3, BoxedMask((2, 3), np.ones((2, 2), bool), (6, 7)), 0.9, 0.8, 1)
    assert step.mask.shape == (6, 7)
    assert np.argwhere(step.mask).tolist() == [[2, 3], [2, 4], [3, 3], [3, 4]]
