"""Every object of a plane: found, shown, chosen, written, undone."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import zarr
from found_objects import disc, proposal, these, two_discs
from scipy import ndimage
from session_scenery import DISCS, SHAPE, accept, click, discs

from napari_sam.automatic import ProposalFilter
from napari_sam.errors import InputError
from napari_sam.journal import decode_mask, read_journal
from napari_sam.session.everything import messages as everything_messages

ONE, TWO = (disc(y, x, 6) for y, x in DISCS)


@pytest.fixture
def searched(session, found):
    """A session that has found the two discs."""
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    return session


def section(session):
    return session.state.everything


def layer(viewer):
    return viewer.layers["SAM objects"]


def outlined(viewer, value=None):
    """Pixels inside the outlines, or inside those of one value."""
    data = np.squeeze(layer(viewer).data)
    return ndimage.binary_fill_holes(data > 0 if value is None else data == value)


def journal(home):
    path = home / "journal" / "journal.sqlite"
    return read_journal(path)


def test_objects_are_found_and_shown(searched, viewer):
    assert section(searched).found == 2
    assert section(searched).shown == 2
    assert section(searched).can_accept
    np.testing.assert_array_equal(outlined(viewer), ONE | TWO)
    assert len(np.unique(layer(viewer).data)) == 3
    assert searched.state.status.text == everything_messages.found(2)
    assert searched.target is None  # nothing is written yet


def test_nothing_found_is_said(session, found, viewer):
    session.everything.find()
    session.wait(60)
    assert session.state.status.text == everything_messages.NOTHING_HERE
    assert section(session).found is None
    assert "SAM objects" not in viewer.layers


def test_accept_writes_all_as_one_step_and_undo_takes_them_back(searched, viewer):
    searched.everything.accept()
    target = searched.target
    np.testing.assert_array_equal(target.data, np.where(ONE, 1, np.where(TWO, 2, 0)))
    assert "2 objects" in searched.state.status.text
    assert searched.state.status.kind == "idle"
    assert "SAM objects" not in viewer.layers
    searched.undo()
    assert not target.data.any()
    searched.redo()
    assert sorted(np.unique(target.data)) == [0, 1, 2]
    assert searched.state.next_id == 3


def test_napari_s_own_undo_takes_all_of_them_back(searched):
    searched.everything.accept()
    searched.target.undo()
    assert not searched.target.data.any()


def test_enter_accepts_what_is_shown(searched):
    assert searched.state.can_accept
    searched.accept()
    assert sorted(np.unique(searched.target.data)) == [0, 1, 2]


def test_the_journal_has_each_object(searched, home):
    searched.everything.accept()
    searched.wait(60)
    records = journal(home)
    assert [record["kind"] for record in records] == ["accepted", "accepted", "decided"]
    assert [record["label"] for record in records[:2]] == [1, 2]
    for record, mask, score in zip(records[:2], (ONE, TWO), (0.9, 0.7), strict=True):
        np.testing.assert_array_equal(decode_mask(record["mask"]), mask)
        assert record["score"] == pytest.approx(score)
        assert record["found"] == {"mode": "auto", "stability": 1.0}
        assert record["prompts"]["prompts"] == []


def test_the_journal_is_on_the_disk_at_the_end_and_the_owner_s_thread_did_not_wait(searched, home, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, threading.current_thread()))
    )
    searched.everything.accept()
    searched.wait(60)
    path = home / "journal" / "journal.sqlite"
    assert synced[-1][0] == path.with_name(f"{path.name}-wal").stat().st_size
    assert threading.current_thread() not in [thread for _, thread in synced]


def test_undo_and_redo_are_in_the_journal(searched, home):
    searched.everything.accept()
    searched.undo()
    assert (journal(home)[-1]["kind"], journal(home)[-1]["of"]) == ("withdrawn", [0, 1, 2])
    searched.redo()
    assert (journal(home)[-1]["kind"], journal(home)[-1]["of"]) == ("restored", [0, 1, 2])


def test_after_accept_the_person_goes_on_with_the_tool_of_before(session, found, viewer):
    session.use_tool("box")
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    assert session.state.tool is None
    assert session.state.everything.picking
    session.everything.accept()
    assert session.state.tool == "box"


# -- choosing -------------------------------------------------------------------------------------


def test_a_filter_shows_fewer_and_the_model_is_not_asked(searched, viewer, engine):
    asked = len(engine.embedded)
    searched.everything.choose(ProposalFilter(score=0.8))
    assert section(searched).shown == 1
    np.testing.assert_array_equal(outlined(viewer), ONE)
    searched.everything.choose(section(searched).suggested)
    assert section(searched).shown == 2
    assert len(engine.embedded) == asked
    searched.everything.accept()
    assert searched.state.next_id == 3


def test_what_the_sliders_run_over_is_known(searched):
    state = section(searched)
    assert state.largest == ONE.sum()
    assert state.intensities == (200, 200)


def test_a_click_drops_an_object_and_another_brings_it_back(searched, viewer):
    events = searched._components.everything.chooser._shown
    events.clicked.emit(*DISCS[0])
    assert section(searched).shown == 1
    assert "1 dropped by hand" in section(searched).text
    np.testing.assert_array_equal(outlined(viewer), TWO)
    events.clicked.emit(*DISCS[0])
    assert section(searched).shown == 2
    events.clicked.emit(0, 0)  # where there is none
    assert section(searched).shown == 2


def test_a_click_keeps_what_the_filter_leaves_out(searched):
    searched.everything.choose(ProposalFilter(score=0.95))
    assert not section(searched).can_accept
    searched._components.everything.chooser._shown.clicked.emit(*DISCS[1])
    searched.everything.accept()
    np.testing.assert_array_equal(searched.target.data > 0, TWO)


def test_the_object_under_the_mouse_is_shown_and_described(searched, viewer):
    shown = searched._components.everything.chooser._shown
    shown.pointed.emit(DISCS[0])
    assert f"{ONE.sum()} px, score 0.90" in section(searched).text
    np.testing.assert_array_equal(outlined(viewer, 255), ONE)
    searched.everything.choose(ProposalFilter(score=0.95))
    shown.pointed.emit(DISCS[1])  # not shown, but there
    np.testing.assert_array_equal(outlined(viewer, 255), TWO)
    shown.pointed.emit(None)
    assert not layer(viewer).data.any()


def test_discard_forgets_them(searched, viewer):
    searched.everything.discard()
    assert section(searched).found is None
    assert "SAM objects" not in viewer.layers
    assert not section(searched).can_accept
    searched.everything.accept()
    assert searched.state.status.text == everything_messages.NOTHING_TO_WRITE
    assert searched.target is None


# -- what is there already ------------------------------------------------------------------------


def test_labels_that_are_there_are_respected(session, found, image, viewer):
    target = viewer.add_labels(np.where(ONE, 7, 0))
    session.target = target
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    assert section(session).shown == 1
    session.everything.accept()
    np.testing.assert_array_equal(target.data, np.where(ONE, 7, np.where(TWO, 8, 0)))


def test_labels_are_covered_if_asked_to(session, found, viewer):
    session.target = viewer.add_labels(np.where(ONE, 7, 0))
    session.only_empty = False
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    session.everything.accept()
    np.testing.assert_array_equal(session.target.data, np.where(ONE, 8, np.where(TWO, 9, 0)))
    session.undo()
    np.testing.assert_array_equal(session.target.data, np.where(ONE, 7, 0))


def test_what_was_painted_meanwhile_is_respected(searched, viewer):
    target = viewer.add_labels(np.zeros(SHAPE, int))
    searched.target = target
    target.data_setitem(np.nonzero(ONE), 5)
    searched.everything.accept()
    np.testing.assert_array_equal(target.data, np.where(ONE, 5, np.where(TWO, 6, 0)))


def test_undo_of_another_object_makes_room(session, found):
    accept(session, DISCS[0])
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    assert section(session).shown == 1
    session.undo()
    assert section(session).shown == 2


def test_prompts_stay(session, found):
    click(session, DISCS[0])
    session.wait(60)
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    session.everything.accept()
    session.wait(60)
    assert len(session.points.data) == 1
    session.undo()
    assert len(session.points.data) == 1
    assert not session.target.data.any()


def test_ids_that_do_not_fit_are_refused_and_nothing_is_lost(session, found, viewer):
    labels = zarr.zeros(SHAPE, dtype=np.uint8, store=zarr.storage.MemoryStore())  # not widened, as arrays in memory
    labels[0, 0] = 254
    session.target = viewer.add_labels(labels)
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    session.everything.accept()
    assert session.state.status.kind == "failed"
    assert section(session).shown == 2
    assert np.count_nonzero(np.asarray(session.target.data)) == 1


# -- where ----------------------------------------------------------------------------------------


def test_inside_a_box(session, found, viewer):
    session.everything.find("box")
    assert session.state.status.text == everything_messages.NO_BOX
    (y, x) = DISCS[1]
    session.shapes.add_rectangles([[y - 10, x - 12], [y + 10, x + 12]])
    session.wait(60)
    found.append(lambda plane: [proposal(plane.rendered[..., 0] > 100)])
    session.everything.find("box")
    session.wait(60)
    assert layer(viewer).data.shape == (21, 25)
    assert tuple(layer(viewer).translate) == (y - 10, x - 12)
    session.everything.accept()
    np.testing.assert_array_equal(session.target.data > 0, TWO)


def test_what_is_cut_by_the_box_is_left_out_but_not_what_ends_at_the_plane_s_edge(session, found, viewer):
    session.shapes.add_rectangles([[-3, -3], [19, 39]])
    session.wait(60)
    inside, cut, edge = (np.zeros((20, 40), bool) for _ in range(3))
    inside[5:9, 5:9] = cut[15:, 20:25] = edge[:4, 30:34] = True
    found.append(these(proposal(inside), proposal(cut), proposal(edge)))
    session.everything.find("box")
    session.wait(60)
    assert section(session).found == 2
    session.everything.accept()
    assert session.target.data[6, 6]
    assert session.target.data[0, 31]
    assert not session.target.data[16, 21]


def test_a_plane_of_a_stack(viewer, open_session, found):
    volume = np.stack([np.zeros(SHAPE, np.uint8), discs(), np.zeros(SHAPE, np.uint8)])
    viewer.add_image(volume, contrast_limits=(0, 255), scale=(3, 1, 2))
    viewer.dims.set_current_step(0, 1)
    session = open_session()
    session.wait(60)
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    assert layer(viewer).data.shape == (1, *SHAPE)
    assert tuple(layer(viewer).translate) == (3, 0, 0)
    viewer.dims.set_current_step(0, 2)
    session.wait(60)
    assert not section(session).here
    assert "go there" in section(session).text
    assert "SAM objects" not in viewer.layers
    session.everything.accept()
    assert session.target is None
    viewer.dims.set_current_step(0, 1)
    session.wait(60)
    np.testing.assert_array_equal(outlined(viewer), ONE | TWO)
    session.everything.accept()
    assert np.count_nonzero(session.target.data[1]) == np.count_nonzero(ONE | TWO)
    assert not session.target.data[[0, 2]].any()


def test_the_other_way_round(viewer, open_session, found):
    volume = np.zeros((60, 4, 80), np.uint8)
    volume[:, 2] = discs()
    viewer.add_image(volume, contrast_limits=(0, 255))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_current_step(1, 2)
    session = open_session()
    session.wait(60)
    found.append(two_discs)
    session.everything.find()
    session.wait(60)
    session.everything.accept()
    np.testing.assert_array_equal(session.target.data[:, 2] > 0, ONE | TWO)


# -- what happens meanwhile -----------------------------------------------------------------------


def test_cancel_stops_the_search(session, found):
    entered, go_on = threading.Event(), threading.Event()

    def slow(plane):
        entered.set()
        assert go_on.wait(60)
        return two_discs(plane)

    found.append(slow)
    session.everything.find()
    assert entered.wait(60)
    assert session.state.status.cancellable
    assert section(session).running
    session.everything.find()
    assert session.state.status.text == everything_messages.RUNNING
    session.cancel()
    go_on.set()
    session.wait(60)
    assert section(session).found is None
    assert not section(session).running
    assert session.state.status.text == everything_messages.CANCELLED


def test_what_goes_wrong_is_said(session, found):
    def fail(_plane):
        raise InputError("This model cannot do that. Choose another one.")

    found.append(fail)
    session.everything.find()
    session.wait(60)
    assert session.state.status.text == "This model cannot do that. Choose another one."
    assert session.state.status.kind == "failed"
    assert section(session).can_find


def test_another_search_replaces_what_was_found(searched, found):
    found[:] = [these(proposal(disc(30, 40, 5)))]
    searched.everything.find()
    searched.wait(60)
    assert section(searched).found == 1


def test_a_removed_layer_means_discard(searched, viewer):
    viewer.layers.remove("SAM objects")
    assert section(searched).found is None
    searched.everything.choose(ProposalFilter())
    assert "SAM objects" not in viewer.layers


def test_a_removed_image_takes_them_along(searched, viewer, image):
    viewer.layers.remove(image)
    assert "SAM objects" not in viewer.layers
    assert section(searched).found is None


def test_other_pixels_take_them_along_and_another_contrast_does_not(searched, viewer, image):
    image.contrast_limits = (0, 150)
    assert section(searched).found == 2
    image.data = np.zeros_like(image.data)
    assert section(searched).found is None
    assert "SAM objects" not in viewer.layers
    searched.wait(60)
    assert section(searched).can_find


def test_they_follow_the_image(searched, viewer, image):
    image.translate = (5, 7)
    assert tuple(layer(viewer).translate) == (5, 7)


def test_closing_takes_the_layer_away(searched, viewer):
    searched.close()
    assert "SAM objects" not in viewer.layers


def test_neighbours_are_outlined_apart(session, found, viewer):
    left, right = (np.zeros(SHAPE, bool) for _ in range(2))
    left[10:20, 10:20] = right[10:20, 20:30] = True
    found.append(these(proposal(left, 0.9), proposal(right, 0.8)))
    session.everything.find()
    session.wait(60)
    data = layer(viewer).data
    assert (data[10:20, 19] == data[10, 10]).all()
    assert (data[10:20, 20] == data[10, 29]).all()
    assert data[10, 10] != data[10, 29]
    assert not data[12:18, 12:18].any()  # the image stays visible
