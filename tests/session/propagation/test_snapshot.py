"""The state is asked for after every event: it reads no label pixels that it has read, and connects nothing."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import click

from fake_propagation import CENTRE, SHAPE, volume
from napari_sam.session import snapshot
from napari_sam.session.snapshot import resolve
from napari_sam.session.viewing.connections import Connections

reads = []


class CountedArray(np.ndarray):
    """Label pixels that note every read."""

    def __getitem__(self, index):
        reads.append(index)
        return np.asarray(self)[index]


@pytest.fixture
def session(viewer, open_session, carry):
    """An object that was carried through the middle of a volume, and is clicked again on a plane that a run wrote."""
    viewer.add_image(volume(), contrast_limits=(0, 255), name="cells", axis_labels=("z", "y", "x"))
    labels = viewer.add_labels(np.zeros(SHAPE, dtype=np.int32).view(CountedArray), name="cells labels")
    session = open_session()
    session.target = labels
    viewer.dims.set_current_step(0, CENTRE[0])
    click(session, CENTRE)
    session.wait(60)
    session.stack.propagate()
    session.wait(60)
    viewer.dims.set_current_step(0, CENTRE[0] + 1)
    click(session, (CENTRE[0] + 1, *CENTRE[1:]))
    session.wait(60)
    assert session.state.stack.same_object and len(session.state.stack.planes) == 9
    reads.clear()
    return session


def query(session):
    session._publisher.publish()
    return session.state.stack, session.stack.same_object, session.stack.scores


def test_a_query_reads_no_label_pixels_that_were_read(session):
    before = query(session)
    assert reads == []
    assert query(session) == before
    assert reads == []


def test_progress_reads_no_label_pixels(session, monkeypatch):
    made = []
    monkeypatch.setattr(snapshot, "resolve", lambda *parts: made.append(resolve(*parts)) or made[-1])
    for _ in range(3):
        session._components.live.changed.emit()
        session._components.propagation.changed.emit()
    assert len(made) == 6 and reads == []


def test_label_pixels_are_read_again_when_they_change(session):
    place = CENTRE[0] + 2
    session.target.data_setitem(np.nonzero(np.asarray(session.target.data) == 1), 0)
    reads.clear()
    session.target.refresh()
    assert reads
    stack, same_object, scores = query(session)
    assert place not in scores and stack.planes == () and not same_object


def test_a_query_connects_and_disconnects_nothing(session, monkeypatch):
    touched = []
    monkeypatch.setattr(Connections, "connect", lambda *args, **options: touched.append(args))
    monkeypatch.setattr(Connections, "release", lambda *args: touched.append(args))
    query(session)
    _ = session.image, session.target, session.points, session.preview, session.target_choices(), session.model
    assert touched == []
