"""The image of a series to annotate next: one where there is doubt, and that looks unlike those that are annotated."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile
from deciding_scenery import GOOD, SIDE, squares

from napari_sam.automatic.descriptors import Descriptors
from napari_sam.session.actions import ACTIONS


@pytest.fixture
def looked_at(monkeypatch):
    """Grey levels of the images that were looked at: of level 5 all proposals are bad; 4 and 5 look like 1."""
    levels = []
    chance = np.random.default_rng(5)
    known = {}
    for level in range(1, 7):
        good = np.arange(60) < (0 if level == 5 else 45)
        known[level] = np.where(good, chance.uniform(0.8, 0.98, 60), chance.uniform(0.56, 0.66, 60)).round(3).tolist()

    def find(_predictor, _embedding, _settings, progress, *, plane):
        progress(0.5)
        levels.append(int(plane.pixels.min()) // 10)
        return squares(known[levels[-1]])

    def describe(_predictor, _embedding, pixels, masks, extra=None):
        level = int(pixels.min()) // 10
        values = np.zeros((len(masks), 2))
        return Descriptors(values, np.array([1.0 if level >= 4 else float(level), np.nan]), np.zeros(2), np.ones(2))

    monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", find)
    monkeypatch.setattr(Descriptors, "of", describe)
    return levels


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    noise = np.random.default_rng(0).integers(0, 5, (SIDE, SIDE))
    for level in range(1, 6):
        tifffile.imwrite(place / f"cell{level}.tif", (noise + 10 * level).astype(np.uint8))
    return place


@pytest.fixture
def session(viewer, open_session, folder, looked_at):
    session = open_session()
    session.series.open(folder)
    session.wait(60)
    return session


def annotate(session):
    """Find everything, drop what is bad, and accept the rest."""
    session.everything.find()
    session.wait(60)
    selection = session._components.everything.chooser.selection
    for place in selection.places:
        if selection.result.table.score[place] < GOOD:
            session.everything.toggle(int(place))
    session.everything.accept()
    session.wait(60)


def go_on(session):
    session.series.next_to_annotate()
    session.wait(60)
    return session.image.name


def test_before_any_decision_the_image_that_looks_newest_is_opened(session):
    assert go_on(session) == "cell3.tif"
    assert "cell3.tif: it looks unlike those that are annotated." in session.state.series.text


def test_the_doubtful_image_is_opened_with_words_for_why_and_labels_are_saved(session, folder):
    for _ in range(2):
        annotate(session)
        session.series.done()
        session.wait(60)
    assert session.image.name == "cell3.tif"
    annotate(session)
    assert go_on(session) == "cell5.tif"
    [doubtful] = re.findall(
        r"cell5.tif: (\d+) of 60 proposals are doubtful, and it looks much", session.state.series.text
    )
    assert int(doubtful) > 30  # of the others, 15 are bad
    assert session.state.status.text.startswith("cell5.tif: ")  # the section may be folded
    assert len(np.unique(tifffile.imread(folder / "cell3_labels.tif"))) == 46
    session.series.previous()
    session.wait(60)
    assert "doubtful" not in session.state.series.text


def test_images_are_looked_at_once(session, looked_at):
    go_on(session)
    assert sorted(looked_at) == [1, 2, 3, 4, 5]
    go_on(session)
    assert len(looked_at) == 5


def test_as_many_are_looked_at_as_are_needed(session, looked_at, monkeypatch):
    monkeypatch.setattr("napari_sam.session.everything.deciding.plane_survey.MOST_OPEN", 2)
    go_on(session)
    assert sorted(looked_at) == [1, 2, 5]
    assert "2 of 4 images were compared." in session.state.series.text
    go_on(session)
    assert len(looked_at) == 3  # the first one, which was left as it was, and another one are known
    monkeypatch.setattr("napari_sam.session.everything.deciding.plane_survey.MOST_OPEN", 3)
    go_on(session)
    assert len(looked_at) == 4


def test_what_is_done_or_skipped_does_not_come_again(session):
    session.series.mark("skipped")
    seen = []
    for _ in range(4):
        seen.append(go_on(session))
        session.series.mark("skipped" if len(seen) % 2 else "done")
    assert sorted(seen) == ["cell2.tif", "cell3.tif", "cell4.tif", "cell5.tif"]
    session.series.next_to_annotate()
    session.wait(60)
    assert session.state.status.text == "All images are done or skipped."
    assert session.image.name == seen[-1]


def test_the_key_and_cancel(session, looked_at):
    action = ACTIONS["next_to_annotate"]
    assert action.enabled(session.state)
    action.run(session)
    assert session.state.status.cancellable
    session.cancel()
    session.wait(60)
    assert session.image.name == "cell1.tif"
    action.run(session)
    session.wait(60)
    assert session.image.name == "cell3.tif"


def test_without_a_series_the_stack_is_meant(viewer, open_session, looked_at):
    viewer.add_image(np.stack([np.full((SIDE, SIDE), 10 * level, np.uint8) for level in (1, 2, 3)]))
    session = open_session()
    session.wait(60)
    ACTIONS["next_to_annotate"].run(session)
    session.wait(60)
    assert sorted(looked_at) == [1, 2, 3]
    assert session.state.status.text.startswith("Plane ")
