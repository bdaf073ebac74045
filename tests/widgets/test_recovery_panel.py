"""The offer to restore objects, in the window: seen, accepted and put off with the mouse."""

from __future__ import annotations

import os

import numpy as np
import pytest
from desk import LEFT, Desk, discs
from fitting import cut, narrow

from napari_sam.journal import Journal, encode_mask
from napari_sam.journal.pixels import pixels_digest


def lost_work(name="discs"):
    """Put an object into the journal that another process accepted, and that no layer carries."""
    mask = discs() > 0
    mask[:, 80:] = False
    journal = Journal()
    journal.note_pixels("image", pixels_digest(discs(), 2))
    journal.add(
        "accepted",
        image=name,
        identity={"source": "", "image": "image", "layer": "layer"},
        shape=list(mask.shape),
        target="SAM labels",
        label=4,
        plane={"axes": [0, 1], "index": [None, None]},
        box=[0, 0, *mask.shape],
        mask=encode_mask(mask, (0, 0), mask.shape),
        prompts={},
    )
    journal.close()
    return np.where(mask, 4, 0)


def test_what_was_lost_is_offered_and_restored_by_a_click(open_desk):
    expected = lost_work()
    desk: Desk = open_desk()
    panel = desk.dock.recovery
    assert panel.isVisible() and panel.text.text().replace("\u200b", "").startswith("Restore your work? 1 object of")
    desk.press_button(panel.restore_button)
    assert np.array_equal(desk.session.target.data, expected)
    assert not panel.isVisible()
    # The next click on the image is the next object.
    desk.click((60, 115))
    assert desk.session.state.candidates


def test_not_now_hides_the_offer_and_writes_nothing(open_desk):
    lost_work()
    desk: Desk = open_desk()
    desk.press_button(desk.dock.recovery.later_button)
    assert not desk.dock.recovery.isVisible()
    assert desk.session.target is None
    desk.click(LEFT)
    assert desk.session.state.candidates


def test_without_lost_work_there_is_no_offer(open_desk):
    assert not open_desk().dock.recovery.isVisible()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [300, 360])
def test_nothing_of_the_offer_is_cut(open_desk, theme, width):
    lost_work("a rather long name of an image of embryonic nuclei")
    desk: Desk = open_desk()
    desk.viewer.theme = theme
    narrow(desk, width)
    assert desk.dock.recovery.isVisible()
    assert cut(desk) == []
    if folder := os.environ.get("SCREENSHOTS"):
        desk.dock.grab().save(f"{folder}/recovery-{theme}-{width}.png")
