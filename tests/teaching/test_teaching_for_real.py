"""From labels in a session to a report, with the real command: nothing is in its place."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from napari.components import ViewerModel

from fake_engine import FakeEngine
from napari_sam.checkpoints import weights
from napari_sam.session import Session
from napari_sam.teaching import Teaching


@pytest.mark.slow
def test_a_few_seconds_of_teaching_end_with_a_report():
    rng = np.random.default_rng(0)
    labels = np.zeros((120, 160), np.uint16)
    for index in range(12):
        y, x = (40 * at + int(rng.integers(4, 16)) for at in divmod(index, 4))
        labels[y : y + 20, x : x + 20] = index + 1
    viewer = ViewerModel()
    image = viewer.add_image(rng.normal(60 + 90 * (labels > 0), 25), name="squares", contrast_limits=(0, 255))
    target = viewer.add_labels(labels)
    session = Session(viewer, engine_factory=lambda model, device, _progress: FakeEngine(model, device), image=image)
    session.target = target
    teaching = Teaching(session)
    assert teaching.program[0] == sys.executable
    told = []
    teaching.changed.connect(lambda state: told.append(state.words))
    teaching.teach("mine", 0.05)
    teaching.wait(1800)
    state = teaching.state
    assert state.stage == "done", state.words
    assert state.report.steps > 0
    assert state.report.kept == state.kept == (state.name in [row.name for row in weights.imported()])
    assert {name for name, *_ in state.rows} >= {"1 click", "box", "sample images, 1 click"}
    assert any(words.startswith("Learning: step ") for words in told)
    if not state.kept:
        teaching.keep()
        teaching.wait(1800)
        assert teaching.state.kept, teaching.state.words
    assert teaching.pictures
    teaching.use()
    assert session.model == "mine"
    session.close()
