"""A search over planes that are too large for one picture, and what is asked in which mode."""

from __future__ import annotations

import numpy as np
import pytest
from found_objects import disc
from scipy.ndimage import label

from fake_engine import FakeEngine
from napari_sam.automatic import DenseSettings, GridSettings, Proposal, grid_settings_for
from napari_sam.masks import BoxedMask
from napari_sam.planes.source import PlaneIndex, PlaneSource
from napari_sam.progress import no_progress
from napari_sam.session.everything.search import SearchRequest, part_between, search

SHAPE = (1100, 2300)


def request_of(pixels, start=(0, 0), shape=None, mode="auto", model="bundled"):
    source = PlaneSource(pixels, PlaneIndex((0, 1), (None, None), pixels.shape), (0, 255), 1.0)
    return SearchRequest(model, "cpu", source, start, shape or pixels.shape, mode)


def regions(plane):
    """Find what is bright, and connected."""
    found, count = label(plane.rendered[..., 0] > 100)
    return [Proposal(BoxedMask.of(found == i), 0.9) for i in range(1, count + 1)]


@pytest.fixture
def asked(monkeypatch):
    """Settings that objects were looked for with, and the pictures."""
    calls = []

    def find(predictor, embedding, settings, progress, *, plane):
        calls.append((settings, plane))
        return regions(plane)

    monkeypatch.setattr("napari_sam.session.everything.search.find_proposals", find)
    return calls


def test_objects_across_the_borders_of_tiles_come_once_and_whole(asked):
    pixels = np.zeros(SHAPE, np.uint8)
    for y in (40, 500, 1005, 1062):
        for x in range(60, 2250, 97):
            pixels[y - 20 : y + 21, x - 20 : x + 21][disc(20, 20, 18, (41, 41))] = 255
    engine = FakeEngine()
    steps = list(search(engine, request_of(pixels), no_progress))
    assert steps[:-1] == [None] * len(asked)  # another one is answered after each tile
    assert len(asked) > 3
    assert max(max(plane.shape) for _, plane in asked) == 1024
    table = steps[-1].table
    labels = table.selected(steps[-1].chosen)
    assert len(np.unique(labels)) - 1 == label(pixels)[1]
    np.testing.assert_array_equal(labels > 0, pixels > 0)


def test_what_a_part_looks_at_is_all_that_is_read(asked):
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[210:230, 310:330] = 255
    request = request_of(pixels, (200, 300), (100, 150))
    [_, result] = search(FakeEngine(), request, no_progress)
    assert asked[0][1].shape == (100, 150)
    [proposal] = result.table.proposals
    assert proposal.mask.origin == (10, 10)
    assert proposal.mask.plane == (100, 150)
    assert result.table.intensity.tolist() == [255]


class CountedPixels(np.ndarray):
    """Counts the pixels that are read."""

    read = 0

    def __getitem__(self, key):
        part = np.asarray(self)[key]
        CountedPixels.read += part.size
        return part


def test_a_plane_that_is_one_picture_is_read_once(asked, monkeypatch):
    monkeypatch.setattr(CountedPixels, "read", 0)
    pixels = np.zeros((300, 400), np.uint8)
    pixels[210:230, 310:330] = 255
    [_, result] = search(FakeEngine(), request_of(pixels.view(CountedPixels)), no_progress)
    assert result.table.intensity.tolist() == [255]
    assert CountedPixels.read == pixels.size


@pytest.mark.parametrize(
    ("mode", "dense_head", "kind"),
    [
        ("auto", True, DenseSettings),
        ("auto", False, GridSettings),
        ("dense", False, DenseSettings),  # the predictor refuses it with words
        ("grid", True, GridSettings),
    ],
)
def test_modes(asked, mode, dense_head, kind):
    engine = FakeEngine()
    engine.predictor.has_dense_head = dense_head
    list(search(engine, request_of(np.zeros((20, 20), np.uint8), mode=mode), no_progress))
    assert isinstance(asked[0][0], kind)


def test_grid_mode_looks_farther_than_the_sliders_begin(asked):
    request = request_of(np.zeros((20, 20), np.uint8), mode="grid", model="vit_b_lm")
    [_, result] = search(FakeEngine(), request, no_progress)
    advised = grid_settings_for("vit_b_lm")
    assert result.chosen == advised.filter
    assert asked[0][0].least_score < advised.least_score
    assert asked[0][0].least_stability < advised.least_stability


def test_progress_runs_from_start_to_end(asked):
    seen = []
    list(search(FakeEngine(), request_of(np.zeros(SHAPE, np.uint8)), seen.append))
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[-1] == 1


@pytest.mark.parametrize(
    ("low", "high", "part"),
    [
        ((2.0, 3.0), (5.0, 7.0), ((2, 3), (6, 8))),
        ((-9.0, 1.4), (3.4, 99.0), ((0, 1), (4, 30))),
        ((30.0, 0.0), (40.0, 5.0), None),
    ],
)
def test_pixels_between_corners(low, high, part):
    assert part_between(np.array(low), np.array(high), (20, 30)) == part
