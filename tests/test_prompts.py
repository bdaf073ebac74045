from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.errors import InputError
from napari_sam.prompts import (
    MOST_POINTS,
    AreaPrompt,
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    PromptSet,
    ScribblePrompt,
    TextPrompt,
)

numbers = st.floats(-1e6, 1e6, allow_nan=False)
positions = st.tuples(numbers, numbers)
points = st.builds(PointPrompt, positions, st.booleans())
boxes = st.builds(BoxPrompt, positions, positions)
masks = st.builds(lambda seed: MaskPrompt(np.random.default_rng(seed).normal(size=(3, 4))), st.integers(0, 99))
texts = st.builds(
    lambda seed, words: TextPrompt(words, np.random.default_rng(seed).normal(size=5), "clip"),
    st.integers(0, 99),
    st.text(),
)
scribbles = st.builds(ScribblePrompt, st.lists(positions, min_size=1, max_size=5), st.booleans())


@st.composite
def areas(draw):
    height, width = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    mask = np.array(draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    mask[draw(st.integers(0, mask.size - 1))] = True  # an area is not empty
    origin = draw(st.tuples(st.integers(-9, 99), st.integers(-9, 99)))
    return AreaPrompt(origin, mask.reshape(height, width), draw(st.booleans()))


@given(st.lists(points | scribbles | areas(), max_size=4), st.none() | boxes, st.none() | masks, st.none() | texts)
def test_json_round_trip(several, box, mask, text):
    prompts = PromptSet((*several, *(p for p in (box, mask, text) if p is not None)))
    again = PromptSet.from_json(prompts.to_json())
    assert again == prompts
    assert hash(again) == hash(prompts)


def test_equality_is_by_value_and_sees_every_part():
    point = PointPrompt((1, 2))
    assert PromptSet((point,)) == PromptSet((PointPrompt(np.array([1.0, 2.0])),))
    assert PromptSet((point,)) != PromptSet((PointPrompt((1, 2), positive=False),))
    assert PromptSet((MaskPrompt(np.zeros((2, 2))),)) != PromptSet((MaskPrompt(np.ones((2, 2))),))


def test_texts_are_equal_where_words_model_and_vector_are():
    one = TextPrompt("cell", [3, 4], "clip")
    assert one == TextPrompt("cell", np.array([30.0, 40.0]), "clip")
    others = (TextPrompt("cells", [3, 4], "clip"), TextPrompt("cell", [3, 4], "b"), TextPrompt("cell", [4, 3], "clip"))
    assert all(one != other for other in others)
    assert len({one, *others, TextPrompt("cell", [3, 4], "clip")}) == 4


def test_an_embedding_has_length_one_and_cannot_be_changed():
    numbers = np.array([3.0, 4.0])
    prompt = TextPrompt("cell", numbers, "clip")
    numbers[:] = 7
    assert prompt.embedding.tolist() == pytest.approx([0.6, 0.8])
    assert prompt.embedding.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        prompt.embedding[0] = 1


def test_an_embedding_of_length_one_is_kept_to_the_last_bit():
    for seed in range(200):
        once = TextPrompt("cell", np.random.default_rng(seed).normal(size=5), "clip")
        assert TextPrompt("cell", once.embedding, "clip") == once


@pytest.mark.parametrize("bad", [[], [0, 0], [np.nan, 1], [np.inf, 1], [[1, 2]], 3])
def test_an_embedding_is_a_row_of_finite_numbers(bad):
    with pytest.raises(InputError, match="one row of finite numbers"):
        TextPrompt("cell", bad, "clip")


def test_words_say_what_is_meant_but_not_where():
    words = TextPrompt("cell", [3, 4], "clip")
    assert not PromptSet((words,)).ambiguous
    assert not PromptSet((words, PointPrompt((1, 1)))).ambiguous
    assert not PromptSet((words,)).is_background_only
    assert not PromptSet((words, PointPrompt((1, 1), False))).is_background_only
    assert not PromptSet((words, PointPrompt((1, 1), False))).is_placed
    assert PromptSet((words, PointPrompt((1, 1)))).is_placed
    with pytest.raises(InputError, match="one text, not 2"):
        PromptSet((words, words))


def test_sets_are_hashable():
    assert len({PromptSet((PointPrompt((1, 2)),)), PromptSet((PointPrompt((1, 2)),))}) == 1


def test_box_corners_are_sorted():
    assert BoxPrompt((9, 1), (2, 7)) == BoxPrompt((2, 1), (9, 7))


def test_mask_is_copied_and_read_only():
    logits = np.zeros((1, 2, 3))
    mask = MaskPrompt(logits)
    logits[:] = 5
    assert mask.logits.shape == (2, 3)
    assert mask.logits.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        mask.logits[0, 0] = 1


def test_only_a_lone_point_is_ambiguous():
    assert PromptSet((PointPrompt((1, 1)),)).ambiguous
    assert not PromptSet((PointPrompt((1, 1)), PointPrompt((2, 2)))).ambiguous
    assert not PromptSet((BoxPrompt((0, 0), (4, 4)),)).ambiguous
    assert not PromptSet((PointPrompt((1, 1)), MaskPrompt(np.zeros((2, 2))))).ambiguous


@pytest.mark.parametrize("bad", [(1,), (1, 2, 3), (np.nan, 1), (1, np.inf), "ab", None])
def test_positions_are_two_finite_numbers(bad):
    with pytest.raises((InputError, ValueError, TypeError)):
        PointPrompt(bad)


def test_two_boxes_are_refused():
    box = BoxPrompt((0, 0), (4, 4))
    with pytest.raises(InputError, match="one box, not 2"):
        PromptSet((box, box))


def test_what_is_no_prompt_is_refused():
    with pytest.raises(InputError, match="got tuple"):
        PromptSet(((1, 2),))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "format"),
        ('{"format": "other"}', "format"),
        ('{"format": "napari-sam-prompts", "version": 99}', "version 99"),
        ('{"format": "napari-sam-prompts", "version": 1, "prompts": [{"type": "blob"}]}', "Unknown prompt type 'blob'"),
        ('{"format": "napari-sam-prompts", "version": 1, "prompts": [{"type": "point"}]}', "cannot be read"),
        ('{"format": "napari-sam-prompts", "version": 1, "prompts": [3]}', "cannot be read"),
        ("[" * 100_000, "not valid JSON"),
        ('{"format": "napari-sam-prompts", "version": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"format": "napari-sam-prompts", "version": "' + "9" * 5000 + '"}', "of version 9{120};"),
        *(
            (f'{{"format": "napari-sam-prompts", "version": 1, "prompts": {prompts}}}', words)
            for prompts, words in (
                ("null", "must be a list"),
                ("5", "must be a list"),
                ('{"type": "point"}', "must be a list"),
                ('[{"type": "point", "position": [1, 1' + "0" * 400 + "]}]", "too large"),
                ('[{"type": "point", "position": [1, 1e999]}]', "finite"),
                ('[{"type": "point", "position": [[1], 2]}]', "cannot be read"),
                ('[{"type": "point", "position": [1, 2], "positive": "false"}]', "true or false"),
                ('[{"type": "point", "position": [1, 2], "positive": 0}]', "true or false"),
                ('[{"type": {"a": 1}}]', "Unknown prompt type"),
                ('[{"type": "mask", "shape": [1000000, 1000000], "logits": "AAAA"}]', "cannot be read"),
                ('[{"type": "mask", "shape": [1, 1], "logits": "?"}]', "cannot be read"),
                ('[{"type": "text", "words": "a", "clip": "b", "embedding": "AAA="}]', "cannot be read"),
                ('[{"type": "text", "words": "a", "clip": "b", "embedding": "AAAAAA=="}]', "finite numbers"),
                ('[{"type": "text", "words": "a", "embedding": "AAAAAA=="}]', "cannot be read"),
                ('[{"type": "mask", "shape": null, "logits": 5}]', "cannot be read"),
                ('[{"type": "scribble", "path": []}]', "no vertex"),
                ('[{"type": "scribble", "path": 3}]', "cannot be read"),
                ('[{"type": "scribble", "path": [[1, 2]], "positive": 1}]', "true or false"),
                ('[{"type": "area", "origin": [1, 2], "size": [1000000, 1000000], "counts": [0]}]', "at most"),
                ('[{"type": "area", "origin": [1, 2], "size": [2, 2], "counts": [0, 3]}]', "runs cover 3 of 4"),
                ('[{"type": "area", "origin": [1, 2], "size": [2, 2], "counts": [4]}]', "empty"),
                ('[{"type": "area", "origin": [1.5, 2], "size": [1, 1], "counts": [0, 1]}]', "a whole"),
                ('[{"type": "area", "origin": [1, 2], "size": 4, "counts": [0, 4]}]', "cannot be read"),
            )
        ),
    ],
)
def test_unreadable_files_are_refused_with_words(text, words):
    with pytest.raises(InputError, match=words):
        PromptSet.from_json(text)


