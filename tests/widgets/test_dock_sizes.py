"""The dock in windows of usual sizes: nothing is cut, nothing moves while one works, and what is opened is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from desk import LEFT_BUTTON, Desk, discs
from fitting import cut, cut_words, narrow, places, settle_layout
from qtpy.QtCore import QPoint, QRect
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QScrollArea

from napari_sam.inference.request import Candidate
from napari_sam.session import messages
from napari_sam.session.keys.choices import KeyChoices
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.state import SessionState, Status
from napari_sam.widgets.controls.action_button import ActionButton
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.panels import status_panel

STOPPED = "Stopped at z = 10: the answer is too uncertain. Stopped at z = 18: the answer is too uncertain."
SIZES = [(1366, 768), (1400, 1000)]


@pytest.fixture
def open_stack(make_napari_viewer, qtbot, engine, monkeypatch):
    """Return a function that opens a window of a size with a stack and the dock, just as a person would."""
    monkeypatch.setattr(status_panel, "BUSY_MS", 0)
    monkeypatch.setattr(status_panel, "BAR_MS", 0)

    def open_it(size: tuple[int, int]) -> Desk:
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(*size)
        viewer.add_image(np.stack([discs()] * 30), name="cells", axis_labels=("z", "y", "x"))
        desk = Desk(viewer, qtbot, engine)
        desk.settle()
        return desk

    return open_it


def states(state: SessionState) -> dict[str, SessionState]:
    """Return the states that a person meets in a minute's work."""
    candidates = tuple(Candidate(0.9, 9, (50, 40), np.ones((3, 3), bool)) for _ in range(3))
    click, cycle = (
        "Click an object. X for background.",
        "Enter accepts. N shows the next candidate, more clicks correct it.",
    )

    keys = KeyChoices().of

    def at(status: Status, hint: str = "", **changes: object) -> SessionState:
        status = replace(status, text=messages.name_keys(status.text, keys))
        if stack := changes.get("stack"):
            changes["stack"] = replace(stack, text=messages.name_keys(stack.text, keys))
        return replace(state, status=status, hint=messages.name_keys(hint, keys), **changes)

    plane = "plane z = 15"
    return {
        "nothing": at(Status()),
        "loading": at(messages.working("loading", plane, None)),
        "encoding": at(messages.working("encoding", plane, 0.4), click),
        "ready": at(Status("idle", messages.ready(plane, None)), click),
        "one candidate": at(Status("idle", messages.ready(plane, None)), cycle, candidates=candidates[:1], selected=0),
        "candidates": at(
            Status("idle", messages.ready(plane, None)), cycle, candidates=candidates, selected=0, can_accept=True
        ),
        "cut": at(Status("attention", messages.CUT), cycle, candidates=candidates, selected=1),
        "accepted": at(
            Status("idle", messages.ready(plane, 128)), "Next object, or scroll to the next plane.", next_id=129
        ),
        "nothing free": at(Status("attention", messages.NOTHING_FREE), cycle, candidates=candidates, selected=2),
        "elsewhere": at(
            Status("attention", messages.elsewhere("nuclei, DAPI", "membrane, 488")),
            cycle,
            candidates=candidates,
            selected=0,
        ),
        "joining": at(
            Status("attention", messages.prompts_left(12)),
            f"{messages.enter(129, replaces_current=False)} {propagation_messages.shown('axis -4', range(3, 40), 15)} "
            "G carries it.",
            candidates=candidates,
            stack=replace(
                state.stack,
                text=f"{propagation_messages.shown('axis -4', (13, 15, 29, 34), 15)} {propagation_messages.PROMPTED}",
            ),
        ),
        "background": at(Status("attention", messages.BACKGROUND_ONLY), click),
        "running": at(
            messages.working("predicting", plane, 0.5),
            stack=replace(state.stack, running=True, text=propagation_messages.carried(4, "z", range(2, 28), 3)),
        ),
        "stopped": at(
            Status("idle", propagation_messages.carried(1, "z", range(11, 18), 1)),
            "Next object, or scroll to the next plane.",
            stack=replace(
                state.stack, label=1, text=f"{propagation_messages.carried(1, 'z', range(11, 18), 1)} {STOPPED}"
            ),
        ),
        "corrected": at(
            Status("idle", messages.ready(plane, 4)),
            f"{propagation_messages.goes_on(4)} {propagation_messages.shown('z', (3, 9), 15)}",
            stack=replace(state.stack, label=4, text=propagation_messages.corrected(4)),
        ),
    }


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_nothing_moves_and_nothing_is_cut_in_any_state(open_stack, size):
    desk = open_stack(size)
    desk.dock.stack.expand(animate=False)
    desk.dock.keys.expand(animate=False)
    desk.session.image.name = "2026-03-14_plate7_wellB03_site02_channel_DAPI_stitched_v3.ome.tif"
    shown = states(desk.session.state)
    for width in (320, 300, 226, 220):
        narrow(desk, width)
        assert desk.frame.width() == width
        first: dict[str, tuple[int, int]] = {}
        for name, state in shown.items():
            desk.dock._on_session_state_changed(state)
            settle_layout()
            assert cut(desk) == [], f"{name} at {width} px"
            seen = [button for button in desk.dock.findChildren(ActionButton) if button.isVisible()]
            assert seen and all(button.height() == button.sizeHint().height() for button in seen)
            first = first or places(desk)
            assert places(desk) == first, f"{name} at {width} px"


