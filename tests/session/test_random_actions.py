"""Anything, in any order: what a person does at random, and a model that tells what the labels must hold then.

The model works out from what was on the screen at each accept what must be written, and never looks at how the session
does it; see `label_model`. After every action `bench` compares: labels pixel for pixel, candidates and preview with the
right answer to the prompts as they are, the journal with what was accepted. Answers come when the person's next action
is to let them come, so the same actions do the same every time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from known_answers import PureEngine, RecordedEngine
from person import WEIGHTS, Person
from random_actions import at_random, failure, report

from napari_sam.inference.engine import Engine
from napari_sam.progress import no_progress

# napari slices all layers once before a viewer says which axes are on screen, and warns of contours in 3D.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing", "ignore:Contours are not displayed")

SEEDS, MORE_SEEDS, ACTIONS = range(4), range(4, 8), 2500


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _file: None)


def pytest_generate_tests(metafunc):
    if "long_seed" in metafunc.fixturenames:
        first, last = map(int, metafunc.config.getoption("--seeds").split(":"))
        metafunc.parametrize("long_seed", range(first, last))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.long) for seed in MORE_SEEDS)])
def test_a_person_who_does_anything(seed):
    assert report(seed, ACTIONS) == ""


@pytest.mark.long
def test_a_person_who_does_anything_for_long(long_seed):
    assert report(long_seed, ACTIONS) == ""


def small_engine():
    return RecordedEngine(Engine.load("bundled", "cpu", no_progress))


def test_a_person_who_does_anything_with_the_bundled_model():
    assert failure(at_random(0, 150), 0, small_engine) is None


class Machine(RuleBasedStateMachine):
    """The same actions in the hands of hypothesis, which finds a short list that fails by itself."""

    def __init__(self):
        super().__init__()
        self.person = Person(PureEngine())

    def teardown(self):
        self.person.close()


def _rule(name):
    @rule(number=st.integers(0, 2**12))
    def act(self, number):
        self.person.act(name, number)

    return act


for _name in WEIGHTS:
    setattr(Machine, _name, _rule(_name))


def test_rules():
    quiet = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=quiet)
