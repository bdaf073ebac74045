"""A folder of images in a real window: opened, gone through by mouse and keys, saved."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from desk import LEFT, LEFT_BUTTON, RIGHT, discs
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    for name in ("one.tif", "two.tif", "three.tif"):
        tifffile.imwrite(place / name, discs())
    return place


def open_series(open_desk, folder, monkeypatch):
    desk = open_desk(image=False)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(folder))
    panel = desk.dock.series
    panel.expand(animate=False)
    QApplication.processEvents()
    desk.press_button(panel.open_button)
    return desk, panel


def rows(panel):
    return [panel.list.item(row).text() for row in range(panel.list.count())]


def test_an_annotators_way_through_a_folder(open_desk, folder, monkeypatch):
    desk, panel = open_series(open_desk, folder, monkeypatch)
    assert rows(panel) == ["○ one.tif", "○ three.tif", "○ two.tif"] and panel.list.currentRow() == 0
    assert panel.how_far.text() == "Image 1 of 3. 0 done."
    desk.settle()
    assert desk.session.state.tool == "positive"  # armed, as for any image that is opened
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_Return)
    desk.press_key(Qt.Key.Key_PageDown, CONTROL)
    assert rows(panel)[0] == "✓ one.tif" and desk.session.image.name == "three.tif"
    assert tifffile.imread(folder / "one_labels.tif")[LEFT] == 1
    desk.click(RIGHT)
    desk.press_key(Qt.Key.Key_Return)
    desk.press_key(Qt.Key.Key_PageDown)
    assert rows(panel)[1] == "◐ three.tif" and desk.session.image.name == "two.tif"
    desk.press_key(Qt.Key.Key_PageUp)
    assert desk.session.image.name == "three.tif" and desk.session.target.data[RIGHT] == 1
    # By the list, to one that is done.
    item = panel.list.visualItemRect(panel.list.item(0)).center()
    QTest.mouseClick(panel.list.viewport(), LEFT_BUTTON, pos=item)
    QTest.mouseDClick(panel.list.viewport(), LEFT_BUTTON, pos=item)
    desk.settle()
    assert desk.session.image.name == "one.tif" and desk.session.target.data[LEFT] == 1
    desk.press_button(panel.buttons[1])
    assert desk.session.image.name == "three.tif"


def test_without_a_series_there_is_only_the_way_in(open_desk):
    desk = open_desk()
    panel = desk.dock.series
    panel.expand(animate=False)
    QApplication.processEvents()
    assert panel.open_button.isVisible() and not panel.list.isVisible() and not panel.labels_button.isVisible()


def test_the_first_words_name_the_key_that_holds_now(open_desk):
    desk = open_desk()
    words = desk.dock.series.how_far
    assert words.text().endswith("by PgDown.")
    desk.session.keys.choose("series_next", "F9")
    assert words.text().endswith("by F9.")


def test_labels_go_into_a_folder_that_is_chosen(open_desk, folder, tmp_path, monkeypatch):
    desk, panel = open_series(open_desk, folder, monkeypatch)
    there = tmp_path / "labels"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(there))
    desk.press_button(panel.labels_button)
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_Return)
    desk.press_key(Qt.Key.Key_PageDown)
    assert tifffile.imread(there / "one_labels.tif")[LEFT] == 1 and not (folder / "one_labels.tif").exists()


def test_a_dialog_that_is_cancelled_changes_nothing(open_desk, folder, monkeypatch):
    desk, panel = open_series(open_desk, folder, monkeypatch)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: "")
    before = desk.session.image
    desk.press_button(panel.open_button)
    desk.press_button(panel.labels_button)
    assert desk.session.image is before and np.array_equal(before.data, discs())
