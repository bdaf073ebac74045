"""The level of candidates: which one of an ambiguous click comes first, and what makes it another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from session_scenery import DISCS, click

from napari_sam.inference.request import candidate_of
from napari_sam.inference.shaping import UNSHAPED
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet
from napari_sam.session.candidates.level import first_shown, level_of

FIRST, SECOND = DISCS
SHAPE = (40, 40)


def square(side, at=(0, 0)):
    mask = np.zeros(SHAPE, bool)
    mask[at[0] : at[0] + side, at[1] : at[1] + side] = True
    return mask


ONE_CLICK = (PointPrompt((5, 5)),)


def answer(*masks, prompts=ONE_CLICK, previous=None):
    """An answer with these masks, best first."""
    request = SimpleNamespace(
        prompts=PromptSet(prompts),
        previous=previous,
        source=SimpleNamespace(view=SimpleNamespace(shape=SHAPE)),
        shaping=UNSHAPED,
    )
    candidates = tuple(candidate_of(mask, 0.9 - 0.1 * i) for i, mask in enumerate(masks))
    return SimpleNamespace(request=request, candidates=candidates)


THREE = answer(square(10), square(20), square(5))


# -- which candidate is of which level ------------------------------------------------------------


@pytest.mark.parametrize(("level", "index"), [("best", 0), ("whole", 1), ("part", 0), ("subpart", 2)])
def test_levels_go_by_area(level, index):
    assert first_shown(THREE, level) == index


@pytest.mark.parametrize(("index", "level"), [(0, "best"), (1, "whole"), (2, "subpart"), (3, None)])
def test_a_choice_is_named_and_the_best_one_is_best(index, level):
    assert level_of(THREE, index) == level


def test_the_middle_one_is_the_part():
    found = answer(square(20), square(10), square(5))
    assert level_of(found, 1) == "part" and first_shown(found, "part") == 1


def test_of_masks_that_are_alike_the_better_counts():
    found = answer(square(20), square(5), square(20))
    assert [first_shown(found, level) for level in ("whole", "part", "subpart")] == [0, 0, 1]
    assert [level_of(found, index) for index in range(3)] == ["best", "subpart", "best"]
    # Of one size, and yet not alike.
    apart = answer(square(20), square(5), square(5, at=(30, 30)))
    assert [level_of(apart, index) for index in range(3)] == ["best", "part", "subpart"]


@pytest.mark.parametrize(
    "found",
    [
        answer(),
        answer(square(5)),
        answer(square(20), square(20), square(20)),
        answer(square(20), square(0), square(0)),
        answer(square(10), square(20), square(5), prompts=(BoxPrompt((0, 0), (9, 9)),)),
        answer(square(10), square(20), square(5), previous=object()),
    ],
)
def test_where_there_is_no_choice_of_sizes_the_best_comes_first(found):
    assert [first_shown(found, level) for level in ("whole", "part", "subpart")] == [0, 0, 0]
    assert [level_of(found, index) for index in range(3)] == [None] * 3


# -- in a session ---------------------------------------------------------------------------------


def sizes(session):
    """How many pixels each object has."""
    return np.bincount(np.asarray(session.target.data).ravel())[1:].tolist()


def prompt(session, position):
    click(session, position)
    session.wait()


def test_the_level_that_was_chosen_and_accepted_comes_first_from_then_on(session, disc):
    prompt(session, FIRST)
    session.next_candidate()
    assert session.state.level == "best"  # looked at, and not accepted
    session.accept()
    assert session.level == session.state.level == "subpart"
    prompt(session, SECOND)
    assert session.state.selected == 1
    session.accept()
    assert session.level == "subpart" and sizes(session) == [49, 49]


def test_a_card_is_a_choice_too_and_the_best_one_leads_back(session, disc):
    session.level = "subpart"
    prompt(session, FIRST)
    session.select_candidate(0)
    session.accept()
    assert session.level == "best"
    prompt(session, SECOND)
    assert session.state.selected == 0


def test_what_comes_first_and_is_accepted_changes_nothing(session):
    session.level = "whole"  # the best one, here
    prompt(session, FIRST)
    assert session.state.selected == 0
    session.accept()
    assert session.level == "whole"


def test_the_next_key_goes_on_from_the_one_that_is_shown(session):
    session.level = "subpart"
    click(session, FIRST)
    session.next_candidate()  # before the answer
    session.wait()
    assert session.state.selected == 2
    session.next_candidate()
    assert session.state.selected == 0


def test_a_level_that_is_chosen_by_name_is_shown_at_once(session):
    prompt(session, FIRST)
    session.level = "subpart"
    assert session.state.selected == 1
    session.level = "best"
    assert session.state.selected == 0


def test_more_prompts_leave_no_choice(session):
    session.level = "subpart"
    session.points.add([FIRST, (15, 22)])
    session.wait()
    assert session.state.selected == 0


def test_an_accept_ahead_of_the_answer_takes_the_level(session):
    session.level = "subpart"
    click(session, FIRST)
    session.accept()
    session.wait()
    assert sizes(session) == [49] and session.level == "subpart"


def test_a_choice_ahead_of_the_answer_is_learnt_when_that_is_there(session):
    click(session, FIRST)
    session.next_candidate()
    session.accept()
    assert session.level == "best"
    session.wait()
    assert session.level == "subpart"


def test_learning_late_does_not_change_what_is_looked_at(session, engine):
    engine.gate.clear()
    click(session, FIRST)
    session.next_candidate()
    session.accept()
    click(session, SECOND)
    engine.gate.set()
    session.wait()
    assert session.level == "subpart" and session.state.candidates
    # It was shown before or after the first object was written; never is it changed under the person's eyes.
    assert session.state.selected in (0, 1)


def test_in_turbo_the_click_writes_the_level(session):
    session.tempo, session.level = "turbo", "subpart"
    click(session, FIRST)
    click(session, SECOND)
    session.wait()
    assert sizes(session) == [49, 49]
