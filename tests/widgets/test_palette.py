"""napari's command palette lists every action, and runs it on the session of the window."""

from __future__ import annotations

import pytest
from desk import LEFT, Desk
from napari._app_model import get_app_model
from npe2 import PluginManager
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_sam.session.actions import ACTIONS
from napari_sam.widgets import palette

PLUGIN = "napari-sam-live"


@pytest.fixture
def plugin(monkeypatch):
    """Our plugin, which napari's test fixture keeps out, known to napari's window."""
    manager = PluginManager.instance()
    if PLUGIN not in manager:
        manager.discover()
        if PLUGIN not in manager:
            from npe2 import PluginManifest

            manager.register(PluginManifest.from_distribution(PLUGIN))
    return manager


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr(palette, "show_info", texts.append)
    return texts


def press_in_palette(desk: Desk, title: str) -> None:
    """Open the palette, type the words of an action, and press Enter."""
    window = desk.viewer.window
    window._toggle_command_palette()
    box = window._qt_window._command_palette
    box._line.setText(title)
    QApplication.processEvents()
    shown = list(box._list.iter_top_hits(title))
    assert shown[0].title == f"{title} (SAM live)"
    box._list.execute()
    box.hide()
    desk.settle()


def test_the_palette_accepts(open_desk, plugin, said):
    desk = open_desk()
    desk.click(LEFT)
    press_in_palette(desk, "Accept")
    assert desk.session.target.data.max() == 1
    press_in_palette(desk, "Undo")
    assert desk.session.target.data.max() == 0
    assert said == []


def test_every_action_is_a_command_of_napari_s(open_desk, plugin):
    open_desk()
    commands = get_app_model().commands
    for name, action in ACTIONS.items():
        command = commands[f"{PLUGIN}.{name}"]
        assert command.title == f"{action.title} (SAM live)"
        assert callable(command.run_injected)


def test_it_says_what_is_missing(open_desk, said):
    desk = open_desk()
    palette.accept()
    assert said == ["Accept has nothing to do now. " + ACTIONS["accept"].tooltip]
    desk.viewer.window.remove_dock_widget(desk.dock)
    palette.accept()
    assert said[1:] == [palette.NO_DOCK]


def test_it_works_in_the_current_window(open_desk, make_napari_viewer, said):
    first, second = open_desk(), open_desk()
    second.click(LEFT)
    palette.accept()
    assert second.session.target.data.max() == 1
    assert first.session.target is None


def test_the_dock_opened_last_is_the_one(open_desk):
    desk = open_desk()
    first: tuple[Desk, QDockWidget] = desk.dock, desk.frame
    first[0].shut_down()
    desk.open_dock()
    desk.settle()
    palette.tool_box()
    assert desk.session.state.tool == "box"


def test_there_are_no_other_commands():
    with pytest.raises(AttributeError, match="jump"):
        palette.jump  # noqa: B018
