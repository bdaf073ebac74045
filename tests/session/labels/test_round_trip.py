"""From a click to the pixels that are written, over all the ways in which an image can lie, be stored and be shown.

The engine of these tests knows no better than a person with a magnifying glass: the object is the connected region of
one grey value around the click. So the right answer is known for every image, to the pixel.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from scipy.ndimage import label

from napari_sam.progress import no_progress
from napari_sam.session import Session
from napari_sam.session.candidates import preview_area
from napari_sam.session.labels import storage as label_store
from napari_sam.session.labels.pixels import full_resolution

# napari slices every layer once along its first axes, before a viewer says which are on screen.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

# The same examples every time, and no shrinking: every example opens a session, so that would take many minutes.
QUIET = {
    "derandomize": True,
    "database": None,
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": list(HealthCheck),
}
GREYS = np.array([0, 60, 120, 180, 240], np.uint8)
UNITS = ("pixel", "um", "nm")


class RegionEngine:
    """Answers with the region that is clicked."""

    device_text, notice = "CPU", ""
    predictor = SimpleNamespace(prompt_kinds=frozenset({"point", "box"}))

    def __init__(self):
        self.planes = []

    def embed(self, plane, progress=no_progress):
        pass

    prepare = embed

    def predict(self, plane, prompts, *, multimask=None, progress=no_progress):
        self.planes.append(plane)
        [point] = prompts.points
        mask = region(plane.rendered[..., 0], tuple(np.rint(point.position).astype(int)))
        return SimpleNamespace(masks=mask[None], scores=np.array([0.9], np.float32), logits=np.zeros((1, 4, 4), "f4"))


def region(picture, place):
    regions, _ = label(picture == picture[place])
    return regions == regions[place]


@dataclass(frozen=True)
class Case:
    """An image, where it lies, how it is stored and shown, and the pixel that is clicked."""

    shape: tuple[int, ...]
    seed: int
    place: dict
    order: tuple[int, ...]
    spare: int  # axes that the viewer has and the image has not
    clicked: tuple[int, ...]
    storage: str
    levels: int
    target: str
    huge: bool  # whether the preview covers a part of the plane only

    @cached_property
    def pixels(self):
        """Regions of a few grey values, at random."""
        coarse = np.random.default_rng(self.seed).integers(0, len(GREYS), [-(-side // 3) for side in self.shape])
        pixels = GREYS[coarse]
        for axis, side in enumerate(self.shape):
            pixels = np.repeat(pixels, 3, axis=axis).take(range(side), axis=axis)
        return np.ascontiguousarray(pixels)

    @property
    def shown(self):
        """The data axes on screen, ascending; negative ones are not the image's."""
        return sorted(axis - self.spare for axis in self.order[-2:])

    @property
    def expected(self):
        """Pixels of the object in the whole image."""
        wanted = np.zeros(self.pixels.shape, bool)
        index = tuple(slice(None) if axis in self.shown else at for axis, at in enumerate(self.clicked))
        wanted[index] = region(self.pixels[index], tuple(self.clicked[axis] for axis in self.shown))
        return wanted


# Of planes with pixels a hundred times as high as wide, the model does not see the whole at full resolution.
numbers = st.floats(0.25, 4, allow_subnormal=False).map(lambda n: float(np.float32(n)))
signed = st.tuples(numbers, st.sampled_from([1, 1, -1])).map(lambda both: both[0] * both[1])
shifts = st.floats(-1000, 1000).map(lambda n: float(np.float32(n)))


@st.composite
def places(draw, ndim, turned):
    """Draw where a layer lies; it is turned and sheared between the axes `turned` only."""
    place = {"scale": draw(st.lists(signed, min_size=ndim, max_size=ndim))}
    place["translate"] = draw(st.lists(shifts, min_size=ndim, max_size=ndim))
    place["units"] = (draw(st.sampled_from(UNITS)),) * ndim
    if turned is not None:
        if draw(st.booleans()):
            place["rotate"] = rotation(ndim, turned, draw(st.floats(-180, 180)))
        if draw(st.booleans()):
            shear = np.eye(ndim)
            shear[turned] = draw(st.floats(-1, 1))
            place["shear"] = shear
        if draw(st.booleans()):
            affine = np.eye(ndim + 1)
            affine[:-1, :-1] = rotation(ndim, turned, draw(st.floats(-180, 180))) * draw(numbers)
            affine[:-1, -1] = draw(st.lists(shifts, min_size=ndim, max_size=ndim))
            place["affine"] = affine
    return place


