"""The Objects section in a real window: classes, the table, keys, and the table as a dock of its own."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from desk import LEFT, LEFT_BUTTON, RIGHT, Desk, discs
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox

from napari_sam.session.viewing.feature_table import CLASS, REVIEWED, read_column

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.widgets.panels.objects.table_view import ObjectTableView

ALT = Qt.KeyboardModifier.AltModifier
PLANES = 5


@pytest.fixture
def open_desk(make_napari_viewer, qtbot, engine) -> Callable[[], Desk]:
    """Return a function that opens a window: a stack, two objects on planes of it, and the Objects section open."""

    def open_it() -> Desk:
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1200, 900)
        planes = np.stack([discs()] * PLANES)
        viewer.add_image(planes, name="cells", axis_labels=("z", "y", "x"), scale=(2, 0.5, 0.5), units=("um",) * 3)
        desk = Desk(viewer, qtbot, engine)
        desk.settle()
        for plane, place in ((1, LEFT), (3, RIGHT)):
            viewer.dims.set_current_step(0, plane)
            desk.settle()
            desk.click((plane, *place))
            desk.press_key(Qt.Key.Key_Return)
        desk.dock.objects.expand(animate=False)
        desk.settle()
        return desk

    return open_it


def cell(view: ObjectTableView, row: int, column: str) -> QPoint:
    """Where a cell is, on the viewport of the table."""
    place = [one.id for one in view.table.columns].index(column)
    return view.visualRect(view.table.index(row, place)).center()


def click_cell(desk: Desk, view: ObjectTableView, row: int, column: str = "id") -> None:
    QTest.mouseClick(view.viewport(), LEFT_BUTTON, pos=cell(view, row, column))
    desk.settle()


def shown(view: ObjectTableView, column: str) -> list[str]:
    place = [one.id for one in view.table.columns].index(column)
    return [str(view.table.index(row, place).data()) for row in range(view.table.rowCount())]


def add_class(desk: Desk, name: str) -> None:
    line = desk.dock.objects.classes.line
    QTest.keyClicks(line, name)
    QTest.keyClick(line, Qt.Key.Key_Return)
    desk.settle()


def picture(desk: Desk, name: str) -> None:
    """Keep a picture of the window, where somebody wants to see it."""
    if folder := os.environ.get("NAPARI_SAM_PICTURES"):
        desk.viewer.window._qt_window.grab().save(os.path.join(folder, f"{name}.png"))


def test_a_click_on_a_row_goes_to_the_object_and_one_on_the_object_finds_the_row(open_desk):
    desk = open_desk()
    view = desk.dock.objects.table.view
    assert shown(view, "id") == ["1", "2"]
    assert shown(view, "size")[0] == f"{discs()[:, :80].astype(bool).sum() * 0.5:.4g}"
    desk.viewer.dims.set_current_step(0, 0)
    click_cell(desk, view, 1)
    assert desk.viewer.dims.current_step[0] == 3
    assert desk.session.target.selected_label == 2
    click_cell(desk, view, 0)
    assert desk.viewer.dims.current_step[0] == 1
    assert desk.canvas.native.hasFocus() or not view.hasFocus()
    # napari's own pick tool
    desk.viewer.dims.set_current_step(0, 3)
    desk.viewer.layers.selection.active = desk.session.target
    desk.session.target.mode = "pick"
    desk.click((3, *RIGHT))
    assert view.currentIndex().row() == 1


def test_classes_by_keys_by_buttons_and_in_the_table(open_desk):
    desk = open_desk()
    panel = desk.dock.objects
    add_class(desk, "cell")
    add_class(desk, "mitosis")
    assert [button.object_class.name for button in panel.classes.buttons] == ["cell", "mitosis"]
    assert panel.classes.buttons[1].isChecked()
    click_cell(desk, panel.table.view, 0)
    desk.press_key(Qt.Key.Key_2, ALT)
    assert read_column(desk.session.target, CLASS, [1, 2]) == ["mitosis", ""]
    desk.press_key(Qt.Key.Key_R)
    assert shown(panel.table.view, "reviewed") == ["✓", ""]
    desk.press_key(Qt.Key.Key_N, ALT)
    assert desk.session.state.table.picked == 2
    desk.press_key(Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert read_column(desk.session.target, REVIEWED, [1, 2]) == ["checked", "unsure"]
    desk.press_button(panel.classes.buttons[0])
    assert shown(panel.table.view, "class") == ["mitosis", "cell"]
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert shown(panel.table.view, "class") == ["mitosis", ""]
    picture(desk, "classes")


def test_a_double_click_edits_the_class(open_desk, qtbot):
    desk = open_desk()
    view = desk.dock.objects.table.view
    add_class(desk, "cell")
    click_cell(desk, view, 1, "class")  # the first half of a double-click
    QTest.mouseDClick(view.viewport(), LEFT_BUTTON, pos=cell(view, 1, "class"))
    qtbot.waitUntil(lambda: bool(view.findChildren(QComboBox)), timeout=60_000)
    (combo,) = view.findChildren(QComboBox)
    combo.lineEdit().selectAll()
    QTest.keyClicks(combo.lineEdit(), "debris")
    QTest.keyClick(combo.lineEdit(), Qt.Key.Key_Return)
    desk.settle()
    assert read_column(desk.session.target, CLASS, [1, 2]) == ["", "debris"]
    assert [one.name for one in desk.session.state.table.classes] == ["cell", "debris"]


def test_sorted_and_filtered(open_desk):
    desk = open_desk()
    view, heads = desk.dock.objects.table.view, desk.dock.objects.table.view.horizontalHeader()
    for order in (["1", "2"], ["2", "1"]):
        QTest.mouseClick(heads.viewport(), LEFT_BUTTON, pos=QPoint(heads.sectionPosition(0) + 8, heads.height() // 2))
        desk.settle()
        if shown(view, "id") == order:
            continue
        QTest.mouseClick(heads.viewport(), LEFT_BUTTON, pos=QPoint(heads.sectionPosition(0) + 8, heads.height() // 2))
        desk.settle()
        assert shown(view, "id") == order
    click_cell(desk, view, 0)
    desk.press_key(Qt.Key.Key_R)
    QTest.keyClicks(desk.dock.objects.table.filter, "unchecked")
    desk.settle()
    assert len(shown(view, "id")) == 1
    assert "1 of 2" in desk.dock.objects.table.words.text()
    QTest.keyClick(desk.dock.objects.table.filter, Qt.Key.Key_Return)
    desk.dock.objects.table.filter.clear()
    desk.session.table.filter("")
    desk.settle()
    assert len(shown(view, "id")) == 2


def test_as_a_dock_of_its_own(open_desk, tmp_path):
    desk = open_desk()
    panel = desk.dock.objects
    desk.press_button(panel.open_wide)
    wide = panel.wide
    assert wide.isVisible()
    assert shown(wide.table.view, "planes") == ["z 1", "z 3"]
    assert shown(wide.table.view, "prompts") == ["1 point", "1 point"]
    click_cell(desk, wide.table.view, 1, "planes")
    assert desk.viewer.dims.current_step[0] == 3
    assert panel.table.view.currentIndex().row() == 1
    wide.table.export_to(str(tmp_path / "objects.csv"))
    with (tmp_path / "objects.csv").open(newline="", encoding="utf-8") as file:
        assert [row["first z"] for row in csv.DictReader(file)] == ["1", "3"]
    picture(desk, "wide")
    panel.collapse(animate=False)
    assert desk.session.state.table.count == 2
    wide.close()
    QApplication.processEvents()
    assert panel.wide is None
    assert desk.session.state.table.count is None


def test_coloured_by_class_and_back(open_desk):
    desk = open_desk()
    layer, box = desk.session.target, desk.dock.objects.by_class
    own = layer.colormap
    add_class(desk, "mitosis")
    desk.session.table.classify([1], "mitosis")
    QTest.mouseClick(box, LEFT_BUTTON, pos=QPoint(10, box.height() // 2))
    desk.settle()
    assert box.isChecked()
    red, green, blue, _alpha = layer.get_color(1)
    assert [round(255 * float(one)) for one in (red, green, blue)] == [0xE6, 0x9F, 0x00]
    picture(desk, "by-class")
    QTest.mouseClick(box, LEFT_BUTTON, pos=QPoint(10, box.height() // 2))
    desk.settle()
    assert not box.isChecked()
    assert layer.colormap is own


def test_what_is_deleted_leaves_the_table(open_desk):
    desk = open_desk()
    view, layer = desk.dock.objects.table.view, desk.session.target
    desk.viewer.dims.set_current_step(0, 1)
    desk.viewer.layers.selection.active = layer
    layer.mode, layer.selected_label = "fill", 0
    desk.click((1, *LEFT))
    assert shown(view, "id") == ["2"]
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert shown(view, "id") == ["1", "2"]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_in_a_narrow_dock(open_desk, theme):
    desk = open_desk()
    desk.viewer.theme = theme
    for name in ("nucleus", "mitosis", "a class with a very long name"):
        add_class(desk, name)
    desk.session.table.classify([1], "nucleus")
    desk.session.table.review("checked", [1])
    desk.frame.setFixedWidth(300)
    desk.settle()
    desk.dock._bring_into_view(desk.dock.objects)
    desk.settle()
    view = desk.dock.objects.table.view
    assert not view.horizontalScrollBar().isVisible()
    for button in (*desk.dock.objects.table.actions_, desk.dock.objects.table.export, desk.dock.objects.open_wide):
        assert button.fontMetrics().horizontalAdvance(button.text()) <= button.width()
    picture(desk, f"narrow-{theme}")
