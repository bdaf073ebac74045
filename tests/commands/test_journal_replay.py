"""A session with the bundled model, asked again from the journal: the same labels, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from napari_sam.journal import Journal, encode_mask
from napari_sam.masks import BoxedMask
from napari_sam.session import Session

CELLS = ((24, 26), (70, 64), (30, 76))


def scene():
    """Three blurred cells with a nucleus each on a stack of three planes, uint16, noise among them."""
    rng = np.random.default_rng(7)
    y, x = np.ogrid[:96, :100]
    stack = rng.normal(600, 40, (3, 96, 100))
    for z in range(3):
        for (cy, cx), radius in zip(CELLS, (13, 15, 11), strict=True):
            away = np.hypot(y - cy, (x - cx) * 1.2)
            stack[z] += 2500 / (1 + np.exp(away - radius)) + 3000 / (1 + np.exp(away - radius / 3))
    return np.clip(stack, 0, 9000).astype(np.uint16)


def points(session, z, *places):
    for (y, x), positive in places:
        session.use_tool("positive" if positive else "negative")
        session.points.add((z, y, x))
        session.wait(300)


def annotate(path):
    """Work as a person does, and return the labels."""
    viewer = ViewerModel()
    viewer.add_image(scene(), name="cells", contrast_limits=(400, 5000), gamma=0.8)
    session = Session(viewer)
    try:
        session.prefetch = False
        viewer.dims.set_current_step(0, 1)
        session.wait(300)
        points(session, 1, (CELLS[0], True))
        session.next_candidate()
        points(session, 1, ((30, 30), True), ((40, 50), False))
        session.accept()
        points(session, 1, (CELLS[1], True))
        session.select_candidate(2)
        session.accept()
        session.undo()
        session.wait(300)
        session.redo()
        session.undo()
        session.wait(300)
        session.select_candidate(1)
        session.accept()
        session.only_empty = False
        session.shapes.add_rectangles([[1, 10, 10], [1, 10, 40], [1, 45, 40], [1, 45, 10]])
        session.wait(300)
        session.accept()
        session.only_empty = True
        viewer.dims.set_current_step(0, 2)
        session.wait(300)
        points(session, 2, (CELLS[2], True), ((33, 80), True))
        session.accept()
        session.wait(300)
        labels = np.array(session.target.data)
    finally:
        session.close()
    return labels


@pytest.fixture
def worked(tmp_path, home):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, scene(), photometric="minisblack", metadata={"axes": "ZYX"})
    return path, annotate(path)


@pytest.mark.slow
def test_the_same_model_gives_the_same_labels(run, worked, tmp_path):
    path, labels = worked
    assert len(np.unique(labels)) >= 4
    out = tmp_path / "labels.tif"
    result = run("journal", "replay", path, "-o", out)
    assert result.exit_code == 0, result.output
    assert "4 of 4 answers exact" in result.stdout and "IoU" not in result.stdout
    assert np.array_equal(tifffile.imread(out), labels)
    restored = tmp_path / "restored.tif"
    assert run("journal", "restore", "-o", restored).exit_code == 0
    assert np.array_equal(tifffile.imread(restored), labels)
    # Other pixels: other answers, which are told and are no success.
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, scene()[:, ::-1], photometric="minisblack", metadata={"axes": "ZYX"})
    result = run("journal", "replay", other)
    assert (result.exit_code, "other pixels" in result.stderr, "IoU" in result.stdout) == (1, True, True)
    assert run("journal", "replay", other, "--allow-different").exit_code == 0


def correct(path):
    """Correct the objects of another tool as a person does, with masks cleaned up, and return ids and labels."""
    viewer = ViewerModel()
    viewer.add_image(scene(), name="cells", contrast_limits=(400, 5000), gamma=0.8)
    theirs = np.zeros((3, 96, 100), np.uint16)
    theirs[1, 14:30, 12:34], theirs[1, 58:90, 52:88], theirs[1, 22:30, 84:99] = 7, 9, 11
    other = viewer.add_labels(theirs, name="from another tool")
    session = Session(viewer)
    try:
        session.prefetch = False
        viewer.dims.set_current_step(0, 1)
        session.wait(300)
        session.objects.pick(7, other)
        session.wait(300)
        points(session, 1, ((33, 30), True))
        session.accept()
        # Its prompts come back with it, and what it is now is what is corrected.
        session.objects.pick(7, other)
        session.wait(300)
        session.shaping.choose(grow=1, threshold=-0.5, fill_holes=True, correction="on")
        session.wait(300)
        points(session, 1, ((40, 50), False))
        session.accept()
        session.shaping.reset()
        session.objects.pick(9, other)
        session.wait(300)
        points(session, 1, ((60, 90), False))
        session.accept()
        # Others keep their pixels, those that the journal does not know of among them.
        session.shaping.choose(smooth=1, grow=12, grey_range=(650, 9000))
        points(session, 1, (CELLS[2], True))
        session.accept()
        # Each round has its own way of going on from the one before, and the labels of others are left out.
        session.only_empty = False
        session.shaping.reset()
        session.shaping.exclude(other, "9")
        points(session, 1, ((66, 34), True), ((50, 40), False))
        session.shaping.choose(grow=8, correction="on")
        points(session, 1, ((70, 44), True))
        session.accept()
        session.wait(300)
        labels = np.array(other.data)
    finally:
        session.close()
    return labels


@pytest.mark.slow
def test_what_began_with_a_mask_and_what_was_cleaned_up_comes_out_the_same(run, tmp_path, home):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, scene(), photometric="minisblack", metadata={"axes": "ZYX"})
    labels = correct(path)
    out = tmp_path / "labels.tif"
    result = run("journal", "replay", path, "-o", out)
    assert result.exit_code == 0, result.output
    assert "5 of 5 answers exact" in result.stdout and "taken over" not in result.stdout
    labels[labels == 11] = 0  # nobody touched it: the journal does not know of it
    assert np.array_equal(tifffile.imread(out), labels)


@pytest.mark.slow
def test_a_batch_that_was_cleaned_up_comes_out_the_same(run, tmp_path, home):
    path, viewer = tmp_path / "cells.tif", ViewerModel()
    tifffile.imwrite(path, scene()[1], photometric="minisblack", metadata={"axes": "YX"})
    viewer.add_image(scene()[1], name="cells", contrast_limits=(400, 5000))
    session = Session(viewer)
    try:
        session.prefetch, session.level = False, "subpart"
        session.shaping.choose(threshold=-1.0, grow=2, grey_range=(650, 9000))
        session.use_tool("positive")
        singles = []
        for place in CELLS:
            session.points.add(place)
            session.wait(300)
            one = session.state.candidates[session.state.selected]
            singles.append(BoxedMask(one.origin, one.mask, (96, 100)).whole())
            session.clear()
        session.tempo = "batch"
        for place in CELLS:
            session.points.add(place)
        session.everything.make()
        session.wait(300)
        session.accept()
        session.wait(300)
        labels = np.array(session.target.data)
    finally:
        session.close()
    # Level, threshold and limits are those of single clicks.
    for place, single in zip(CELLS, singles, strict=True):
        assert np.array_equal(labels == labels[place], single)
    out = tmp_path / "labels.tif"
    result = run("journal", "replay", path, "-o", out)
    assert result.exit_code == 0, result.output
    assert np.array_equal(tifffile.imread(out), labels)
    shown = run("journal", "show", "--json")
    assert shown.stdout.count('"threshold": -1.0') == 3


def test_an_image_of_another_shape_is_refused(run, tmp_path, home):
    journal = Journal()
    mask = np.ones((4, 5), bool)
    journal.add(
        "accepted",
        image="cells",
        shape=[20, 30],
        target="SAM labels",
        label=1,
        plane={"axes": [0, 1], "index": [None, None]},
        box=[0, 0, 4, 5],
        mask=encode_mask(mask, (0, 0), (20, 30)),
    )
    journal.close()
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.zeros((20, 31), np.uint8))
    result = run("journal", "replay", path)
    assert (result.exit_code, "20 x 31" in result.stderr) == (1, True)
    # What nobody prompted is taken over as it was recorded, without a model.
    tifffile.imwrite(path, np.zeros((20, 30), np.uint8))
    result = run("journal", "replay", path, "-o", tmp_path / "labels.tif")
    assert (result.exit_code, "taken over" in result.stdout) == (0, True), result.output
    assert tifffile.imread(tmp_path / "labels.tif").sum() == 20
