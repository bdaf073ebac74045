"""Classes of objects: chosen by a key, given to all that is accepted, kept with the layer, undone and redone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.layers import Labels
from session_scenery import DISCS, accept, discs

from napari_sam.errors import InputError
from napari_sam.journal import read_journal
from napari_sam.session.table.classes import NO_CLASS_COLOR, PALETTE, ClassLists
from napari_sam.session.viewing.feature_table import CLASS, PROMPTS, REVIEWED, SCORE, read_column


@pytest.fixture
def session(open_session, viewer):
    viewer.add_image(discs(), name="cells")
    session = open_session()
    session.use_tool("positive")
    return session


def classes(session, *labels):
    return read_column(session.target, CLASS, labels)


def journal(session):
    session._components.recorder.sync()
    return read_journal(session._components.recorder.path)


# -- lists -----------------------------------------------------------------------------------------


def test_a_list_stays_with_its_layer_and_is_the_next_layer_s(tmp_path):
    lists, layer, other = ClassLists(tmp_path), Labels(np.zeros((4, 4), int)), Labels(np.zeros((4, 4), int))
    lists.add(layer, "nucleus")
    lists.add(layer, "mitosis")
    assert [(one.name, one.color) for one in lists.of(layer)] == [("nucleus", PALETTE[0]), ("mitosis", PALETTE[1])]
    assert [one.name for one in ClassLists(tmp_path).of(other)] == ["nucleus", "mitosis"]
    lists.set(other, lists.of(other)[1:])
    assert [one.name for one in lists.of(layer)] == ["nucleus", "mitosis"]
    assert [one.name for one in lists.of(None)] == ["mitosis"]


def test_classes_that_objects_have_are_in_the_list(tmp_path):
    layer = Labels(np.zeros((4, 4), int), features={"index": [1, 2, 3], "class": ["b", "", "a"]})
    lists = ClassLists(tmp_path)
    assert [one.name for one in lists.of(layer)] == ["b", "a"]
    lists.change(layer, "b", color=PALETTE[5])
    assert [(one.name, one.color) for one in lists.of(layer)] == [("b", PALETTE[5]), ("a", PALETTE[1])]


@pytest.mark.parametrize("name", ["", "  ", "nucleus", " nucleus "])
def test_names_are_unlike(tmp_path, name):
    lists, layer = ClassLists(tmp_path), Labels(np.zeros((4, 4), int))
    lists.add(layer, "nucleus")
    with pytest.raises(InputError):
        lists.add(layer, name)
    assert len(lists.of(layer)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"classes": 3}', '{"classes": [["a"], [1, 2], ["", "#123456"]]}'])
def test_a_strange_file_is_no_list(tmp_path, text):
    (tmp_path / "classes.json").write_text(text)
    assert ClassLists(tmp_path).of(None) == ()


def test_a_strange_colour_is_grey(tmp_path):
    (tmp_path / "classes.json").write_text(json.dumps({"classes": [["a", "url(x)"]]}))
    assert [one.color for one in ClassLists(tmp_path).of(None)] == [NO_CLASS_COLOR]


# -- in a session ----------------------------------------------------------------------------------


def test_accepted_objects_get_the_class_and_say_what_they_came_of(session):
    session.table.add_class("nucleus")
    session.table.add_class("mitosis")
    session.table.choose_class(1)
    accept(session, DISCS[0])
    session.table.choose_class(2)
    accept(session, DISCS[1])
    assert classes(session, 1, 2) == ["nucleus", "mitosis"]
    assert read_column(session.target, PROMPTS, [1, 2]) == ["1 point", "1 point"]
    assert read_column(session.target, SCORE, [1]) == pytest.approx([0.9])
    assert [entry["class"] for entry in journal(session) if entry["kind"] == "accepted"] == ["nucleus", "mitosis"]


def test_without_a_class_none_is_told(session):
    accept(session, DISCS[0])
    assert classes(session, 1) == [""]
    assert "class" not in next(entry for entry in journal(session) if entry["kind"] == "accepted")


def test_a_key_means_the_next_object_while_one_is_prompted_and_else_the_picked_one(session):
    for name in ("a", "b"):
        session.table.add_class(name)
    session.table.choose_class(1)
    accept(session, DISCS[0])
    session.table.open()
    session.wait()
    session.table.choose_class(2)  # nothing is picked: what was accepted stays as it is
    assert classes(session, 1) == ["a"]
    assert session.state.table.object_class == "b"
    session.table.pick(1)
    session.table.choose_class(2)
    assert classes(session, 1) == ["b"]
    session.points.add(DISCS[1])
    session.wait()
    session.table.choose_class(1)  # the next object is under way
    assert classes(session, 1) == ["b"]
    session.accept()
    assert classes(session, 2) == ["a"]
    session.table.choose_class(0)
    assert session.state.table.object_class == ""
    session.table.choose_class(9)
    assert "no class 9" in session.state.status.text


def test_changes_are_steps_in_the_order_of_the_person_s_actions(session):
    accept(session, DISCS[0])
    session.table.open()
    session.wait()
    session.table.classify([1], "a")
    session.table.review("checked", [1])
    session.table.classify([1], "b")
    accept(session, DISCS[1])
    known = [classes(session, 1) + read_column(session.target, REVIEWED, [1])]
    for _ in range(5):  # the accept, its point, and the three changes
        session.undo()
        known.append(classes(session, 1) + read_column(session.target, REVIEWED, [1]))
    assert known == [["b", "checked"]] * 3 + [["a", "checked"], ["a", ""], ["", ""]]
    for _ in range(3):
        session.redo()
    assert classes(session, 1) + read_column(session.target, REVIEWED, [1]) == ["b", "checked"]
    noted = [(entry["column"], entry["values"]) for entry in journal(session) if entry["kind"] == "noted"]
    done = [(CLASS, {"1": "a"}), (REVIEWED, {"1": "checked"}), (CLASS, {"1": "b"})]
    undone = [(CLASS, {"1": "a"}), (REVIEWED, {"1": ""}), (CLASS, {"1": ""})]
    assert noted == [*done, *undone, *done]


def test_an_id_that_is_given_again_begins_anew(session):
    session.table.add_class("a")
    accept(session, DISCS[0])
    session.table.review("checked")
    session.undo()
    session.undo()
    session.table.choose_class(0)
    session.undo()
    accept(session, DISCS[1])
    assert session.state.next_id == 2
    assert classes(session, 1) == [""]
    assert read_column(session.target, REVIEWED, [1]) == [""]


def test_a_class_is_renamed_with_its_objects(session):
    session.table.add_class("a")
    accept(session, DISCS[0])
    session.table.rename_class("a", "cell")
    assert classes(session, 1) == ["cell"]
    assert [one.name for one in session.state.table.classes] == ["cell"]
    assert session.state.table.object_class == "cell"
    session.undo()
    assert classes(session, 1) == ["a"]
    session.redo()
    session.table.remove_class("cell")
    assert classes(session, 1) == [""]
    assert session.state.table.classes == ()
    session.table.add_class(" ")
    assert "name" in session.state.status.text


def test_another_target_has_classes_of_its_own(session):
    session.table.add_class("a")
    accept(session, DISCS[0])
    first = session.target
    session.new_target()
    session.table.remove_class("a")
    session.table.add_class("b")
    assert [one.name for one in session.state.table.classes] == ["b"]
    session.target = first
    assert [one.name for one in session.state.table.classes] == ["a"]
    assert session.state.table.object_class == ""
