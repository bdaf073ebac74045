from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import zarr
from scipy import ndimage

from napari_sam.automatic.laying import lay
from napari_sam.automatic.proposals import Proposal
from napari_sam.automatic.tiles import MergedObject, TilePlan, TileRecords, find_in_tile, merge_tiles, segment_tiles
from napari_sam.automatic.tiles import label_blocks as label_blocks_module
from napari_sam.automatic.tiles import merging as merging_module
from napari_sam.automatic.tiles import pieces as pieces_module
from napari_sam.errors import Cancelled, InputError
from napari_sam.masks import BoxedMask
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneIndex, PlaneSource
from napari_sam.progress import no_progress

SHAPE = (230, 310)


def components(plane, _progress=no_progress):
    """A finder that is exact and local: pixels of one grey value that touch are an object."""
    found = []
    for value in np.unique(plane.pixels[plane.pixels > 0]):
        labels, _ = ndimage.label(plane.pixels == value, np.ones((3, 3)))
        for number, box in enumerate(ndimage.find_objects(labels), 1):
            mask = labels[box] == number
            boxed = BoxedMask((box[0].start, box[1].start), mask, plane.shape)
            found.append(Proposal(boxed, float(value) / 255))
    return found


def rings(plane, progress=no_progress):
    """A finder of which several masks cover the same pixels: each object, and what is around it."""
    found = components(plane, progress)
    for proposal in list(found):
        whole = proposal.mask.whole()
        wider = BoxedMask.of(ndimage.binary_dilation(whole, iterations=3))
        # The area, so that no two are equally good: those are taken in the order in which they were found.
        found.append(Proposal(wider, (proposal.score + 0.3 + 1e-6 * wider.area) % 1))
    return found


@pytest.fixture
def picture():
    """Objects of many sizes and places: in corners of tiles, at the plane's edges, around each other, through it."""
    pixels = np.zeros(SHAPE, np.uint8)
    rng = np.random.default_rng(3)
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    for value in range(60, 230):
        y, x, radius = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1]), rng.uniform(1, 9)
        pixels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = value
    pixels[20:23, :] = 10  # from edge to edge, cut to pieces where something lies above
    pixels[:, 100:104] = 20
    snake = np.zeros(SHAPE, bool)
    snake[150:154, 5:300] = snake[190:194, 5:300] = snake[150:194, 296:300] = snake[190:225, 5:9] = True
    snake[221:225, 5:250] = snake[170:173, 150:300] = True
    pixels[snake] = 30
    pixels[60:140, 150:290] = 40  # larger than a tile
    pixels[90:100, 200:210] = 0
    return pixels


def source_of(pixels, **changes):
    view = PlaneIndex((0, 1), (None, None), pixels.shape[:2])
    return replace(PlaneSource(pixels, view, (0.0, 255.0), 1.0), **changes)


def untiled(pixels, find=components, **rules):
    found = sorted(find(Plane(np.asarray(pixels))), key=lambda proposal: -proposal.rank)
    return lay([proposal.mask for proposal in found], pixels.shape, overlap=rules.get("overlap", 0.5))


