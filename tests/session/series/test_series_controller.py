"""Images one after the other: opened, saved and left, with nothing lost."""

from __future__ import annotations

import time

import numpy as np
import pytest
import tifffile
from session_scenery import DISCS, accept, discs

from napari_sam.datasets.image_series import PROGRESS_FILE, ImageSeries


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    for number in range(1, 5):
        # Different pixels, so that each is encoded for itself.
        tifffile.imwrite(place / f"cell{number}.tif", discs(high=200 + number))
    return place


@pytest.fixture
def session(viewer, open_session, folder):
    session = open_session()
    session.series.open(folder)
    session.wait(60)
    return session


def at(session):
    return session.state.series.index


def shown(session):
    return session.image.name if session.image is not None else None


def labels_of(folder, number):
    path = folder / f"cell{number}_labels.tif"
    return tifffile.imread(path) if path.exists() else None


def test_the_first_open_image_is_shown(session, viewer):
    assert at(session) == 0 and shown(session) == "cell1.tif"
    assert session.state.series.text == "Image 1 of 4. 0 done."
    assert [layer.name for layer in viewer.layers if layer.name.endswith(".tif")] == ["cell1.tif"]


def test_labels_are_saved_when_the_image_is_left_and_come_back(session, folder, viewer):
    accept(session, DISCS[0])
    session.series.next()
    session.wait(60)
    assert shown(session) == "cell2.tif" and session.target is None
    saved = labels_of(folder, 1)
    assert saved[DISCS[0]] == 1 and set(np.unique(saved)) == {0, 1}
    assert [name for name, _ in session.state.series.images if _ == "started"] == ["cell1.tif"]
    accept(session, DISCS[1])
    session.series.previous()
    session.wait(60)
    assert shown(session) == "cell1.tif"
    np.testing.assert_array_equal(session.target.data, saved)
    accept(session, DISCS[1])
    assert session.target.data[DISCS[1]] == 2
    session.series.next()
    session.wait(60)
    assert session.target.data[DISCS[1]] == 1 and labels_of(folder, 1)[DISCS[1]] == 2
    assert sorted(layer.name for layer in viewer.layers if layer.name.startswith("cell")) == [
        "cell2.tif",
        "cell2.tif labels",
    ]


def test_what_was_painted_by_hand_is_saved_too(session, folder):
    session.new_target()
    session.target.paint((10, 10), 3)
    session.series.next()
    session.wait(60)
    assert labels_of(folder, 1)[10, 10] == 3


def test_an_image_without_labels_gets_no_file(session, folder):
    session.series.next()
    session.wait(60)
    assert labels_of(folder, 1) is None
    session.new_target()  # empty
    session.series.next()
    session.wait(60)
    assert labels_of(folder, 2) is None and at(session) == 2


def test_labels_that_were_erased_are_saved_as_such(session, folder):
    accept(session, DISCS[0])
    session.series.next()
    session.wait(60)
    session.series.previous()
    session.wait(60)
    session.target.data = session.target.data * 0
    session.series.next()
    session.wait(60)
    assert not labels_of(folder, 1).any()


def test_labels_that_nobody_changed_are_not_written_again(session, folder):
    accept(session, DISCS[0])
    session.series.next()
    session.wait(60)
    before = (folder / "cell1_labels.tif").stat().st_mtime_ns
    session.series.previous()
    session.wait(60)
    session.target.refresh()
    session.series.next()
    session.wait(60)
    assert (folder / "cell1_labels.tif").stat().st_mtime_ns == before


def test_labels_are_saved_without_leaving(session, folder, monkeypatch):
    monkeypatch.setattr("napari_sam.session.series.controller._AUTOSAVE_S", 0.0)
    accept(session, DISCS[0])
    session.wait(60)
    assert labels_of(folder, 1)[DISCS[0]] == 1 and not session.state.series.unsaved


def test_closing_the_session_saves(session, folder):
    accept(session, DISCS[0])
    session.close()
    assert labels_of(folder, 1)[DISCS[0]] == 1


def test_done_images_are_passed_over_and_remembered(session, folder, open_session, viewer):
    session.series.done()
    session.wait(60)
    session.series.skip()
    session.wait(60)
    assert shown(session) == "cell3.tif" and session.state.series.text == "Image 3 of 4. 1 done, 1 skipped."
    session.series.previous()
    session.wait(60)
    assert shown(session) == "cell3.tif" and session.state.status.text == "This is the first image of the series."
    session.series.skip_done = False
    session.series.previous()
    session.wait(60)
    assert shown(session) == "cell2.tif"
    session.close()
    viewer.layers.clear()
    again = open_session()
    again.series.open(folder)
    again.wait(60)
    assert shown(again) == "cell3.tif" and (folder / PROGRESS_FILE).exists()


def test_after_the_last_image_those_that_were_passed_over_come(session):
    session.series.go_to(2)
    session.wait(60)
    session.series.done()
    session.wait(60)
    assert shown(session) == "cell4.tif"
    session.series.next()
    session.wait(60)
    assert session.state.status.text == "This is the last image of the series."
    for name in ("cell1.tif", "cell2.tif"):
        session.series.skip()
        session.wait(60)
        assert shown(session) == name
    assert session.state.series.text == "Image 2 of 4. 1 done, 2 skipped."


def test_all_done_is_said(session):
    for _ in range(4):
        session.series.done()
        session.wait(60)
    assert session.state.status.text == "All images are done or skipped."
    assert session.state.series.text == "Image 4 of 4. 4 done." and shown(session) == "cell4.tif"


