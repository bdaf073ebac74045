"""Images that are larger than what the model sees: crops, pyramids, and lazy data of which only a part is read."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from known_answers import FloodEngine
from session_scenery import click

from fake_engine import mask_prompt
from napari_sam.errors import InputError
from napari_sam.inference.logits import NOWHERE
from napari_sam.planes import Crop
from napari_sam.session import Session
from napari_sam.session.viewing.plane_on_screen import find_view, plane_source, visible_box

SHAPE = (4000, 5000)
SMALL, LARGE = (700, 900), (2300, 3200)


def bodies(shape=SHAPE):
    """A body of 16 pixels, and one of 1800."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    pixels = np.zeros(shape, np.uint8)
    for centre, radius, grey in ((SMALL, 8, 200), (LARGE, 900, 120)):
        pixels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2] = grey
    return pixels


@pytest.fixture(scope="module")
def pixels():
    return bodies()


@pytest.fixture
def engine():
    return FloodEngine()


@pytest.fixture
def open_big(viewer, open_session, engine):
    """Open a session on an image with that engine."""

    def open_it(data, **options):
        image = viewer.add_image(data, contrast_limits=(0, 255), **options)
        session = open_session(image=image, engine_factory=lambda *_: engine)
        session.wait(60)
        return session

    return open_it


def look_at(viewer, centre, zoom):
    """Do what panning and zooming does."""
    camera = getattr(viewer, "scene", viewer).camera
    camera.center, camera.zoom = centre, zoom