def same_partition(one, two):
    """Whether two label images have the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] and [0, 0] in pairs.T.tolist()


def run(pixels, folder, plan=None, find=components, **more):
    plan = plan or TilePlan(pixels.shape[:2], 64, 12)
    labels = np.full(pixels.shape[:2], 99, np.int32)
    found = segment_tiles(source_of(pixels), find, TileRecords(folder, plan), labels, **more)
    assert np.array_equal(np.unique(labels[labels > 0]), np.arange(1, len(found) + 1))
    return labels


def test_tiles_of_one_size_cover_the_plane_and_overlap():
    plan = TilePlan((500, 90), 100, 20)
    rows, columns = plan.starts
    assert columns == (0,) and rows[0] == 0 and rows[-1] == 400
    assert np.diff(rows).max() <= 60
    assert {tile.crop.shape for tile in plan.tiles} == {(100, 90)}
    assert [tile.number for tile in plan.tiles] == list(range(len(rows)))


def test_neighbours_are_all_tiles_with_common_pixels():
    plan = TilePlan((300, 300), 100, 40)
    for tile in plan.tiles:
        crop = tile.crop
        near = [
            other.number
            for other in plan.tiles
            if other != tile
            and max(crop.start[0], other.crop.start[0]) < min(crop.stop[0], other.crop.stop[0])
            and max(crop.start[1], other.crop.start[1]) < min(crop.stop[1], other.crop.stop[1])
        ]
        assert [other.number for other in plan.neighbours(tile)] == near


@pytest.mark.parametrize(("side", "halo"), [(64, 32), (64, -1), (0, 0)])
def test_tiles_that_are_all_overlap_are_refused(side, halo):
    with pytest.raises(InputError, match="larger tiles"):
        TilePlan((100, 100), side, halo)


@pytest.mark.parametrize(("side", "halo"), [(64, 12), (80, 5), (48, 12), (230, 3)])
def test_objects_across_borders_and_corners_equal_those_of_an_untiled_run(picture, tmp_path, side, halo):
    labels = run(picture, tmp_path, TilePlan(SHAPE, side, halo))
    assert same_partition(labels, untiled(picture))


def test_masks_that_overlap_are_chosen_between_as_on_an_untiled_plane(picture, tmp_path):
    small = np.where(picture > 50, picture, 0).astype(np.uint8)
    labels = run(small, tmp_path, TilePlan(SHAPE, 90, 20), rings)
    assert same_partition(labels, untiled(small, rings))


def test_an_object_within_a_larger_one_stays_one_of_its_own(tmp_path):
    # Cells larger than a tile, each with a nucleus that fills most of it, across the border of tiles.
    cells = np.zeros((100, 200), np.uint8)
    cells[10:90, 10:190] = 1
    cells[20:80, 15:185] = 2

    def nested(plane, _progress):
        both = [components(Plane((plane.pixels >= least).astype(np.uint8))) for least in (1, 2)]
        return [replace(found, score=score) for score, group in zip((0.5, 0.9), both, strict=True) for found in group]

    labels = run(cells, tmp_path, TilePlan(cells.shape, 64, 12), nested, overlap=1.0)
    # The cell, more than half covered, is left out, and takes nothing of the nucleus with it.
    assert same_partition(labels, (cells == 2).astype(np.int32))


def test_any_order_of_tiles_and_a_tile_done_twice_give_the_same_labels(picture, tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    expected = run(picture, tmp_path / "one", plan)
    records = TileRecords(tmp_path / "two", plan)
    order = np.random.default_rng(0).permutation(len(plan.tiles)).tolist()
    for number in [*order, order[0]]:
        tile = plan.tiles[number]
        records.add(tile, find_in_tile(source_of(picture), tile, components))
    labels = np.zeros(SHAPE, np.int32)
    merge_tiles(TileRecords(tmp_path / "two", plan), labels)
    assert np.array_equal(labels, expected)


def test_a_run_that_was_cut_short_goes_on_where_it_was(picture, tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    expected = run(picture, tmp_path / "whole", plan)
    asked = []

    def counted(plane, progress):
        if len(asked) == 9:
            raise Cancelled
        asked.append(plane)
        return components(plane, progress)

    with pytest.raises(Cancelled):
        run(picture, tmp_path / "cut", plan, counted)
    assert len(list((tmp_path / "cut").glob("*-*.json"))) == 9
    asked.clear()
    rest = len(plan.tiles) - 9
    again = []
    labels = run(picture, tmp_path / "cut", plan, lambda plane, told: again.append(1) or components(plane, told))
    assert len(again) == rest and np.array_equal(labels, expected)
    # All is done: nothing is looked at again.
    again.clear()
    assert np.array_equal(
        run(picture, tmp_path / "cut", plan, lambda plane, told: again.append(1) or components(plane, told)), expected
    )
    assert not again


def test_a_tile_that_was_not_written_to_its_end_is_done_again(picture, tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    expected = run(picture, tmp_path, plan)
    for name, kept in (("0-0.json", 0), ("1-2.json", 40)):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:kept])
    assert [(tile.row, tile.column) for tile in TileRecords(tmp_path, plan).missing()] == [(0, 0), (1, 2)]
    assert np.array_equal(run(picture, tmp_path, plan), expected)


def test_tiles_of_another_run_are_refused(tmp_path):
    TileRecords(tmp_path, TilePlan(SHAPE, 64, 12), {"model": "one"})
    TileRecords(tmp_path, TilePlan(SHAPE, 64, 12), {"model": "one"})
    for plan, about in ((TilePlan(SHAPE, 64, 10), {"model": "one"}), (TilePlan(SHAPE, 64, 12), {"model": "two"})):
        with pytest.raises(InputError, match="another run"):
            TileRecords(tmp_path, plan, about)


def test_a_tile_that_was_not_done_is_named(picture, tmp_path):
    with pytest.raises(InputError, match=r"0-0\.json is missing"):
        merge_tiles(TileRecords(tmp_path, TilePlan(SHAPE, 64, 12)), np.zeros(SHAPE, np.int32))


def test_a_record_says_all_of_a_proposal(tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    mask = np.random.default_rng(0).random((7, 5)) > 0.5
    mask[0, 0] = mask[-1, -1] = True
    proposal = Proposal(BoxedMask((220, 300), mask, SHAPE), 0.1 + 0.2, 1 / 3, (221.5, 302.0), ((-0.5, 1.0), (2.0, 3.0)))
    records = TileRecords(tmp_path, plan)
    records.add(plan.tiles[0], [proposal])
    [back] = records.proposals(plan.tiles[0])
    assert np.array_equal(back.mask.mask, mask) and back.mask.origin == (220, 300) and back.mask.plane == SHAPE
    assert (back.score, back.stability, back.point, back.crop) == (
        proposal.score,
        proposal.stability,
        proposal.point,
        proposal.crop,
    )


def test_little_memory_gives_the_same_labels(picture, tmp_path, monkeypatch):
    plan = TilePlan(SHAPE, 64, 12)
    expected = run(picture, tmp_path, plan)
    monkeypatch.setattr(label_blocks_module, "_SIDE", 16)
    monkeypatch.setattr(label_blocks_module, "_CACHE_BYTES", 1)
    monkeypatch.setattr(pieces_module, "_CACHE_BYTES", 1)
    monkeypatch.setattr(merging_module, "_BLOCK", 50)
    assert np.array_equal(run(picture, tmp_path, plan), expected)


class Watched:
    """An array that knows the largest rectangle that was read or written, and how many pixels in all."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.most = self.total = 0

    def _count(self, key):
        count = int(np.prod([at.stop - at.start for at in key]))
        self.most, self.total = max(self.most, count), self.total + count

    def __getitem__(self, key):
        self._count(key)
        return self.array[key]

    def __setitem__(self, key, value):
        self._count(key)
        self.array[key] = value


