"""An earlier answer goes with further clicks on the same object, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import DISCS, click, discs

from fake_engine import FakeEngine, answer_number
from napari_sam.inference.refinement import PreviousMask, Refinement
from napari_sam.planes import whole
from napari_sam.prompts import MaskPrompt, PointPrompt, PromptSet

A, B, C = (PointPrompt((1, n)) for n in range(3))


def made(number):
    return PreviousMask(MaskPrompt(np.full((2, 2), number, np.float32)), whole((2, 2)), "digest")


def chain(*steps, context="plane"):
    refinement = Refinement()
    for prompts, given, answer in steps:
        refinement = refinement.answered(PromptSet(prompts), given, answer, context)
    return refinement


def test_the_first_prompts_get_nothing():
    assert Refinement().previous_for(PromptSet((A,)), "plane") is None


def test_added_prompts_get_the_newest_answer():
    refinement = chain(((A,), None, made(1)), ((A, B), made(1), made(2)))
    assert refinement.previous_for(PromptSet((A, B, C)), "plane") == made(2)
    assert refinement.previous_for(PromptSet((A, C)), "plane") == made(1)


def test_prompts_that_were_answered_get_what_they_got():
    refinement = chain(((A,), None, made(1)), ((A, B), made(1), made(2)), ((A, B, C), made(2), made(3)))
    assert refinement.previous_for(PromptSet((A, B)), "plane") == made(1)
    assert refinement.previous_for(PromptSet((A,)), "plane") is None


def test_prompts_that_were_moved_or_taken_back_get_nothing_of_them():
    refinement = chain(((A, B), None, made(1)))
    assert refinement.previous_for(PromptSet((B,)), "plane") is None
    assert refinement.previous_for(PromptSet((A, C)), "plane") is None


def test_another_plane_window_or_model_gets_nothing():
    refinement = chain(((A,), None, made(1)))
    assert refinement.previous_for(PromptSet((A, B)), "elsewhere") is None
    later = refinement.answered(PromptSet((C,)), None, made(5), "elsewhere")
    assert later.previous_for(PromptSet((A, B)), "plane") is None
    assert later.previous_for(PromptSet((A, B)), "elsewhere") is None


# -- in a session ---------------------------------------------------------------------------------


def ask(session, position, positive=True):
    click(session, position, positive)
    session.wait(60)


def given(engine):
    """Which answer went with each question: its number and candidate, or None."""
    return [None if p.mask is None else answer_number(p.mask) for p in engine.asked]


def test_further_clicks_get_the_chosen_candidate(session, engine):
    ask(session, DISCS[0])
    session.next_candidate()
    ask(session, (15, 24))
    ask(session, (15, 30), positive=False)
    assert given(engine) == [None, (1, 1), (2, 0)]


def test_a_box_and_then_a_click_too(session, engine):
    session.shapes.add_rectangles([[[5, 5], [25, 35]]])
    session.wait(60)
    ask(session, (15, 30), positive=False)
    assert given(engine) == [None, (1, 0)]


def drag(session):
    session.points.data = np.array([DISCS[1]], dtype=float)


@pytest.mark.parametrize(
    "leave",
    [
        lambda session: session.accept(),
        lambda session: session.clear(),
        lambda session: session.points.remove([0]),
        lambda session: setattr(session, "model", "another"),
        lambda session: setattr(session, "device", "cpu"),
        lambda session: setattr(session.image, "contrast_limits", (0, 210)),
        lambda session: setattr(session.image, "gamma", 0.9),
        lambda session: setattr(session.image, "data", np.maximum(discs(), 1)),
        lambda session: setattr(session.image, "scale", (1, 3)),
        drag,
    ],
    ids=["accept", "clear", "delete", "model", "device", "window", "gamma", "pixels", "spacing", "drag"],
)
def test_nothing_leaks_to_what_comes_next(session, engines, leave):
    ask(session, DISCS[0])
    asked = sum(len(e.asked) for e in engines)
    leave(session)
    session.points.add((15, 22))
    session.wait(60)
    after = [mask for e in engines for mask in given(e)][asked:]
    assert after[-1] is None
    assert sum(len(e.asked) for e in engines) > asked


@pytest.mark.parametrize("pixels", [discs(), np.fliplr(discs())], ids=["alike", "other"])
def test_nothing_leaks_to_another_image(session, viewer, engine, pixels):
    ask(session, DISCS[0])
    ask(session, (15, 22))
    viewer.add_image(pixels, contrast_limits=(0, 255))
    session.wait(60)
    assert given(engine) == [None, (1, 0), None]


def test_nothing_leaks_into_pixels_that_changed_in_place(session, image, engine):
    ask(session, DISCS[0])
    image.data[0, 0] = 99
    image.refresh()
    ask(session, (15, 22))
    assert given(engine) == [None, None]


def test_undo_asks_what_was_asked(session, engine):
    ask(session, DISCS[0])
    ask(session, (15, 24))
    ask(session, (15, 16))
    session.undo()
    session.wait(60)
    session.undo()
    session.wait(60)
    session.redo()
    session.wait(60)
    assert given(engine) == [None, (1, 0), (2, 0), (1, 0), None, (1, 0)]


def test_an_object_that_comes_back_has_its_answers(session, engine):
    ask(session, DISCS[0])
    ask(session, (15, 24))
    session.accept()
    session.undo()
    session.wait(60)
    assert given(engine) == [None, (1, 0), (1, 0)]
    ask(session, (15, 16))
    assert given(engine)[-1] == (3, 0)


def test_a_model_that_takes_no_masks_gets_none(viewer, image, open_session):
    engine = FakeEngine(kinds=("point", "box"))
    session = open_session(engine_factory=lambda model, device, progress: engine)
    ask(session, DISCS[0])
    ask(session, (15, 24))
    assert given(engine) == [None, None]
