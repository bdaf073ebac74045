"""Shapes of every kind, from the layer to the model and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers.base import ActionType
from session_scenery import DISCS, click

from napari_sam.prompts import AreaPrompt, BoxPrompt, PointPrompt, PromptSet, ScribblePrompt
from napari_sam.session.prompts.shapes import DrawnShape, ShapeReader, outlines_of

AROUND = np.array([(5.0, 10.0), (5.0, 30.0), (25.0, 30.0), (25.0, 10.0)])
"""A rectangle around (15, 20)."""


def read(vertices, kind, positive=True, plane=(40, 60)):
    return ShapeReader().read(DrawnShape(np.array(vertices, float), kind, positive), plane)


def test_a_plain_rectangle_is_a_box():
    assert read(AROUND, "rectangle") == BoxPrompt((5, 10), (25, 30))


def test_a_rectangle_around_what_is_not_meant_is_an_area():
    area = read(AROUND, "rectangle", positive=False)
    assert (area.origin, area.mask.shape, area.mask.all(), area.positive) == ((5, 10), (20, 20), True, False)


def test_a_rotated_rectangle_counts_by_its_area():
    area = read([(15, 10), (5, 20), (15, 30), (25, 20)], "rectangle")
    assert area.mask.sum() == pytest.approx(200, rel=0.05)
    assert area.mask.shape[0] == pytest.approx(20, abs=1)


@pytest.mark.parametrize("turn", [0.0, 0.6])
def test_an_ellipse_has_the_area_of_an_ellipse(turn):
    corners = np.array([(-8, -15), (-8, 15), (8, 15), (8, -15)], float)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    area = read(corners @ spin.T + (30, 30), "ellipse", plane=(60, 60))
    assert area.mask.sum() == pytest.approx(np.pi * 8 * 15, rel=0.04)
    at = np.argwhere(area.mask) + area.origin - (30, 30)
    along, across = (at @ spin).T
    assert ((along / 8) ** 2 + (across / 15) ** 2).max() <= 1.001


def test_a_hasty_lasso_that_crosses_itself_loses_nothing():
    # Around a square, and on beyond where it began.
    lasso = [(5, 5), (5, 30), (30, 30), (30, 5), (3, 5), (3, 15), (10, 15), (10, 8)]
    assert read(lasso, "polygon").on_plane((40, 60)).whole()[6:30, 6:30].all()


def test_paths_and_lines_are_scribbles():
    assert read([(1, 2), (3, 4), (5, 9)], "path", positive=False) == ScribblePrompt([(1, 2), (3, 4), (5, 9)], False)
    assert read([(1, 2), (3, 4)], "line") == ScribblePrompt([(1, 2), (3, 4)])


@pytest.mark.parametrize("vertices", [[(1.1, 1.1), (1.2, 1.3), (1.3, 1.1)], [(50, 1), (55, 1), (55, 9)]])
def test_a_polygon_without_a_pixel_says_nothing(vertices):
    assert read(vertices, "polygon") is None


@given(st.integers(0, 2**30), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_outlines_enclose_the_very_pixels_that_they_were_traced_around(seed, origin):
    """Of any mask, holes and parts that touch at corners included."""
    mask = np.random.default_rng(seed).random((7, 9)) < 0.6
    mask[3, 4] = True
    area, plane = AreaPrompt(origin, mask), (30, 30)
    parts = [read(outline, "polygon", plane=plane).on_plane(plane).whole() for outline in outlines_of(area)]
    np.testing.assert_array_equal(np.any(parts, axis=0), area.on_plane(plane).whole())


# -- in a session -----------------------------------------------------------------------------------


def draw(session, vertices, kind, positive=True):
    """Draw a shape as the person does who chose a polarity."""
    session.use_tool("scribble" if kind == "path" else "lasso")
    if session.state.positive != positive:
        session.toggle_polarity()
    session.shapes.add(np.array(vertices, float), shape_type=kind)
    session.wait(60)


def test_a_scribble_is_one_object(session, engine, disc):
    draw(session, [(12, 18), (18, 22)], "path")
    assert engine.asked[-1] == PromptSet((ScribblePrompt([(12, 18), (18, 22)]),))
    assert len(session.state.candidates) == 1
    assert session.state.status.kind == "idle"


def test_scribbles_and_areas_of_both_polarities_go_to_the_model_together(session, engine):
    click(session, DISCS[0])
    draw(session, [(12, 18), (18, 22)], "path")
    draw(session, [(15, 30), (20, 30)], "path", positive=False)
    draw(session, [(10, 10), (10, 30), (20, 30), (20, 10)], "polygon")
    draw(session, [(2, 2), (2, 5), (5, 5), (5, 2)], "polygon", positive=False)
    asked = engine.asked[-1]
    assert [scribble.positive for scribble in asked.scribbles] == [True, False]
    assert [(area.origin, area.positive) for area in asked.areas] == [((10, 10), True), ((2, 2), False)]
    assert asked.points == (PointPrompt(DISCS[0]),)


def test_a_lasso_and_a_box_stay_side_by_side(session, engine):
    draw(session, AROUND, "polygon")
    session.use_tool("box")
    session.shapes.add_rectangles([AROUND])
    session.wait(60)
    assert engine.asked[-1].box is not None and len(engine.asked[-1].areas) == 1
    assert len(session.shapes.data) == 2


def test_what_a_negative_lasso_surrounds_is_cut_off(session):
    click(session, DISCS[0])
    draw(session, [(0, 20), (0, 40), (40, 40), (40, 20)], "polygon", positive=False)
    mask = np.asarray(session.preview.data) > 0
    assert mask.any() and not mask[:, 20:40].any()


def test_background_strokes_alone_name_no_object(session, engine):
    asked = len(engine.asked)
    draw(session, [(15, 30), (20, 30)], "path", positive=False)
    assert len(engine.asked) == asked
    assert "names no object" in session.state.status.text


def test_undo_and_redo_draw_every_stroke_again_with_its_polarity(session):
    draw(session, [(12, 18), (18, 22)], "path")
    draw(session, [(15, 30), (20, 30)], "path", positive=False)
    draw(session, AROUND, "ellipse")

    def drawn():
        kinds, polarity = list(map(str, session.shapes.shape_type)), list(session.shapes.features["polarity"])
        colours = [tuple(np.round(colour, 3)) for colour in session.shapes.edge_color]
        return list(zip(kinds, polarity, colours, strict=True))

    everything = drawn()
    assert [entry[:2] for entry in everything] == [
        ("path", "positive"),
        ("path", "negative"),
        ("ellipse", "positive"),
    ]
    for left in (2, 1, 0):
        session.undo()
        assert drawn() == everything[:left]
    for back in (1, 2, 3):
        session.redo()
        assert drawn() == everything[:back]


def test_flipping_the_polarity_of_a_stroke_is_a_new_question_and_a_step(session, engine):
    click(session, DISCS[0])
    draw(session, [(12, 18), (18, 22)], "path")
    session.shapes.features = session.shapes.features.assign(polarity=["negative"])
    session.wait(60)
    assert [scribble.positive for scribble in engine.asked[-1].scribbles] == [False]
    session.undo()
    assert list(session.shapes.features["polarity"]) == ["positive"]


def test_accept_keeps_the_prompts_in_the_journal_and_undo_brings_them_back(session):
    draw(session, [(12, 18), (18, 22)], "path")
    draw(session, AROUND, "polygon")
    session.accept()
    session.wait(60)
    assert len(session.shapes.data) == 0
    session.undo()
    assert list(map(str, session.shapes.shape_type)) == ["path", "polygon"]


@pytest.mark.parametrize(
    "prompts",
    [
        (ScribblePrompt([(12, 18), (18, 22), (14, 20)], False), PointPrompt((15, 20))),
        (AreaPrompt.of(np.hypot(*np.ogrid[-15:25, -20:40]) < 8),),
        (AreaPrompt.of((np.hypot(*np.ogrid[-15:25, -20:40]) < 8) & ~(np.hypot(*np.ogrid[-15:25, -20:40]) < 3)),),
        (BoxPrompt((3, 4), (20, 30)), AreaPrompt((1, 2), np.ones((3, 5), bool), False)),
    ],
    ids=["scribble", "disc", "ring", "negative area"],
)
def test_prompts_are_drawn_and_read_again_the_same(session, prompts):
    editor, view = session._components.prompts, session._components.active.view
    session.clear_all()
    editor.draw_prompts(session.image, view, PromptSet(prompts))
    assert set(editor.read_plane(session.image, view).prompts) == set(prompts)


def test_a_layer_of_an_earlier_version_gets_a_polarity(viewer, image, open_session):
    shapes = viewer.add_shapes([AROUND], shape_type="polygon", features={"prompt": ["box"]})
    session = open_session()
    session.use_tool("box")
    session.wait(60)
    assert session.shapes is shapes
    assert list(shapes.features["polarity"]) == ["positive"]
    assert len(session._components.live.reading.prompts.areas) == 1


def test_what_was_drawn_to_its_end_has_no_handles(session):
    session.use_tool("box")
    session.shapes.add_rectangles(AROUND)
    # As napari does at the end of a drag: it selects the shape, and draws handles that hide a small object.
    session.shapes.selected_data = {0}
    session.shapes.events.data(
        value=session.shapes.data, action=ActionType.ADDED, data_indices=(-1,), vertex_indices=((),)
    )
    assert not session.shapes.selected_data
    session.shapes.mode = "select"
    session.shapes.selected_data = {0}
    session.shapes.data = [AROUND + 1]
    session.shapes.selected_data = {0}
    session.shapes.events.data(value=session.shapes.data, action="changed", data_indices=(0,), vertex_indices=((),))
    assert session.shapes.selected_data == {0}  # whoever moves it keeps it
