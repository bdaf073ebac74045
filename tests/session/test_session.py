"""How a session begins and ends, and what it needs to run."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from napari.utils.colormaps import CyclicLabelColormap
from session_scenery import DISCS, discs

from fake_engine import FakeEngine
from napari_sam.errors import InputError
from napari_sam.session import Session


def ours():
    """Threads of ours; closing waits for none, so those that are about to end may do so first."""
    threads = [t for t in threading.enumerate() if t.name.startswith("napari-sam")]
    for thread in threads:
        thread.join(60)
    return [thread for thread in threads if thread.is_alive()]


def test_a_closed_session_is_collected_and_leaves_nothing(viewer, image, factory):
    session = Session(viewer, engine_factory=factory)
    session.use_tool("box")
    session.points.add(DISCS[0])
    session.wait(60)
    session.accept()
    target = session.target
    session.close()
    assert not ours()
    gone = [weakref.ref(session), weakref.ref(session.events)]
    inside = session._components
    parts = [session._worker, session._listener, inside.active, inside.prompts, inside.preview, inside.targets]
    parts += [inside.tools, inside.live, inside.log, inside.targets.find_writer(image)]
    gone += [weakref.ref(part) for part in parts]
    del parts, inside
    del session
    gc.collect()
    assert [ref() for ref in gone if ref() is not None] == []
    assert list(viewer.layers) == [image, target]
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    image.contrast_limits = (0, 9)
    viewer.add_points(np.zeros((1, 2)))


def test_a_forgotten_session_is_collected_too(viewer, image, factory):
    session = Session(viewer, engine_factory=factory)
    session.points.add(DISCS[0])
    session.wait(60)
    session.accept()
    ref = weakref.ref(session)
    del session
    gc.collect()
    assert ref() is None


def test_closing_twice_is_fine_and_is_told_once(session):
    heard = []
    session.events.closed.connect(lambda: heard.append(1))
    session.close()
    session.close()
    assert heard == [1]


def test_closing_in_the_middle_of_work(session, engine):
    engine.gate.clear()
    session.points.add(DISCS[0])
    assert engine.started.wait(60)
    session.close()  # does not wait: the engine still answers
    engine.gate.set()
    assert not ours()


def test_a_closed_session_does_nothing(session, viewer, engine):
    points = session.points
    points.add(DISCS[0])
    session.wait(60)
    session.close()
    before = len(engine.asked), list(viewer.layers)
    points.add(DISCS[1])
    for command in ("accept", "clear", "undo", "redo", "cancel", "toggle_polarity", "new_target", "next_candidate"):
        getattr(session, command)()
    session.use_tool("box")
    session.wait(60)
    assert (len(engine.asked), list(viewer.layers)) == before
    with pytest.raises(InputError, match="closed"):
        session.points  # noqa: B018  # a property that makes a layer


def test_empty_layers_of_ours_go_and_others_stay(session, viewer, image):
    theirs = viewer.add_points(ndim=2)
    session.points  # noqa: B018  # a property that makes a layer
    shapes = session.shapes
    shapes.add_rectangles([[[2, 2], [9, 9]]])
    session.wait(60)
    session.close()
    assert list(viewer.layers) == [image, theirs, shapes]


def test_layers_of_the_viewer_are_announced(session, viewer):
    heard = []
    session.events.layers_changed.connect(lambda: heard.append(len(session.image_choices())))
    other = viewer.add_image(discs())
    assert heard[-1] == 2
    viewer.layers.remove(other)
    assert heard[-1] == 1


def test_a_state_is_told_only_when_it_is_another_one(session):
    told = []
    session.events.state_changed.connect(told.append)
    session.points.refresh()
    session.only_empty = True
    assert told == []
    session.points.add(DISCS[0])
    session.wait(60)
    assert told[-1] is session.state
    assert all(a != b for a, b in itertools.pairwise(told))


def test_nothing_is_made_before_it_is_needed(viewer, image, open_session):
    session = open_session()
    session.wait(60)
    assert list(viewer.layers) == [image]
    assert session.target is None
    assert not Path(os.environ["NAPARI_SAM_HOME"]).exists()


def test_an_image_can_be_given(viewer, image, open_session):
    viewer.add_image(discs())
    assert open_session(image=image).image is image


def test_what_is_no_image_of_the_viewer_is_refused(viewer, session):
    from napari.layers import Image

    with pytest.raises(InputError, match="Add it first"):
        session.image = Image(discs())
    with pytest.raises(InputError, match="Add it first"):
        session.image = viewer.add_labels(np.zeros((5, 5), int))


def test_shown_pixels_are_what_the_model_saw(session):
    assert session.shown_pixels() is None
    session.points.add(DISCS[0])
    session.wait(60)
    assert np.array_equal(session.shown_pixels(), np.repeat(discs()[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("backdrop", "colormap", "black"),
    [(230, "gray", True), (20, "gray", False), (230, "gray_r", False), (20, "gray_r", True), (230, "blue", False)],
)
def test_the_contour_stands_out_from_what_is_beneath(viewer, open_session, backdrop, colormap, black):
    viewer.add_image(np.full((60, 80), backdrop, np.uint8), contrast_limits=(0, 255), colormap=colormap)
    session = open_session()
    session.points.add(DISCS[0])
    session.wait(60)
    colour = session.preview.get_color(1)
    assert np.allclose(colour, [0, 0, 0, 1] if black else [1, 1, 1, 1])
    assert session.preview.contour > 0
    assert not session.preview.editable
    # napari compiles code on the GUI thread, for seconds, to draw any other kind of label colours.
    assert isinstance(session.preview.colormap, CyclicLabelColormap)


def test_the_preview_keeps_no_history(session):
    session.points.add(DISCS[0])
    session.wait(60)
    shown = session.preview.data.copy()
    session.next_candidate()
    session.next_candidate()
    session.next_candidate()
    assert np.array_equal(session.preview.data, shown)
    session.preview.undo()
    assert np.array_equal(session.preview.data, shown)


def test_a_real_engine_answers(viewer, image, open_session):
    """The session and the engine agree on what they say to each other."""
    from fakes import BrightnessModel
    from napari_sam.inference.engine import Engine
    from napari_sam.predictor import Predictor

    model = BrightnessModel()
    session = open_session(engine_factory=lambda *_: Engine(Predictor(model, "weights")))
    session.points.add(DISCS[0])
    session.wait(60)
    assert session.state.status.kind == "idle", session.state.status
    assert len(session.state.candidates) == 3
    assert session.preview.data[DISCS[0]] == 1
    session.points.add((15, 22))
    session.wait(60)
    assert session.state.status.kind == "idle", session.state.status
    assert model.decoded[-1].masks is not None
    assert model.encoded == 1


SCRIPT = """
import gc, sys, weakref
sys.path.insert(0, {here!r})
import numpy as np
from fake_engine import FakeEngine
from napari.components import ViewerModel
from napari_sam.session import Session

