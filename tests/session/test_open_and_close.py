"""A session leaves nothing behind: no thread, no connection, no layer, and no object of its own."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from session_scenery import DISCS, accept

from napari_sam.session import Session

CYCLES, MANY = 25, 100


def connections(viewer):
    """How many callbacks the events of a viewer, and of all its layers, have."""
    groups = [
        viewer.events,
        viewer.layers.events,
        viewer.layers.selection.events,
        viewer.dims.events,
        viewer.cursor.events,
        *(layer.events for layer in viewer.layers),
    ]
    return sum(len(emitter.callbacks) for group in groups for emitter in group.emitters.values())


def worked_with(viewer, factory):
    """Open a session, accept an object, pick it and take all back, and close; refer to the session weakly."""
    session = Session(viewer, engine_factory=factory)
    session.prefetch = False
    accept(session, DISCS[0])
    session.objects.pick(1)
    session.wait(60)
    session.undo()
    session.undo()
    session.close()
    return weakref.ref(session)


@pytest.mark.parametrize("cycles", [CYCLES, pytest.param(MANY, marks=pytest.mark.long)])
def test_sessions_leave_nothing_behind(viewer, image, factory, cycles):
    worked_with(viewer, factory)  # the target stays, as labels of the person's
    before = connections(viewer), threading.active_count(), [layer.name for layer in viewer.layers]
    opened = [worked_with(viewer, factory) for _ in range(cycles)]
    gc.collect()
    assert [layer.name for layer in viewer.layers] == before[2]
    assert threading.active_count() <= before[1]
    assert connections(viewer) == before[0]
    assert [session for session in opened if session() is not None] == []