def rotation(ndim, axes, degrees):
    turn, (a, b) = np.eye(ndim), axes
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = cos, -sin, sin, cos
    return turn


@st.composite
def cases(draw):
    ndim = draw(st.integers(2, 5))
    spare = draw(st.integers(0, 2)) if draw(st.booleans()) else 0
    order = tuple(draw(st.permutations(range(ndim + spare))))
    shown = sorted(axis - spare for axis in order[-2:])
    levels = draw(st.integers(1, 3))
    shape = [draw(st.integers(1, 4)) for _ in range(ndim)]
    for axis in shown:
        if axis >= 0:
            shape[axis] = draw(st.integers(4, 24))
    if levels > 1:
        shape[-2:] = [draw(st.integers(8, 24)) for _ in range(2)]
    return Case(
        tuple(shape),
        draw(st.integers(0, 2**16)),
        draw(places(ndim, tuple(shown) if shown[0] >= 0 else None)),
        order,
        spare,
        tuple(draw(st.integers(0, side - 1)) for side in shape),
        draw(st.sampled_from(["numpy", "dask", "zarr"])),
        levels,
        draw(st.sampled_from(["plain", "tiled", "pyramid"])),
        draw(st.booleans()),
    )


def stored(pixels, storage):
    if storage == "dask":
        return da.from_array(pixels, chunks=tuple(max(1, side // 2) for side in pixels.shape))
    if storage == "zarr":
        return zarr.array(pixels, store=zarr.storage.MemoryStore(), chunks=tuple(min(5, side) for side in pixels.shape))
    return pixels


@contextmanager
def opened(case):
    """Open a session on a case, with limits of size such that its tiny image counts as a large one where it should."""
    with pytest.MonkeyPatch.context() as patch:
        if case.target != "plain":
            patch.setattr(label_store, "DENSE_BYTES", 0)
        if case.target == "pyramid":
            patch.setattr(label_store, "PLANE_PIXELS", 0)
            patch.setattr(label_store, "_COARSEST", 6)
        if case.huge:
            for name, value in (("_WHOLE", 0), ("_GRID", 4), ("_MARGIN", 1)):
                patch.setattr(preview_area, name, value)
        viewer, engine = ViewerModel(), RegionEngine()
        pyramid = [case.pixels[(..., *[slice(None, None, 2**n)] * 2)] for n in range(case.levels)]
        data = [stored(level, case.storage) for level in pyramid]
        image = viewer.add_image(
            data if case.levels > 1 else data[0],
            multiscale=case.levels > 1,
            rgb=False,
            contrast_limits=(0, 255),
            **case.place,
        )
        if case.spare:
            units = (*["pixel"] * case.spare, *case.place["units"])
            viewer.add_points(np.zeros((1, image.ndim + case.spare)), units=units)
        viewer.dims.order = case.order
        world = image.data_to_world(case.clicked)
        viewer.dims.set_point(range(case.spare, viewer.dims.ndim), world)
        session = Session(viewer, image=image, engine_factory=lambda *_: engine)
        try:
            session.wait(60)
            yield session, viewer, engine
        finally:
            session.close()


def click(session, world):
    """Do what napari does with a click at a place of the world."""
    session.use_tool("positive")
    session.points.add(session.points.world_to_data(world))
    session.wait(60)


def shown_in(session):
    """The preview's mask, laid out on its plane by where its pixels are in the world."""
    preview, image, view = session.preview, session.image, session._components.active.view
    mask = np.zeros(view.shape, bool)
    marked = np.argwhere(np.asarray(preview.data))
    for pixel in marked:
        at = np.rint(image.world_to_data(preview.data_to_world(pixel))).astype(int)
        assert all(at[axis] == i for axis, i in enumerate(view.index) if i is not None)
        mask[tuple(at[list(view.axes)])] = True
    return mask, len(marked)


@settings(max_examples=60, deadline=None, **QUIET)
@given(case=cases())
def test_what_is_clicked_is_what_is_written(case):
    with opened(case) as (session, _, engine):
        if case.shown[0] < 0:
            assert "not both axes of this image" in session.state.status.text
            return
        assert session.state.status.kind == "idle", session.state.status
        click(session, session.image.data_to_world(case.clicked))
        index = tuple(slice(None) if axis in case.shown else at for axis, at in enumerate(case.clicked))
        assert np.array_equal(engine.planes[-1].pixels, case.pixels[index])
        mask, count = shown_in(session)
        assert np.array_equal(mask, case.expected[index]) and count == mask.sum()

        session.accept()
        target = session.target
        assert target.multiscale == (case.target == "pyramid" and max(case.pixels.shape[-2:]) > 6)
        assert np.array_equal(np.asarray(full_resolution(target)), case.expected.astype(int))
        assert np.allclose(target.data_to_world(case.clicked), session.image.data_to_world(case.clicked))
        assert shows_its_data(target)
        if target.multiscale:
            assert all(
                np.array_equal(level, nearest(case.expected, level.shape)) for level in map(np.asarray, target.data)
            )

        session.undo()
        session.wait(60)
        assert not np.asarray(full_resolution(target)).any() and shows_its_data(target)
        session.redo()
        assert np.array_equal(np.asarray(full_resolution(target)), case.expected.astype(int)) and shows_its_data(target)
        if not target.multiscale:
            target.undo()
            assert not np.asarray(target.data).any()


def nearest(mask, shape):
    """A mask at a lower resolution."""
    places = [((np.arange(few) + 0.5) * many / few).astype(int) for many, few in zip(mask.shape, shape, strict=True)]
    return mask[np.ix_(*places)].astype(int)


def shows_its_data(layer):
    """Whether what napari holds for drawing is what the data are now."""
    held = layer._slice.image.raw
    layer.refresh()
    return np.array_equal(held, layer._slice.image.raw)


@settings(max_examples=25, deadline=None, **QUIET)
@given(
    data=st.data(), ndim=st.integers(3, 5), degrees=st.floats(3, 87), way=st.sampled_from(["rotate", "affine", "shear"])
)
def test_an_oblique_view_is_refused_with_words(data, ndim, degrees, way):
    order = data.draw(st.permutations(range(ndim)))
    leaning = (data.draw(st.sampled_from(order[:-2])), data.draw(st.sampled_from(order[-2:])))
    if data.draw(st.booleans()):
        leaning = leaning[::-1]
    viewer = ViewerModel()
    turn = rotation(ndim, leaning, degrees)
    if way == "affine":
        turn = np.block([[turn, np.zeros((ndim, 1))], [np.zeros(ndim), 1]])
    elif way == "shear":
        turn = np.eye(ndim)
        turn[min(leaning), max(leaning)] = np.tan(np.deg2rad(degrees) / 2)
    viewer.add_image(np.zeros([6] * ndim, np.uint8), contrast_limits=(0, 255), **{way: turn})
    viewer.dims.order = order
    session = Session(viewer, engine_factory=lambda *_: RegionEngine())
    try:
        assert session.state.status.kind == "attention"
        assert "slant" in session.state.status.text
        session.points.add(np.full(ndim, 2.0))
        session.wait(60)
        assert not session.state.candidates and not session.state.can_accept
    finally:
        session.close()


@settings(max_examples=25, deadline=None, **QUIET)
@given(
    data=st.data(),
    scale=st.lists(numbers, min_size=3, max_size=3),
    share=st.floats(0.1, 5),
    mode=st.sampled_from(["mean", "max", "sum"]),
)
def test_a_thick_slab_is_refused_with_words(data, scale, share, mode):
    order = data.draw(st.permutations(range(3)))
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((9, 9, 9), np.uint8), contrast_limits=(0, 255), scale=scale)
    image.projection_mode = mode
    viewer.dims.order = order
    hidden = order[0]
    viewer.dims.set_point(hidden, 4 * scale[hidden])
    thickness = [0.0] * 3
    thickness[hidden] = share * scale[hidden]
    viewer.dims.thickness = thickness
    session = Session(viewer, engine_factory=lambda *_: RegionEngine())
    try:
        session.wait(60)
        one_plane = np.array_equal(image._slice.image.raw, np.zeros((9, 9))) and share < 1
        assert (session.state.status.kind == "attention") == (not one_plane)
        if not one_plane:
            assert "projected" in session.state.status.text
    finally:
        session.close()
