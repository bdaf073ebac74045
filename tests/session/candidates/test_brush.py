"""Brush and eraser on the preview: what is painted stays, in order with all else that the person does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from session_scenery import DISCS, SHAPE, click, discs

from napari_sam.inference.shaping import MaskShaping
from napari_sam.journal import read_journal
from napari_sam.prompts import PaintPrompt
from napari_sam.session import messages


def dab(session, place, *, size=5, value=None, wait=True):
    """Paint, or erase, as one stroke at a place of the plane on screen, (y, x) data pixels."""
    layer = session.preview
    layer.brush_size = size
    at = layer.world_to_data(session.image.data_to_world(place))
    erases = str(layer.mode) == "erase" if value is None else not value
    layer.paint(at, 0 if erases else 1)
    if wait:
        session.wait(60)


def around(place, size=5):
    """Pixels that a dab covers."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    radius = size // 2 + 0.5
    return (y - place[0]) ** 2 + (x - place[1]) ** 2 <= radius**2


def shown(session):
    return np.asarray(session.preview.data) != 0


def chosen(session):
    """The mask of the candidate that would be accepted."""
    candidate = session.state.candidates[session.state.selected]
    mask = np.zeros(SHAPE, bool)
    (top, left), (height, width) = candidate.origin, candidate.mask.shape
    mask[top : top + height, left : left + width] = candidate.mask
    return mask


@pytest.fixture
def asked(session):
    """A session with one click on a disc that is answered, and the brush in hand."""
    click(session, DISCS[0])
    session.wait(60)
    session.use_tool("brush")
    return session


BESIDE = (30, 30)


def test_what_is_painted_is_in_and_what_is_erased_is_not(asked):
    before = chosen(asked)
    dab(asked, BESIDE)
    np.testing.assert_array_equal(chosen(asked), before | around(BESIDE))
    asked.toggle_polarity()
    assert asked.state.tool == "eraser" and not asked.state.positive
    dab(asked, DISCS[0])
    expected = (before | around(BESIDE)) & ~around(DISCS[0])
    np.testing.assert_array_equal(chosen(asked), expected)
    np.testing.assert_array_equal(shown(asked), expected)
    asked.toggle_polarity()
    assert asked.state.tool == "brush"
    asked.accept()
    np.testing.assert_array_equal(asked.target.data == 1, expected)


def test_painting_asks_the_model_nothing_new(asked, engine):
    count = len(asked.state.candidates)
    asked.next_candidate()
    before = chosen(asked)
    dab(asked, BESIDE)
    assert len(asked.state.candidates) == count and asked.state.selected == 1
    np.testing.assert_array_equal(chosen(asked), before | around(BESIDE))
    assert [len(prompts) for prompts in engine.asked] == [1, 1] and engine.asked[-1].mask is None


def test_all_candidates_are_painted_and_shaped_before(asked):
    dab(asked, BESIDE)
    for index in range(3):
        asked.select_candidate(index)
        assert chosen(asked)[around(BESIDE)].all()
    asked.settings.shaping = MaskShaping(largest_part=True)
    asked.wait(60)
    assert chosen(asked)[around(BESIDE)].all()  # a part of its own, and it stays


def test_the_model_goes_on_from_what_is_painted(asked, engine):
    dab(asked, (37, 30), size=15)
    click(asked, (16, 21))
    asked.wait(60)
    given = engine.asked[-1].mask.logits
    # The cell of a 4 x 4 grid under the dab; the fake engine's logits are the number of the answer everywhere.
    assert given[2, 1] < given[3, 3] == given[0, 0] == 20
    assert chosen(asked)[around((37, 30), 15)].all()


def test_strokes_and_clicks_are_undone_in_their_order(asked):
    states = [chosen(asked)]
    dab(asked, BESIDE)
    states.append(chosen(asked))
    click(asked, (16, 21))
    asked.wait(60)
    states.append(chosen(asked))
    asked.use_tool("brush")
    dab(asked, (45, 10))
    states.append(chosen(asked))
    asked.use_tool("eraser")
    dab(asked, BESIDE, size=3)
    for state in reversed(states):
        asked.undo()
        asked.wait(60)
        np.testing.assert_array_equal(chosen(asked), state)
        np.testing.assert_array_equal(shown(asked), state)
    for state in states[1:]:
        asked.redo()
        asked.wait(60)
        np.testing.assert_array_equal(chosen(asked), state)


def test_undo_of_an_accept_brings_the_paint_back(asked):
    dab(asked, BESIDE)
    expected = chosen(asked)
    asked.accept()
    assert not shown(asked).any() and asked.state.tool == "brush"
    asked.undo()
    asked.wait(60)
    assert not np.asarray(asked.target.data).any()
    np.testing.assert_array_equal(chosen(asked), expected)
    asked.undo()
    asked.wait(60)
    assert not chosen(asked)[around(BESIDE)].any()


def test_clear_takes_the_paint_and_undo_brings_it_back(asked):
    dab(asked, BESIDE)
    expected = chosen(asked)
    asked.clear()
    assert not asked.state.candidates and not asked.state.can_clear and not shown(asked).any()
    asked.undo()
    asked.wait(60)
    np.testing.assert_array_equal(chosen(asked), expected)


