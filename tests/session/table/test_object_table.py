"""The table of objects: what it counts, how it keeps up, how it is sorted, filtered, exported and walked through."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from napari.layers import Labels
from session_scenery import DISCS, accept, discs

from napari_sam.regions import measure
from napari_sam.session.labels import storage
from napari_sam.session.table import counting, rows
from napari_sam.session.table.columns import COLUMNS
from napari_sam.session.table.rows import ObjectRows, pixel_measure
from napari_sam.session.viewing.feature_table import CLASS, REVIEWED, read_column

PLANES = 6


@pytest.fixture
def session(open_session, viewer):
    """A session on a plane, with a target that has three objects, and the table open."""
    viewer.add_image(discs(), name="cells", scale=(0.5, 0.5), units=("um", "um"))
    labels = np.zeros(discs().shape, np.int32)
    labels[2:6, 2:6], labels[10:20, 10:30], labels[40, 40:47] = 3, 5, 9
    viewer.add_labels(labels, name="objects", scale=(0.5, 0.5), units=("um", "um"))
    session = open_session()
    session.target = viewer.layers["objects"]
    session.table.open()
    session.wait()
    return session


@pytest.fixture
def stack(open_session, viewer):
    """A session on a stack, with one object on planes 1 to 2 and another on planes 0 and 5."""
    viewer.add_image(np.stack([discs()] * PLANES), name="stack", axis_labels=("z", "y", "x"))
    labels = np.zeros((PLANES, *discs().shape), np.int32)
    labels[1:3, 10:20, 30:36], labels[0, 40:50, 50:60], labels[5, 40:50, 50:60] = 2, 4, 4
    viewer.add_labels(labels, name="objects")
    session = open_session()
    session.target = viewer.layers["objects"]
    session.table.open()
    session.wait()
    return session


def assert_is_right(session):
    """The table says of the pixels what counting them all says."""
    session.wait()
    data = session.target.data[0] if session.target.multiscale else session.target.data
    known, shown = measure(np.asarray(data)), session.table.rows
    for name in ("labels", "area", "low", "high"):
        np.testing.assert_array_equal(getattr(shown.regions, name), getattr(known, name))
    afresh = ObjectRows.of(session.target, shown.regions, shown.axes, shown.planar)
    for name in ("classes", "reviewed", "prompts", "scores"):
        np.testing.assert_array_equal(getattr(shown, name), getattr(afresh, name))


def texts(session, column):
    return [COLUMNS[column].text(session.table.rows, row) for row in session.table.order]


def test_nothing_is_counted_before_the_table_is_opened(open_session, viewer, monkeypatch):
    counted = []
    monkeypatch.setattr(counting, "measure", lambda *given: counted.append(given) or measure(*given))
    viewer.add_image(discs())
    session = open_session()
    session.use_tool("positive")
    accept(session, DISCS[0])
    assert session.table.rows is None
    assert not counted
    session.table.open()
    session.wait()
    assert session.table.labels == [1]
    assert counted
    session.table.close()
    assert session.state.table.count is None


def test_sizes_have_the_units_of_the_layer(session):
    assert session.table.labels == [3, 5, 9]
    assert session.table.rows.regions.area.tolist() == [16, 200, 7]
    assert session.table.rows.sizes.tolist() == [4.0, 50.0, 1.75]
    assert session.table.rows.unit == "µm²"
    assert session.state.table.text == "3 objects"


def test_planes_and_volumes_of_a_stack(stack):
    assert texts(stack, "planes") == ["z 1–2", "z 0–5"]  # noqa: RUF001
    assert texts(stack, "pixels") == ["120", "200"]


@pytest.mark.parametrize(
    ("scale", "units", "known"),
    [
        ((2.0, 0.1, 0.1), ("um", "nm", "um"), (2 * 1e-4 * 0.1, "µm³")),
        ((2.0, 0.1, 0.1), ("s", "um", "um"), (0.1 * 0.1, "µm²")),
        ((1.0, 1.0, 1.0), ("pixel", "pixel", "pixel"), (0.0, "")),
        ((1.0, -3.0), ("mm", "mm"), (3.0, "mm²")),
    ],
)
def test_a_pixel_is_measured_along_axes_of_length(scale, units, known):
    layer = Labels(np.zeros((2,) * len(scale), int), scale=scale, units=units)
    assert pixel_measure(layer) == (pytest.approx(known[0]), known[1])


# -- keeping up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [0, counting._AT_ONCE])
def test_the_table_follows_whoever_paints(session, monkeypatch, at_once):
    monkeypatch.setattr(counting, "_AT_ONCE", at_once)
    layer = session.target
    accept(session, DISCS[1])
    assert_is_right(session)
    layer.selected_label = 5
    layer.paint((12, 50), 5)
    assert_is_right(session)
    layer.fill((3, 3), 0)  # napari's own way to delete an object
    assert_is_right(session)
    assert 3 not in session.table.labels
    layer.undo()
    assert_is_right(session)
    assert 3 in session.table.labels
    layer.undo()
    layer.redo()
    assert_is_right(session)
    session.undo()
    assert_is_right(session)
    session.redo()
    assert_is_right(session)
    with layer.block_history():
        layer.data_setitem((np.array([0, 1]), np.array([0, 1])), 11)
        layer.data_setitem((np.array([40, 40]), np.array([40, 46])), 0)
    assert_is_right(session)
    layer.data = np.where(layer.data == 5, 6, 0)
    assert_is_right(session)
    assert session.table.labels == [6]


def test_the_table_follows_what_is_noted(session):
    session.table.classify([5], "a class with a long name")
    assert_is_right(session)
    accept(session, DISCS[1])
    session.table.review("checked", [3, 10])
    session.undo()
    session.undo()
    assert_is_right(session)
    session.redo()
    assert_is_right(session)
    assert texts(session, "prompts")[-1] == "1 point"
    assert texts(session, "class")[1] == "a class with a long name"
    table = session.target.features
    session.target.features = {"index": [5, 3], "class": ["b", "a"]}  # somebody else's
    assert session.target.features is not table
    assert_is_right(session)
    assert texts(session, "class") == ["a", "b", "", ""]


def test_of_one_object_only_its_own_notes_are_read(session, monkeypatch):
    session.table.review("unsure", [5])  # makes the column
    read = []
    monkeypatch.setattr(rows, "read_column", lambda layer, column, ids: read.append(len(ids)) or [0] * len(ids))
    session.table.review("checked", [3])
    assert session.table.rows.reviewed.tolist() == ["0", "unsure", ""]
    assert set(read) == {1}


def test_only_the_box_of_a_change_is_read(session, monkeypatch):
    read = []
    monkeypatch.setattr(
        "napari_sam.regions.measuring.measure", lambda block, *given: read.append(block.size) or measure(block, *given)
    )
    session.target.data_setitem((np.array([41]), np.array([41])), 12)
    assert_is_right(session)
    assert read
    assert sum(read) < 20


def test_a_script_s_changes_are_found_by_counting_again(session):
    session.target.data[50, 50] = 12
    session.target.refresh()
    session.table.recount()
    assert_is_right(session)


def test_a_stack_follows(stack, viewer):
    viewer.dims.set_point(0, 2)
    accept(stack, (2, *DISCS[0]))
    assert_is_right(stack)
    assert texts(stack, "planes")[-1] == "z 2"
    stack.undo()
    assert_is_right(stack)


def test_layers_of_several_resolutions_and_on_disk_follow(open_session, viewer, monkeypatch):
    monkeypatch.setattr(storage, "DENSE_BYTES", 1000)
    viewer.add_image(discs())
    session = open_session()
    session.use_tool("positive")
    session.table.open()
    accept(session, DISCS[0])
    assert_is_right(session)
    assert session.table.labels == [1]
    accept(session, DISCS[1])
    assert_is_right(session)
    session.undo()
    assert_is_right(session)
    assert session.table.labels == [1]


def test_a_pyramid_follows(open_session, viewer):
    viewer.add_image(discs())
    data = np.zeros(discs().shape, np.int32)
    viewer.add_labels([data, data[::2, ::2].copy()], name="pyramid", multiscale=True)
    session = open_session()
    session.target = viewer.layers["pyramid"]
    session.table.open()
    session.use_tool("positive")
    accept(session, DISCS[0])
    assert_is_right(session)
    assert session.table.labels == [1]
    session.undo()
    assert_is_right(session)
    assert session.table.labels == []


def test_labels_that_cannot_be_read_are_told_of(session, monkeypatch):
    def fail(*_given):
        raise OSError("the disk is gone")

    monkeypatch.setattr(counting, "measure", fail)
    session.table.recount()
    session.wait()
    assert "the disk is gone" in session.state.table.text


# -- order, filter, export ---------------------------------------------------------------------------


def test_rows_are_sorted_by_any_column(session):
    session.table.classify([5], "b")
    session.table.classify([9], "a")
    session.table.review("unsure", [9])
    orders = {}
    for column in ("id", "class", "size", "reviewed", "score", "planes", "prompts"):
        session.table.sort(column)
        orders[column] = session.table.labels
        session.table.sort(column, descending=True)
        orders[f"-{column}"] = session.table.labels
    assert orders["id"] == orders["score"] == orders["planes"] == orders["prompts"] == [3, 5, 9]
    assert orders["-id"] == [9, 5, 3]
    assert orders["size"] == [9, 3, 5]
    assert orders["class"] == [9, 5, 3]
    assert orders["reviewed"] == [3, 5, 9]
    assert orders["-reviewed"] == [9, 3, 5]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", [3, 5, 9]),
        ("mito", [5]),
        ("MITOSIS unchecked", []),
        ("mitosis checked", [5]),
        ("unchecked", [3, 9]),
        ("unclassified", [3, 9]),
        ("3", [3]),
        ("id 3 9", [3, 9]),
        ("#3 #5 area > 10", [5]),
        ("area > 2", [3, 5]),
        ("area 1-4", [3, 9]),
        ("size >= 50", [5]),
        ("area<2 unchecked", [9]),
        ("score > 0.1", []),
        ("nothing of the kind", []),
    ],
)
def test_a_filter_is_plain_words(session, text, shown):
    session.table.classify([5], "mitosis")
    session.table.review("checked", [5])
    session.table.filter(text)
    assert session.table.labels == shown
    assert session.state.table.shown == len(shown)


def test_everything_is_exported(stack, tmp_path):
    stack.table.classify([4], "=cell, big")
    stack.table.review("checked", [2])
    stack.table.filter("checked")
    stack.table.export(tmp_path / "objects.csv")
    with (tmp_path / "objects.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["id"] == "2"
    assert first["reviewed"] == "checked"
    assert first["area [px]"] == "120"
    assert (first["first z"], first["last z"], first["first x"], first["last x"]) == ("1", "2", "30", "35")
    assert first["center z [px]"] == "1.500"
    assert second["class"] == "'=cell, big"
    assert "2 objects" in stack.state.status.text


def test_a_file_that_cannot_be_written_is_told_of(session, tmp_path):
    session.table.export(tmp_path / "no folder" / "objects.csv")
    assert session.state.status.kind in ("failed", "attention")
    assert session.state.status.text


# -- walking through ---------------------------------------------------------------------------------


def test_an_object_is_gone_to(stack, viewer):
    stack.table.pick(4)
    assert viewer.dims.current_step[0] in (0, 5)
    assert stack.target.selected_label == 4
    assert stack.state.table.picked == 4
    assert np.allclose(viewer.scene.camera.center[-2:], (44.5, 54.5))
    stack.table.pick(2)
    assert viewer.dims.current_step[0] in (1, 2)
    viewer.dims.set_point(0, 1)
    stack.table.pick(2)  # the plane on screen carries it
    assert viewer.dims.current_step[0] == 1


def test_what_is_picked_in_the_layer_is_picked_in_the_table(session):
    session.target.selected_label = 9
    assert session.state.table.picked == 9
    session.target.selected_label = 77
    assert session.state.table.picked is None
    session.table.pick(5)
    session.target.fill((12, 12), 0)
    session.wait()
    assert session.state.table.picked is None


def test_unchecked_objects_are_walked_through_in_the_order_of_the_table(session):
    session.table.sort("size", descending=True)
    walked = []
    for _ in range(3):
        session.table.next_unchecked()
        walked.append(session.state.table.picked)
        session.table.review("checked")
    assert walked == [5, 3, 9]
    session.table.next_unchecked()
    assert "reviewed" in session.state.status.text
    session.table.review("checked")  # said again: taken back
    assert read_column(session.target, REVIEWED, [3, 5, 9]) == ["checked", "checked", ""]


def test_keys_run_the_table(session):
    session.table.add_class("cell")
    session.table.choose_class(0)
    session.actions["class_1"].run(session)
    assert session.state.table.object_class == "cell"
    session.table.pick(3)
    session.actions["class_1"].run(session)
    session.actions["mark_unsure"].run(session)
    assert read_column(session.target, CLASS, [3]) + read_column(session.target, REVIEWED, [3]) == ["cell", "unsure"]
    session.actions["next_unchecked"].run(session)
    assert session.state.table.picked == 5
    assert session.actions["class_1"].enabled(session.state)
    assert not session.actions["class_2"].enabled(session.state)


def test_a_closed_session_counts_no_more(session):
    layer, listeners = session.target, len(session.target.events.paint.callbacks)
    session.close()
    assert len(layer.events.paint.callbacks) < listeners
    session.table.pick(3)
    session.table.classify([3], "a")
    assert read_column(layer, CLASS, [3]) == [""]
