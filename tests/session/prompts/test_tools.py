"""Tools, the person's selection, and the keys."""

from __future__ import annotations

import inspect
from operator import attrgetter
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.layers.shapes._shapes_mouse_bindings import initiate_polygon_draw
from napari.utils.key_bindings import KeymapHandler, coerce_keybinding
from napari.utils.shortcuts import default_shortcuts
from session_scenery import DISCS

from napari_sam.session.actions import ACTIONS
from napari_sam.session.state import SessionState

IDS = [
    "tool_positive",
    "tool_negative",
    "tool_box",
    "tool_scribble",
    "tool_lasso",
    "tool_brush",
    "tool_eraser",
    "toggle_polarity",
    "next_tempo",
    "toggle_hover",
    "next_candidate",
    "accept",
    "accept_confident",
    "make_all",
    "clear",
    "clear_all",
    "undo",
    "redo",
    "pick_object",
    "delete_object",
    "delete_object_here",
    "split_object",
    "merge_objects",
    "propagate",
    "next_weak_plane",
    "copy_prompts",
    "copy_prompts_back",
    "toggle_same_object",
    *(f"class_{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 0)),
    "mark_checked",
    "mark_unsure",
    "next_unchecked",
    "series_done",
    "series_next",
    "series_previous",
    "series_skip",
    "teach",
    "next_to_annotate",
    "cancel",
]


def test_tools_select_their_layer_and_mode(session, viewer):
    session.use_tool("positive")
    assert viewer.layers.selection.active is session.points
    assert str(session.points.mode) == "add"
    assert session.state.tool == "positive"
    session.use_tool("negative")
    assert session.state.tool == "negative"
    session.use_tool("box")
    assert viewer.layers.selection.active is session.shapes
    assert str(session.shapes.mode) == "add_rectangle"
    assert session.state.tool == "box"


def test_the_tool_in_hand_is_what_a_click_would_do(session, viewer, image):
    session.use_tool("positive")
    session.points.mode = "select"
    assert session.state.tool is None
    session.points.mode = "add"
    assert session.state.tool == "positive"
    session.points.feature_defaults = {"polarity": "negative"}
    assert session.state.tool == "negative"
    viewer.layers.selection.active = image
    assert session.state.tool is None
    assert "Choose a tool" in session.state.hint
    session.use_tool("box")
    for mode, tool in {"add_polygon": "lasso", "add_ellipse": "lasso", "add_line": "scribble", "select": None}.items():
        session.shapes.mode = mode
        assert session.state.tool == tool


def test_strokes_have_the_polarity_of_the_clicks_and_x_flips_both(session):
    session.use_tool("negative")
    session.use_tool("scribble")
    assert (session.state.tool, session.state.positive) == ("scribble", False)
    assert str(session.shapes.mode) == "add_path"
    session.toggle_polarity()
    assert (session.state.tool, session.state.positive) == ("scribble", True)
    session.use_tool("lasso")
    assert str(session.shapes.mode) == "add_polygon_lasso"
    session.toggle_polarity()
    assert (session.state.tool, session.state.positive) == ("lasso", False)
    session.use_tool("box")
    session.shapes.add_rectangles([[[2, 2], [9, 9]]])
    assert list(session.shapes.features["polarity"]) == ["positive"]  # there are no boxes around what is not meant
    session.use_tool("scribble")
    assert not session.state.positive
    session.clear()
    assert session.state.positive  # the next object begins


def test_flipping_leaves_what_was_drawn_alone(session):
    session.use_tool("scribble")
    session.shapes.add([[10, 20], [20, 20]], shape_type="path")
    session.shapes.selected_data = {0}  # as napari leaves it
    session.toggle_polarity()
    session.shapes.add([[30, 20], [30, 30]], shape_type="path")
    assert list(session.shapes.features["polarity"]) == ["positive", "negative"]
    assert len({tuple(colour) for colour in session.shapes.edge_color}) == 2


def test_flipping_from_the_box_goes_to_background_points(session):
    session.use_tool("box")
    session.toggle_polarity()
    assert session.state.tool == "negative"
    session.toggle_polarity()
    assert session.state.tool == "positive"


def test_an_object_begins_with_a_positive_click(session):
    session.points.add(DISCS[0])
    session.use_tool("negative")
    session.wait(60)
    session.accept()
    assert session.state.tool == "positive"
    session.use_tool("negative")
    session.points.add((2, 2))
    session.clear()
    assert session.state.tool == "positive"


def test_making_layers_leaves_the_selection_alone(session, viewer, image):
    other = viewer.add_points(np.zeros((1, 2)))
    viewer.layers.selection = {image, other}
    session.points.add(DISCS[0])
    session.shapes.add_rectangles([[[2, 2], [9, 9]]])
    session.wait(60)
    session.accept()
    assert set(viewer.layers.selection) == {image, other}


def test_layers_are_stacked_so_that_prompts_are_on_top(session, viewer, image):
    session.points.add(DISCS[0])
    session.shapes.add_rectangles([[[2, 2], [9, 9]]])
    session.wait(60)
    session.accept()
    order = [image, session.target, session.preview, session.points, session.shapes]
    assert list(viewer.layers) == order


@pytest.mark.parametrize("several", [True, False])
def test_closing_selects_what_was_selected_before(session, viewer, image, several):
    other = viewer.add_points(np.zeros((1, 2)))
    before = {image, other} if several else {other}
    viewer.layers.selection = before
    session.use_tool("positive")
    session.use_tool("box")
    session.close()
    assert set(viewer.layers.selection) == before


def test_closing_leaves_a_later_choice_of_the_person_s(session, viewer, image):
    other = viewer.add_points(np.zeros((1, 2)))
    session.use_tool("positive")
    viewer.layers.selection.active = other
    session.close()
    assert viewer.layers.selection.active is other


def test_closing_gives_adopted_layers_their_mode_back(session, viewer):
    layer = viewer.add_points([DISCS[0]])
    layer.mode = "select"
    session.points = layer
    session.use_tool("negative")
    assert str(layer.mode) == "add"
    session.close()
    assert str(layer.mode) == "select"


# -- the table of actions -------------------------------------------------------------------------


def test_the_table_has_every_command(session):
    assert list(session.actions) == IDS
    for name, action in session.actions.items():
        assert action.id == name
        assert action.title and action.tooltip.endswith(".") and action.keys


class CommandRecorder:
    """Notes which commands are called, those of parts of a session too, with what."""

    def __init__(self, calls, path=""):
        self._calls, self._path = calls, path

    def __getattr__(self, name):
        return CommandRecorder(self._calls, f"{self._path}.{name}".lstrip("."))

    def __setattr__(self, name, value):
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self._calls.append((f"{self._path}.{name}".lstrip("."), (value,), {}))

    def __call__(self, *args, **kwargs):
        self._calls.append((self._path, args, kwargs))

    def __bool__(self):
        return False


def test_each_action_runs_one_command_that_there_is(session):
    seen = []
    for action in ACTIONS.values():
        calls = []
        action.run(CommandRecorder(calls))
        [(path, args, kwargs)] = calls
        command = attrgetter(path)(session)
        if callable(command):
            inspect.signature(command).bind(*args, **kwargs)
        seen.append((path, args, tuple(kwargs.items())))
    assert len(set(seen)) == len(ACTIONS)  # no two do the same
    assert ("use_tool", ("negative",), ()) in seen and ("objects.delete", (), (("plane_only", True),)) in seen


def test_actions_are_enabled_when_they_would_do_something(session):
    def enabled():
        return {name for name, action in ACTIONS.items() if action.enabled(session.state)}

    tools = {
        "tool_positive",
        "tool_negative",
        "tool_box",
        "tool_scribble",
        "tool_lasso",
        "tool_brush",
        "tool_eraser",
        "toggle_polarity",
        "next_tempo",
        "toggle_hover",
    }
    tools |= {"pick_object", "delete_object", "delete_object_here", "split_object", "merge_objects"}
    assert not {name for name, action in ACTIONS.items() if action.enabled(SessionState())}
    assert enabled() == tools
    session.points.add(DISCS[0])
    assert enabled() >= tools | {"cancel", "clear", "clear_all", "undo", "accept"}
    session.wait(60)
    assert enabled() == tools | {"next_candidate", "accept", "clear", "clear_all", "undo"}
    session.undo()
    assert enabled() == tools | {"redo"}


# -- keys -----------------------------------------------------------------------------------------


def napari_keys(kind):
    """Keys that napari uses on a kind of layer, or on the viewer: its keymaps, and the shortcuts of its settings."""
    from napari.layers.image import _image_key_bindings as on_image
    from napari.layers.labels import _labels_key_bindings as on_labels
    from napari.layers.points import _points_key_bindings as on_points
    from napari.layers.shapes import _shapes_key_bindings as on_shapes

    module = {Image: on_image, Labels: on_labels, Points: on_points, Shapes: on_shapes}.get(kind)
    layers = {name for m in (on_image, on_labels, on_points, on_shapes) for name in vars(m)}
    other = ("vectors", "tracks", "surface")
    found = {coerce_keybinding(key): None for key in kind.class_keymap}
    for shortcut, keys in default_shortcuts.items():
        name = shortcut.removeprefix("napari:")
        if hasattr(module, name) or (module is None and name not in layers and not any(o in name for o in other)):
            found.update((coerce_keybinding(key), name) for key in keys)
    return found


@pytest.fixture
def napari_shortcuts(monkeypatch):
    """Bind napari's shortcuts, as its window does, and note which of its own functions run."""
    ran = []
    for kind in (Image, Labels, Points, Shapes, ViewerModel):
        keymap = dict(kind.class_keymap)
        for key, name in napari_keys(kind).items():
            if name is not None:
                keymap[key] = lambda _place, name=name: ran.append(name)
        monkeypatch.setattr(kind, "class_keymap", keymap)
    return ran


@pytest.fixture
def stand(napari_shortcuts, viewer, image, open_session):
    """A session in a viewer with napari's shortcuts, and a way to press keys on a layer."""
    session = open_session()
    session.use_tool("box")
    session.use_tool("positive")
    session.points.add(DISCS[0])
    session.wait(60)
    session.new_target()

    def press(layer, key):
        handler = KeymapHandler()
        handler.keymap_providers = [layer, viewer]
        handler.press_key(key)

    return SimpleNamespace(session=session, viewer=viewer, press=press, ran=napari_shortcuts)


def test_napari_s_keys_are_known(napari_shortcuts):
    # The tests below mean nothing if napari's shortcuts are not found.
    assert coerce_keybinding("Enter") in Shapes.class_keymap
    assert coerce_keybinding("X") in Labels.class_keymap
    assert coerce_keybinding("X") not in Points.class_keymap
    assert coerce_keybinding("V") in ViewerModel.class_keymap
    assert sum(len(kind.class_keymap) for kind in (Image, Labels, Points, Shapes, ViewerModel)) > 70


def test_no_key_of_napari_s_is_taken(stand):
    places = [stand.session.points, stand.session.shapes, stand.viewer]
    shared = {coerce_keybinding(key) for key in ("Enter", "Escape", "X")}
    for place in places:
        assert place.keymap
        clash = set(place.keymap) & set(type(place).class_keymap)
        assert clash == (shared if place is stand.session.shapes else set())
    on_layers = set(stand.viewer.keymap)
    assert coerce_keybinding("Ctrl-Z") in on_layers  # napari's own comes first where a layer has one


@pytest.mark.parametrize("place", ["points", "shapes", "image", "target"])
def test_every_action_has_a_key_on_every_layer_that_a_person_stands_on(stand, place):
    layer = getattr(stand.session, place)
    handler = KeymapHandler()
    handler.keymap_providers = [layer, stand.viewer]
    active = handler.active_keymap
    for action in ACTIONS.values():
        if place == "target" and action.id in ("undo", "redo"):
            continue  # on a labels layer these are napari's own undo and redo
        called = []
        for key in map(coerce_keybinding, action.keys):
            assert key in active
            if getattr(active[key], "__func__", active[key]).__module__.startswith("napari_sam.session.keys"):
                called.append(key)
        assert called, f"{action.id} cannot be reached"


def test_enter_accepts_on_points_and_boxes(stand):
    stand.press(stand.session.points, "Enter")
    assert stand.session.target.data.max() == 1
    stand.session.shapes.add_rectangles([[[30, 50], [50, 70]]])
    stand.session.wait(60)
    stand.press(stand.session.shapes, "Enter")
    assert stand.session.target.data.max() == 2
    assert stand.ran == []


def test_enter_ends_a_polygon_that_is_being_drawn(stand):
    stand.session.shapes.mode = "add_polygon"
    initiate_polygon_draw(stand.session.shapes, (3.0, 4.0))
    stand.press(stand.session.shapes, "Enter")
    assert stand.ran == ["finish_drawing_shape"]
    assert stand.session.target.data.max() == 0


def test_x_flips_on_points_and_is_napari_s_elsewhere(stand):
    stand.session.use_tool("positive")
    stand.press(stand.session.points, "X")
    assert stand.session.state.tool == "negative"
    assert stand.ran == []
    stand.press(stand.session.target, "X")
    assert stand.ran == ["swap_selected_and_background_labels"]
    stand.press(stand.session.target, "Shift-X")
    assert stand.session.state.tool == "positive"


def test_x_flips_where_shapes_are_added_and_is_napari_s_where_they_are_edited(stand):
    stand.session.use_tool("scribble")
    stand.press(stand.session.shapes, "X")
    assert (stand.session.state.tool, stand.session.state.positive, stand.ran) == ("scribble", False, [])
    stand.session.shapes.mode = "direct"
    stand.press(stand.session.shapes, "X")
    assert stand.ran == ["activate_vertex_remove_mode"]
    assert not stand.session.state.positive


def test_undo_key_is_napari_s_on_the_target(stand):
    stand.session.accept()
    stand.press(stand.session.target, "Ctrl-Z")
    assert stand.session.target.data.max() == 0
    assert len(stand.session.points.data) == 0  # prompts are the session's
    stand.press(stand.session.points, "Ctrl-Z")
    assert len(stand.session.points.data) == 1


def test_a_disabled_action_does_nothing(stand):
    stand.session.clear()
    stand.press(stand.session.points, "Enter")
    assert stand.session.state.status.kind != "attention"


def test_bindings_of_the_person_s_are_left_alone(viewer, image, open_session):
    ran = []
    viewer.bind_key("N", lambda _viewer: ran.append("theirs"))
    session = open_session()
    handler = KeymapHandler()
    handler.keymap_providers = [image, viewer]
    handler.press_key("N")
    assert ran == ["theirs"]
    session.close()
    handler.press_key("N")
    assert ran == ["theirs", "theirs"]


def test_closing_unbinds_every_key(stand):
    points, shapes, viewer = stand.session.points, stand.session.shapes, stand.viewer
    stand.session.close()
    assert not points.keymap and not shapes.keymap and not viewer.keymap
