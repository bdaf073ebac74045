"""A checkpoint comes in through the dock: by the list of models and a dialog, or dropped onto it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from desk import LEFT_BUTTON, Desk
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

import napari_sam
from napari_sam.checkpoints.registry import MODELS
from napari_sam.widgets.panels import import_panel

BUNDLED = Path(napari_sam.__file__).parent / "weights" / "bundled.safetensors"


@pytest.fixture
def stick(tmp_path) -> Path:
    """A checkpoint on a stick: the bundled weights under another name."""
    path = tmp_path / "stick" / "my cells (2).safetensors"
    path.parent.mkdir()
    path.write_bytes(BUNDLED.read_bytes())
    return path


def choose_import(desk: Desk) -> QFileDialog:
    """Open the list of models with the mouse and take its last row; return the dialog that opens."""
    combo = desk.dock.source.model.combo
    combo.showPopup()
    view = combo.view()
    desk.qtbot.waitUntil(view.isVisible, timeout=60_000)
    last = view.model().index(combo.count() - 1, 0)
    view.scrollTo(last)
    desk.qtbot.wait(QApplication.doubleClickInterval())  # Qt takes an earlier release for that of the opening click
    QTest.mouseClick(view.viewport(), LEFT_BUTTON, pos=view.visualRect(last).center())
    desk.qtbot.waitUntil(lambda: bool(desk.dock.findChildren(QFileDialog)), timeout=60_000)
    [dialog] = desk.dock.findChildren(QFileDialog)
    return dialog


def answer(dialog: QFileDialog, path: Path) -> None:
    dialog.findChild(QLineEdit).setText(str(path))
    QTest.keyClick(dialog.findChild(QLineEdit), Qt.Key.Key_Return)


def test_a_checkpoint_is_chosen_in_a_dialog_and_used_at_once(open_desk, stick, home):
    desk = open_desk()
    panel = desk.dock.source.model
    dialog = choose_import(desk)
    assert panel.combo.currentText() == "Bundled compact"  # until there is another one
    answer(dialog, stick)
    desk.qtbot.waitUntil(lambda: desk.session.model == "my-cells-2", timeout=60_000)
    assert panel.combo.currentText() == "my-cells-2"
    assert "my cells (2).safetensors is imported as my-cells-2" in panel.importing.text.text()
    assert not panel.importing.progress.isVisible() and not panel.importing.again_button.isVisible()
    assert (home / "weights" / "my-cells-2.safetensors").read_bytes() == stick.read_bytes()
    desk.settle()
    assert desk.engine.loaded[-1][0] == "my-cells-2"
    desk.press_button(panel.importing.close_button)
    assert not panel.importing.isVisible()


def test_a_file_that_is_no_checkpoint_is_refused_in_words_and_another_can_be_chosen(open_desk, stick):
    desk = open_desk()
    panel = desk.dock.source.model
    stick.write_bytes(b"not a checkpoint")
    answer(choose_import(desk), stick)
    desk.qtbot.waitUntil(panel.importing.again_button.isVisible, timeout=60_000)
    assert "cannot be imported" in panel.importing.text.text().replace("\u200b", "")
    assert desk.session.model == "bundled" and panel.combo.count() == len(MODELS) + 1
    desk.press_button(panel.importing.again_button)
    [dialog] = desk.dock.findChildren(QFileDialog)
    dialog.reject()
    desk.qtbot.waitUntil(lambda: not desk.dock.findChildren(QFileDialog), timeout=60_000)
    assert desk.session.model == "bundled"


def test_it_shows_its_progress_and_can_be_stopped(open_desk, stick, monkeypatch):
    free = threading.Event()
    real = import_panel.import_file

    def slow(path, *, progress, **options):
        progress(0.25)
        while not free.wait(0.01):
            progress(0.25)
        return real(path, progress=progress, **options)

    monkeypatch.setattr(import_panel, "import_file", slow)
    desk = open_desk()
    panel = desk.dock.source.model.importing
    panel.start(stick)
    desk.qtbot.waitUntil(lambda: panel.progress.bar.value() == 250, timeout=60_000)
    assert "Importing" in panel.text.text() and not panel.close_button.isVisible()
    QTest.mouseClick(panel.progress.cancel_button, LEFT_BUTTON)
    desk.qtbot.waitUntil(panel.close_button.isVisible, timeout=60_000)
    assert "stopped" in panel.text.text() and desk.session.model == "bundled"
    free.set()


def drop(desk: Desk, *paths: Path) -> bool:
    """Drag files over the dock and let go of them there; tell whether it takes them."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    at, nothing = QPoint(50, 50), Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at, Qt.DropAction.CopyAction, mime, LEFT_BUTTON, nothing)
    enter.ignore()
    QApplication.sendEvent(desk.dock, enter)
    if enter.isAccepted():
        event = QDropEvent(QPointF(at), Qt.DropAction.CopyAction, mime, LEFT_BUTTON, nothing)
        QApplication.sendEvent(desk.dock, event)
    return enter.isAccepted()


def test_a_checkpoint_can_be_dropped_onto_the_dock(open_desk, stick, tmp_path):
    desk = open_desk()
    picture = tmp_path / "cells.tif"
    picture.write_bytes(b"")
    assert not drop(desk, picture) and not drop(desk, stick, stick)
    assert drop(desk, stick)
    desk.qtbot.waitUntil(lambda: desk.session.model == "my-cells-2", timeout=60_000)
    assert drop(desk, stick)  # again: it is the same model
    desk.qtbot.waitUntil(lambda: desk.dock.source.model.importing.close_button.isVisible(), timeout=60_000)
    assert desk.session.model == "my-cells-2"
    assert desk.dock.source.model.combo.count() == len(MODELS) + 2