def test_all_words_of_all_sections_fit(open_stack):
    desk = open_stack(SIZES[1])
    dock, sections = desk.dock, desk.dock.findChildren(CollapsibleSection)
    for section in sections:
        section.expand(animate=False)
    desk.session.write_policy = "protect"
    desk.session.shaping.choose(smallest_part=10_000, fill_holes=True, largest_hole=10_000)
    names = {dock.source.image, dock.source.model.combo, dock.source.device, dock.target.combo}
    names |= {dock.cleanup.limits.layer, dock.everything.source, dock.words.models.combo}
    narrow(desk, 300)
    assert len(sections) == 9 and all(section.isExpanded() for section in sections)
    assert cut(desk) == []
    # Names of models of words are cut in their middle, and the tooltip has all of them.
    model = dock.words.models.combo
    assert [what for what in cut_words(desk, names) if model.currentText() not in what] == []
    for width in (226, 220):
        narrow(desk, width)
        assert desk.frame.width() == width
        assert cut(desk) == []
        for box in dock.findChildren(QComboBox):
            assert box.currentText() in box.toolTip() and box.toolTip(), box.accessibleName()
        assert cut_words(desk, names, kinds=QAbstractSpinBox) == []


def test_a_long_failure_takes_the_room_that_it_needs(open_stack):
    desk = open_stack(SIZES[0])
    path = "/home/somebody/.local/share/napari-sam-live/weights/mobile_sam.pt"
    text = f"MobileSAM could not be loaded from {path}: it is damaged. Download it again, or choose another model."
    for width in (320, 220):
        narrow(desk, width)
        desk.dock.status.draw(replace(desk.session.state, status=Status("failed", text)))
        settle_layout()
        assert cut(desk) == []


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("section", ["stack", "keys"])
def test_a_section_that_is_opened_is_seen(open_stack, size, section):
    desk = open_stack(size)
    fold, scroll = getattr(desk.dock, section), desk.dock.findChild(QScrollArea)
    QTest.mouseClick(fold.toggleButton(), LEFT_BUTTON, pos=QPoint(12, fold.toggleButton().height() // 2))
    settle_layout()
    view = scroll.viewport()

    def seen() -> bool:
        place = QRect(fold.mapTo(view, QPoint(0, 0)), fold.size())
        # Of a section that is taller than the dock, the head.
        top = place.intersected(view.rect()).height() == min(place.height(), view.height())
        return fold.isExpanded() and top and place.top() >= 0

    desk.qtbot.waitUntil(seen, timeout=60_000)
    assert cut(desk) == []
    if section == "stack":
        strip = desk.dock.stack.strip
        assert view.rect().contains(QRect(strip.mapTo(view, QPoint(0, 0)), strip.size()))


def test_a_dock_that_is_narrowed_while_nothing_else_happens_covers_nothing(open_stack):
    desk = open_stack(SIZES[1])
    desk.dock.stack.expand(animate=False)
    settle_layout()
    for width in (320, 226, 300, 220):
        narrow(desk, width)
        assert cut(desk) == [], f"at {width} px"


def test_a_dock_that_is_narrower_still_can_be_scrolled(open_stack):
    desk = open_stack(SIZES[0])
    narrow(desk, 150)
    bar = desk.dock.findChild(QScrollArea).horizontalScrollBar()
    assert bar.isVisible() or cut(desk) == []