def shown(session, shape=SHAPE):
    """The candidate, on the plane."""
    mask = np.zeros(shape, bool)
    candidate = session.state.candidates[session.state.selected]
    (top, left), (height, width) = candidate.origin, candidate.mask.shape
    mask[top : top + height, left : left + width] = candidate.mask
    return mask


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def levels_of(pixels, factors=(1, 2, 4, 8)):
    return [pixels[: SHAPE[0] // f * f : f, : SHAPE[1] // f * f : f] for f in factors]


@pytest.mark.parametrize("kind", ["numpy", "pyramid", "dask"])
def test_small_and_large_objects_are_found_in_a_big_image(open_big, engine, pixels, kind):
    data = {"numpy": pixels, "pyramid": levels_of(pixels), "dask": da.from_array(pixels, chunks=512)}[kind]
    session = open_big(data, multiscale=kind == "pyramid")
    click(session, SMALL)
    session.wait(60)
    assert np.array_equal(shown(session), pixels == 200)
    assert all(max(plane.shape) <= 512 for plane in engine.planes)
    session.clear()
    click(session, LARGE)
    session.wait(60)
    assert iou(shown(session), pixels == 120) > 0.99
    assert all(max(plane.shape) <= 640 for plane in engine.planes)


def counted(pixels, read):
    """The same as dask, which notes the size of every chunk that is read."""

    def chunk(block_info=None):
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        read.append((y1 - y0) * (x1 - x0))
        return pixels[y0:y1, x0:x1]

    chunks = da.core.normalize_chunks(250, pixels.shape)
    return da.map_blocks(chunk, chunks=chunks, dtype=np.uint8, meta=np.zeros((0, 0), np.uint8))


def test_a_click_reads_its_crop_and_not_the_plane(open_big, pixels):
    read = []
    session = open_big(counted(pixels, read))
    read.clear()
    click(session, SMALL)
    session.wait(60)
    assert np.array_equal(shown(session), pixels == 200)
    assert len(read) <= 9  # a crop of 512 pixels touches nine chunks of 250 at most
    read.clear()
    click(session, (SMALL[0] + 3, SMALL[1]))
    session.wait(60)
    assert read == []


def test_coarse_crops_of_a_pyramid_are_read_from_coarse_levels(open_big, pixels):
    read = []
    session = open_big([counted(level, read) for level in levels_of(pixels)], multiscale=True)
    read.clear()
    click(session, LARGE)
    session.wait(60)
    assert iou(shown(session), pixels == 120) > 0.99
    # A crop at full detail, then larger ones at coarser levels; never the plane.
    assert sum(read) < 4 * 1000**2 < pixels.size / 4


def test_nothing_is_encoded_before_a_click_while_all_of_a_big_image_is_on_screen(open_big, engine, pixels):
    session = open_big(pixels)
    assert engine.embedded == []
    assert session.state.status.kind == "idle"
    assert session.state.status.text == "Ready: image."


def test_what_is_on_screen_is_encoded_before_a_click_when_it_is_near(viewer, open_session, engine, pixels):
    image = viewer.add_image(pixels, contrast_limits=(0, 255))
    look_at(viewer, SMALL, 2)
    session = open_session(image=image, engine_factory=lambda *_: engine)
    session.wait(60)
    assert len(engine.embedded) == 1
    assert "encoded" in session.state.status.text
    click(session, SMALL)
    session.wait(60)
    assert len(engine.embedded) == 1


def test_further_clicks_go_on_in_the_crop_of_the_answer(open_big, engine):
    session = open_big(bodies())
    click(session, LARGE)
    session.wait(60)
    count = len(engine.planes)
    click(session, (LARGE[0] + 40, LARGE[1]))
    session.wait(60)
    assert len(engine.planes) == count + 1
    assert engine.planes[-1] is engine.planes[-2]
    assert engine.asked[-1].mask.logits[0, 0] == count


def test_an_answer_of_one_crop_is_carried_into_another(open_big, engine):
    session = open_big(bodies())
    click(session, SMALL)
    session.wait(60)
    count = len(engine.planes)
    assert engine.asked[-1].mask is None
    click(session, (SMALL[0] + 1500, SMALL[1]))
    session.wait(60)
    assert engine.planes[count] is not engine.planes[count - 1]
    carried = engine.asked[count].mask.logits
    # The first crop is a part of the second: the fake's constant logits there, and certainly nothing around.
    assert carried.max() == count and carried.min() == NOWHERE


def test_an_answer_from_pixels_that_changed_is_not_carried_into_another_crop(open_big, engine):
    session = open_big(bodies())
    click(session, SMALL)
    session.wait(60)
    count = len(engine.planes)
    session.image.data[SMALL] = 99
    session.image.refresh()
    click(session, (SMALL[0] + 1500, SMALL[1]))
    session.wait(60)
    assert engine.planes[count:] and all(prompts.mask is None for prompts in engine.asked[count:])


def test_undo_asks_what_was_asked_in_the_same_crop(open_big, engine):
    session = open_big(bodies())
    click(session, SMALL)
    session.wait(60)
    click(session, (SMALL[0] + 2, SMALL[1]))
    session.wait(60)
    asked, planes = list(engine.asked), list(engine.planes)
    session.undo()
    session.wait(60)
    assert engine.asked[-1] == asked[0] and engine.planes[-1] is planes[0]


def test_accept_writes_it_where_it_is(open_big, pixels):
    session = open_big(pixels)
    click(session, SMALL)
    session.wait(60)
    session.new_target()
    session.wait(60)
    session.accept()
    session.wait(60)
    assert np.array_equal(np.asarray(session.target.data) == 1, pixels == 200)


def test_a_crop_that_is_not_read_ends_the_growth_and_the_status_says_so(open_big, monkeypatch):
    monkeypatch.setattr("napari_sam.inference.search.MOST_PIXELS", 1000 * 1000)
    session = open_big(bodies())
    click(session, LARGE)
    session.wait(60)
    assert session.state.status.kind == "attention"
    assert "goes on" in session.state.status.text
    assert session.state.can_accept


def test_thumbnails_show_what_the_model_saw(open_big, pixels):
    session = open_big(pixels)
    assert session.shown_candidate(0) is None
    click(session, SMALL)
    session.wait(60)
    saw, candidate = session.shown_candidate(0)
    assert saw.shape == (512, 512, 3)
    (top, left), (height, width) = candidate.origin, candidate.mask.shape
    assert (saw[top : top + height, left : left + width, 0][candidate.mask] == 200).all()
    assert session.shown_candidate(1) is None


# -- what is on the screen ------------------------------------------------------------------------


def test_the_screen_is_the_crop_when_the_person_says_so(viewer, open_big, engine, pixels):
    session = open_big(pixels)
    look_at(viewer, LARGE, 0.3)
    session.region = "screen"
    session.wait(60)
    seen = engine.embedded[-1]
    click(session, LARGE)
    session.wait(60)
    assert engine.planes[-1] is seen
    low, high = (np.array(corner) for corner in visible_box(viewer, session.image, find_view(viewer, session.image)))
    crop = session._components.live.answer.pictures[0].crop
    assert crop.holds(low, high, SHAPE)
    assert np.prod(crop.shape) < 1.6 * np.prod(high - low)
    assert iou(shown(session), pixels == 120) > 0.99


def test_a_zoomed_view_of_a_small_image_is_enlarged(viewer, open_big, engine):
    session = open_big(bodies((500, 600)))
    assert engine.embedded[-1].shape == (500, 600)
    look_at(viewer, (300, 300), 8)
    session.region = "screen"
    click(session, (300, 300))
    session.wait(60)
    assert max(engine.planes[-1].shape) < 200
    session.region = "object"
    session.wait(60)
    assert engine.planes[-1].shape == (500, 600)


def test_prompts_beside_the_screen_are_looked_for_where_they_are(viewer, open_big, pixels):
    session = open_big(pixels)
    look_at(viewer, LARGE, 2)
    session.region = "screen"
    session.points.add(SMALL)
    session.wait(60)
    assert np.array_equal(shown(session), pixels == 200)


def test_another_region_is_refused(open_big, pixels):
    session = open_big(pixels)
    with pytest.raises(InputError, match="object"):
        session.region = "window"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_the_visible_part_is_known_in_any_orientation(viewer, order):
    image = viewer.add_image(np.zeros((60, 80, 100), np.uint8), scale=(3, 2, 1), translate=(5, 6, 7))
    viewer.dims.order = order
    centre = np.array([30, 40, 50])
    viewer.dims.point = image.data_to_world(centre)
    world = np.array(image.data_to_world(centre))
    look_at(viewer, tuple(world[list(order[1:])]), 20)
    view = find_view(viewer, image)
    low, high = visible_box(viewer, image, view)
    axes = sorted(order[1:])
    scale = np.array([3, 2, 1])[axes]
    extent = np.array(viewer.canvas.size, float)
    if order[1] > order[2]:
        extent = extent[::-1]
    np.testing.assert_allclose((low + high) / 2, centre[axes], atol=0.01)
    np.testing.assert_allclose(high - low, extent / 20 / scale, rtol=0.01)


def test_nothing_is_visible_of_a_plane_beside_the_screen(viewer):
    image = viewer.add_image(np.zeros((60, 80), np.uint8))
    look_at(viewer, (5000, 5000), 20)
    assert visible_box(viewer, image, find_view(viewer, image)) is None


# -- reading --------------------------------------------------------------------------------------


def test_a_plane_of_a_volume_in_several_resolutions_is_the_same_plane(viewer):
    volume = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 64, 64), np.uint8)
    image = viewer.add_image([volume, volume[::2, ::2, ::2]], multiscale=True, contrast_limits=(0, 255))
    viewer.dims.set_point(0, 21)
    view = find_view(viewer, image)
    source = plane_source(image, view)
    assert (source.read().pixels == 21).all()
    coarse = source.read(source.pyramid.fitted(Crop((0, 0), (64, 64), (2, 2))))
    assert coarse.shape == (32, 32) and (coarse.pixels == 20).all()


