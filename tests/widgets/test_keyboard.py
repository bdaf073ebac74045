"""The keyboard belongs to the canvas: what the dock borrows for a choice, it gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from desk import LEFT_BUTTON, Desk, discs
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QCheckBox, QComboBox, QLineEdit

from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.download_offer import Download
from napari_sam.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from collections.abc import Callable

COMBOS = (
    *("image", "model", "device", "into", "policy", "level", "axis", "strategy", "source", "place", "mode", "link"),
    *("text_model", "correction", "exclusion", "region", "cache"),
)


@pytest.fixture
def open_stacks(make_napari_viewer, qtbot, engine) -> Callable[[], Desk]:
    """Return a function that opens a window with two stacks and the Stack section; the canvas has the keyboard."""

    def open_it() -> Desk:
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1200, 900)
        for name in ("first", "second"):
            viewer.add_image(np.stack([discs()] * 5), name=name, axis_labels=("z", "y", "x"))
        desk = Desk(viewer, qtbot, engine)
        desk.settle()
        desk.session.new_target()
        desk.session.new_target()
        for section in desk.dock.findChildren(CollapsibleSection):
            section.expand(animate=False)
        # Only for a stack is there something to link.
        desk.dock.everything.place.setCurrentIndex(desk.dock.everything.place.count() - 1)
        desk.session.use_tool("positive")
        viewer.window._qt_window.activateWindow()
        qtbot.waitUntil(viewer.window._qt_window.isActiveWindow, timeout=60_000)
        desk.canvas.native.setFocus()
        desk.settle()
        return desk

    return open_it


def combo(desk: Desk, name: str) -> QComboBox:
    dock = desk.dock
    return {
        "image": dock.source.image,
        "model": dock.source.model.combo,
        "device": dock.source.device,
        "into": dock.target.combo,
        "axis": dock.stack.axis,
        "strategy": dock.stack.strategy,
        "source": dock.everything.source,
        "place": dock.everything.place,
        "mode": dock.everything.mode,
        "link": dock.everything.link,
        "text_model": dock.words.models.combo,
        "policy": dock.target.policy,
        "level": dock.candidates.level,
        "correction": dock.cleanup.limits.correction,
        "exclusion": dock.cleanup.limits.layer,
        "region": dock.settings.region,
        "cache": dock.settings.cache.limit,
    }[name]


def press(key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press a key, wherever the keyboard is."""
    QTest.keyClick(QApplication.activePopupWidget() or QApplication.focusWidget(), key, modifier)
    QApplication.processEvents()


def open_list(desk: Desk, box: QComboBox) -> None:
    QTest.mouseClick(box, LEFT_BUTTON)
    desk.qtbot.waitUntil(box.view().isVisible, timeout=60_000)


def close_list(desk: Desk, box: QComboBox) -> None:
    desk.qtbot.waitUntil(lambda: not box.view().isVisible(), timeout=60_000)
    desk.qtbot.waitUntil(desk.canvas.native.hasFocus, timeout=60_000)


def test_after_escape_the_keys_are_those_of_the_canvas(open_stacks):
    desk = open_stacks()
    for name in COMBOS:
        box = combo(desk, name)
        before = box.currentIndex()
        open_list(desk, box)
        QTest.keyClick(box.view(), Qt.Key.Key_Escape)
        close_list(desk, box)
        desk.session.use_tool("positive")
        press(Qt.Key.Key_W)
        assert desk.session.state.tool == "box"
        for key in (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_PageDown, Qt.Key.Key_End, Qt.Key.Key_S):
            press(key)
            assert box.currentIndex() == before, name
    assert not desk.dock.source.model.offer.isVisible()


def test_a_dock_that_floats_gives_it_back_too(open_stacks):
    desk = open_stacks()
    desk.frame.setFloating(True)
    QApplication.processEvents()
    box = combo(desk, "model")
    open_list(desk, box)
    QTest.keyClick(box.view(), Qt.Key.Key_Escape)
    close_list(desk, box)
    press(Qt.Key.Key_W)
    assert desk.session.state.tool == "box"


def test_after_a_choice_too(open_stacks):
    desk = open_stacks()
    box = combo(desk, "device")
    open_list(desk, box)
    view = box.view()
    desk.qtbot.wait(QApplication.doubleClickInterval())  # Qt takes an earlier release for that of the click that opened
    QTest.mouseClick(view.viewport(), LEFT_BUTTON, pos=view.visualRect(view.model().index(1, 0)).center())
    close_list(desk, box)
    assert desk.session.device == "cpu"
    desk.settle()
    press(Qt.Key.Key_W)
    assert desk.session.state.tool == "box"


OPENING = ((Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier), (Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier))


