"""The section for words and examples in a real window, with real models: a tiny one for words, the bundled one."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from desk import LEFT_BUTTON, Desk
from fitting import cut, narrow
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.ndimage import binary_fill_holes, label
from test_everything_panel import drag_handle

from napari_sam import samples
from napari_sam.automatic import Proposal
from napari_sam.errors import WeightsError
from napari_sam.masks import BoxedMask
from napari_sam.text.models import DEFAULT
from napari_sam.widgets import SamDock
from tiny_clip import COLOURS, clip_folder  # noqa: F401  # fixture

GROUND = 70
PLACES = {"red": [(30, 30), (90, 30), (90, 130)], "green": [(30, 80)], "blue": [(90, 80), (30, 130)]}


def coloured_discs() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Discs of three colours on grey ground, and the pixels of each colour."""
    image, y, x = np.full((120, 160, 3), GROUND, np.uint8), *np.ogrid[:120, :160]
    masks = {}
    for name, places in PLACES.items():
        masks[name] = np.any([np.hypot(y - row, x - column) < 14 for row, column in places], axis=0)
        image[masks[name]] = COLOURS[name]
    return image, masks


def find_coloured(predictor, embedding, settings, progress, *, plane):
    regions, count = label((plane.rendered != plane.rendered[0, 0]).any(axis=-1))
    return [Proposal(BoxedMask.of(regions == i), 0.9) for i in range(1, count + 1)]


@pytest.fixture
def open_section(open_desk, monkeypatch):
    """Return a function that opens a window with coloured discs, and the section."""
    monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", find_coloured)

    def open_it() -> Desk:
        desk = open_desk(image=False)
        desk.viewer.add_image(coloured_discs()[0], name="discs")
        desk.settle()
        desk.dock.words.expand(animate=False)
        desk.viewer.window._qt_window.activateWindow()
        desk.qtbot.waitUntil(desk.viewer.window._qt_window.isActiveWindow, timeout=60_000)
        return desk

    return open_it


def enter(desk: Desk, box, text: str) -> None:
    """Click into a line, type and press Enter."""
    QTest.mouseClick(box, LEFT_BUTTON, pos=box.rect().center())
    QTest.keyClicks(QApplication.focusWidget(), text)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    QApplication.processEvents()
    desk.settle()


def shown(desk: Desk) -> np.ndarray:
    """Pixels inside the outlines."""
    return binary_fill_holes(np.asarray(desk.viewer.layers["SAM objects"].data) > 0)


def test_words_and_enter_leave_red_discs_and_enter_writes_them(open_section, clip_folder, home):  # noqa: F811
    shutil.copytree(clip_folder, home / "weights" / DEFAULT)
    desk, masks = open_section(), coloured_discs()[1]
    panel, session = desk.dock.words, desk.session
    assert not panel.match.isVisible()
    enter(desk, panel.words, "red")
    np.testing.assert_array_equal(shown(desk), masks["red"])
    assert "3 of 6 shown" in panel.ranked.text().replace("\u200b", "")
    assert desk.canvas.native.hasFocus()
    assert cut(desk) == []

    drag_handle(panel.match, 0.0)
    np.testing.assert_array_equal(shown(desk), np.any(list(masks.values()), axis=0))
    enter(desk, panel.words, ", blue")
    np.testing.assert_array_equal(shown(desk), masks["red"] | masks["blue"])

    desk.press_key(Qt.Key.Key_Return)
    target = session.target
    np.testing.assert_array_equal(target.data > 0, masks["red"] | masks["blue"])
    classes = dict(zip(target.features["index"], target.features["class"], strict=True))
    for name in ("red", "blue"):
        assert {classes[i] for i in np.unique(target.data[masks[name]])} == {name}
    assert not panel.match.isVisible()
    desk.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not target.data.any()


def test_what_is_not_wanted_competes(open_section, clip_folder, home):  # noqa: F811
    shutil.copytree(clip_folder, home / "weights" / DEFAULT)
    desk, masks = open_section(), coloured_discs()[1]
    desk.dock.words.words.setText("blue, green")
    enter(desk, desk.dock.words.negative, "green")
    assert "asked for twice" in desk.session.state.status.text
    desk.dock.words.words.setText("blue")
    desk.press_button(desk.dock.words.find_words)
    np.testing.assert_array_equal(shown(desk), masks["blue"])
    assert "blue, not green" in desk.dock.words.ranked.text().replace("\u200b", "")


