"""Correcting, deleting, merging, dividing in any order: no pixel is lost, and none changes outside of what is meant."""

from __future__ import annotations

import os
import random

import pytest
from editing_person import WEIGHTS, EditingPerson

# With 24 and 29, a change that was made before the dock was reopened is undone.
SEEDS, MORE_SEEDS, ACTIONS = (9, 24), (1, 5, 6, 10, 11, 29), 900


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _file: None)


def play(seed, count):
    """Do what a seed says; return how many objects were written, or fail with the actions that led there."""
    chance, person, done = random.Random(seed), EditingPerson(seed), []
    names = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    try:
        for name in names:
            done.append((name, chance.randrange(2**16)))
            try:
                person.act(*done[-1])
            except Exception as error:
                raise AssertionError(f"seed {seed}, action {len(done)}, after {done[-6:]}: {error!r}") from error
    finally:
        person.close()
    return person.written


def test_a_person_who_corrects_anything():
    assert play(0, 150) > 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.long) for seed in MORE_SEEDS)])
def test_a_person_who_corrects_anything_for_long(seed):
    assert play(seed, ACTIONS) > 50