def test_a_mask_that_is_not_accepted_is_told_once(session, folder):
    session.points.add(DISCS[0])
    session.wait(60)
    session.series.next()
    session.wait(60)
    assert at(session) == 0 and "not accepted yet" in session.state.status.text and session.state.candidates
    session.series.next()
    session.wait(60)
    assert at(session) == 1 and not len(session.points.data) and not session.state.candidates


def test_accepts_that_wait_are_written_first(session, folder):
    session.points.add(DISCS[0])
    session.accept()  # before its answer is there
    assert session.state.waiting == 1
    session.series.next()
    # Not even read: the image must be there until its object is written.
    assert at(session) == 0 and not session._worker.busy("series")
    session.wait(60)
    assert at(session) == 1 and labels_of(folder, 1)[DISCS[0]] == 1


def test_two_steps_at_once_go_two_images_on(session):
    session.series.next()
    session.series.next()
    session.wait(60)
    assert shown(session) == "cell3.tif"


def test_a_save_that_fails_keeps_the_person_there(session, folder, monkeypatch):
    accept(session, DISCS[0])

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        session.series.next()
        session.wait(60)
    assert at(session) == 0 and session.state.status.kind == "failed" and session.target.data[DISCS[0]] == 1
    session.series.next()
    session.wait(60)
    assert at(session) == 1 and labels_of(folder, 1)[DISCS[0]] == 1


def test_an_image_that_cannot_be_read_is_told_and_the_one_before_stays(session, folder):
    (folder / "cell2.tif").write_bytes(b"no image at all")
    session.series.next()
    session.wait(60)
    assert at(session) == 0 and session.state.status.kind == "failed" and "cell2.tif" in session.state.status.text
    session.series.go_to(2)
    session.wait(60)
    assert shown(session) == "cell3.tif"


def test_labels_of_another_shape_are_not_written_over(session, folder):
    tifffile.imwrite(folder / "cell2_labels.tif", np.ones((5, 5), np.uint16))
    session.series.open(folder)
    session.wait(60)
    session.series.next()
    session.wait(60)
    assert "another shape" in session.state.status.text and at(session) == 0
    assert labels_of(folder, 2).shape == (5, 5)


def test_the_next_image_is_read_and_encoded_ahead(viewer, open_session, engines, folder, monkeypatch):
    monkeypatch.setattr("napari_sam.session.series.ahead._IDLE_S", 0.0)
    session = open_session()
    session.series.open(folder)
    ready = session._components.series.next_image
    deadline = time.monotonic() + 60
    while ready.name != "cell2.tif" and time.monotonic() < deadline:
        session.wait(60)
        time.sleep(0.005)
    (plane,) = engines[-1].prepared
    assert plane.rendered.max() == 202  # of the second image
    (folder / "cell2.tif").unlink()  # it is there already
    session.series.next()
    assert shown(session) == "cell2.tif"  # at once
    session.wait(60)
    # What was encoded ahead is what is on screen.
    (seen,) = session._components.live.ready.pictures
    assert seen.plane.digest == plane.digest and seen.plane.spacing == plane.spacing


def test_an_image_that_cannot_be_read_ahead_is_told_when_it_is_wanted(viewer, open_session, folder, monkeypatch):
    monkeypatch.setattr("napari_sam.session.series.ahead._IDLE_S", 0.0)
    (folder / "cell2.tif").write_bytes(b"no image at all")
    session = open_session()
    session.series.open(folder)
    session.wait(60)
    assert session.state.status.kind == "idle"


def test_the_persons_own_layers_stay(session, viewer):
    mine = viewer.add_points([[1, 2]], name="mine")
    session.series.next()
    session.wait(60)
    assert mine in viewer.layers and len(mine.data) == 1


def test_an_image_that_the_person_removes_is_no_obstacle(session, viewer, folder):
    accept(session, DISCS[0])
    viewer.layers.remove(session.image)
    session.series.next()
    session.wait(60)
    assert shown(session) == "cell2.tif"


def test_closing_a_series_leaves_its_image(session, viewer, folder):
    accept(session, DISCS[0])
    session.series.close()
    assert session.state.series.images == () and shown(session) == "cell1.tif"
    assert labels_of(folder, 1)[DISCS[0]] == 1


def test_stacks_keep_their_scale_and_the_plane(viewer, open_session, tmp_path):
    for name in "ab":
        tifffile.imwrite(
            tmp_path / f"{name}.tif",
            np.stack([discs()] * 5),
            imagej=True,
            metadata={"axes": "ZYX", "spacing": 3.0, "unit": "um"},
            resolution=(2.0, 2.0),
        )
    session = open_session()
    session.series.open(tmp_path)
    session.wait(60)
    viewer.dims.set_current_step(0, 3)
    session.wait(60)
    accept(session, (3, *DISCS[0]))
    session.series.next()
    session.wait(60)
    assert shown(session) == "b.tif" and viewer.dims.current_step[0] == 3
    session.series.previous()
    session.wait(60)
    np.testing.assert_allclose(session.target.scale, (3.0, 0.5, 0.5))
    assert session.target.data[3][DISCS[0]] == 1 and not session.target.data[2].any()


def test_a_folder_that_is_none_is_told(session, tmp_path):
    session.series.open(tmp_path / "nowhere")
    assert session.state.status.kind == "failed" and "no image" in session.state.status.text.lower()
    assert at(session) == 0  # the series that there was goes on


def test_nothing_happens_without_a_series(viewer, open_session):
    session = open_session()
    for command in (session.series.next, session.series.previous, session.series.done):
        command()
        assert session.state.status.text == "Choose a folder of images first."
    session.series.close()
    assert len(ImageSeries.open.__doc__) > 0
