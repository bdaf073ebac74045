"""What is accepted and dropped is remembered, and says which proposals of the next plane can be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from deciding_scenery import GOOD, annotate, decide, find, scores, selection, squares
from session_scenery import accept

from napari_sam.automatic import ProposalFilter
from napari_sam.journal import read_journal
from napari_sam.journal.notes.decisions import StageCounts
from napari_sam.session.actions import ACTIONS
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.proposals_layer import CONFIDENT, DOUBTFUL
from napari_sam.session.keys.choices import KeyChoices
from napari_sam.session.messages import name_keys


def section(session):
    return session.state.everything


def words(text):
    return name_keys(text, KeyChoices().of)


def counts(session):
    """How many objects came about at each stage, by another search."""
    find(session)
    return session.everything.counts


@pytest.fixture
def taught(stack, viewer):
    """A session that knows the decisions of two planes, and has looked at the third."""
    for plane in (0, 1):
        annotate(stack, viewer, plane)
    viewer.dims.set_current_step(0, 2)
    find(stack)
    return stack


def test_before_the_first_decision_nothing_is_said(stack):
    find(stack)
    assert section(stack).confident == 0
    assert "decision" not in section(stack).text
    assert selection(stack).confident is None


def test_what_is_missing_is_said(stack, viewer, found):
    found[:] = [lambda plane: squares(scores(1, 12))]
    annotate(stack, viewer, 0)
    viewer.dims.set_current_step(0, 1)
    find(stack)
    assert deciding_messages.missing(8) in section(stack).text
    assert not section(stack).can_accept_confident


def test_the_good_ones_of_the_next_plane_are_confident(taught):
    table = selection(taught).result.table
    confident = selection(taught).shown_confident
    assert len(confident) >= 20
    assert (table.score[confident] > GOOD).all()
    assert section(taught).confident == len(confident)
    assert section(taught).can_accept_confident
    assert taught.state.hint == words(deciding_messages.HINT)
    assert "Ctrl-Enter takes them" in section(taught).text
    assert f"{len(confident)} of {selection(taught).shown} proposals are confident" in section(taught).text


def test_confident_and_doubtful_ones_have_a_colour_each(taught, viewer):
    values = np.squeeze(viewer.layers["SAM objects"].data)
    assert set(np.unique(values)) == {0, CONFIDENT, DOUBTFUL}
    shown = selection(taught)
    for place in shown.places:
        inside = values[shown.objects == place + 1]
        assert set(inside[inside > 0]) == {CONFIDENT if place in shown.shown_confident else DOUBTFUL}


def test_the_confident_ones_are_accepted_as_one_step_and_the_others_stay(taught):
    shown, confident = selection(taught).shown, len(selection(taught).shown_confident)
    before = int(taught.target.data.max())
    taught.everything.accept_confident()
    assert len(np.unique(taught.target.data[2])) - 1 == confident
    assert int(taught.target.data.max()) == before + confident
    assert section(taught).found is not None
    assert selection(taught).shown == shown - confident
    assert section(taught).confident == 0
    assert taught.state.status.text.endswith(f"{shown - confident} left to look at.")
    taught.undo()
    assert not taught.target.data[2].any()
    # They are on offer again.
    assert selection(taught).shown == shown
    assert section(taught).confident == confident
    taught.redo()
    assert selection(taught).shown == shown - confident


def test_what_is_written_is_not_offered_again_where_labels_may_be_written_over(taught):
    taught.only_empty = False
    shown, confident = selection(taught).shown, len(selection(taught).shown_confident)
    taught.everything.accept_confident()
    assert selection(taught).shown == shown - confident
    taught.everything.accept()
    taught.wait(60)
    assert len(np.unique(taught.target.data[2])) - 1 == shown


def test_an_object_that_the_person_dropped_is_not_accepted(taught):
    place = int(selection(taught).shown_confident[0])
    confident = len(selection(taught).shown_confident)
    taught.everything.toggle(place)
    taught.everything.accept_confident()
    assert len(np.unique(taught.target.data[2])) - 1 == confident - 1


def test_decisions_in_two_goes_are_told_once(taught, home):
    dropped = int(selection(taught).shown_confident[0])
    taught.everything.toggle(dropped)
    taught.everything.accept_confident()
    decide(taught)
    records = read_journal(home / "journal" / "journal.sqlite")
    first, second = [record["proposals"] for record in records if record["kind"] == "decided"][-2:]
    assert sum(one["label"] == 0 for one in first) == 1
    assert len(first) + len(second) == 60
    told = [tuple(one["features"]) for one in first + second]
    assert len(set(told)) == len(told)


def test_who_drops_all_that_is_left_has_decided_on_it(stack, viewer, home):
    find(stack)
    for place in selection(stack).places:
        stack.everything.toggle(int(place))
    stack.everything.accept()
    assert stack.state.status.text == deciding_messages.all_dropped(60)
    assert section(stack).found is None
    assert counts(stack) == StageCounts(rejected=60)


def test_sliders_that_leave_nothing_decide_nothing(stack):
    find(stack)
    stack.everything.choose(ProposalFilter(score=0.99))
    stack.everything.accept()
    assert section(stack).found == 60
    assert counts(stack) == StageCounts()


def test_where_nothing_is_confident_nothing_is_written_and_it_is_said(stack):
    find(stack)
    stack.everything.accept_confident()
    assert stack.state.status.text == words(deciding_messages.NONE_CONFIDENT)
    assert stack.target is None


def test_the_key_of_the_action_accepts_the_confident_ones(taught):
    action = ACTIONS["accept_confident"]
    assert action.enabled(taught.state)
    action.run(taught)
    assert taught.target.data[2].any()
    assert not action.enabled(taught.state)


def test_the_next_session_knows_the_decisions(taught, viewer, open_session):
    confident = section(taught).confident
    taught.close()
    again = open_session()
    again.wait(60)
    find(again)
    assert section(again).confident == confident > 0


def test_another_image_has_decisions_of_its_own(taught, viewer, planes):
    other = viewer.add_image(planes[::-1].copy(), name="other", axis_labels=("z", "y", "x"))
    taught.image = other
    taught.wait(60)
    find(taught)
    assert selection(taught).confident is None
    assert taught.everything.counts == StageCounts()


def test_another_way_to_find_objects_has_decisions_of_its_own(taught):
    taught.everything.find(mode="grid")
    taught.wait(60)
    assert selection(taught).confident is None


def test_the_stages_are_counted(stack, viewer):
    annotate(stack, viewer, 0)
    good = sum(score > GOOD for score in scores(1))
    assert counts(stack) == StageCounts(accepted=good, rejected=60 - good)


def test_an_object_that_is_corrected_or_deleted_later_counts_as_that(stack, viewer):
    annotate(stack, viewer, 0)
    good = sum(score > GOOD for score in scores(1))
    stack.objects.delete(1)
    stack.objects.pick(2)
    stack.wait(60)
    stack.points.add((0, 60, 60))
    stack.wait(60)
    stack.accept()
    stack.wait(60)
    assert counts(stack) == StageCounts(accepted=good - 2, corrected=1, rejected=60 - good + 1)
    while not (stack.target.data == 1).any():
        stack.undo()
    assert counts(stack) == StageCounts(accepted=good, rejected=60 - good)


def test_an_object_of_a_group_that_is_painted_on_later_counts_as_corrected(taught):
    before = counts(taught)
    confident = len(selection(taught).shown_confident)
    taught.everything.accept_confident()
    layer = taught.target
    first = int(layer.data[2][layer.data[2] > 0].min())
    for label, value in ((first, first), (first + 1, 0)):
        inside = np.argwhere(layer.data[2] == label)
        layer.selected_label = value
        layer.brush_size = 1 if value else 30
        layer.paint((2, *(inside[0] - 2 if value else inside.mean(axis=0))), value)
    taught.wait(60)
    after = counts(taught)
    erased = sum(label not in layer.data[2] for label in range(first, first + confident))
    assert erased >= 1
    assert after.rejected == before.rejected + erased
    assert after.corrected > before.corrected
    assert after.accepted + after.corrected + after.rejected == before.decided + confident


def test_painting_that_napari_undoes_is_no_correction(taught):
    confident = len(selection(taught).shown_confident)
    before = counts(taught)
    taught.everything.accept_confident()
    layer = taught.target
    first = int(layer.data[2][layer.data[2] > 0].min())
    layer.selected_label, layer.brush_size = 0, 30
    corner, other = (np.argwhere(layer.data[2] == label).mean(axis=0) for label in (first, first + 1))
    layer.paint((2, *corner), 0)
    taught.wait(60)
    layer.paint((2, *other), 0)
    layer.undo()  # before the journal was told of it
    taught.wait(60)
    layer.undo()
    taught.wait(60)
    assert counts(taught) == replace(before, accepted=before.accepted + confident)
    layer.redo()
    taught.wait(60)
    assert first not in layer.data[2]
    again = counts(taught)
    assert again.rejected > before.rejected
    assert again.decided == before.decided + confident
    layer.undo()
    taught.wait(60)
    assert counts(taught) == replace(before, accepted=before.accepted + confident)


def test_what_is_undone_and_painted_over_at_once_was_never_there(taught):
    before = counts(taught)
    confident = len(selection(taught).shown_confident)
    taught.everything.accept_confident()
    layer = taught.target
    first = int(layer.data[2][layer.data[2] > 0].min())
    corner, other = (np.argwhere(layer.data[2] == label).mean(axis=0) for label in (first, first + 1))
    layer.brush_size = 30
    layer.paint((2, *corner), 0)
    layer.undo()
    layer.brush_size = 1
    layer.paint((2, *other), 0)
    taught.wait(60)
    after = counts(taught)
    assert (after.corrected, after.rejected) == (before.corrected + 1, before.rejected)
    assert after.decided == before.decided + confident


def test_of_two_strokes_the_one_that_stays_still_counts(taught):
    before = counts(taught)
    taught.everything.accept_confident()
    layer = taught.target
    first = int(layer.data[2][layer.data[2] > 0].min())
    layer.selected_label, layer.brush_size = 0, 1
    inside = np.argwhere(layer.data[2] == first)
    layer.paint((2, *inside[0]), 0)
    layer.brush_size = 30
    layer.paint((2, *inside.mean(axis=0)), 0)
    layer.undo()
    taught.wait(60)
    after = counts(taught)
    assert (after.corrected, after.rejected) == (before.corrected + 1, before.rejected)


def test_objects_drawn_by_hand_are_counted_and_missed_where_everything_was_run(stack, viewer):
    annotate(stack, viewer, 0)
    stack.everything.discard()
    accept(stack, (0, 115, 115))
    viewer.dims.set_current_step(0, 3)
    accept(stack, (3, 30, 30))
    stack.wait(60)
    found = counts(stack)
    assert (found.by_hand, found.missed) == (2, 1)


def test_what_was_undone_was_never_decided(stack, viewer):
    annotate(stack, viewer, 0)
    stack.undo()
    assert counts(stack).decided == 0
    stack.redo()
    assert counts(stack).decided == 60


def test_what_sliders_leave_out_is_rejected(stack):
    find(stack)
    stack.everything.choose(ProposalFilter(score=GOOD))
    stack.everything.accept()
    good = sum(score > GOOD for score in scores(1))
    assert counts(stack) == StageCounts(accepted=good, rejected=60 - good)


def test_what_is_under_labels_already_is_no_decision(stack, viewer, planes):
    labels = np.zeros(planes.shape, np.uint16)
    labels[0, :60] = 5
    stack.target = viewer.add_labels(labels)
    find(stack)
    shown = selection(stack).shown
    assert shown < 60
    stack.everything.accept()
    assert counts(stack).decided == shown


def test_objects_that_somebody_prompted_are_judged_by_nobody(stack):
    stack.settings.tempo = "batch"
    stack.points.add((0, 30, 30))
    stack.wait(60)
    stack.everything.make()
    stack.wait(60)
    assert selection(stack).result.features is None
    stack.everything.accept()
    stack.wait(60)
    assert counts(stack).decided == 0
