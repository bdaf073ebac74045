"""Objects that were found are ranked by words, and their classes written."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from found_objects import proposal, these
from session_scenery import SHAPE, accept
from sized_objects import LARGE, OTHER, SMALL

from napari_sam.errors import WeightsError
from napari_sam.journal import read_journal
from napari_sam.session.everything import messages as everything_messages


@pytest.fixture
def ranked(sized, loaded):
    """A session that has found what is small."""
    sized.everything.find_words("small", negative="large")
    sized.wait(60)
    return sized


def section(session):
    return session.state.everything


def test_words_find_objects_first_and_show_those_that_fit(ranked):
    assert section(ranked).found == 3
    assert section(ranked).shown == 2
    assert section(ranked).chosen.match == 0.5
    assert section(ranked).ranked_by == "small, not large"
    assert ranked.state.status.text == "2 of 3 objects match small, not large."
    assert section(ranked).picking
    ranked.everything.accept()
    np.testing.assert_array_equal(ranked.target.data > 0, SMALL | OTHER)


def test_the_threshold_moves_without_a_model(ranked, engine, loaded):
    asked = len(engine.embedded), loaded[0].pictures
    ranked.everything.choose(replace(section(ranked).chosen, match=0.0))
    assert section(ranked).shown == 3
    ranked.everything.choose(replace(section(ranked).chosen, match=1.0))
    assert section(ranked).shown == 0
    ranked.everything.choose(section(ranked).suggested)
    assert section(ranked).shown == 2
    assert (len(engine.embedded), loaded[0].pictures) == asked


def test_other_words_need_no_picture_again(ranked, loaded):
    ranked.everything.find_words("large")
    ranked.wait(60)
    assert section(ranked).shown == 1
    assert len(loaded) == 1
    assert loaded[0].pictures == 2 * 3


def test_another_model_looks_for_itself(ranked, loaded):
    ranked.everything.find_words("large", model="another")
    ranked.wait(60)
    assert len(loaded) == 2


def test_what_was_found_before_is_not_looked_for_again(sized, loaded, engine):
    sized.everything.find()
    sized.wait(60)
    assert section(sized).ranked_by == ""
    asked = len(engine.embedded)
    sized.everything.find_words("large")
    sized.wait(60)
    assert section(sized).shown == 1
    assert len(engine.embedded) == asked


def test_hand_made_choices_stay(ranked):
    ranked.everything.toggle(1)
    ranked.everything.toggle(0)
    ranked.everything.find_words("small")
    ranked.wait(60)
    ranked.everything.accept()
    np.testing.assert_array_equal(ranked.target.data > 0, LARGE | OTHER)


def test_phrases_are_classes_in_features_and_journal(sized, loaded, home, viewer):
    labels = np.zeros(SHAPE, int)
    labels[0, 0] = 4
    sized.target = viewer.add_labels(labels)
    sized.everything.find_words(" large , small,")
    sized.wait(60)
    sized.everything.accept()
    sized.wait(60)
    table = sized.target.features
    assert dict(zip(table["index"], table["class"], strict=True)) == {5: "large", 6: "small", 7: "small"}
    path = home / "journal" / "journal.sqlite"
    found = [record["found"] for record in read_journal(path) if record["kind"] == "accepted"]
    assert [one["class"] for one in found] == ["large", "small", "small"]
    assert all(one["by"] == "large, small" and one["match"] > 0.9 for one in found)


def test_the_class_is_said_under_the_mouse(sized, loaded):
    sized.everything.find_words("large, small")
    sized.wait(60)
    sized._components.everything.chooser._shown.pointed.emit((20, 20))
    assert "match 1.00 (large)" in section(sized).text


def test_an_id_that_is_given_again_loses_its_class(ranked):
    ranked.everything.accept()
    ranked.undo()
    ranked.redo()
    assert ranked.target.features["class"].tolist() == ["small", "small"]
    ranked.undo()
    ranked.use_tool("positive")
    accept(ranked, (20, 20))
    ranked.wait(60)
    assert ranked.target.data[20, 20] == 1
    assert ranked.target.features["class"].tolist() == ["", "small"]


def test_objects_without_words_have_no_class(sized, loaded):
    sized.everything.find()
    sized.wait(60)
    sized.everything.accept()
    assert "class" not in sized.target.features


def test_nothing_fits(sized, loaded):
    sized.everything.find_words("mitosis", negative="large, small")
    sized.wait(60)
    assert section(sized).shown == 0
    assert sized.state.status.kind == "attention"
    assert "0 of 3 objects match" in sized.state.status.text
    assert "The best has 0.0" in sized.state.status.text


@pytest.mark.parametrize(("words", "why"), [(" , ", "A phrase is empty"), ("cell, cell", "asked for twice")])
def test_what_is_no_query_is_said_and_nothing_is_begun(sized, loaded, words, why):
    sized.everything.find_words(words)
    assert why in sized.state.status.text
    assert not section(sized).running


def test_a_model_that_cannot_be_had_is_said_whole(sized, loaded):
    loaded.append(WeightsError("No network. Copy the folder."))
    sized.everything.find_words("small")
    sized.wait(60)
    assert sized.state.status.text == "No network. Copy the folder."
    assert sized.state.status.kind == "failed"
    assert section(sized).shown == 3  # what was found is there
    assert section(sized).can_find


@pytest.fixture
def held(sized, monkeypatch):
    """The session while it loads a model, and a function that lets the model go on."""
    entered, go_on = threading.Event(), threading.Event()

    def load(name, device, *, progress):
        entered.set()
        assert go_on.wait(60)
        progress(0.5)

    monkeypatch.setattr("napari_sam.text.encoder.load_encoder", load)
    sized.everything.find()
    sized.wait(60)
    sized.everything.find_words("small")
    assert entered.wait(60)
    yield sized, go_on.set
    go_on.set()


def test_cancel_leaves_what_was_found(held):
    session, go_on = held
    assert session.state.status.text == everything_messages.loading_text_model("clip-datacomp")
    assert session.state.status.cancellable
    assert section(session).running
    session.everything.find()
    assert session.state.status.text == everything_messages.RUNNING
    session.cancel()
    go_on()
    session.wait(60)
    assert session.state.status.text == everything_messages.RANKING_CANCELLED
    assert section(session).shown == 3
    assert not section(session).running
    assert section(session).ranked_by == ""


def test_discard_ends_it(held):
    session, go_on = held
    session.everything.discard()
    assert not section(session).running
    go_on()
    session.wait(60)
    assert section(session).found is None
    assert session.state.status.kind == "idle"


def test_an_image_that_goes_ends_it(held, viewer, image):
    session, go_on = held
    viewer.layers.remove(image)
    assert not section(session).running
    go_on()
    session.wait(60)


def test_cancel_of_the_search_ends_the_query_too(session, found, loaded):
    entered, go_on = threading.Event(), threading.Event()

    def slow(_plane):
        entered.set()
        assert go_on.wait(60)
        return []

    found.append(slow)
    session.everything.find_words("small")
    assert entered.wait(60)
    session.cancel()
    go_on.set()
    session.wait(60)
    found[:] = [these(proposal(LARGE))]
    session.everything.find()
    session.wait(60)
    assert section(session).found == 1
    assert loaded == []
