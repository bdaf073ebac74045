"""How far a data set is, in the Teach section of a real window, by mouse and keys."""

from __future__ import annotations

import tifffile
from desk import LEFT, LEFT_BUTTON, RIGHT, discs
from fitting import cut, narrow, settle_layout
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog


def until(desk, true):
    desk.qtbot.waitUntil(true, timeout=60_000)
    QApplication.processEvents()


def stages_desk(open_desk, tmp_path, monkeypatch):
    """Open a window with a folder of three images, of which one is done and one begun, and the Teach section open."""
    monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", lambda *_args, **_more: [])
    folder = tmp_path / "plate"
    folder.mkdir()
    for name in ("one.tif", "three.tif", "two.tif"):
        tifffile.imwrite(folder / name, discs())
    desk = open_desk(image=False)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(folder))
    desk.dock.series.expand(animate=False)
    QApplication.processEvents()
    desk.press_button(desk.dock.series.open_button)
    desk.settle()
    for place in (LEFT, RIGHT):
        desk.click(place)
        desk.press_key(Qt.Key.Key_Return)
    desk.press_key(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    desk.click(LEFT)
    desk.press_key(Qt.Key.Key_Return)
    fold = desk.dock.teach.toggleButton()
    QTest.mouseClick(fold, LEFT_BUTTON, pos=fold.rect().center())
    until(desk, lambda: bool(desk.dock.progress.state.rows))
    return desk


def test_done_images_stages_and_the_button_for_the_next(open_desk, tmp_path, monkeypatch):
    desk = stages_desk(open_desk, tmp_path, monkeypatch)
    view = desk.dock.teach.stages
    assert view.done.text() == "1 of 3 images done."
    rows = view.texts()
    assert rows[0] == ["Objects", "count", "/ min"]
    assert rows[1][:2] == ["By hand", "3"]
    assert view.next.isEnabled()
    desk.press_button(view.next)
    until(desk, lambda: desk.session.image.name == "two.tif")
    assert "nothing was found" in desk.dock.series.how_far.text()


def test_the_data_set_is_written_by_a_button(open_desk, tmp_path, monkeypatch):
    desk = stages_desk(open_desk, tmp_path, monkeypatch)
    out = tmp_path / "out"
    out.mkdir()
    view = desk.dock.teach.stages
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: "")
    desk.press_button(view.write)
    assert not view.words.isVisible()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(out))
    desk.press_button(view.write)
    until(desk, lambda: (out / "plate-sa1b" / "README.md").is_file() and not desk.dock.progress.state.writing)
    assert view.words.toolTip() == f"2 images with 3 objects in {out / 'plate-sa1b'}."
    assert not view.writing.isVisible()


def test_nothing_is_cut(open_desk, tmp_path, monkeypatch):
    desk = stages_desk(open_desk, tmp_path, monkeypatch)
    for width in (300, 220):
        narrow(desk, width)
        settle_layout()
        desk.dock._scroll.verticalScrollBar().setValue(desk.dock.teach.y())
        settle_layout()
        assert cut(desk) == [], f"at {width} px"
