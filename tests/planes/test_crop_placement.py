from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.planes import Crop, choose_crop, fits, grown, screen_crop, whole
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet, TextPrompt

PLANE = (6000, 8000)
SIDE = 1024


def click(y, x, positive=True):
    return PromptSet((PointPrompt((y, x), positive),))


def box(y0, x0, y1, x1):
    return PromptSet((BoxPrompt((y0, x0), (y1, x1)),))


@pytest.mark.parametrize(
    ("plane", "spacing", "yes"),
    [
        ((1024, 1024), (1, 1), True),
        ((1536, 10), (1, 1), True),
        ((1537, 10), (1, 1), False),
        ((400, 900), (5, 1), False),
    ],
)
def test_a_plane_of_about_the_model_s_size_is_looked_at_as_a_whole(plane, spacing, yes):
    assert fits(plane, SIDE, spacing) is yes
    crop = choose_crop(plane, click(5, 5), SIDE, spacing=spacing)
    assert crop.is_whole(plane) is yes


def test_a_click_gets_a_crop_of_the_model_s_size_at_full_detail():
    crop = choose_crop(PLANE, click(3000, 4000), SIDE)
    assert crop.shape == crop.picture == (SIDE, SIDE)
    assert crop.steps == (1, 1)


def test_neighbouring_clicks_share_a_crop():
    crops = {choose_crop(PLANE, click(y, x), SIDE) for y in range(2310, 2810, 50) for x in range(2310, 2810, 50)}
    assert len(crops) == 1
    everywhere = {choose_crop(PLANE, click(y, x), SIDE) for y in range(0, 6000, 40) for x in range(0, 8000, 40)}
    assert len(everywhere) < 2 * 2 * (6000 // SIDE + 1) * (8000 // SIDE + 1)


@given(
    plane=st.tuples(st.integers(1, 30_000), st.integers(1, 30_000)),
    at=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4),
    spacing=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
    side=st.sampled_from([64, 1024, 1536]),
)
def test_what_names_the_object_is_in_the_crop_and_the_crop_on_the_plane(plane, at, spacing, side):
    positions = [tuple(share * (size - 1) for share, size in zip(pair, plane, strict=True)) for pair in at]
    crop = choose_crop(plane, PromptSet(tuple(PointPrompt(p) for p in positions)), side, spacing=spacing)
    for position in positions:
        assert crop.holds(position, position, plane)
    assert all(start >= 0 and start + n <= size for start, n, size in zip(crop.start, crop.shape, plane, strict=True))
    assert all(float(step).is_integer() for step in crop.steps)
    squares = [n * step * s for n, step, s in zip(crop.picture, crop.steps, spacing, strict=True)]
    if not crop.is_whole(plane):
        coarse = max(step * s for step, s in zip(crop.steps, spacing, strict=True))
        assert max(squares) / coarse <= 2 * side + 2  # no more pixels than the model can use


def test_a_click_is_far_from_the_edges_of_its_crop():
    for y in range(600, 5400, 77):
        crop = choose_crop(PLANE, click(y, y), SIDE)
        inside = np.array([y, y]) - crop.start
        assert (inside >= SIDE / 4 - 1).all() and (inside <= 3 * SIDE / 4 + 1).all()


def test_a_large_box_gets_a_larger_and_coarser_crop_with_room_around():
    crop = choose_crop(PLANE, box(1000, 1000, 3000, 3500), SIDE)
    assert crop.steps == (4, 4)
    assert crop.holds((800, 750), (3200, 3750), PLANE)
    assert max(crop.picture) <= SIDE


def test_background_far_away_does_not_widen_the_crop():
    said = PromptSet((PointPrompt((100, 100)), PointPrompt((5900, 7900), False), PointPrompt((120, 90), False)))
    crop = choose_crop(PLANE, said, SIDE)
    assert crop == choose_crop(PLANE, click(100, 100), SIDE)
    assert [p.positive for p in crop.prompts(said).points] == [True, False]


@pytest.mark.parametrize("beside", [(), (PointPrompt((5, 5), False),)], ids=["words", "words and background"])
def test_words_that_name_no_place_look_at_the_whole_plane(beside):
    words = TextPrompt("cell", [1.0, 2.0], "clip")
    assert choose_crop(PLANE, PromptSet((words, *beside)), SIDE).covers(PLANE)
    placed = PromptSet((words, PointPrompt((3000, 4000))))
    assert choose_crop(PLANE, placed, SIDE) == choose_crop(PLANE, click(3000, 4000), SIDE)
    assert choose_crop(PLANE, placed, SIDE).prompts(placed).text == words


def test_pixels_that_are_not_square_are_read_as_squares():
    crop = choose_crop((4000, 4000), box(100, 100, 2100, 2100), SIDE, spacing=(4.0, 1.0))
    down, across = crop.steps
    assert (down, across) == (4, 16)
    assert crop.shape[0] * 4 == pytest.approx(crop.shape[1], rel=0.1) or crop.shape[1] == 4000


def test_positions_go_there_and_back():
    crop = Crop((100, 200), (400, 800), (4, 8))
    places = np.array([[100, 200], [103, 207], [250.5, 300.25]])
    np.testing.assert_allclose(crop.to_plane(crop.to_picture(places)), places)
    np.testing.assert_allclose(crop.to_picture((101.5, 203.5)), (0, 0))