def test_no_more_than_a_tile_is_read_and_a_block_is_written_at_a_time(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(label_blocks_module, "_SIDE", 32)
    plan = TilePlan(SHAPE, 64, 12)
    image, labels = Watched(picture), Watched(np.zeros(SHAPE, np.int32))
    segment_tiles(source_of(image), components, TileRecords(tmp_path, plan), labels)
    assert image.most == 64 * 64 and image.total == 64 * 64 * len(plan.tiles)
    # All labels fit into memory here, and are written once.
    assert labels.most == 32 * 32 and labels.total == SHAPE[0] * SHAPE[1]


def test_memory_does_not_grow_with_the_plane(tmp_path, monkeypatch):
    monkeypatch.setattr(label_blocks_module, "_SIDE", 128)
    monkeypatch.setattr(label_blocks_module, "_CACHE_BYTES", 2**18)
    monkeypatch.setattr(pieces_module, "_CACHE_BYTES", 2**20)
    monkeypatch.setattr(merging_module, "_BLOCK", 128)
    pixels = np.zeros((2048, 2048), np.uint8)
    pixels[8::200, 8:-8] = pixels[8:-8, 8::200] = 200  # one object that goes through the whole plane
    labels = np.zeros(pixels.shape, np.int32)
    source, records = source_of(pixels), TileRecords(tmp_path, TilePlan(pixels.shape, 256, 16))
    tracemalloc.start()
    try:
        segment_tiles(source, components, records, labels)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(labels, pixels > 0)
    # A mask of the plane would be 4 MiB, its labels 16.
    assert peak < 2**22


def test_labels_go_to_zarr_and_begin_with_a_number_of_choice(picture, tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    expected = run(picture, tmp_path / "tiles", plan)
    labels = zarr.create_array(str(tmp_path / "labels.zarr"), shape=SHAPE, chunks=(50, 70), dtype="int32")
    merged = merge_tiles(TileRecords(tmp_path / "tiles", plan), labels, first=1000)
    assert np.array_equal(labels[:], np.where(expected, expected + 999, 0))
    for number in (1, len(merged)):
        [value] = np.unique(picture[expected == number])
        assert merged[number - 1].score == pytest.approx(value / 255)


def test_small_and_doubtful_objects_are_left_out(picture, tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    labels = run(picture, tmp_path, plan, least_area=30, least_score=100 / 255)
    assert np.bincount(labels.ravel())[1:].min() >= 30 and picture[labels > 0].min() >= 100
    assert same_partition(
        labels, renumber(np.where(picture >= 100, untiled(np.where(picture >= 100, picture, 0)), 0), 30)
    )


def renumber(labels, least):
    return np.where(np.bincount(labels.ravel())[labels] >= least, labels, 0)


@pytest.mark.parametrize("step", [0.5, 2.0])
def test_tiles_may_be_looked_at_enlarged_or_shrunk(tmp_path, step):
    pixels = np.zeros((160, 240), np.uint8)
    pixels[40:80, 60:120], pixels[100:160, 20:200] = 200, 200
    seen = []

    def bright(plane, progress):
        seen.append(plane)
        return components(Plane(np.where(plane.pixels > 99, 200, 0).astype(np.uint8)), progress)

    labels = run(pixels, tmp_path, TilePlan(pixels.shape, 80, 16, (step, step)), bright)
    assert {plane.shape for plane in seen} == {(round(80 / step), round(80 / step))}
    assert {plane.spacing for plane in seen} == {(step, step)} and {plane.pixels.dtype for plane in seen} == {
        np.dtype(np.uint8)
    }
    # Corners are rounded by interpolation.
    assert np.count_nonzero((labels > 0) != (pixels > 0)) <= 8 and labels.max() == 2


def test_colours_are_enlarged_in_their_place():
    ramp = np.add.outer(4 * np.arange(40), np.arange(40)).astype(np.uint8)
    pixels = np.stack([ramp, ramp // 2, 255 - ramp], axis=-1)
    seen = []
    plan = TilePlan((40, 40), 40, 0, (0.5, 0.5))
    find_in_tile(source_of(pixels, contrast_limits=None), plan.tiles[0], lambda plane, _: seen.append(plane) or [])
    assert seen[0].pixels.shape == (80, 80, 3) and seen[0].pixels.dtype == np.uint8
    # A pixel becomes a square of four, around the place where it was.
    squares = seen[0].pixels.reshape(40, 2, 40, 2, 3).mean((1, 3))
    assert np.abs(squares - pixels)[1:-1, 1:-1].max() <= 1


def test_an_object_at_the_edge_of_the_plane_is_whole(tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    records = TileRecords(tmp_path, plan)
    left = int(plan.starts[1][1]) + 4
    masks = [BoxedMask((0, left), np.ones((6, 10 + wider), bool), SHAPE) for wider in (0, 2)]
    for tile in plan.tiles:
        found = [Proposal(masks[tile.column], 0.9 - 0.1 * tile.column)] if tile.row == 0 and tile.column < 2 else []
        records.add(tile, found)
    labels = np.zeros(SHAPE, np.int32)
    assert [one.score for one in merge_tiles(records, labels)] == [0.9]
    assert np.array_equal(labels > 0, masks[0].whole())


def test_points_and_crops_are_on_the_plane(tmp_path):
    plan = TilePlan(SHAPE, 64, 12)
    tile = plan.tiles[-1]
    proposal = Proposal(BoxedMask((3, 4), np.ones((2, 2), bool), (64, 64)), 0.5, point=(3.0, 4.0))
    [found] = find_in_tile(source_of(np.zeros(SHAPE, np.uint8)), tile, lambda *_: [proposal])
    top, left = tile.crop.start
    assert found.mask.origin == (top + 3, left + 4) and found.mask.plane == SHAPE
    assert found.point == (top + 3, left + 4)
    assert found.crop == ((top, left), SHAPE)


def test_a_plane_that_was_shown_as_a_whole_has_no_crop_and_a_crop_of_it_stays():
    [tile] = TilePlan(SHAPE, max(SHAPE), 0, (2.0, 2.0)).tiles
    mask = BoxedMask((3, 4), np.ones((2, 2), bool), tile.crop.picture)
    found = find_in_tile(
        source_of(np.zeros(SHAPE, np.uint8)),
        tile,
        lambda *_: [Proposal(mask, 0.5), Proposal(mask, 0.5, crop=((10.0, 20.0), (30.0, 50.0)))],
    )
    assert [one.crop for one in found] == [None, ((20.0, 40.0), (60.0, 100.0))]


def test_what_a_model_said_stays_with_an_object_and_is_put_together_for_one_of_several_pieces(tmp_path):
    plan = TilePlan((40, 100), 60, 10)
    records = TileRecords(tmp_path, plan)
    one, two = plan.tiles
    bar = np.zeros(plan.plane, bool)
    bar[10:20, 5:95] = True
    left, right = bar.copy(), bar.copy()
    left[:, 60:], right[:, :40] = False, False
    small = BoxedMask((30, 4), np.ones((3, 3), bool), plan.plane)
    crops = [((0.0, 0.0), (40.0, 60.0)), ((0.0, 40.0), (40.0, 100.0))]
    right[10:12] = False  # less than the other half
    records.add(
        one,
        [
            Proposal(BoxedMask.of(left), 0.9, 0.8, (15.0, 20.0), crops[0], (0.25, 0.5)),
            Proposal(small, 0.7, 0.6, (31.0, 5.0), crops[0], (0.125, 1.0)),
        ],
    )
    records.add(two, [Proposal(BoxedMask.of(right), 0.8, 0.9, (15.0, 80.0), crops[1], (0.75, 0.25))])
    joined, alone = merge_tiles(records, np.zeros(plan.plane, np.int32))
    areas = [left.sum(), right.sum()]
    assert joined.score == pytest.approx(np.average([0.9, 0.8], weights=areas))
    assert joined.stability == pytest.approx(np.average([0.8, 0.9], weights=areas))
    assert joined.matches == pytest.approx(np.average([(0.25, 0.5), (0.75, 0.25)], axis=0, weights=areas))
    assert (joined.point, joined.crop) == ((15.0, 20.0), ((0.0, 0.0), (40.0, 100.0)))
    assert alone == MergedObject(0.7, 0.6, (31.0, 5.0), crops[0], (0.125, 1.0))


def test_what_fits_nothing_that_is_looked_for_is_left_out(tmp_path):
    plan = TilePlan((40, 40), 40, 0)
    records = TileRecords(tmp_path, plan)
    masks = [BoxedMask((10 * place, 0), np.ones((5, 5), bool), plan.plane) for place in range(4)]
    matches = [(0.6, 0.1), (0.1, 0.5), (0.4, 0.4), ()]
    records.add(plan.tiles[0], [Proposal(mask, 0.9, matches=own) for mask, own in zip(masks, matches, strict=True)])
    labels = np.zeros(plan.plane, np.int32)
    found = merge_tiles(records, labels, least_match=0.5)
    assert [one.matches for one in found] == [(0.6, 0.1), (0.1, 0.5), ()]
    assert labels[::10, 0].tolist() == [1, 2, 0, 3]


def test_tiles_that_would_each_be_shown_with_limits_of_their_own_are_refused():
    source = source_of(np.zeros(SHAPE, np.uint16), contrast_limits=None)
    with pytest.raises(InputError, match="contrast limits"):
        find_in_tile(source, TilePlan(SHAPE, 64, 12).tiles[0], components)


def test_progress_never_goes_back(picture, tmp_path):
    told = []
    run(picture, tmp_path, progress=told.append)
    assert told == sorted(told) and told[0] == 0 and told[-1] == 1


def test_an_empty_plane_has_no_objects(tmp_path):
    assert not run(np.zeros(SHAPE, np.uint8), tmp_path).any()
