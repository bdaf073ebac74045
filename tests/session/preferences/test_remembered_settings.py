"""A session with `remember` goes on with the choices of the last one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
from psygnal import SignalGroupDescriptor

from fake_engine import FakeEngine
from napari_sam.errors import DeviceError
from napari_sam.inference.shaping import USUAL, MaskShaping
from napari_sam.session.preferences.remembered import RememberedSettings, from_plain, remembered_names, to_plain
from napari_sam.session.preferences.store import PreferenceStore
from napari_sam.session.settings import KEPT_ELSEWHERE, SessionSettings


def kept() -> dict:
    return PreferenceStore().read().get("session", {})


def keep(**values) -> None:
    PreferenceStore().update({"session": values})


def test_choices_are_those_of_the_last_session(image, open_session):
    first = open_session(remember=True)
    first.region, first.device = "screen", "cpu"
    first.settings.tempo = "turbo"
    first.close()
    second = open_session(remember=True)
    assert (second.region, second.device, second.settings.tempo) == ("screen", "cpu", "turbo")


def test_a_script_begins_with_the_defaults_and_leaves_nothing(image, open_session, home):
    keep(region="screen")
    session = open_session()
    assert session.region == "object"
    session.device = "cpu"
    session.close()
    assert kept() == {"region": "screen"}


def test_what_is_given_goes_before_what_is_remembered(image, open_session, engines):
    keep(device="cuda:7", region="screen")
    session = open_session(remember=True, device="cpu", model="bundled")
    session.wait(60)
    assert (session.device, session.region) == ("cpu", "screen")
    assert engines[-1].device_text == "CPU (cpu)"
    session.close()
    assert kept()["device"] == "cuda:7"


def test_what_belongs_to_a_layer_is_not_kept(image, open_session):
    session = open_session(remember=True)
    session.only_empty = False
    session.close()
    assert "only_empty" not in kept()
    assert "only_empty" not in remembered_names(SessionSettings())
    assert {field.name for field in fields(SessionSettings)} == {*remembered_names(SessionSettings()), *KEPT_ELSEWHERE}


def test_clean_up_is_remembered_but_for_what_belongs_to_one_image(image, viewer, open_session):
    first = open_session(remember=True)
    labels = viewer.add_labels(np.ones(image.data.shape, np.uint8))
    first.shaping.exclude(labels, "1")
    first.shaping.choose(grow=2, fill_holes=True, grey_range=(3, 50))
    first.close()
    keep(shaping={**kept()["shaping"], "of_a_newer_version": 3})
    second = open_session(remember=True)
    assert second.settings.shaping == MaskShaping(grow=2, fill_holes=True, correction="branches")
    second.shaping.reset()
    second.close()
    third = open_session(remember=True)
    assert third.settings.shaping == USUAL


@pytest.mark.parametrize("wrong", [3, {"grow": "wide"}, {"correction": "maybe"}, {"exclusion": {}}])
def test_clean_up_that_cannot_be_read_is_the_default(wrong):
    keep(shaping=wrong, device="cpu")
    settings = SessionSettings()
    remembered = RememberedSettings(settings)
    assert settings.shaping == USUAL and settings.device == "cpu"
    remembered.close()


@pytest.mark.parametrize(
    "wrong", [{"region": "moon"}, {"region": 3}, {"prefetch": "yes"}, {"strategy": None}, {"tempo": ["turbo"]}]
)
def test_what_cannot_be_chosen_any_more_is_the_default(wrong):
    keep(**wrong, device="cpu")
    settings = SessionSettings()
    remembered = RememberedSettings(settings)
    assert settings == SessionSettings(device="cpu")
    remembered.close()


@pytest.mark.parametrize("model", ["vit_b", "no_such_model", "/gone/model.safetensors", 3])
def test_a_model_that_is_gone_is_told_of(image, open_session, model):
    keep(model=model)
    session = open_session(remember=True)
    assert session.model == "bundled"
    assert "that was used last is not on this machine" in session.state.status.text
    session.close()
    assert kept()["model"] == model  # it may come back


def test_a_model_in_a_file_comes_back(image, open_session, tmp_path):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"weights")
    keep(model=str(file))
    assert open_session(remember=True).model == str(file)


def test_a_device_that_is_gone_is_given_up_with_words(image, open_session, viewer):
    def load(model, device, progress):
        if device.startswith("cuda"):
            raise DeviceError(f'There is no device "{device}" here.')
        return FakeEngine(model, device)

    keep(device="cuda:7")
    session = open_session(remember=True, engine_factory=load)
    session.wait(60)
    assert session.device == "auto"
    assert session.state.status.kind != "failed"
    assert 'The device "cuda:7" that was used last is not there now.' in session.state.status.text
    session.device = "cuda:1"  # chosen now: its failure is told
    session.wait(60)
    assert session.state.status.kind == "failed"
    session.device = "auto"
    session.close()


def test_a_damaged_file_is_told_of_in_the_status(image, open_session):
    store = PreferenceStore()
    store.path.parent.mkdir(parents=True, exist_ok=True)
    store.path.write_text("{")
    session = open_session(remember=True)
    assert "were damaged" in session.state.status.text


@dataclass(frozen=True)
class CleanUp:
    smallest: int = 0
    smooth: float = 0.0
    kinds: tuple[str, ...] = ()


@dataclass
class MoreSettings(SessionSettings):
    """Settings of kinds that other settings may come to have."""

    events = SignalGroupDescriptor()
    clean_up: CleanUp = CleanUp()
    chosen: frozenset[int] = frozenset()
    folder: str | None = None


def test_settings_of_other_kinds_are_kept_too():
    settings = MoreSettings()
    remembered = RememberedSettings(settings)
    settings.clean_up = CleanUp(3, 1.5, ("hole",))
    settings.chosen, settings.folder = frozenset({3, 1}), "x"
    remembered.close()
    again = MoreSettings()
    RememberedSettings(again).close()
    assert (again.clean_up, again.chosen, again.folder) == (CleanUp(3, 1.5, ("hole",)), frozenset({1, 3}), "x")


def test_fields_that_came_later_have_their_defaults():
    assert from_plain({"smallest": 2, "gone": 1}, CleanUp()) == CleanUp(smallest=2)
    assert from_plain(1, 2.0) == 1.0
    assert to_plain(Path("a")) == "a"
    for kept_value, default in ((True, 1), (1, True), ("1", 1), (3, CleanUp())):
        with pytest.raises(TypeError):
            from_plain(kept_value, default)
