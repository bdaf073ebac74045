"""The largest id in a layer: found on the worker, in turns, and never wrong meanwhile."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from label_scenery import in_zarr
from session_scenery import DISCS, SHAPE

from napari_sam.errors import InputError
from napari_sam.inference.worker import Worker
from napari_sam.session.labels import max_label
from napari_sam.session.labels.writer import LabelWriter


def test_the_ids_of_large_labels_are_counted_on_the_worker(session, viewer, monkeypatch):
    monkeypatch.setattr(max_label, "_BLOCK", 16)
    labels = in_zarr(np.zeros(SHAPE, np.int32))
    labels[59, 79] = 41
    session.target = viewer.add_labels(labels)
    assert session.state.next_id is None
    with pytest.raises(InputError, match="still being read"):
        _ = session._components.targets.find_writer(session.image).next_label
    session.wait(60)
    assert session.state.next_id == 42


def test_ids_that_are_painted_while_they_are_counted_count(session, viewer, monkeypatch):
    session.target = viewer.add_labels(in_zarr(np.zeros(SHAPE, np.int32)))
    session.target.selected_label = 50
    session.target.paint((5, 5), 50)
    session.wait(60)
    assert session.state.next_id == 51


def test_labels_that_cannot_be_read_are_no_target(session, viewer):
    class Broken:
        shape, ndim, dtype, size = SHAPE, 2, np.dtype(np.int32), SHAPE[0] * SHAPE[1]
        works = True

        def __getitem__(self, key):
            if not self.works:
                raise OSError("the disk is gone")
            return np.zeros(SHAPE, np.int32)[key]

        def __setitem__(self, key, value):
            raise AssertionError("not to be written")

    data = Broken()
    layer = viewer.add_labels(data)
    data.works = False
    session.target = layer
    session.wait(60)
    session.points.add(DISCS[0])
    session.wait(60)
    session.accept()
    assert session.state.status.kind == "failed" and "the disk is gone" in session.state.status.text
    assert len(session.points.data) == 1


def test_counting_lets_other_work_through(viewer, monkeypatch):
    monkeypatch.setattr(max_label, "_BLOCK", 1)
    monkeypatch.setattr(max_label, "_TURN_S", 0.01)
    worker, turns, done = Worker(), [], threading.Event()

    class Slow:
        shape, ndim, dtype, size = (1, 60), 2, np.dtype(np.int32), 60

        def __getitem__(self, key):
            turns.append(done.is_set())
            time.sleep(0.002)
            return np.zeros(self.shape, np.int32)[key]

    layer = viewer.add_labels(Slow())
    turns.clear()
    writer = LabelWriter(layer, worker)
    assert writer.known_label is None
    worker.submit("prompts", lambda progress: done.set())
    assert worker.wait(60)
    assert writer.known_label == 1
    assert turns[0] is False and turns[-1] is True
    worker.close()


def test_counting_stops_when_another_target_is_chosen(session, viewer, monkeypatch):
    monkeypatch.setattr(max_label, "_TURN_S", 0.0)
    monkeypatch.setattr(max_label, "_BLOCK", 1)
    reads = []

    class Watched:
        shape, ndim, dtype, size = SHAPE, 2, np.dtype(np.int32), SHAPE[0] * SHAPE[1]

        def __getitem__(self, key):
            reads.append(key)
            return np.zeros(SHAPE, np.int32)[key]

    session.target = viewer.add_labels(Watched())
    session.target = viewer.add_labels(np.zeros(SHAPE, np.int32))
    session.wait(60)
    assert len(reads) < 100
    assert session.state.next_id == 1
