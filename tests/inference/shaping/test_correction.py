"""Additive correction of a plane: further clicks go on from the mask before them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.inference.segmenter import segment_plane
from napari_sam.inference.shaping import MaskShaping
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.prompts import PointPrompt, PromptSet

SHAPE = (32, 32)
A, B, NOT = PointPrompt((8, 8)), PointPrompt((24, 24)), PointPrompt((8, 12), False)


class PixelEngine:
    """Its logits have a cell for each pixel; it shows what surrounds the newest positive point, and no more."""

    predictor = SimpleNamespace(prompt_kinds=frozenset({"point", "mask"}))

    def predict(self, plane, prompts, *, multimask=None, progress=None):
        y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
        at = [point.position for point in prompts.points if point.positive][-1]
        reach = 6 + 3 * sum(not point.positive for point in prompts.points)
        logits = (reach - np.maximum(abs(y - at[0]), abs(x - at[1]))).astype(np.float32)[None]
        return SimpleNamespace(masks=logits > 0, scores=np.array([0.9], np.float32), logits=logits)

    def masks(self, plane, logits, threshold=0.0):
        return logits > threshold


def answers(correction, *sets):
    """Ask for one set of prompts after the other; the masks on the plane."""
    source = PlaneSource.of(Plane(np.zeros(SHAPE, np.uint8), (0, 255)))
    previous, found = None, []
    for prompts in map(PromptSet, sets):
        shaping = MaskShaping(correction=correction)
        answer = segment_plane(PixelEngine(), source, prompts, previous=previous, multimask=False, shaping=shaping)
        previous = answer.previous(0, prompts)
        mask = np.zeros(SHAPE, bool)
        (top, left), cut = answer.candidates[0].origin, answer.candidates[0].mask
        mask[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        found.append(mask)
    return found


def test_a_positive_click_takes_nothing_away():
    first, second, third = answers("on", (A,), (A, B), (A, B, PointPrompt((8, 24))))
    assert (second & first).sum() == first.sum()
    assert second[24, 24]
    assert (third & second).sum() == second.sum()


def test_a_negative_click_adds_nothing():
    first, second = answers("on", (A,), (A, NOT))
    assert not (second & ~first).any()
    free = answers("off", (A,), (A, NOT))[1]
    assert (free & ~first).any()


@pytest.mark.parametrize("correction", ["off", "branches"])
def test_otherwise_and_for_bodies_the_model_answers_anew(correction):
    first, second = answers(correction, (A,), (A, B))
    assert not (first & second).any()


def test_the_next_answer_goes_on_from_what_was_shown():
    first, second, third = answers("on", (A,), (A, B), (A, B, NOT))
    np.testing.assert_array_equal(third, third & second)
    assert (third & second).any()
    assert first.any()


def test_without_the_prompts_of_the_earlier_answer_nobody_knows_what_was_added():
    source = PlaneSource.of(Plane(np.zeros(SHAPE, np.uint8), (0, 255)))
    shaping = MaskShaping(correction="on")
    first = segment_plane(PixelEngine(), source, PromptSet((A,)), multimask=False, shaping=shaping)
    second = segment_plane(
        PixelEngine(), source, PromptSet((A, B)), previous=first.previous(0), multimask=False, shaping=shaping
    )
    assert second.candidates[0].origin == (19, 19)
