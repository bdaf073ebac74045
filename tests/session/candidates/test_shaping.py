"""What becomes of a candidate: what is shown is what is accepted, and what the journal says."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from session_scenery import DISCS, click

from fake_engine import answer_number
from napari_sam.errors import InputError
from napari_sam.inference.shaping import USUAL, MaskChange, MaskShaping, shape_mask
from napari_sam.journal import read_journal
from napari_sam.masks import BoxedMask


def shape(session, **choices):
    session.settings.shaping = MaskShaping(**choices)
    session.wait(60)


def shown(session):
    return np.asarray(session.preview.data) != 0


@pytest.fixture
def asked(session):
    """A session with one click on a disc that is answered."""
    click(session, DISCS[0])
    session.wait(60)
    return session


def test_a_change_is_shown_at_once_and_taken_back(asked):
    before = shown(asked)
    shape(asked, grow=3)
    np.testing.assert_array_equal(shown(asked), shape_mask(BoxedMask.of(before), MaskShaping(grow=3)).whole())
    added = int(shown(asked).sum() - before.sum())
    assert asked.state.shaped == MaskChange(added, 0)
    assert asked.state.candidates[0].area == int(shown(asked).sum())
    shape(asked)
    np.testing.assert_array_equal(shown(asked), before)
    assert asked.state.shaped == MaskChange()


def test_all_candidates_are_shaped_and_the_chosen_one_stays(asked):
    areas = [candidate.area for candidate in asked.state.candidates]
    asked.next_candidate()
    shape(asked, grow=2)
    assert asked.state.selected == 1
    assert all(after.area > area for after, area in zip(asked.state.candidates, areas, strict=True))
    assert int(shown(asked).sum()) == asked.state.candidates[1].area


def test_earlier_answers_are_not_lost_by_it(asked, engine):
    asked.next_candidate()
    shape(asked, grow=2)
    shape(asked, grow=1)
    click(asked, (15, 24))
    asked.wait(60)
    # The same question each time, without an earlier answer; then the click with the chosen candidate of the last one.
    given = [None if prompts.mask is None else answer_number(prompts.mask) for prompts in engine.asked]
    assert given == [None, None, None, (3, 1)]
    assert len(engine.embedded) == 1


def test_what_is_shown_is_accepted_and_written_down(asked):
    shape(asked, grow=2, fill_holes=True)
    mask = shown(asked)
    asked.accept()
    np.testing.assert_array_equal(np.asarray(asked.target.data) != 0, mask)
    assert records(asked)[-1]["shaping"] == {"grow": 2, "fill_holes": True}


def test_unshaped_masks_say_nothing_of_it(asked):
    asked.accept()
    assert "shaping" not in records(asked)[-1]


def records(session):
    return [record for record in read_journal(session._components.recorder.path) if record["kind"] == "accepted"]


def test_an_accept_before_the_shaped_mask_is_there_writes_the_shaped_mask(asked, engine):
    plain = shown(asked)
    engine.gate.clear()
    asked.settings.shaping = MaskShaping(grow=3)
    asked.accept()
    engine.gate.set()
    asked.wait(60)
    wanted = shape_mask(BoxedMask.of(plain), MaskShaping(grow=3)).whole()
    np.testing.assert_array_equal(np.asarray(asked.target.data) != 0, wanted)


def test_of_many_changes_the_last_one_counts(asked, engine):
    before, count = shown(asked), len(engine.asked)
    engine.gate.clear()
    for by in range(1, 9):
        asked.settings.shaping = MaskShaping(grow=by)
    engine.gate.set()
    asked.wait(60)
    np.testing.assert_array_equal(shown(asked), shape_mask(BoxedMask.of(before), MaskShaping(grow=8)).whole())
    assert len(engine.asked) <= count + 2


def test_a_mask_that_is_cleaned_away_is_not_accepted(asked):
    shape(asked, smallest_part=10_000)
    assert not shown(asked).any()
    asked.accept()
    assert asked.target is None or not np.asarray(asked.target.data).any()
    assert asked.state.status.kind == "attention"


def test_undo_brings_back_the_prompts_and_the_same_mask(asked):
    shape(asked, grow=2)
    mask = shown(asked)
    asked.accept()
    asked.undo()
    asked.wait(60)
    np.testing.assert_array_equal(shown(asked), mask)


def test_the_threshold_draws_the_logits_again(asked, engine, monkeypatch):
    y, x = np.ogrid[:60, :80]
    drawn = []

    def masks(plane, logits, threshold):
        drawn.append((logits.shape, threshold))
        return ((y - 15) ** 2 + (x - 20) ** 2 < (8 - threshold) ** 2)[None]

    monkeypatch.setattr(engine, "masks", masks, raising=False)
    shape(asked, threshold=-2)
    assert drawn == [((1, 4, 4), -2.0)] * 3
    assert int(shown(asked).sum()) == int(((y - 15) ** 2 + (x - 20) ** 2 < 100).sum())


def test_without_prompts_nothing_is_asked(session, engine):
    shape(session, grow=2)
    assert engine.asked == []
    assert session.state.shaping == MaskShaping(grow=2)
    assert session.state.shaped is None


def test_only_a_shaping_is_taken(session):
    with pytest.raises(InputError):
        session.settings.shaping = {"grow": 2}
    assert session.settings.shaping == USUAL


def test_the_model_thread_does_it(asked, monkeypatch):
    threads = []

    def noted(*args):
        threads.append(threading.current_thread())
        return shape_mask(*args)

    monkeypatch.setattr("napari_sam.inference.shaping.candidates.shape_mask", noted)
    shape(asked, grow=2)
    assert threads
    assert threading.main_thread() not in threads
