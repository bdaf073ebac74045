"""The same clicks give the same masks, bit by bit, in the dock's session, in `Engine` and in `napari-sam segment`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from session_scenery import click
from typer.testing import CliRunner

import napari_sam.inference.segmenter as segmenter
from fakes import SmallCanvas
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.cli import app
from napari_sam.inference.engine import Engine
from napari_sam.inference.refinement import Refinement
from napari_sam.model.protocol import Decoded
from napari_sam.planes import Crop
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import ArrayPlanes, PlaneSource
from napari_sam.predictor import Predictor
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet
from napari_sam.session import Session

SIDE = 6000
FACTORS = (1, 2, 4, 8, 16, 32)
SMALL, LARGE = (2003, 2997), (4000, 2600)
SEQUENCES = {
    "one click": ((PointPrompt(SMALL),),),
    "a click in a large object": ((PointPrompt(LARGE),),),
    "a click, another, and a negative one": (
        (PointPrompt(SMALL),),
        (PointPrompt(SMALL), PointPrompt((2005, 2999))),
        (PointPrompt(SMALL), PointPrompt((2005, 2999)), PointPrompt((2300, 3300), positive=False)),
    ),
    "a box": ((BoxPrompt((1990, 2980), (2016, 3014)),),),
    "a large box": ((BoxPrompt((3300, 1900), (4700, 3300)),),),
}


class AttentiveModel(SmallCanvas):
    """Lets an earlier answer count, so that one that goes in differently gives another mask."""

    def decode(self, features, prompts, frame, *, multimask):
        decoded = super().decode(features, prompts, frame, multimask=multimask)
        if prompts.masks is None:
            return decoded
        return Decoded(decoded.logits + 0.7 * prompts.masks, decoded.scores)


@pytest.fixture(scope="module")
def pixels():
    """A plane with a body of 20 pixels and one of 1300, in stripes."""
    y, x = np.ogrid[:SIDE, :SIDE]
    plane = (y // 3 % 5 + x // 7 % 5).astype(np.uint8)
    for centre, radius, grey in ((SMALL, 10, 200), (LARGE, 650, 120)):
        plane[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2] = grey
    return plane


@pytest.fixture(scope="module")
def levels(pixels):
    """The plane in six resolutions, each averaged from the first as a crop is."""
    source = PlaneSource.of(Plane(pixels))
    crops = [Crop((0, 0), (SIDE, SIDE), (float(factor), float(factor))) for factor in FACTORS]
    return [source.read(source.pyramid.fitted(crop)).pixels for crop in crops]


@pytest.fixture
def make_engine():
    return lambda: Engine(Predictor(AttentiveModel(), "digest"), EmbeddingCache())


def in_the_dock(engine, data, prompts_of_steps, *, multiscale=False, plane=None):
    """Click as a person does, with a pause after each step; return the best candidate, (H, W)."""
    viewer = ViewerModel()
    image = viewer.add_image(data, contrast_limits=(0, 255), multiscale=multiscale)
    if plane is not None:
        viewer.dims.set_point(0, plane)
    session = Session(viewer, engine_factory=lambda *_: engine)
    session.prefetch = False
    lead = () if plane is None else (plane,)
    try:
        session.image = image
        session.wait(60)
        drawn = set()
        for prompts in prompts_of_steps:
            new = [prompt for prompt in prompts if prompt not in drawn]
            drawn.update(new)
            for box in (prompt for prompt in new if isinstance(prompt, BoxPrompt)):
                (y0, x0), (y1, x1) = box.start, box.stop
                corners = [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
                session.shapes.add_rectangles([[(*lead, *corner) for corner in corners]])
            for positive in (True, False):
                points = [(*lead, *p.position) for p in new if isinstance(p, PointPrompt) and p.positive is positive]
                if points:
                    click(session, points, positive)
            session.wait(120)
        candidate = session.state.candidates[session.state.selected]
        mask = np.zeros((SIDE, SIDE), bool)
        (top, left), (height, width) = candidate.origin, candidate.mask.shape
        mask[top : top + height, left : left + width] = candidate.mask
        return mask
    finally:
        session.close()


def in_an_engine(engine, plane, prompts_of_steps):
    """Go through the same steps by the rule of refinement; return the best mask, (H, W)."""
    refinement = Refinement()
    for prompts in map(PromptSet, prompts_of_steps):
        previous = refinement.previous_for(prompts, "plane")
        found = engine.segment(plane, prompts, previous=previous)
        refinement = refinement.answered(prompts, previous, found.previous(), "plane")
    best = found.candidates[0]
    mask = np.zeros((SIDE, SIDE), bool)
    (top, left), (height, width) = best.origin, best.mask.shape
    mask[top : top + height, left : left + width] = best.mask
    return mask


@pytest.fixture
def on_the_command_line(make_engine, pixels, tmp_path, monkeypatch):
    """Run `napari-sam segment` on the plane; return the labels as a mask."""
    image = tmp_path / "plane.tif"
    tifffile.imwrite(image, pixels)
    predictor = make_engine().predictor
    predictor.notes = ()
    monkeypatch.setattr("napari_sam.predictor.load_predictor", lambda *_, **__: predictor)

    def run(prompts):
        out = tmp_path / "labels.tif"
        options = []
        for prompt in prompts:
            if isinstance(prompt, BoxPrompt):
                options += ["--box", ",".join(map(str, (*prompt.start, *prompt.stop)))]
            else:
                options += ["--point", f"{prompt.position[0]},{prompt.position[1]},{'+' if prompt.positive else '-'}"]
        result = CliRunner().invoke(app, ["segment", str(image), "-o", str(out), "--force", *options])
        assert result.exit_code == 0, result.output
        return tifffile.imread(out) > 0

    return run


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_same_clicks_give_the_same_mask(make_engine, pixels, levels, on_the_command_line, name):
    steps = SEQUENCES[name]
    dock = in_the_dock(make_engine(), pixels, steps)
    assert dock.any()
    pyramid = in_the_dock(make_engine(), levels, steps, multiscale=True)
    stack = in_the_dock(make_engine(), np.broadcast_to(pixels, (3, SIDE, SIDE)), steps, plane=1)
    assert np.array_equal(dock, pyramid)
    assert np.array_equal(dock, stack)
    coarser = tuple(level[None] for level in levels[1:])
    row = ArrayPlanes(pixels[None], 0, (0, None, None), (0.0, 255.0), coarser=coarser)
    for plane in (Plane(pixels, (0, 255)), row.source(0)):
        assert np.array_equal(dock, in_an_engine(make_engine(), plane, steps))
    if len(steps) == 1:
        prompts = PromptSet(steps[0])
        assert np.array_equal(dock, make_engine().predict(Plane(pixels, (0, 255)), prompts).masks[0])
        assert np.array_equal(dock, make_engine().predict(row.source(0), prompts).masks[0])
        assert np.array_equal(dock, on_the_command_line(steps[0]))


def test_prompts_that_are_drawn_at_once_are_answered_alike(make_engine, pixels, on_the_command_line):
    prompts = SEQUENCES["a click, another, and a negative one"][1]
    dock = in_the_dock(make_engine(), pixels, [prompts])
    assert np.array_equal(dock, on_the_command_line(prompts))
    assert np.array_equal(dock, make_engine().predict(Plane(pixels, (0, 255)), PromptSet(prompts)).masks[0])


def test_a_fault_in_the_segmenter_is_seen_by_all(make_engine, pixels, on_the_command_line, monkeypatch):
    steps = SEQUENCES["one click"]
    prompts = PromptSet(steps[0])
    right = make_engine().predict(Plane(pixels, (0, 255)), prompts).masks[0]
    search = segmenter.search_object

    def shifted(planner, prompts, crop, answer, **options):
        def wrong(crop):
            found = answer(crop)
            return SimpleNamespace(masks=np.roll(found.masks, 1, 1), scores=found.scores, logits=found.logits)

        return search(planner, prompts, crop, wrong, **options)

    monkeypatch.setattr(segmenter, "search_object", shifted)
    wrong = np.roll(right, 1, 0)
    assert np.array_equal(in_the_dock(make_engine(), pixels, steps), wrong)
    assert np.array_equal(make_engine().predict(Plane(pixels, (0, 255)), prompts).masks[0], wrong)
    assert np.array_equal(on_the_command_line(steps[0]), wrong)


def test_the_bundled_model_answers_alike(pixels):
    engine = Engine.load("bundled", "cpu", cache=EmbeddingCache())
    steps = SEQUENCES["a click, another, and a negative one"][:2]
    dock = in_the_dock(engine, pixels, steps)
    assert dock.any()
    assert np.array_equal(dock, in_an_engine(engine, Plane(pixels, (0, 255)), steps))
