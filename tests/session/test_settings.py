"""What the person chose is checked and told in one place, whoever sets it."""

from __future__ import annotations

import pytest

from napari_sam.errors import InputError
from napari_sam.session.settings import TEMPOS, SessionSettings


@pytest.fixture
def notified():
    return []


@pytest.fixture
def settings(notified):
    made = SessionSettings(model="tiny")
    made.events.connect(lambda emission: notified.append((emission.signal.name, *emission.args)))
    return made


def test_what_cannot_be_chosen_is_refused_and_changes_nothing(settings, notified):
    with pytest.raises(InputError, match='The region is "object" or "screen"'):
        settings.region = "plane"
    with pytest.raises(InputError, match="There is no strategy 'magic'"):
        settings.strategy = "magic"
    with pytest.raises(InputError, match="There is no level 'cell'"):
        settings.level = "cell"
    with pytest.raises(InputError, match="There is no tempo 'presto'"):
        settings.tempo = "presto"
    assert (settings.region, settings.strategy, notified) == ("object", SessionSettings().strategy, [])
    assert settings.tempo == "careful"
    with pytest.raises(InputError):
        SessionSettings(region="plane")


def test_changes_are_told_once_with_the_value_before(settings, notified):
    settings.model, settings.region, settings.prefetch = "other", "screen", 0
    settings.model = "other"
    assert notified == [("model", "other", "tiny"), ("region", "screen", "object"), ("prefetch", False, True)]


def test_choosing_to_fill_empty_pixels_only_is_told_even_where_it_is_so_already(settings, notified):
    settings.only_empty = True
    assert notified == [("only_empty", True, True)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "other"),
        ("device", "cpu"),
        ("region", "screen"),
        ("only_empty", False),
        ("prefetch", True),
        ("tempo", "turbo"),
        ("level", "part"),
        ("hover", True),
    ],
)
def test_the_attributes_of_a_session_are_its_settings(session, name, value):
    setattr(session, name, value)
    assert getattr(session.settings, name) == getattr(session, name) == value
    setattr(session.settings, name, getattr(SessionSettings(), name))
    assert getattr(session, name) == getattr(SessionSettings(), name)


def test_another_strategy_is_shown(session):
    session.stack.choose(strategy="previous")
    assert session.settings.strategy == session.state.stack.strategy == "previous"


def test_the_tempos_follow_each_other_and_are_shown(session):
    shown = [session.state.tempo]
    for _ in TEMPOS:
        session.actions["next_tempo"].run(session)
        shown.append(session.state.tempo)
    assert shown == [*(choice.name for choice in TEMPOS), "careful"]
