"""Keys that the person chooses: refused with words where they clash, bound everywhere, and remembered."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re

import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.key_bindings import KeymapHandler, coerce_keybinding
from session_scenery import DISCS

import napari_sam.session
from napari_sam.errors import InputError
from napari_sam.session.actions import ACTIONS
from napari_sam.session.keys.choices import KeyChoices
from napari_sam.session.messages import name_keys
from napari_sam.session.preferences.store import PreferenceStore


@pytest.fixture
def napari_brush(monkeypatch):
    """What napari binds on labels layers when its window opens, and nothing else, whatever window was open before."""
    for kind in (Points, Shapes, Image):
        monkeypatch.setattr(kind, "class_keymap", {})
    monkeypatch.setattr(Labels, "class_keymap", {coerce_keybinding(key): lambda layer: None for key in "BL"})
    monkeypatch.setattr(ViewerModel, "class_keymap", {coerce_keybinding("Ctrl-G"): lambda viewer: None})


def press(session, viewer, key):
    handler = KeymapHandler()
    handler.keymap_providers = [session.points, viewer]
    handler.press_key(key)


def test_the_new_key_acts_and_the_old_one_does_not(session, viewer):
    session.points.add(DISCS[0])
    session.wait(60)
    session.keys.choose("accept", "Shift-F8")
    press(session, viewer, "Enter")
    assert session.target is None
    press(session, viewer, "Shift-F8")
    assert session.target.data.max() == 1
    session.keys.reset("accept")
    assert session.keys.of("accept") == ACTIONS["accept"].keys
    assert not session.keys.is_chosen()
    session.points.add(DISCS[1])
    session.wait(60)
    press(session, viewer, "Enter")
    assert session.target.data.max() == 2


def test_what_is_said_names_the_keys_that_hold_now(session, viewer):
    session.use_tool("positive")
    assert session.state.hint.endswith("X for background.")
    session.keys.choose("toggle_polarity", "F7")
    assert session.state.hint.endswith("F7 for background.")
    session.keys.choose("accept", "Shift-F8")
    session.points.add(DISCS[0])
    session.wait(60)
    assert session.state.hint.startswith("Shift-F8: new object 1. N shows")
    session.keys.reset()
    assert session.state.hint.startswith("Enter: new object 1.")
    session.tempo = "turbo"
    session.clear()
    session.keys.choose("toggle_polarity", "F7")
    assert "F7, and a click beside it" in session.state.hint


def test_every_key_that_is_named_is_that_of_an_action():
    named, said = set(), []
    for module in pkgutil.walk_packages(napari_sam.session.__path__, "napari_sam.session."):
        if module.name.endswith("messages"):
            tree = ast.parse(inspect.getsource(importlib.import_module(module.name)))
            documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            named |= {call.args[0].value for call in calls if getattr(call.func, "id", "") == "key"}
            texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documents]
            said += [text.value for text in texts if isinstance(text.value, str)]
    assert {"accept", "cancel", "toggle_polarity"} <= named <= set(ACTIONS)
    # What is Enter or X today may be another key tomorrow. Ctrl-E is napari's own.
    written = [
        text for text in said if re.search(r"(?<!%)\b(Enter|Escape|((Shift|Alt)-)?[B-HJ-Z]|Shift-Delete)\b", text)
    ]
    assert [text for text in written if "Ctrl-E" not in text] == []


def test_a_name_that_looks_like_a_key_stays():
    assert name_keys("⟨cells⟩ read. ⟨accept⟩ accepts.", KeyChoices().of) == "⟨cells⟩ read. Enter accepts."


def test_layers_that_come_later_have_it_too(session, viewer):
    session.keys.choose("tool_box", "F8")
    session.use_tool("positive")
    handler = KeymapHandler()
    handler.keymap_providers = [session.shapes, viewer]
    handler.press_key("F8")
    assert session.state.tool == "box"


def test_closing_takes_the_new_keys_away(session, viewer):
    session.keys.choose("tool_box", "F8")
    session.close()
    assert coerce_keybinding("F8") not in viewer.keymap and coerce_keybinding("W") not in viewer.keymap


def test_clashes_are_refused_with_words(napari_brush):
    keys = KeyChoices()
    for key, words in (
        ("N", "N is the key of Next candidate."),
        ("Shift-Enter", "Shift-Enter is the key of Accept."),
        ("L", "napari uses L on labels layers."),
        ("Ctrl-G", "napari uses Ctrl-G in its window."),
        ("Shift-?", "Shift-[?] cannot be used."),
        ("Tab", "Tab cannot be used."),
        ("", " cannot be used."),
    ):
        with pytest.raises(InputError, match=words):
            keys.choose("clear", key)
    assert keys.of("clear") == ACTIONS["clear"].keys and not keys.is_chosen("clear")


def test_a_key_that_was_given_up_can_be_had_and_is_not_taken_back_by_stealth(napari_brush):
    keys = KeyChoices()
    keys.choose("next_candidate", "F8")
    keys.choose("clear", "N")
    with pytest.raises(InputError, match="N is the key of Clear now"):
        keys.reset("next_candidate")
    assert keys.of("next_candidate") == ("F8",)
    keys.reset()
    assert keys.of("next_candidate") == ("N",) and keys.of("clear") == ("Shift-C",)


def test_enter_can_be_had_again_although_napari_has_it_on_shapes(session):
    session.keys.choose("accept", "F8")
    session.keys.choose("accept", "Enter")
    assert session.keys.of("accept") == ("Enter",)


def test_they_are_remembered(image, open_session):
    first = open_session(remember=True)
    first.keys.choose("accept", "F8")
    first.keys.choose("clear", "F5")
    first.keys.reset("clear")
    first.close()
    assert PreferenceStore().read()["keys"] == {"accept": ["F8"]}
    assert open_session(remember=True).keys.of("accept") == ("F8",)
    assert open_session().keys.of("accept") == ACTIONS["accept"].keys


def test_what_the_file_says_wrongly_is_passed_over():
    keys = KeyChoices(
        {"accept": ["F8"], "no_action": ["Z"], "undo": "Z", "redo": ["Tab"], "clear": [], "propagate": [3]}
    )
    assert keys.of("accept") == ("F8",)
    for name in ("undo", "redo", "clear", "propagate"):
        assert keys.of(name) == ACTIONS[name].keys