def test_colour_pyramids_are_read(viewer):
    colour = np.zeros((64, 96, 3), np.uint8)
    colour[..., 1] = 200
    image = viewer.add_image([colour, colour[::2, ::2]], multiscale=True, rgb=True)
    source = plane_source(image, find_view(viewer, image))
    assert source.read().shape == (64, 96)
    assert source.read(Crop((0, 0), (64, 96), (2, 2))).pixels.shape == (32, 48, 3)


HUGE = """
import resource, sys
sys.path.insert(0, {here!r})
import dask.array as da
import numpy as np
from napari.components import ViewerModel
from napari_sam.session import Session
from known_answers import FloodEngine

def grown():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def block(block_info=None):
    place = block_info[None]["array-location"]
    y, x = (np.arange(*at) for at in place[-2:])
    inside = (y[:, None] % 1000 - 500) ** 2 + (x % 1000 - 500) ** 2 <= 30**2
    return np.broadcast_to(np.where(inside, 200, 10).astype(np.uint8), [b - a for a, b in place])

def lazy(shape, chunks):
    return da.map_blocks(block, chunks=da.core.normalize_chunks(chunks, shape), dtype=np.uint8)

before = grown()
viewer = ViewerModel()
data = {data}
image = viewer.add_image(data, contrast_limits=(0, 255), multiscale=isinstance(data, list), cache=False)
session = Session(viewer, engine_factory=lambda *_: FloodEngine())
session.wait(60)
at = [0] * (image.ndim - 2) + [50_500, 50_500] if image.ndim == 2 else [int(viewer.dims.point[0]), 500, 500]
session.points.add(at)
session.wait(60)
area = session.state.candidates[0].area
assert 2700 < area < 2900, (area, session.state.status)
print(grown() - before)
session.close()
"""


