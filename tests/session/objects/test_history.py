"""The history of prompts and accepted objects: what it keeps, and how much of it."""

from __future__ import annotations

from session_scenery import DISCS, click

from napari_sam.inference.refinement import Refinement
from napari_sam.session import messages
from napari_sam.session.objects import history
from napari_sam.session.objects.history import History, HistoryStep
from napari_sam.session.prompts.drawing import PromptContents

ROOM = 1_000_000


class Sized(Refinement):
    """Answers of a known size."""

    @property
    def nbytes(self):
        return ROOM // 4


def step(of=None):
    return HistoryStep(PromptContents(), PromptContents(), refinement=Sized() if of is None else of)


def test_steps_are_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(history, "ROOM", ROOM)
    steps = History()
    made = [step() for _ in range(6)]
    for one in made:
        steps.add(one)
    assert steps.done == made[-4:] and steps.shortened
    steps.undo()
    steps.add(step())
    assert len(steps.done) == 4


def test_the_newest_step_stays_however_large_it_is(monkeypatch):
    monkeypatch.setattr(history, "ROOM", ROOM // 8)
    steps = History()
    for _ in range(3):
        steps.add(newest := step())
        assert steps.done == [newest]


def test_a_step_that_grows_pushes_older_ones_out(monkeypatch):
    monkeypatch.setattr(history, "ROOM", ROOM)
    steps = History()
    for _ in range(4):
        steps.add(step())
    steps.add(growing := step(Refinement()))
    assert len(steps.done) == 5
    grown = steps.change(growing, refinement=Sized())
    assert len(steps.done) == 4 and steps.done[-1] is grown


def test_steps_that_fit_are_all_kept_up_to_their_number():
    steps = History()
    for _ in range(history.LIMIT):
        steps.add(step(Refinement()))
    assert len(steps.done) == history.LIMIT and not steps.shortened
    steps.add(step(Refinement()))
    assert len(steps.done) == history.LIMIT and steps.shortened


def test_an_accept_knows_what_it_holds(session):
    click(session, DISCS[0])
    session.wait(60)
    session.accept()
    session.wait(60)
    newest = session._components.log.history(session.image).done[-1]
    [part] = newest.written.parts
    [record] = newest.current_after.planes.values()
    assert record.drawn is part.drawn is part.change.pixels  # one mask, counted once
    logits = sum(one.made.mask.logits.nbytes for one in newest.refinement.steps)
    drawn = newest.after.points.nbytes
    assert logits > 0
    assert newest.nbytes == part.change.nbytes + logits + drawn


def test_undo_says_that_older_steps_are_no_longer_kept(session, monkeypatch):
    monkeypatch.setattr(history, "ROOM", 0)
    click(session, DISCS[0])
    click(session, (15, 25), positive=False)
    session.wait(60)
    session.undo()
    assert len(session.points.data) == 1 and session.state.can_undo
    session.undo()
    assert session.state.status.text == messages.NO_OLDER_STEPS == "Older steps are no longer kept."
    assert len(session.points.data) == 1 and not session.state.can_undo
