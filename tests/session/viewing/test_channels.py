"""Channels that were split into layers: the model reads one of them, and says which."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from session_scenery import DISCS, click, discs


def one_disc(which: int) -> np.ndarray:
    """One of the two discs, bright on black, in an image of its own."""
    y, x = np.ogrid[:60, :80]
    (cy, cx) = DISCS[which]
    return np.where((y - cy) ** 2 + (x - cx) ** 2 <= 36, 200, 0).astype(np.uint8)


def as_lazy_stack(pixels):
    return da.from_array(np.stack([pixels * 0, pixels, pixels * 0]), chunks=(1, 60, 80))


def as_pyramid(pixels):
    return [pixels, pixels[::2, ::2]]


@pytest.mark.parametrize("make", [lambda pixels: pixels, as_lazy_stack, as_pyramid], ids=["plain", "lazy", "pyramid"])
@pytest.mark.parametrize("options", [{}, {"scale": (0.5, 0.5), "units": ("micrometer",) * 2}], ids=["pixels", "um"])
def test_a_click_on_what_another_channel_shows_is_told(viewer, open_session, make, options):
    if make is as_lazy_stack and options:
        options = {"scale": (2, 0.5, 0.5), "units": ("micrometer",) * 3}
    limits = {"contrast_limits": (0, 255), "blending": "additive", **options}
    viewer.add_image(make(one_disc(0)), name="membrane", colormap="red", **limits)
    nuclei = viewer.add_image(make(one_disc(1)), name="nuclei", colormap="green", **limits)
    viewer.dims.set_current_step(0, 1)
    session = open_session(image=nuclei)
    session.wait(60)
    assert '"nuclei" encoded' in session.state.status.text and session.state.status.kind == "idle"
    middle = (1.0,) if make is as_lazy_stack else ()
    click(session, (*middle, *map(float, DISCS[0])))
    session.wait(60)
    assert session.state.status.kind == "attention"
    assert 'Choose "membrane"' in session.state.status.text and '"nuclei" is dark here' in session.state.status.text
    session.clear()
    click(session, (*middle, *map(float, DISCS[1])))
    session.wait(60)
    assert session.state.status.kind == "idle"


def test_the_choice_that_it_names_helps(viewer, open_session):
    other = viewer.add_image(one_disc(0), name="membrane", contrast_limits=(0, 255))
    session = open_session(image=viewer.add_image(one_disc(1), name="nuclei", contrast_limits=(0, 255)))
    click(session, DISCS[0])
    session.wait(60)
    assert session.state.status.kind == "attention"
    session.image = other
    session.wait(60)
    assert session.state.status.kind == "idle" and 'image "membrane" encoded' in session.state.status.text


def test_no_word_where_nothing_is_seen_or_the_other_image_is_hidden(viewer, open_session):
    other = viewer.add_image(one_disc(0), name="membrane", contrast_limits=(0, 255))
    session = open_session(image=viewer.add_image(one_disc(1), name="nuclei", contrast_limits=(0, 255)))
    click(session, (50, 10))  # dark in both
    session.wait(60)
    assert session.state.status.kind == "idle"
    session.clear()
    other.visible = False
    click(session, DISCS[0])
    session.wait(60)
    assert session.state.status.kind == "idle" and "nuclei" not in session.state.status.text


def test_other_images_elsewhere_or_in_colour_do_no_harm(viewer, open_session):
    viewer.add_image(np.full((9, 9, 3), 255, np.uint8), rgb=True, translate=(500, 500), name="elsewhere")
    viewer.add_image(np.dstack([discs()] * 3), rgb=True, name="photograph")
    viewer.add_image(np.zeros((2, 3, 60, 80)), name="more axes")
    session = open_session(image=viewer.add_image(one_disc(1), name="x" * 60, contrast_limits=(0, 255)))
    click(session, DISCS[0])
    session.wait(60)
    assert 'Choose "photograph"' in session.state.status.text and len(session.state.status.text) < 140


def test_nothing_is_read_for_it(viewer, open_session):
    read = []

    class Slow:
        """A stack that lies far away."""

        shape, dtype, ndim = (3, 60, 80), np.dtype(np.uint8), 3

        def __getitem__(self, key):
            read.append(key)
            return np.stack([one_disc(0)] * 3)[key]

    viewer.add_image(Slow(), name="far", contrast_limits=(0, 255), multiscale=False, rgb=False)
    near = viewer.add_image(np.stack([one_disc(1)] * 3), name="near", contrast_limits=(0, 255))
    session = open_session(image=near)
    session.wait(60)
    read.clear()
    click(session, (1.0, *map(float, DISCS[0])))
    session.wait(60)
    assert 'Choose "far"' in session.state.status.text and read == []
