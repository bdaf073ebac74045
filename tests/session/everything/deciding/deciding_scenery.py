"""Planes with many proposals, of which a person wants those with a good score."""

from __future__ import annotations

import numpy as np
from found_objects import proposal

SIDE = 120
_STEP, _SQUARE = 12, 8
GOOD = 0.7
"""Score from which on the person accepts a proposal."""


def squares(scores):
    """Make a square proposal for each score, row by row."""
    places = [(y, x) for y in range(2, SIDE - _STEP, _STEP) for x in range(2, SIDE - _STEP, _STEP)]
    found = []
    for (y, x), score in zip(places, scores, strict=False):
        mask = np.zeros((SIDE, SIDE), bool)
        mask[y : y + _SQUARE, x : x + _SQUARE] = True
        found.append(proposal(mask, score))
    return found


def scores(seed, count=60):
    """Draw scores, half of them good, and none near the border between the two."""
    chance = np.random.default_rng(seed)
    good = chance.random(count) < 0.6
    return np.where(good, chance.uniform(0.8, 0.98, count), chance.uniform(0.56, 0.66, count)).round(3).tolist()


def find(session):
    session.everything.find()
    session.wait(60)


def selection(session):
    return session._components.everything.chooser.selection


def decide(session):
    """Drop all that is not good, and accept the rest."""
    table = selection(session).result.table
    for place in selection(session).places:
        if table.score[place] < GOOD:
            session.everything.toggle(int(place))
    session.everything.accept()
    session.wait(60)


def annotate(session, viewer, plane):
    """Find everything on a plane of the stack, and decide."""
    viewer.dims.set_current_step(0, plane)
    find(session)
    decide(session)
