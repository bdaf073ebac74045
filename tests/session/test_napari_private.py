"""napari's private names: that they still are what they were, and that nothing fails where they are gone."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels, Shapes
from napari.layers.labels import labels as napari_labels
from napari.layers.shapes._shapes_mouse_bindings import initiate_polygon_draw
from napari.utils._proxies import PublicOnlyProxy

import napari_sam
from napari_sam.session import napari_private
from napari_sam.session.labels import undo_history
from napari_sam.session.labels.compressed import Change
from napari_sam.session.labels.edit import join_edits
from napari_sam.session.labels.pixels import redraw_levels
from napari_sam.session.labels.undo_history import EarlierSteps
from napari_sam.session.labels.writer import LabelWriter
from napari_sam.session.viewing.feature_table import set_classes
from napari_sam.session.viewing.plane_on_screen import find_view

SOURCE = Path(napari_sam.__file__).parent
PRIVATE = re.compile(r"_[a-zA-Z]\w*|__wrapped__")


def painted() -> Labels:
    layer = Labels(np.zeros((20, 30), np.int32))
    layer.data_setitem((np.array([1, 2]), np.array([3, 4])), 5)
    return layer


def pyramid() -> Labels:
    """Labels that are not in memory: of these, napari copies the coarsest level."""
    levels = [zarr.array(np.zeros((side, side), np.int32), store=zarr.storage.MemoryStore()) for side in (64, 32)]
    return Labels(levels, multiscale=True)


# -- what napari has today ------------------------------------------------------------------------


def test_undo_steps_are_what_undo_takes_back():
    layer = painted()
    steps = napari_private.undo_steps(layer)
    assert isinstance(getattr(layer, "_undo_history", None), deque) and len(steps) == 1, (
        "Labels._undo_history is gone or no deque: accepted objects take 25 times the memory in napari's history, "
        "and a run through a stack is undone plane by plane"
    )
    layer.undo()
    assert not napari_private.undo_steps(layer), "Labels.undo takes its steps from elsewhere than Labels._undo_history"


def test_redo_steps_are_what_redo_does_again():
    layer = painted()
    layer.undo()
    steps = napari_private.redo_steps(layer)
    assert isinstance(getattr(layer, "_redo_history", None), deque) and len(steps) == 1, (
        "Labels._redo_history is gone or no deque: redo does not know what an earlier session undid"
    )
    layer.redo()
    assert not napari_private.redo_steps(layer), "Labels.redo takes its steps from elsewhere than Labels._redo_history"


def test_the_paint_event_carries_the_step_that_undo_takes_back():
    layer, told = Labels(np.zeros((20, 30), np.int32)), []
    layer.events.paint.connect(lambda event: told.append(event.value))
    layer.data_setitem((np.array([1]), np.array([3])), 5)
    assert told[0] is napari_private.undo_steps(layer)[-1], (
        "Labels.events.paint carries another list than the one in Labels._undo_history: "
        "accepted objects are not compressed there, and runs through a stack are undone plane by plane"
    )


def test_a_record_of_box_and_mask_is_undone_and_redone():
    assert napari_private.paint_record() is not None, (
        "napari.layers.labels.labels._MaskedPaintAtom is gone, or has other fields: accepted objects stay in napari's "
        "history as lists of coordinates, 25 times the memory"
    )
    layer = painted()
    box, pixels = (slice(0, 4), slice(0, 8)), np.zeros((4, 8), bool)
    pixels[1, 3] = pixels[2, 4] = True
    change = Change.of(box, pixels, np.array([0, 0]), np.array([5, 5]))
    undo_history.compress_step(napari_private.undo_steps(layer)[-1], [change])
    layer.undo()
    assert not layer.data.any(), "Labels.undo replays _MaskedPaintAtom in another way"
    layer.redo()
    assert layer.data[1, 3] == layer.data[2, 4] == 5, "Labels.redo replays _MaskedPaintAtom in another way"


def test_a_change_is_recorded_as_napari_records_its_own():
    layer, told = painted(), []
    layer.undo()
    layer.events.paint.connect(lambda event: told.append(event.value))
    change = ("a", "change")
    assert napari_private.record_change(layer, change), (
        "Labels._save_history is gone: to accept an object of four million pixels takes half a second"
    )
    assert told == [[change]] and told[0] is napari_private.undo_steps(layer)[-1]
    assert not napari_private.redo_steps(layer)  # as after a stroke
    with layer.block_history():
        napari_private.record_change(layer, change)
        napari_private.record_change(layer, change)
    assert len(told[1]) == 2 and len(told) == 2


@pytest.mark.parametrize("contour", [0, 2])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 2, 1)], ids=["planes", "other axis", "transposed"])
@pytest.mark.parametrize("given", [False, True], ids=["box", "pixels"])
def test_a_box_is_drawn_as_the_whole_plane_would_be(viewer, contour, order, given):
    layer = viewer.add_labels(np.random.default_rng(0).integers(0, 3, (6, 20, 30)).astype(np.int32))
    layer.contour = contour
    viewer.dims.order = order
    viewer.dims.set_point(range(3), (2, 8, 12))
    boxes = []
    layer.events.labels_update.connect(lambda event: boxes.append((event.data.shape, tuple(event.offset))))
    box = [slice(1, 5), slice(6, 12), slice(10, 14)]
    box[order[0]] = slice(at := (2, 8, 12)[order[0]], at + 1)
    pixels = np.random.default_rng(1).random(layer.data[tuple(box)].shape) < 0.5
    layer.data[tuple(box)][pixels] = 7
    napari_private.redraw_box(layer, tuple(box), pixels if given else None)
    drawn = layer._slice.image.view.copy()
    assert len(boxes) == 1, "Labels._slice is gone or something else: the whole plane is drawn for every object"
    assert contour or boxes[0] == (
        tuple(box[axis].stop - box[axis].start for axis in order[1:]),
        tuple(box[axis].start for axis in order[1:]),
    )
    layer.refresh()
    np.testing.assert_array_equal(drawn, layer._slice.image.view)


def test_a_box_of_another_plane_is_not_drawn(viewer):
    layer, told = viewer.add_labels(np.zeros((6, 20, 30), np.int32)), []
    layer.events.labels_update.connect(told.append)
    viewer.dims.set_point(0, 2)
    layer.data[4, 3:5, 3:5] = 1
    napari_private.redraw_box(layer, (slice(4, 5), slice(3, 5), slice(3, 5)))
    assert not told
    viewer.dims.set_point(0, 4)
    assert layer._slice.image.view.any()


def test_the_coarsest_level_is_read_anew():
    layer = pyramid()
    assert callable(getattr(layer, "_reset_thumbnail_level_data", None)), (
        "Labels._reset_thumbnail_level_data is gone: where napari still keeps a copy of the coarsest level, "
        "accepted objects of very large images are seen only after one zooms in"
    )
    layer.data[1][4, 4] = 7
    redraw_levels(layer)
    shown = np.asarray(layer._slice.image.raw)  # what the canvas draws has no public name
    assert 7 in shown, "Labels._reset_thumbnail_level_data lets napari forget something else"


def test_a_shape_is_known_while_it_is_drawn_and_no_longer_when_napari_tells_that_it_is_there():
    layer, told = Shapes(ndim=2), []
    layer.add([[[1, 1], [5, 5]]], shape_type="line")
    layer.mode = "add_path"
    assert napari_private.shape_being_drawn(layer) is None
    initiate_polygon_draw(layer, (3.0, 4.0))
    assert napari_private.shape_being_drawn(layer) == 1, (
        "Shapes._is_creating or Shapes._moving_value is gone or means another thing: a lasso that is being drawn "
        "counts as a scribble when something else makes the prompts be read"
    )
    layer._data_view.edit(1, np.array([[3.0, 4], [9, 9], [4, 8], [4, 8]]))
    layer.events.data.connect(lambda event: told.append(napari_private.shape_being_drawn(layer)))
    layer._finish_drawing()
    assert told == [None]


def test_a_row_of_the_features_is_known_to_napari():
    layer = Labels(np.full((2, 2), 7), features={"index": [5], "class": ["a"]})
    layer.features.loc[1] = [7, "b"]
    assert napari_private.note_feature_row(layer, 7, 1), (
        "Labels._label_index is gone: to accept an object into a layer that has 100,000 takes 100 ms more"
    )
    assert layer.get_status((0, 0))["value"].endswith("class: b"), "Labels looks for rows of features elsewhere"


def test_a_proxy_wraps_the_layer():
    layer = painted()
    proxy = PublicOnlyProxy(layer)
    assert napari_private.unwrapped(proxy) is layer, (
        "napari's proxies for plugins have no __wrapped__: layers that a plugin is handed are not told apart"
    )
    assert napari_private.unwrapped(layer) is layer


# -- without them ---------------------------------------------------------------------------------


@pytest.fixture
def without(monkeypatch):
    """Labels layers of a napari that has none of the names."""
    hidden = {"_undo_history", "_redo_history", "_reset_thumbnail_level_data", "_MaskedPaintAtom", "__wrapped__"}
    hidden |= {"_is_creating", "_moving_value", "_label_index", "_save_history", "_slice"}

    def look_up(thing, name, *default):
        return default[0] if name in hidden else getattr(thing, name, *default)

    monkeypatch.setattr(napari_private, "getattr", look_up, raising=False)
    return hidden


def test_no_name_no_steps(without):
    layer = painted()
    assert not napari_private.undo_steps(layer) and not napari_private.redo_steps(layer)
    assert not undo_history.can_undo(layer)
    undo_history.drop_oldest(layer)
    earlier = EarlierSteps(layer)
    assert not earlier.next_to_undo(layer) and not earlier.next_to_redo(layer)
    layer.undo()
    assert not layer.data.any()  # napari's own works as ever


def test_steps_in_another_form_count_as_none(monkeypatch):
    layer = painted()
    monkeypatch.setattr(layer, "_undo_history", [["another form"]])
    assert not napari_private.undo_steps(layer)


def test_objects_are_undone_without_napari_s_history(without, viewer):
    image = viewer.add_image(np.zeros((20, 30), np.uint8), contrast_limits=(0, 255))
    layer = viewer.add_labels(np.zeros((20, 30), np.int32))
    writer, view, step = LabelWriter(layer), find_view(viewer, image), None
    for left in (0, 10):
        step = join_edits(step, writer.write(view, np.ones((5, 5), bool), (0, left), only_empty=True, label=1))
    assert layer.data.sum() == 50
    step.undo()
    assert not layer.data.any()
    step.redo()
    assert layer.data.sum() == 50


def test_another_record_is_left_to_napari(monkeypatch):
    monkeypatch.setattr(napari_labels._MaskedPaintAtom, "_fields", ("slice_key", "mask", "values"))
    assert napari_private.paint_record() is None


def test_without_the_record_changes_stay_as_napari_recorded_them(without):
    assert napari_private.paint_record() is None
    spec = importlib.util.spec_from_file_location("undo_history_without", undo_history.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    layer = painted()
    [step] = layer._undo_history
    before = list(step)
    change = Change.of((slice(0, 20), slice(0, 30)), layer.data == 5, np.array([0, 0]), np.array([5, 5]))
    module.compress_step(step, [change])
    assert step == before


def test_changes_go_through_public_names_where_none_can_be_recorded(without, viewer):
    image = viewer.add_image(np.zeros((20, 30), np.uint8), contrast_limits=(0, 255))
    layer = viewer.add_labels(np.zeros((20, 30), np.int32))
    assert not napari_private.record_change(layer, ("a", "change")) and not layer._undo_history
    LabelWriter(layer).write(find_view(viewer, image), np.ones((5, 5), bool), (2, 3), only_empty=True)
    assert layer.data.sum() == 25 and layer._slice.image.view.any()
    layer.undo()
    assert not layer.data.any()


def test_all_is_drawn_without_the_name(without, viewer):
    layer = viewer.add_labels(np.zeros((20, 30), np.int32))
    layer.data[2:4, 3:5] = 1
    napari_private.redraw_box(layer, (slice(2, 4), slice(3, 5)))
    assert layer._slice.image.view.any()


def test_levels_are_drawn_without_the_name(without):
    layer = pyramid()
    layer.data[0][4, 4] = 7
    redraw_levels(layer)


def test_without_the_name_all_features_are_set(without):
    layer = Labels(np.zeros((2, 2), int), features={"index": [5], "class": ["a"]})
    set_classes(layer, {7: "b"})
    assert layer.features["class"].tolist() == ["a", "b"]
    assert layer._label_index == {5: 0, 7: 1}


def test_without_the_names_nobody_draws(without):
    layer = Shapes(ndim=2)
    initiate_polygon_draw(layer, (3.0, 4.0))
    assert napari_private.shape_being_drawn(layer) is None


def test_a_proxy_that_cannot_be_opened_is_handed_on(without):
    proxy = PublicOnlyProxy(painted())
    assert napari_private.unwrapped(proxy) is proxy


# -- nowhere else ---------------------------------------------------------------------------------


def private_names(tree: ast.Module) -> list[str]:
    """Private names that a module takes from others: attributes, names in strings, and imports of napari's insides."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_self(node.value)}
    own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    slots = [n.value for n in ast.walk(tree) if isinstance(n, ast.Assign) and names_slots(n)]
    ignored = {id(part) for value in slots for part in ast.walk(value)}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=name) if not is_self(value) and name not in own:
                found.append(name)
            case ast.Constant(value=str(name)) if id(node) not in ignored and name not in own:
                found.append(name)
            case ast.ImportFrom(module=str(module), names=names) if module.startswith(("napari.", "vispy.")):
                found += [*module.split("."), *(alias.name for alias in names)]
            case ast.Import(names=names):
                found += [part for alias in names if alias.name.startswith("napari.") for part in alias.name.split(".")]
    return [name for name in found if PRIVATE.fullmatch(name)]


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def names_slots(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__slots__" for target in node.targets)


@pytest.mark.parametrize(
    "code", ["layer._undo_history", "getattr(layer, '_x')", "from napari._qt import qt_viewer", "a.__wrapped__"]
)
def test_the_search_finds_private_names(code):
    assert private_names(ast.parse(code))


def test_no_other_module_uses_private_names_of_napari():
    modules = [*SOURCE.glob("session/**/*.py"), *SOURCE.glob("widgets/**/*.py")]
    used = {
        str(path.relative_to(SOURCE)): names
        for path in modules
        if path.name != "napari_private.py" and (names := private_names(ast.parse(path.read_text("utf-8"))))
    }
    assert len(modules) > 60
    assert used == {}, "private names belong into session/napari_private.py, with a reason, a fallback and a test"


def test_a_layer_says_which_file_it_is_of(tmp_path, monkeypatch):
    with napari_private.file_source(tmp_path / "cells.tif"):
        layer = Image(np.zeros((4, 4)))
    assert layer.source.path == str(tmp_path / "cells.tif"), (
        "layers made within napari.layers._source.layer_source are of no file: images of a series are known by their "
        "pixels alone"
    )
    monkeypatch.delattr("napari.layers._source.layer_source")
    with napari_private.file_source(tmp_path / "cells.tif"):
        assert Image(np.zeros((4, 4))).source.path is None