def test_an_object_is_painted_from_nothing_and_a_click_refines_it(session, engine):
    session.use_tool("brush")
    dab(session, BESIDE, size=9)
    np.testing.assert_array_equal(chosen(session), around(BESIDE, 9))
    assert not engine.asked
    click(session, DISCS[0])
    session.wait(60)
    assert engine.asked[-1].mask is not None and len(session.state.candidates) == 1
    assert chosen(session)[around(BESIDE, 9)].all() and chosen(session)[DISCS[0]]
    session.undo()
    session.wait(60)
    np.testing.assert_array_equal(chosen(session), around(BESIDE, 9))
    session.accept()
    np.testing.assert_array_equal(session.target.data == 1, around(BESIDE, 9))


def test_a_mask_that_is_all_erased_cannot_be_accepted(asked):
    asked.use_tool("eraser")
    dab(asked, DISCS[0], size=41)
    assert asked.state.candidates[0].area == 0
    asked.accept()
    assert asked.target is None and asked.state.status.text == messages.ALL_ERASED
    asked.undo()
    asked.wait(60)
    assert asked.state.candidates[0].area


def test_erasing_what_was_painted_leaves_no_object(session):
    session.use_tool("brush")
    dab(session, BESIDE)
    session.use_tool("eraser")
    dab(session, BESIDE, size=9)
    assert not session.state.candidates and session.state.status.text == messages.ERASED_ONLY


def test_an_answer_that_comes_in_mid_stroke_waits_for_its_end(asked, engine):
    preview = asked._components.preview
    before = chosen(asked)
    engine.gate.clear()
    click(asked, (16, 21))
    asked.use_tool("brush")
    with asked.preview.block_history():
        preview.hold_stroke()
        dab(asked, BESIDE, wait=False)
        engine.gate.set()
        asked.wait(60)
        assert shown(asked)[around(BESIDE)].all()  # drawn over by nothing
    asked.wait(60)
    assert chosen(asked)[around(BESIDE)].all() and (chosen(asked) & ~around(BESIDE)).sum() != 0
    np.testing.assert_array_equal(shown(asked), chosen(asked))
    del before


def test_a_stroke_is_not_written_by_turbo(session):
    session.settings.tempo = "turbo"
    session.use_tool("brush")
    dab(session, BESIDE)
    assert session.target is None and messages.name_keys(messages.BRUSH_IN_TURBO, session.keys.of) in session.state.hint
    session.accept()
    session.wait(60)
    np.testing.assert_array_equal(session.target.data == 1, around(BESIDE))


def test_a_batch_takes_no_brush(asked):
    asked.settings.tempo = "batch"
    assert asked.state.tool == "positive"
    asked.use_tool("brush")
    assert asked.state.tool == "positive" and asked.state.status.text == messages.NO_BRUSH_IN_BATCH


def test_escape_leaves_the_brush_and_all_layers_are_as_before(session, viewer, image):
    session.points.mode = "select"
    viewer.layers.selection.active = image
    session.use_tool("brush")
    session.use_tool("eraser")
    session.cancel()
    assert viewer.layers.selection.active is image
    assert str(session.points.mode) == "select" and session.state.tool is None
    assert not session.preview.editable and str(session.preview.mode) == "pan_zoom"


def test_escape_goes_back_to_the_tool_before(asked):
    asked.use_tool("box")
    asked.use_tool("brush")
    asked.cancel()
    assert asked.state.tool == "box"


def test_the_preview_is_locked_when_another_layer_is_selected(asked, viewer):
    viewer.layers.selection.active = asked.image
    assert asked.state.tool is None and not asked.preview.editable
    assert len(asked.preview.mouse_drag_callbacks) == 1  # napari's own, which does nothing


def test_the_size_of_the_brush_is_kept(asked, viewer):
    asked.preview.brush_size = 23
    assert asked.settings.brush_size == 23
    viewer.layers.selection.active = asked.image
    asked.preview.brush_size = 3
    asked.use_tool("brush")
    assert asked.preview.brush_size == 23


def test_paint_stays_on_its_plane(open_session, viewer):
    viewer.add_image(np.stack([discs()] * 3), contrast_limits=(0, 255))
    viewer.dims.set_point(0, 0)
    session = open_session()
    session.wait(60)
    session.use_tool("brush")
    dab(session, (0, *BESIDE))
    viewer.dims.set_point(0, 2)
    session.wait(60)
    assert session.state.tool == "brush" and not session.state.candidates
    dab(session, (2, *DISCS[1]))
    np.testing.assert_array_equal(chosen(session), around(DISCS[1]))
    viewer.dims.set_point(0, 0)
    session.wait(60)
    np.testing.assert_array_equal(chosen(session), around(BESIDE))
    session.undo()  # the stroke on the other plane, which comes on screen
    session.wait(60)
    assert viewer.dims.current_step[0] == 2 and not session.state.candidates


def test_the_journal_keeps_what_is_painted(asked):
    dab(asked, BESIDE)
    click(asked, (16, 21))
    asked.wait(60)
    [paint] = [p for p in asked._components.live.reading.prompts if isinstance(p, PaintPrompt)]
    expected = chosen(asked)
    asked.accept()
    path = asked._components.recorder.path
    asked.close()
    [entry] = [e for e in read_journal(path) if e["kind"] == "accepted"]
    assert any(one.get("type") == "paint" for one in entry["prompts"]["prompts"])
    from napari_sam.prompts import PromptSet

    assert PromptSet.from_json(json.dumps(entry["prompts"])).paint == paint
    assert [len(one["prompts"]["prompts"]) for one in entry["asked"]["rounds"]] == [2, 3]
    assert expected.any()
