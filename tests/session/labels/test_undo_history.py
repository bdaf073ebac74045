"""napari's own history of a layer: bounded in memory, and told apart from that of an earlier session."""

from __future__ import annotations

import numpy as np
from label_scenery import layer_and_writer

from napari_sam.session.labels import undo_history
from napari_sam.session.labels.undo_history import EarlierSteps


def test_napari_without_the_compact_form_keeps_its_own(monkeypatch):
    monkeypatch.setattr(undo_history, "_PAINT_RECORD", None)
    layer, writer, view = layer_and_writer((60, 80))
    written = writer.write(view, np.ones((10, 10), bool), (0, 0), only_empty=True)
    assert undo_history.held_bytes(layer._undo_history[-1]) >= 2 * 4 * 100  # coordinates
    written.undo()
    assert not layer.data.any()
    written.redo()
    assert layer.data.sum() == 100


def noise(writer, view, seed):
    return writer.write(view, np.random.default_rng(seed).random((200, 200)) < 0.5, (0, 0), only_empty=False)


def test_the_oldest_steps_of_napari_go_when_they_take_too_much(monkeypatch):
    layer, writer, view = layer_and_writer((200, 200))
    noise(writer, view, 0)
    size = undo_history.held_bytes(layer._undo_history[-1])
    monkeypatch.setattr(undo_history, "MAX_BYTES", 10 * size)
    for seed in range(1, 15):
        noise(writer, view, seed)
        newest = layer._undo_history[-1]
    held = sum(map(undo_history.held_bytes, layer._undo_history))
    assert 1 < len(layer._undo_history) < 15 and held <= 10 * size
    monkeypatch.setattr(undo_history, "MAX_BYTES", 0)
    noise(writer, view, 8)
    assert len(layer._undo_history) == 1 and layer._undo_history[-1] is not newest  # the newest is never let go


def test_strokes_of_the_person_count(monkeypatch):
    layer, writer, view = layer_and_writer((200, 200))
    layer.data_setitem(np.nonzero(np.ones((200, 200))), 5)  # napari's own lists of coordinates
    assert undo_history.held_bytes(layer._undo_history[-1]) >= 200 * 200 * 2 * 8
    monkeypatch.setattr(undo_history, "MAX_BYTES", 100_000)
    noise(writer, view, 0)
    assert len(layer._undo_history) == 1


def test_a_step_that_fell_off_is_undone_and_nothing_else_is_redone(monkeypatch):
    layer, writer, view = layer_and_writer((60, 80))
    monkeypatch.setattr(undo_history, "MAX_BYTES", 0)
    older = writer.write(view, np.ones((10, 10), bool), (0, 0), only_empty=True)
    writer.write(view, np.ones((10, 10), bool), (20, 20), only_empty=True)
    layer.undo()  # napari's, of the newer one
    older.undo()
    assert not layer.data.any()


def test_steps_of_an_earlier_session_are_not_kept_after_napari_let_them_go(monkeypatch):
    layer, writer, view = layer_and_writer((200, 200))
    noise(writer, view, 0)
    earlier = EarlierSteps(layer)
    assert earlier.next_to_undo(layer) and len(earlier._changes) == 1
    monkeypatch.setattr(undo_history, "MAX_BYTES", 0)
    noise(writer, view, 1)
    assert not earlier.next_to_undo(layer) and not earlier._changes