@pytest.mark.parametrize(
    "data",
    [
        "lazy((20000, 1000, 1000), (1, 1000, 1000))",
        "[lazy((140000 // f, 140000 // f), (1024, 1024)) for f in (1, 16, 256)]",
    ],
    ids=["volume", "plane"],
)
def test_a_click_in_20_gb_takes_little_memory(tmp_path, data):
    script = textwrap.dedent(HUGE).format(here=str(Path(__file__).parents[1]), data=data)
    environment = {**os.environ, "NAPARI_SAM_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1000  # MB


def test_a_session_needs_no_canvas(viewer, engine, pixels):
    session = Session(viewer, engine_factory=lambda *_: engine)
    viewer.add_image(pixels[:700, :700], contrast_limits=(0, 255))
    session.wait(60)
    assert engine.embedded
    session.close()


def test_strokes_outside_what_the_preview_covers_enlarge_it(open_big, viewer, pixels):
    session = open_big(pixels)
    look_at(viewer, SMALL, 1)
    click(session, SMALL)
    session.wait(60)
    small = session.preview.data.shape
    session.use_tool("brush")
    layer, far = session.preview, (SMALL[0] + 150, SMALL[1] + 200)
    assert layer.data.size > np.prod(small)
    layer.brush_size = 9
    layer.paint(layer.world_to_data(session.image.data_to_world(far)), 1)
    session.wait(60)
    candidate = session.state.candidates[session.state.selected]
    y, x = (at - first for at, first in zip(far, candidate.origin, strict=True))
    assert candidate.mask[y, x] and candidate.mask[y - 4 : y + 5, x - 4 : x + 5].sum() > 50
    session.accept()
    target = np.asarray(session.target.data)
    assert target[far] == 1 == target[SMALL] and target.sum() == candidate.area


def test_a_brush_on_a_coarse_preview_paints_blocks_that_lie_where_they_are_seen(open_big, viewer, engine):
    engine.predictor.mask_prompt = mask_prompt
    session = open_big(np.zeros((9000, 9000), np.uint8))
    look_at(viewer, (4500, 4500), 0.05)
    session.use_tool("brush")
    layer = session.preview
    step = round(float(layer.scale[-1]))
    assert step > 1
    layer.brush_size = 9
    layer.paint(layer.world_to_data((6000, 3000)), 1)
    session.wait(60)
    [candidate] = session.state.candidates
    middle = np.add(candidate.origin, np.array(candidate.mask.shape) / 2 - 0.5)
    assert np.abs(middle - (6000, 3000)).max() <= step / 2 + 0.5
    assert candidate.mask.shape == (9 * step, 9 * step)