def test_prompts_are_told_on_the_picture():
    said = PromptSet((PointPrompt((101.5, 203.5), False), BoxPrompt((100, 200), (199, 399))))
    told = Crop((100, 200), (400, 800), (4, 8)).prompts(said)
    assert told.points == (PointPrompt((0, 0), False),)
    assert told.box == BoxPrompt((-0.375, -0.4375), (24.375, 24.4375))


def test_a_click_does_not_move_where_nothing_is_scaled():
    said = click(0.1, 0.7)
    assert whole((40, 50)).prompts(said) == said


# -- masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [(1, 1), (2, 2), (4, 8)])
def test_a_mask_comes_back_where_it_was(steps):
    truth = np.zeros((600, 900), bool)
    y, x = np.ogrid[:600, :900]
    truth[((y - 300) / 120) ** 2 + ((x - 480) / 250) ** 2 <= 1] = True
    crop = Crop((64, 64), (512, 800), steps)
    down, across = steps
    part = truth[64:576, 64:864]
    seen = part.reshape(512 // down, down, 800 // across, across).mean((1, 3)) >= 0.5
    origin, mask = crop.on_plane(seen, truth.shape)
    found = np.zeros_like(truth)
    found[origin[0] : origin[0] + mask.shape[0], origin[1] : origin[1] + mask.shape[1]] = mask
    if steps == (1, 1):
        assert np.array_equal(found, truth)
    assert (found & truth).sum() / (found | truth).sum() > (0.98 if down < 4 else 0.97)
    assert abs(np.argwhere(found).mean(0) - np.argwhere(truth).mean(0)).max() < 0.2  # no shift by half a step
    assert mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any()


def test_a_full_picture_fills_its_crop_up_to_the_border_of_the_plane():
    plane = (1003, 1501)
    crop = Crop((0, 0), plane, (4, 4))
    origin, mask = crop.on_plane(np.ones(crop.picture, bool), plane)
    assert origin == (0, 0) and mask.shape == plane and mask.all()


def test_an_empty_mask_stays_empty():
    origin, mask = Crop((5, 5), (10, 10), (2, 2)).on_plane(np.zeros((5, 5), bool), (100, 100))
    assert mask.size == 0 and origin == (0, 0)


def test_only_edges_inside_the_plane_cut_a_mask():
    full = np.ones((8, 8), bool)
    assert Crop((0, 0), (8, 8)).cut_sides(full, (8, 8)) == (False, False, False, False)
    assert Crop((0, 0), (8, 8)).cut_sides(full, (9, 8)) == (False, False, True, False)
    assert Crop((4, 2), (8, 8)).cut_sides(full, (20, 10)) == (True, True, True, False)


def test_a_crop_that_cuts_its_object_moves_or_grows_until_it_holds_it():
    said = click(3000, 4000)
    y, x = np.ogrid[: PLANE[0], : PLANE[1]]
    for radius, coarsest in ((300, 1), (1200, 4), (2600, 8)):
        truth = (y - 3300) ** 2 + (x - 4000) ** 2 <= radius**2
        crop, steps = choose_crop(PLANE, said, SIDE), []
        while crop is not None and len(steps) < 9:
            (top, left), (down, across) = (int(v) for v in crop.start), (int(v) for v in crop.steps)
            part = truth[top : top + crop.shape[0] : down, left : left + crop.shape[1] : across]
            steps.append(down)
            last, crop = crop, grown(crop, part, PLANE, said, SIDE)
        assert steps[-1] <= coarsest
        assert last.holds((3300 - radius, 4000 - radius), (3300 + radius, 4000 + radius), PLANE)


def test_a_mask_that_fills_everything_ends_the_growth():
    crop, count = choose_crop(PLANE, click(3000, 4000), SIDE), 0
    while crop is not None:
        last, count = crop, count + 1
        crop = grown(crop, np.ones(crop.picture, bool), PLANE, click(3000, 4000), SIDE)
    assert last.covers(PLANE) and count <= 6


# -- on the screen --------------------------------------------------------------------------------


def test_what_is_visible_is_in_the_crop_and_little_more():
    crop = screen_crop(PLANE, (1003.2, 2001.7), (1822.0, 3300.0), SIDE)
    assert crop.holds((1003.2, 2001.7), (1822, 3300), PLANE)
    assert crop.shape[0] < 1.4 * 819 and crop.shape[1] < 1.4 * 1299
    assert crop.steps == (1, 1)


def test_a_nudge_of_the_camera_finds_the_same_crop():
    one = screen_crop(PLANE, (1010, 2060), (1800, 3200), SIDE)
    assert one == screen_crop(PLANE, (1013, 2063), (1803, 3203), SIDE)


def test_a_wide_view_is_read_coarsely():
    crop = screen_crop(PLANE, (-500, -900), (7000, 9000), SIDE)
    assert crop.covers(PLANE)
    assert max(crop.picture) <= 1.5 * SIDE


def test_a_tiny_view_is_still_a_crop():
    crop = screen_crop(PLANE, (5999, 7999), (5999, 7999), SIDE)
    assert crop.shape == (64, 64) and crop.stop == PLANE
