"""Many objects at once under a clean-up: shown, followed live, written and recorded as a single object is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from found_objects import two_discs
from session_scenery import DISCS, SHAPE, click

from napari_sam.inference.shaping import MaskShaping, shape_mask
from napari_sam.journal import decode_mask, read_journal
from napari_sam.journal.database import SUFFIX
from napari_sam.masks import BoxedMask
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.prompted import messages as prompted_messages


@pytest.fixture
def batch(session):
    """A session in the tempo "batch", with a point on each disc."""
    session.tempo = "batch"
    for position in DISCS:
        click(session, position)
    return session


@pytest.fixture
def cones(engine, monkeypatch):
    """Let logits fall with the distance from the point, by one each data pixel; at 0 an object has a radius of 6."""

    def predict_many(_embedding, prompt_sets, *, multimask=False, most=None):
        sets = list(prompt_sets)
        engine.batches.append(sets)
        for prompts in sets:
            logits = cone(prompts.points[0].position)[None]
            yield SimpleNamespace(masks=logits > 0, scores=np.array([0.9], np.float32), logits=logits)

    monkeypatch.setattr(engine.predictor, "predict_many", predict_many)


def cone(at):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (6.5 - np.hypot(y - at[0], x - at[1])).astype(np.float32)


def shaped(mask, **choices):
    return shape_mask(BoxedMask.of(mask), MaskShaping(**choices)).whole()


def make(session, layer=None):
    session.everything.make(layer)
    session.wait(60)
    return session.state.everything


def choose(session, **choices):
    session.shaping.choose(**choices)
    session.wait(60)
    return session.state.everything


def shown(session):
    """The pixels of all objects that are shown."""
    return session._components.everything.chooser.selection.objects > 0


def journal(home):
    [path] = (home / "journal").glob(f"*{SUFFIX}")
    return [record for record in read_journal(path) if record["kind"] == "accepted"]


def test_what_is_shown_and_written_is_cleaned_up(batch, disc):
    batch.shaping.choose(grow=2)
    make(batch)
    expected = [shaped(mask, grow=2) for mask in disc]
    np.testing.assert_array_equal(shown(batch), expected[0] | expected[1])
    batch.accept()
    np.testing.assert_array_equal(batch.target.data, np.where(expected[0], 1, np.where(expected[1], 2, 0)))


def test_a_click_and_a_batch_give_one_mask(session, image, disc):
    session.shaping.choose(grow=3, smooth=1, grey_range=(150, 250))
    for number, tempo in enumerate(("careful", "batch")):
        session.tempo = tempo
        click(session, DISCS[number])
        session.wait(60)
        session.accept()
        session.wait(60)
        if tempo == "batch":
            session.accept()
    areas = np.bincount(session.target.data.ravel())[1:]
    assert areas[0] == areas[1] == shaped(disc[0], smooth=1, grow=3)[image.data > 150].sum()


def test_the_objects_follow_the_settings_and_the_model_is_not_asked_again(batch, engine, disc):
    make(batch)
    np.testing.assert_array_equal(shown(batch), disc[0] | disc[1])
    asked = len(engine.batches)
    choose(batch, grow=-2)
    shrunk = [shaped(mask, grow=-2) for mask in disc]
    np.testing.assert_array_equal(shown(batch), shrunk[0] | shrunk[1])
    assert batch.state.everything.largest == shrunk[0].sum()
    choose(batch, grow=0)
    np.testing.assert_array_equal(shown(batch), disc[0] | disc[1])
    assert len(engine.batches) == asked


def test_another_threshold_is_drawn_from_logits_that_are_kept(batch, engine, cones):
    make(batch)
    asked = len(engine.batches)
    for threshold in (2.0, -3.0):
        choose(batch, threshold=threshold)
        np.testing.assert_array_equal(shown(batch), (cone(DISCS[0]) > threshold) | (cone(DISCS[1]) > threshold))
    assert len(engine.batches) == asked
    batch.shaping.reset()
    batch.wait(60)
    np.testing.assert_array_equal(shown(batch), (cone(DISCS[0]) > 0) | (cone(DISCS[1]) > 0))


def test_masks_are_drawn_once_for_each_threshold(batch, engine, cones, monkeypatch):
    make(batch)
    drawn, draw = [], engine.masks
    monkeypatch.setattr(engine, "masks", lambda *asked: drawn.append(asked[2]) or draw(*asked))
    for choices in ({"threshold": 2.0}, {"grow": 1}, {"threshold": 0.0}, {"threshold": 2.0}, {"threshold": 3.0}):
        choose(batch, **choices)
        threshold = batch.shaping.chosen.threshold
        expected = [shaped(cone(at) > threshold, grow=batch.shaping.chosen.grow) for at in DISCS]
        np.testing.assert_array_equal(shown(batch), expected[0] | expected[1])
    assert drawn == [2.0, 2.0, 3.0, 3.0]


def test_the_threshold_is_there_from_the_start(batch, cones):
    batch.shaping.choose(threshold=2.0)
    make(batch)
    np.testing.assert_array_equal(shown(batch), (cone(DISCS[0]) > 2) | (cone(DISCS[1]) > 2))


def test_accept_writes_what_was_chosen_last(batch, disc):
    make(batch)
    batch.shaping.choose(grow=2)
    batch.accept()  # before the objects have followed
    batch.wait(60)
    grown = [shaped(mask, grow=2) for mask in disc]
    np.testing.assert_array_equal(batch.target.data > 0, grown[0] | grown[1])
    assert not len(batch.points.data)


def test_a_choice_while_objects_are_made_counts(batch, engine, disc):
    engine.gate.clear()
    batch.everything.make()
    assert engine.started.wait(60)
    batch.shaping.choose(grow=2)
    engine.gate.set()
    batch.wait(60)
    grown = [shaped(mask, grow=2) for mask in disc]
    np.testing.assert_array_equal(shown(batch), grown[0] | grown[1])


def test_what_becomes_empty_is_left_out_and_counted(batch, image, disc):
    image.data[disc[1]] = 120
    image.refresh()
    batch.wait(60)
    make(batch)
    assert choose(batch, grey_range=(150, 250)).shown == 1
    left_out = everything_messages.emptied(1)
    assert batch.state.status.text == f"{prompted_messages.made(2, 2)} {left_out}"
    assert left_out in batch.state.everything.text
    assert choose(batch, grey_range=None).shown == 2
    assert "left out" not in batch.state.status.text + batch.state.everything.text
    choose(batch, grey_range=(150, 250))
    batch.accept()
    np.testing.assert_array_equal(batch.target.data, np.where(disc[0], 1, 0))


def test_where_all_become_empty_the_way_back_is_open(batch, disc):
    batch.shaping.choose(smallest_part=1000)
    state = make(batch)
    assert (state.found, state.shown, state.can_accept) == (2, 0, False)
    assert everything_messages.emptied(2) in batch.state.status.text
    assert choose(batch, smallest_part=0).shown == 2


def test_excluded_labels_are_left_out(batch, viewer, disc):
    others = np.zeros(SHAPE, np.uint8)
    others[:, :20] = 3
    layer = viewer.add_labels(others, name="others")
    batch.shaping.exclude(layer)
    make(batch)
    np.testing.assert_array_equal(shown(batch), (disc[0] | disc[1]) & (others == 0))


def test_what_was_dropped_stays_dropped(batch, disc):
    make(batch)
    batch.everything.toggle(0)
    choose(batch, grow=2)
    kept = shaped(disc[1], grow=2)
    np.testing.assert_array_equal(shown(batch), kept)


def test_the_journal_tells_of_the_clean_up(batch, home, disc):
    batch.shaping.choose(grow=2, smooth=1)
    make(batch)
    batch.accept()
    batch.wait(60)
    for record, mask in zip(journal(home), disc, strict=True):
        assert record["shaping"] == {"grow": 2, "smooth": 1}
        np.testing.assert_array_equal(decode_mask(record["mask"]), shaped(mask, grow=2, smooth=1))


def test_without_a_clean_up_the_journal_tells_of_none(batch, home):
    make(batch)
    batch.accept()
    batch.wait(60)
    assert all("shaping" not in record for record in journal(home))


def test_refined_labels_are_cleaned_up_and_are_not_in_their_own_way(session, viewer, disc):
    rough = np.zeros(SHAPE, np.uint16)
    for label, (y, x) in zip((7, 9), DISCS, strict=True):
        rough[y - 3 : y + 4, x - 3 : x + 4] = label
    rough[10:21, 24:30] = 8  # beside the first disc, and over its border
    layer = viewer.add_labels(rough.copy(), name="rough")
    session.shaping.exclude(layer)
    session.shaping.choose(grow=1)
    make(session, layer)
    session.accept()
    first = shaped(disc[0] & (rough != 8), grow=1) & (rough != 8)
    np.testing.assert_array_equal(layer.data == 7, first)
    np.testing.assert_array_equal(layer.data == 9, shaped(disc[1], grow=1))


def test_objects_that_are_found_without_prompts_are_cleaned_up_but_for_the_threshold(session, found, home, disc):
    found.append(two_discs)
    session.shaping.choose(threshold=3.0)
    session.everything.find()
    session.wait(60)
    np.testing.assert_array_equal(shown(session), disc[0] | disc[1])
    choose(session, grow=2)
    grown = [shaped(mask, grow=2) for mask in disc]
    np.testing.assert_array_equal(shown(session), grown[0] | grown[1])
    session.everything.accept()
    session.wait(60)
    assert [record["shaping"] for record in journal(home)] == [{"grow": 2}, {"grow": 2}]


def test_objects_are_compared_as_they_were_found_and_stay_ranked(session, image, found, described, disc):
    image.data[disc[1]] = 120
    image.refresh()
    found.append(two_discs)
    session.shaping.choose(grey_range=(150, 250))
    session.everything.find()
    session.wait(60)
    assert session.state.everything.shown == 1
    session.everything.keep(0)
    session.everything.find_like()
    session.wait(60)
    assert described == [2]
    selection = session._components.everything.chooser.selection
    match = selection.result.table.match
    assert np.isfinite(match).all()
    choose(session, grey_range=None)
    np.testing.assert_array_equal(selection.result.table.match, match)
    assert selection.chosen.match > 0


# -- the remembered level ---------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["best", "whole", "subpart"])
def test_a_point_of_a_batch_is_of_the_level_that_a_click_would_be_of(session, level):
    session.level = level
    areas = []
    for number, tempo in enumerate(("careful", "batch")):
        session.tempo = tempo
        click(session, DISCS[number])
        session.wait(60)
        session.accept()
        session.wait(60)
        if tempo == "batch":
            session.accept()
        areas.append(int((session.target.data == number + 1).sum()))
    assert areas[0] == areas[1] == (49 if level == "subpart" else 113)


def test_the_level_stays_out_of_boxes(session):
    session.tempo, session.level = "batch", "subpart"
    session.use_tool("box")
    session.shapes.add([[8, 13], [8, 27], [22, 27], [22, 13]], shape_type="rectangle")
    make(session)
    assert shown(session).sum() == 15 * 15