def test_escape_gives_the_keyboard_back_and_keeps_the_words(open_section):
    desk = open_section()
    box = desk.dock.words.words
    QTest.mouseClick(box, LEFT_BUTTON, pos=box.rect().center())
    QTest.keyClicks(QApplication.focusWidget(), "wxn")
    assert box.text() == "wxn"
    assert desk.session.state.tool == "positive"
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert desk.canvas.native.hasFocus()
    assert box.text() == "wxn"
    assert desk.session.state.everything.found is None


def test_a_model_that_is_not_here_is_offered_and_used_when_it_came(open_section, clip_folder, home, monkeypatch):  # noqa: F811
    def ensure(model, progress, *, offline=False):
        folder = home / "weights" / model.folder_name
        progress(0.5)
        if not failed:
            failed.append(model.name)
            raise WeightsError("No network. Copy the folder.")
        return folder if folder.exists() else shutil.copytree(clip_folder, folder)

    failed: list[str] = []
    monkeypatch.setattr("napari_sam.text.store.ensure", ensure)
    desk, masks = open_section(), coloured_discs()[1]
    panel = desk.dock.words
    assert "Licence MIT" in panel.models.terms.text()
    enter(desk, panel.words, "red")
    assert panel.models.download.isVisible()
    assert "605 MB, licence MIT" in panel.models.offer.text().replace("\u200b", "")
    assert desk.session.state.everything.found is None
    narrow(desk, 300)
    assert cut(desk) == []
    desk.press_button(panel.models.download)
    desk.qtbot.waitUntil(lambda: panel.models.download.text() == "Try again", timeout=60_000)
    assert panel.models.offer.text().replace("\u200b", "") == "No network. Copy the folder."
    desk.press_button(panel.models.download)
    desk.qtbot.waitUntil(lambda: desk.session.state.everything.ranked_by == "red", timeout=60_000)
    np.testing.assert_array_equal(shown(desk), masks["red"])
    assert not panel.models.download.isVisible()


def test_an_offer_can_be_left_and_another_model_chosen(open_section):
    desk = open_section()
    panel = desk.dock.words
    enter(desk, panel.words, "red")
    desk.press_button(panel.models.keep)
    assert not panel.models.offer.isVisible()
    panel.models.combo.setCurrentIndex(3)
    panel.models.combo.activated.emit(3)
    assert panel.models.model == "clip-quilt"
    desk.press_button(panel.find_words)
    assert panel.models.offer.text().startswith("QuiltNet")
    assert desk.session.state.everything.found is None


def test_a_narrow_dock_cuts_no_text(open_section, clip_folder, home):  # noqa: F811
    shutil.copytree(clip_folder, home / "weights" / DEFAULT)
    desk = open_section()
    enter(desk, desk.dock.words.words, "red, green, blue")
    narrow(desk, 300)
    assert cut(desk) == []


def test_examples_that_were_clicked_with_shift_find_others_with_the_bundled_model(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1200, 900)
    [(pixels, attributes, _)] = samples.fluorescence()
    viewer.add_image(np.asarray(pixels)[:200, :300], **attributes)
    frame, dock = viewer.window.add_plugin_dock_widget("napari-sam-live")
    assert isinstance(dock, SamDock)
    desk = Desk.at(viewer, qtbot, dock, frame)
    desk.settle(120_000)
    dock.words.expand(animate=False)
    desk.press_button(dock.words.find_like)
    everything = desk.session.state.everything
    assert everything.found and "Pick an example" in desk.session.state.status.text
    table = desk.session._components.everything.chooser.selection.result.table
    example = next(i for i, one in enumerate(table.proposals) if one.mask.area > 200)
    mask = table.proposals[example].mask
    rows, columns = np.nonzero(mask.mask)
    place = mask.origin[0] + rows[len(rows) // 2], mask.origin[1] + columns[len(rows) // 2]
    QTest.mouseMove(desk.canvas.native, desk.pixel(place))
    QTest.mouseClick(desk.canvas.native, LEFT_BUTTON, Qt.KeyboardModifier.ShiftModifier, desk.pixel(place))
    desk.settle()
    assert "1 kept by hand" in desk.session.state.everything.text
    desk.press_button(dock.words.find_like)
    everything = desk.session.state.everything
    assert everything.ranked_by == "1 example"
    assert 1 < everything.shown < everything.found
    desk.press_key(Qt.Key.Key_Return)
    assert desk.session.target.data[place]
