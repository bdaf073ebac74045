"""Accepted objects, the history of prompts and objects, and the journal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.layers import Labels
from session_scenery import DISCS, SHAPE, click, discs

from napari_sam.errors import InputError
from napari_sam.journal import decode_mask, read_journal, read_lines


def prompt(session, position):
    session.points.add(position)
    session.wait(60)


def accept(session, position):
    prompt(session, position)
    session.accept()


def drawn(session):
    return session.points.data.tolist()


def test_accept_writes_the_candidate_that_is_shown_with_the_next_free_id(session, disc):
    accept(session, DISCS[0])
    assert session.state.next_id == 2
    prompt(session, DISCS[1])
    session.next_candidate()
    smaller = session.preview.data > 0
    assert smaller.sum() < disc[1].sum()
    session.accept()
    assert np.array_equal(session.target.data, disc[0] + 2 * smaller)
    assert drawn(session) == []
    assert session.state.candidates == ()
    assert not session.preview.data.any()
    assert "Object 2 written" in session.state.status.text
    assert session.state.hint == "Choose a tool, then click an object."
    session.use_tool("positive")
    session.undo()
    session.wait(60)
    session.accept()
    assert session.state.hint == "Next object."


def test_accept_is_one_step_of_the_target_s_own_history(session):
    accept(session, DISCS[0])
    accept(session, DISCS[1])
    session.target.undo()
    assert np.unique(session.target.data).tolist() == [0, 1]
    session.target.undo()
    assert not session.target.data.any()
    session.target.redo()
    assert np.unique(session.target.data).tolist() == [0, 1]
    assert session.state.next_id == 2


def test_the_id_is_one_more_than_the_largest(session, viewer):
    labels = np.zeros(SHAPE, np.int32)
    labels[0, 0], labels[0, 2] = 7, 3
    session.target = viewer.add_labels(labels)
    assert session.state.next_id == 8
    accept(session, DISCS[0])
    assert session.target.data[DISCS[0]] == 8
    session.target.selected_label = 40
    session.target.paint((50, 5), 41)
    assert session.state.next_id == 42
    session.target.data = np.zeros(SHAPE, np.int32)
    assert session.state.next_id == 1


def test_only_empty_pixels_are_filled_unless_asked_otherwise(session, viewer, disc):
    labels = np.zeros(SHAPE, np.int32)
    labels[:15] = 5
    session.target = viewer.add_labels(labels.copy())
    accept(session, DISCS[0])
    expected = np.where(disc[0] & (labels == 0), 6, labels)
    assert np.array_equal(session.target.data, expected)
    session.undo()
    session.only_empty = False
    assert not session.state.only_empty
    session.wait(60)
    session.accept()
    assert np.array_equal(session.target.data, np.where(disc[0], 6, labels))
    session.undo()
    assert np.array_equal(session.target.data, labels)


def test_when_nothing_is_free_the_status_says_so_and_the_prompts_stay(session, viewer):
    session.target = viewer.add_labels(np.full(SHAPE, 3, np.int32))
    accept(session, DISCS[0])
    assert session.state.status.kind == "attention"
    assert "Empty pixels only" in session.state.status.text
    assert drawn(session) == [list(map(float, DISCS[0]))]
    assert session.state.candidates
    assert (session.target.data == 3).all()


def test_an_empty_mask_is_not_written(session):
    click(session, DISCS[0])
    for y in (9, 12, 15, 18, 21):
        for x in range(12, 30, 3):
            click(session, (y, x), positive=False)
    session.wait(60)
    assert session.state.candidates[0].area == 0
    assert not session.preview.data.any()
    session.accept()
    assert "empty" in session.state.status.text
    assert len(session.points.data) == 31
    assert session.target is None  # no layer is made for nothing


def test_nothing_to_accept_is_told(session):
    session.accept()
    assert session.state.status.kind == "attention"
    assert session.target is None  # no layer is made for nothing


def test_accept_waits_for_the_answer_to_the_last_click(session, engine, disc):
    prompt(session, DISCS[0])
    engine.gate.clear()
    session.points.add((15, 24))
    assert session.state.can_accept
    session.accept()
    assert session.target is None
    engine.gate.set()
    session.wait(60)
    assert np.array_equal(session.target.data > 0, discs().astype(bool) & (session.target.data > 0))
    assert session.target.data.max() == 1
    assert drawn(session) == []


def test_a_failure_calls_off_a_waiting_accept(session, engine):
    prompt(session, DISCS[0])
    engine.gate.clear()
    session.points.add((15, 24))
    session.accept()
    engine.error = RuntimeError("no answer")
    engine.gate.set()
    session.wait(60)
    assert session.state.status.kind == "failed"
    assert session.target is None


@pytest.mark.parametrize("label", [255, 65535])
def test_ids_that_do_not_fit_are_refused_with_words(session, viewer, tmp_path, label):
    dtype = np.uint8 if label == 255 else np.uint16
    # A file stays what it is: it is not widened, as an array in memory is.
    labels = np.memmap(tmp_path / "labels.dat", dtype, "w+", shape=SHAPE)
    labels[0, 0] = label
    session.target = viewer.add_labels(labels)
    session.wait(60)
    accept(session, DISCS[0])
    assert session.state.status.kind == "failed"
    assert "wider integer type" in session.state.status.text
    assert str(label) in session.state.status.text
    assert len(session.points.data) == 1
    assert (session.target.data > 0).sum() == 1
    session.new_target()
    session.accept()
    assert session.target.data.max() == 1


def test_the_last_id_that_fits_is_used(session, viewer):
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0] = 254
    session.target = viewer.add_labels(labels)
    accept(session, DISCS[0])
    assert session.target.data[DISCS[0]] == 255


def test_labels_that_cannot_be_written_are_refused_with_words(session, viewer):
    labels = np.zeros(SHAPE, np.int32)
    labels.flags.writeable = False
    session.target = viewer.add_labels(labels)
    accept(session, DISCS[0])
    assert session.state.status.kind == "failed"
    assert "read-only" in session.state.status.text
    assert len(session.points.data) == 1


def test_a_hidden_target_is_written_too(session, viewer, disc):
    session.new_target()
    session.target.visible = False
    accept(session, DISCS[0])
    assert np.array_equal(session.target.data > 0, disc[0])
    session.undo()
    assert not session.target.data.any()


def test_targets_that_do_not_fit_are_neither_offered_nor_taken(session, viewer):
    fits = viewer.add_labels(np.zeros(SHAPE, int), name="fits")
    others = [
        viewer.add_labels(np.zeros((59, 80), int), name="shape"),
        viewer.add_labels(np.zeros(SHAPE, int), scale=(2, 2), name="scale"),
        viewer.add_labels(np.zeros(SHAPE, int), translate=(0, 1), name="place"),
    ]
    prompt(session, DISCS[0])
    assert session.target_choices() == [fits]
    for layer in others:
        with pytest.raises(InputError, match=layer.name):
            session.target = layer
    with pytest.raises(InputError, match="Add it first"):
        session.target = Labels(np.zeros(SHAPE, int))
    assert session.target is None


def test_labels_that_lie_elsewhere_are_offered_with_what_differs(viewer, open_session, disc):
    """As labels do that a program saved without the scale of the image."""
    unit = ("micrometer", "micrometer")
    image = viewer.add_image(discs(), contrast_limits=(0, 255), scale=(0.5, 0.25), translate=(3, 4), units=unit)
    saved = viewer.add_labels(disc[0].astype(int), name="saved")
    moved = viewer.add_labels(np.zeros(SHAPE, int), scale=(0.5, 0.25), units=unit)
    viewer.add_labels(np.zeros((59, 80), int), name="shape")
    session = open_session(image=image)
    session.wait(60)
    assert [(offer.layer, offer.differs) for offer in session.target_offers()] == [(saved, "scale"), (moved, "place")]
    assert session.target_choices() == [] and session.target is None
    session.fit_target(saved)
    assert session.target is saved and session.target_choices() == [saved]
    assert [offer.layer for offer in session.target_offers()] == [moved]
    assert np.allclose(saved.scale, (0.5, 0.25)) and np.allclose(saved.translate, (3, 4))
    assert saved.units == image.units
    assert "saved" in session.state.status.text and session.state.next_id == 2
    accept(session, DISCS[1])
    assert np.array_equal(saved.data, disc[0] + 2 * disc[1])


def test_only_labels_of_the_same_shape_can_be_laid_on_the_image(session, viewer):
    other = viewer.add_labels(np.zeros((59, 80), int))
    session.fit_target(other)
    assert session.state.status.kind == "failed" and "shape" in session.state.status.text
    assert session.target is None


def test_labels_of_another_image_are_not_offered(session, viewer, image, open_session):
    accept(session, DISCS[0])
    other = viewer.add_image(discs(), contrast_limits=(0, 255), scale=(2, 2))
    session.image = other
    assert session.target_offers() == []
    session.close()
    session = open_session(image=other)
    assert session.target_offers() == []
    session.image = image
    assert session.target is not None


def test_a_target_that_was_removed_is_no_target(session, viewer, disc):
    accept(session, DISCS[0])
    gone = session.target
    viewer.layers.remove(gone)
    assert session.target is None
    assert session.state.next_id == 1
    accept(session, DISCS[1])
    assert session.target is not gone
    assert np.array_equal(session.target.data > 0, disc[1])
    session.undo()
    session.undo()
    session.undo()
    assert drawn(session) == [list(map(float, DISCS[0]))]


def test_each_image_has_a_target_of_its_own(session, viewer, image):
    accept(session, DISCS[0])
    first = session.target
    viewer.add_image(discs((60, 90)), contrast_limits=(0, 255))
    assert session.target is None
    session.new_target()
    assert session.target.data.shape == (60, 90)
    session.image = image
    assert session.target is first


def test_new_target_is_announced(session):
    heard = []
    session.events.layers_changed.connect(lambda: heard.append(session.target))
    session.new_target()
    assert session.target is not None
    assert heard[-1] is session.target
    assert session.target in session.target_choices()
    assert session.preview not in session.target_choices()


# -- undo and redo --------------------------------------------------------------------------------


def test_prompts_are_undone_and_redone_one_by_one(session, engine):
    click(session, DISCS[0])
    click(session, (15, 25), positive=False)
    session.shapes.add_rectangles([[[5, 5], [30, 40]]])
    session.points.data = np.array([DISCS[0], (15, 28)], dtype=float)  # moved
    session.wait(60)
    states = []
    while session.state.can_undo:
        states.append((drawn(session), len(session.shapes.data), list(session.points.features["polarity"])))
        session.undo()
        session.wait(60)
    assert [s[1] for s in states] == [1, 1, 0, 0]
    assert [len(s[0]) for s in states] == [2, 2, 2, 1]
    assert drawn(session) == [] and session.state.candidates == ()
    for state in reversed(states):
        session.redo()
        assert (drawn(session), len(session.shapes.data), list(session.points.features["polarity"])) == state
    session.wait(60)
    assert not session.state.can_redo
    assert engine.asked[-1].box is not None
    assert [str(s) for s in session.points.symbol] == ["disc", "x"]


def test_something_new_ends_what_can_be_redone(session):
    prompt(session, DISCS[0])
    session.undo()
    assert session.state.can_redo
    prompt(session, DISCS[1])
    assert not session.state.can_redo


def test_an_undo_shows_the_answer_that_was_there(session):
    prompt(session, DISCS[0])
    session.next_candidate()
    prompt(session, (15, 24))
    before = session.preview.data.copy()
    prompt(session, (15, 16))
    session.undo()
    session.wait(60)
    assert np.array_equal(session.preview.data, before)


def test_undoing_an_accept_takes_the_label_back_and_gives_the_prompts(session, disc):
    accept(session, DISCS[0])
    prompt(session, DISCS[1])
    session.accept()
    session.undo()
    session.wait(60)
    assert np.array_equal(session.target.data, disc[0].astype(int))
    assert drawn(session) == [list(map(float, DISCS[1]))]
    assert np.array_equal(session.preview.data > 0, disc[1])
    assert session.state.next_id == 2
    session.redo()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])
    assert drawn(session) == []
    assert session.state.next_id == 3


def test_clear_is_undone_too(session, disc):
    prompt(session, DISCS[0])
    session.clear()
    assert drawn(session) == []
    session.undo()
    session.wait(60)
    assert np.array_equal(session.preview.data > 0, disc[0])


def test_the_person_s_own_undo_comes_first(session):
    accept(session, DISCS[0])
    session.target.undo()
    session.undo()
    assert not session.target.data.any()
    assert len(session.points.data) == 1
    session.redo()
    assert session.target.data.max() == 1
    assert len(session.points.data) == 0


def test_the_person_s_own_redo_comes_first(session):
    accept(session, DISCS[0])
    session.undo()
    session.target.redo()
    session.redo()
    assert session.target.data.max() == 1
    session.target.undo()
    assert not session.target.data.any()


def test_what_was_painted_after_an_accept_survives_its_undo(session, disc):
    accept(session, DISCS[0])
    session.target.brush_size = 3
    session.target.paint((50, 5), 9)
    session.target.paint((15, 20), 9)  # across the object
    painted = session.target.data == 9
    session.undo()
    assert np.array_equal(session.target.data, 9 * painted)
    session.redo()
    assert np.array_equal(session.target.data, np.where(painted, 9, disc[0].astype(int)))


def test_what_was_painted_between_undo_and_redo_survives(session, disc):
    accept(session, DISCS[0])
    session.undo()
    session.target.brush_size = 3
    session.target.paint((15, 20), 9)
    painted = session.target.data == 9
    session.redo()
    assert np.array_equal(session.target.data, np.where(painted, 9, disc[0].astype(int)))
    session.target.undo()
    assert np.array_equal(session.target.data, 9 * painted)


def test_redo_brings_back_the_object_and_no_stroke_of_the_person_s(session):
    session.new_target()
    session.target.brush_size = 3
    session.target.paint((50, 5), 9)
    accept(session, DISCS[0])
    session.undo()
    session.target.undo()  # the stroke as well
    assert not session.target.data.any()
    session.redo()
    assert np.unique(session.target.data).tolist() == [0, 10]


def test_steps_of_the_person_s_and_of_ours_in_any_order(session, disc):
    accept(session, DISCS[0])
    accept(session, DISCS[1])
    session.target.undo()
    session.target.undo()
    session.undo()
    session.undo()
    session.undo()
    session.undo()
    assert not session.state.can_undo
    assert not session.target.data.any()
    for _ in range(4):
        session.redo()
    assert np.array_equal(session.target.data, disc[0] + 2 * disc[1])
    assert not session.state.can_redo


def test_labels_whose_data_were_replaced_are_not_harmed(session):
    accept(session, DISCS[0])
    session.target.data = np.full(SHAPE, 4, np.int32)
    session.undo()
    assert (session.target.data == 4).all()
    assert len(session.points.data) == 1
    session.redo()
    layer = session.target
    layer.data = np.zeros((10, 10), np.int32)
    session.undo()
    assert not layer.data.any()
    assert session.target is None


def test_a_copy_of_the_labels_in_the_same_layer_is_undone_by_pixels(session, disc):
    accept(session, DISCS[0])
    session.target.data = session.target.data.copy()
    session.undo()
    assert not session.target.data.any()


def test_prompt_layers_removed_with_their_prompts_come_back_by_undo(session, viewer, disc):
    prompt(session, DISCS[0])
    viewer.layers.remove(session.points)
    assert session.state.candidates == ()
    session.undo()
    session.wait(60)
    assert drawn(session) == [list(map(float, DISCS[0]))]
    assert np.array_equal(session.preview.data > 0, disc[0])


def test_columns_that_the_person_added_come_back_by_undo(session):
    prompt(session, DISCS[0])
    session.points.features = session.points.features.assign(note=["mine"])
    session.clear()
    session.undo()
    assert list(session.points.features["note"]) == ["mine"]


# -- the journal ----------------------------------------------------------------------------------


def journal(home):
    path = home / "journal" / "journal.sqlite"
    return read_journal(path)


def test_accepted_objects_are_in_the_journal(session, home, disc):
    prompt(session, DISCS[0])
    session.points.add((15, 24))
    session.wait(60)
    session.accept()
    [record] = journal(home)
    assert record["kind"] == "accepted"
    assert record["image"] == "cells"
    assert record["shape"] == list(SHAPE)
    assert record["label"] == 1
    assert record["model"] == "bundled"
    assert record["score"] == pytest.approx(0.9)
    assert [p["position"] for p in record["prompts"]["prompts"]] == [[15, 20], [15, 24]]
    assert record["plane"]["index"] == [None, None]
    mask = decode_mask(record["mask"])
    assert np.array_equal(mask, session.target.data == 1)
    rows, columns = np.nonzero(mask)
    assert record["box"] == [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]


def test_the_journal_has_it_before_the_prompts_go(session, home):
    prompt(session, DISCS[0])
    seen = []
    session.points.events.data.connect(lambda: seen.append(len(journal(home))))
    session.accept()
    assert seen and min(seen) == 1


def test_undone_and_redone_objects_are_noted(session, home):
    accept(session, DISCS[0])
    session.undo()
    session.redo()
    assert [(r["kind"], r.get("of")) for r in journal(home)] == [("accepted", None), ("withdrawn", 0), ("restored", 0)]


def test_a_journal_that_cannot_be_written_costs_no_object(session, home):
    home.mkdir(parents=True, exist_ok=True)
    (home / "journal").write_text("in the way")
    accept(session, DISCS[0])
    session.wait(60)
    assert session.target.data.max() == 1
    assert session.state.status.kind == "attention"  # and stays so when there is nothing more to do
    assert "journal" in session.state.status.text
    assert len(session.points.data) == 0


def test_the_plane_s_digest_tells_images_apart(session, home, image):
    accept(session, DISCS[0])
    image.data = np.maximum(discs(), 1)
    accept(session, DISCS[1])
    first, second = journal(home)
    assert first["plane"]["digest"] != second["plane"]["digest"]
    json.dumps(first)


def test_labels_can_be_made_anew_from_the_journal(session, home, image):
    from napari_sam.journal.objects import entries
    from napari_sam.journal.restoring import restore

    image.scale, image.units = (0.5, 0.25), ("um", "um")
    accept(session, DISCS[0])
    accept(session, DISCS[1])
    session.undo()
    session.redo()
    path = home / "journal" / "journal.sqlite"
    found, strange = entries(read_journal(path))
    made = restore(found, path)
    assert (strange, made.damaged, made.renumbered) == (0, 0, 0)
    assert np.array_equal(made.labels.data, session.target.data)
    assert (made.labels.spacing, made.labels.units) == ((0.5, 0.25), ("micrometer", "micrometer"))


def test_a_full_disk_is_told_as_long_as_it_lasts_and_costs_no_object(session, home, monkeypatch):
    from napari_sam.journal.writing import Journal

    with monkeypatch.context() as full:
        full.setattr(Journal, "_open", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        accept(session, DISCS[0])
        for _ in range(2):
            assert session.state.status.kind == "attention"
            assert "Not saved to the journal: disk full" in session.state.status.text
            session.points.add(DISCS[1])
            session.wait(60)
            session.clear()
    accept(session, DISCS[1])
    assert "journal" not in session.state.status.text
    assert [(r["number"], r["label"]) for r in journal(home)] == [(0, 1), (1, 2)]
    assert read_lines(home / "journal" / "journal.sqlite").damaged == 0


def test_closing_tries_the_journal_a_last_time(session, home, monkeypatch):
    from napari_sam.journal.writing import Journal

    with monkeypatch.context() as full:
        full.setattr(Journal, "_open", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        accept(session, DISCS[0])
    session.close()
    assert [r["kind"] for r in journal(home)] == ["accepted"]
