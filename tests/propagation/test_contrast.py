from __future__ import annotations

import numpy as np
import pytest

from napari_sam.planes.plane import Plane
from napari_sam.propagation.contrast import Contrast, contrast, grey_values, kept
from stack_scenery import SHAPE, disc


def test_difference_of_object_and_ring():
    mask = disc(16, 20, 6)
    found = contrast(Plane(np.where(mask, 150.0, 30.0)), mask)
    assert found == Contrast(120.0, 1.0)
    assert contrast(Plane(np.where(mask, 30.0, 150.0)), mask).difference == -120


def test_what_is_lost_in_noise_counts_little():
    mask = disc(16, 20, 6)
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    faint, fair, strong = (contrast(Plane(noise + step * mask), mask).clearness for step in (1, 8, 40))
    assert faint < 0.1 < fair < 1 == strong


def test_an_object_all_over_the_plane_has_no_contrast():
    assert contrast(Plane(np.ones(SHAPE)), np.ones(SHAPE, bool)) == Contrast(0.0, 0.0)


@pytest.mark.parametrize(
    ("now", "before", "start", "left"),
    [
        (100, 100, 100, 1),
        (50, 100, 100, 0.5),
        (80, 80, 200, 0.4),
        (90, 90, 100, 0.9),
        (-20, 100, 100, 0),
        (150, 100, 100, 1),
    ],
)
def test_what_is_left(now, before, start, left):
    found = kept(Contrast(now, 1), Contrast(before, 1), Contrast(start, 1))
    assert found == pytest.approx(left)


def test_contrasts_that_were_never_clear_do_not_count():
    assert kept(Contrast(0, 0), Contrast(10, 0), Contrast(10, 0)) == 1
    assert kept(Contrast(0, 0), Contrast(10, 0.5), Contrast(10, 0)) == 0.5


def test_grey_values_of_colour_and_of_what_is_not_finite():
    assert grey_values(np.full((2, 2, 4), (10, 20, 60, 255), np.uint8)).tolist() == [[30, 30], [30, 30]]
    assert np.isfinite(grey_values(np.array([[np.nan, np.inf, -np.inf, 1e300]]))).all()