def test_the_file_is_plain_json():
    data = json.loads(PromptSet((PointPrompt((3, 4), False),)).to_json())
    assert data["prompts"] == [{"type": "point", "position": [3.0, 4.0], "positive": False}]


@pytest.mark.parametrize("position", [(-0.5, 0), (9.5, 19.5), (3, 3)])
def test_points_up_to_the_pixel_borders_are_inside(position):
    PromptSet((PointPrompt(position),)).require_inside((10, 20))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (PointPrompt((-0.6, 0)), "y=-0.6, x=0 lies outside the image of 10 x 20"),
        (PointPrompt((0, 19.6)), "lies outside"),
        (BoxPrompt((-9, 0), (-1, 5)), "box lies outside"),
        (BoxPrompt((0, 30), (5, 40)), "box lies outside"),
        (BoxPrompt((3, 3), (3, 8)), "no area"),
        (ScribblePrompt([(-3, 3), (12, 3)]), "scribble lies outside"),
        (AreaPrompt((10, 0), np.ones((2, 2), bool)), "area lies outside"),
        (AreaPrompt((-2, -2), ~np.eye(3, dtype=bool)), "area lies outside"),
    ],
)
def test_prompts_outside_are_named(prompt, words):
    with pytest.raises(InputError, match=words):
        PromptSet((prompt,)).require_inside((10, 20))