image = np.zeros((60, 80), np.uint8)
image[10:20, 15:25] = 200
viewer = ViewerModel()
session = Session(viewer, engine_factory=lambda model, device, progress: FakeEngine())
session.image = viewer.add_image(image)
session.points.add((15, 20))
session.wait(timeout=60)
assert session.preview.data.any()
session.accept()
assert session.target.data.any()
session.target.undo()
assert not session.target.data.any()
session.close()
gone = weakref.ref(session)
del session
gc.collect()
assert gone() is None
for name in ("torch", "qtpy", "PyQt6", "PySide6"):
    assert name not in sys.modules, name
"""


def test_neither_qt_nor_torch_is_needed(tmp_path):
    script = textwrap.dedent(SCRIPT).format(here=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_is_safe_while_the_model_loads(viewer, image, open_session):
    gate = threading.Event()

    def load(model, device, progress):
        assert gate.wait(60)
        return FakeEngine()

    session = open_session(engine_factory=load)
    assert session.state.status.kind == "working"
    assert "Loading" in session.state.status.text
    session.points.add(DISCS[0])
    for command in ("next_candidate", "undo", "redo", "toggle_polarity"):
        getattr(session, command)()
    gate.set()
    session.wait(60)
    assert session.state.candidates


def test_an_image_with_more_axes_is_chosen_while_a_mask_is_shown(session, viewer, image):
    stack = viewer.add_image(np.stack([discs()] * 3), contrast_limits=(0, 255))
    session.image = image
    session.points.add(DISCS[0])
    session.wait(60)
    assert session.state.candidates
    session.image = stack
    session.wait(60)
    assert session.state.status.kind == "idle" and not session.state.candidates
    session.points.add((viewer.dims.current_step[0], *DISCS[1]))
    session.wait(60)
    assert session.state.candidates