def test_tab_leads_to_a_combo_and_only_asking_opens_it(open_stacks):
    desk = open_stacks()
    for name in COMBOS:
        box = combo(desk, name)
        before = box.currentIndex()
        for key in (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_S, Qt.Key.Key_M):
            box.setFocus(Qt.FocusReason.TabFocusReason)
            assert box.hasFocus() and bool(box.focusPolicy() & Qt.FocusPolicy.TabFocus)
            press(key)
            assert box.currentIndex() == before and not box.view().isVisible(), name
        for key, modifier in OPENING:
            box.setFocus(Qt.FocusReason.TabFocusReason)
            press(key, modifier)
            desk.qtbot.waitUntil(box.view().isVisible, timeout=60_000)
            QTest.keyClick(box.view(), Qt.Key.Key_Escape)
            close_list(desk, box)


def test_escape_leaves_a_closed_combo(open_stacks):
    desk = open_stacks()
    box = combo(desk, "model")
    box.setFocus(Qt.FocusReason.TabFocusReason)
    press(Qt.Key.Key_Escape)
    assert desk.canvas.native.hasFocus()


def turn_wheel(widget) -> None:
    middle = QPointF(widget.rect().center())
    for step in (120, -120):
        wheel = QWheelEvent(
            middle,
            widget.mapToGlobal(middle),
            QPoint(),
            QPoint(0, step),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget, wheel)


def test_the_wheel_changes_nothing(open_stacks):
    desk = open_stacks()
    spins = desk.dock.findChildren(QAbstractSpinBox)
    boxes = desk.dock.findChildren(QComboBox)
    assert len(spins) == 6 and set(boxes) == {combo(desk, name) for name in COMBOS}
    before = [box.currentIndex() for box in boxes], [spin.value() for spin in spins]
    for widget in (*boxes, *spins):
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        turn_wheel(widget)
        assert ([box.currentIndex() for box in boxes], [spin.value() for spin in spins]) == before


def test_a_number_is_typed_and_the_keyboard_given_back(open_stacks):
    desk = open_stacks()
    last = desk.dock.stack.last
    for key, wanted in ((Qt.Key.Key_Escape, 4), (Qt.Key.Key_Return, 2), (Qt.Key.Key_Enter, 2)):
        QTest.mouseClick(last.lineEdit(), LEFT_BUTTON)
        assert last.hasFocus()
        last.selectAll()
        press(Qt.Key.Key_2)
        press(key)
        assert desk.canvas.native.hasFocus()
        assert last.value() == wanted and desk.session.state.stack.stop == wanted + 1
        assert last.text() == str(wanted)
        for other in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            press(other)
        assert last.value() == wanted


def test_words_are_typed_and_the_keyboard_given_back(open_stacks):
    desk = open_stacks()
    words = desk.dock.words
    numbers = [spin.lineEdit() for spin in desk.dock.findChildren(QAbstractSpinBox)]
    lines = [line for line in desk.dock.findChildren(QLineEdit) if line not in numbers]
    # All of one kind, which gives the keyboard back: what holds for two of them holds for all.
    typed = {words.words, words.negative}
    others = {
        desk.dock.source.machine.box,
        desk.dock.target.protected,
        desk.dock.cleanup.limits.labels,
        desk.dock.objects.classes.line,
        desk.dock.teach.name,
    }
    # The filter of the table is the last of them; all are of one kind, which gives the keyboard back.
    assert len(lines) == 8 and typed | others < set(lines) and all(isinstance(line, TypedLine) for line in lines)
    for line in (words.words, words.negative):
        for key in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            line.setFocus(Qt.FocusReason.TabFocusReason)
            line.clear()
            # Keys of tools are letters here; with no word, nothing is looked for.
            for letter in (Qt.Key.Key_W, Qt.Key.Key_X) if key == Qt.Key.Key_Escape else (Qt.Key.Key_Comma,):
                press(letter)
            assert line.text() and line.hasFocus()
            press(key)
            assert desk.canvas.native.hasFocus()
            assert desk.session.state.tool == "positive"


def test_the_buttons_of_a_number_leave_the_keyboard_where_it_is(open_stacks):
    desk = open_stacks()
    first = desk.dock.stack.first
    QTest.mouseClick(first, LEFT_BUTTON, pos=QPoint(first.width() - 6, first.height() // 2))
    assert first.value() == 1
    press(Qt.Key.Key_W)
    assert desk.session.state.tool == "box"


def test_check_boxes_and_buttons_do_not_take_it(open_stacks):
    desk = open_stacks()
    dock = desk.dock
    offer = Download("Model", "", lambda _progress: None)
    dock.source.model._offering.show_offer(offer, "Something to download.", "Download")
    QApplication.processEvents()
    boxes = [box for box in dock.findChildren(QCheckBox) if box.isEnabled()]
    assert boxes
    for widget in (*boxes, dock.target.new_button, dock.source.model.keep_button, dock.keys.toggleButton(), dock):
        desk.session.use_tool("positive")
        QTest.mouseClick(widget, LEFT_BUTTON, pos=QPoint(8, widget.height() - 4))
        QApplication.processEvents()
        checked = [box.isChecked() for box in boxes]
        press(Qt.Key.Key_W)
        assert desk.session.state.tool == "box", widget
        press(Qt.Key.Key_Space)
        assert [box.isChecked() for box in boxes] == checked