def test_more_points_than_anybody_clicks_are_refused_before_they_are_answered():
    points = tuple(PointPrompt((y, x)) for y in range(40) for x in range(26))
    PromptSet(points[:MOST_POINTS]).require_inside((40, 26))
    with pytest.raises(InputError, match="1000 points at most; here are 1001"):
        PromptSet(points[: MOST_POINTS + 1]).require_inside((40, 26))


def test_a_box_may_reach_past_the_border():
    PromptSet((BoxPrompt((-5, -5), (100, 100)),)).require_inside((10, 20))


def test_a_scribble_or_an_area_may_reach_past_the_border():
    PromptSet((ScribblePrompt([(-5, 3), (2, 3)]),)).require_inside((10, 20))
    PromptSet((AreaPrompt((-1, -1), np.ones((2, 2), bool)),)).require_inside((10, 20))


def test_an_area_is_cut_to_its_box_copied_and_read_only():
    mask = np.zeros((5, 6), bool)
    mask[2:4, 3] = True
    area = AreaPrompt.of(mask)
    mask[:] = True
    assert area == AreaPrompt((2, 3), np.ones((2, 1), bool))
    assert area.box == BoxPrompt((1.5, 2.5), (3.5, 3.5))
    with pytest.raises(ValueError, match="read-only"):
        area.mask[0, 0] = False


def test_areas_differ_by_place_shape_and_polarity():
    ones = np.ones((2, 3), bool)
    others = (AreaPrompt((0, 1), ones), AreaPrompt((0, 0), ones.T), AreaPrompt((0, 0), ones, False))
    assert len({AreaPrompt((0, 0), ones), *others, AreaPrompt.of(ones)}) == 4


@pytest.mark.parametrize("bad", [np.ones(3, bool), np.ones((2, 2)), np.zeros((2, 2), bool), np.ones((0, 4), bool)])
def test_an_area_is_a_mask_that_is_not_empty(bad):
    with pytest.raises(InputError, match="area"):
        AreaPrompt((0, 0), bad)


def test_of_an_area_only_what_lies_on_the_plane_counts():
    boxed = AreaPrompt((-2, 3), np.ones((4, 4), bool)).on_plane((10, 5))
    assert (boxed.origin, boxed.mask.shape, boxed.plane) == ((0, 3), (2, 2), (10, 5))


def test_points_along_a_scribble_are_equally_far_apart_and_keep_off_its_ends():
    scribble = ScribblePrompt([(0, 0), (0, 1), (0, 6), (6, 6)])
    assert scribble.sampled(3).tolist() == [[0, 2], [0, 6], [4, 6]]
    assert ScribblePrompt([(2, 3), (2, 3)]).sampled(5).tolist() == [[2, 3]]


@given(scribbles, st.integers(1, 9))
def test_points_of_a_scribble_lie_in_its_box(scribble, count):
    found, path = scribble.sampled(count), scribble.vertices
    assert (found >= path.min(axis=0) - 1e-6).all()
    assert (found <= path.max(axis=0) + 1e-6).all()


@pytest.mark.parametrize("kind", [ScribblePrompt([(1, 1), (2, 2)]), AreaPrompt((0, 0), np.ones((2, 2), bool))])
def test_what_is_drawn_says_where_the_object_is_and_is_not_ambiguous(kind):
    other = type(kind)(*([kind.path] if isinstance(kind, ScribblePrompt) else [kind.origin, kind.mask]), False)
    assert not PromptSet((kind,)).ambiguous
    assert PromptSet((kind,)).is_placed
    assert PromptSet((other,)).is_background_only
    assert PromptSet((kind, other)).corners(positive=True) == PromptSet((kind,)).corners()
    assert PromptSet((other,)).corners(positive=True) == []
