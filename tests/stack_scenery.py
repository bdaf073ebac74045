"""Stacks of discs, and an engine without a network that sees what is bright."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy import ndimage

from napari_sam.planes.source import ArrayPlanes
from napari_sam.progress import no_progress
from napari_sam.prompts import MaskPrompt, PromptSet
from napari_sam.propagation import Annotated, Ending, PropagationStep
from napari_sam.propagation.strategies.protocol import StrategyAnswer

SHAPE = (32, 40)


def disc(y: float, x: float, radius: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - y, columns - x) <= radius


def stack(*planes: list[tuple[float, float, float]] | tuple[float, float, float] | None) -> ArrayPlanes:
    """Bright discs, (y, x, radius), on black: one, several or none on each plane."""
    data = np.zeros((len(planes), *SHAPE), np.uint8)
    for plane, discs in zip(data, planes, strict=True):
        for one in [discs] if isinstance(discs, tuple) else discs or []:
            plane[disc(*one)] = 200
    return ArrayPlanes(data, 0, (0, None, None), (0.0, 255.0))


def truth(planes: ArrayPlanes, index: int) -> np.ndarray:
    return planes.data[index] > 100


def annotate(planes: ArrayPlanes, *indices: int) -> list[Annotated]:
    return [Annotated(index, truth(planes, index)) for index in indices]


def split_results(results) -> tuple[dict[int, PropagationStep], list[Ending]]:
    found = list(results)
    return (
        {one.index: one for one in found if isinstance(one, PropagationStep)},
        [one for one in found if isinstance(one, Ending)],
    )


class AsItIs:
    """A strategy that takes what the engine answers to the mask of the plane before."""

    title = "As it is"
    description = "For tests."
    needs_both_ends = False

    def answer(self, engine, task, progress):
        mask = engine.predictor.mask_prompt(task.plane, task.before[-1].mask)
        found = engine.predict(task.plane, PromptSet((mask,)), progress=progress)
        return StrategyAnswer(found.masks[0], float(found.scores[0]))


class BrightEngine:
    """Answers with the bright regions that the prompts touch.

    The score is 0.9, or what `scores` has: pairs of a plane's pixels and its score.
    """

    def __init__(self, kinds=("point", "box", "mask"), scores=()):
        self.predictor = SimpleNamespace(prompt_kinds=frozenset(kinds), mask_prompt=self._mask_prompt, weights="fake")
        self.scores = scores
        self.asked = []

    def predict(self, plane, prompts, *, multimask=None, progress=no_progress):
        progress(0.5)
        self.asked.append((plane, prompts))
        wanted = {"point": bool(prompts.points), "box": prompts.box is not None, "mask": prompts.mask is not None}
        assert {kind for kind, given in wanted.items() if given} <= self.predictor.prompt_kinds
        prompts.require_inside(plane.shape)
        regions, _ = ndimage.label(plane.rendered[..., 0] > 100, np.ones((3, 3)))
        mask = np.isin(regions, [label for label in self._touched(regions, prompts) if label])
        for point in prompts.points:
            if not point.positive:
                y, x = (round(v) for v in point.position)
                mask &= regions != (regions[y, x] or -1)
        masks = np.stack([mask] * (3 if multimask else 1))
        score = next((value for pixels, value in self.scores if np.array_equal(pixels, plane.pixels)), 0.9)
        logits = np.where(masks, 8.0, -8.0).astype(np.float32)
        return SimpleNamespace(masks=masks, scores=np.full(len(masks), score, np.float32), logits=logits)

    @staticmethod
    def _touched(regions, prompts):
        touched = set()
        for point in prompts.points:
            y, x = (round(v) for v in point.position)
            if point.positive:
                touched |= set(np.unique(regions[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]).tolist())
        if prompts.mask is not None:
            touched |= set(np.unique(regions[prompts.mask.logits > 0]).tolist())
        if prompts.box is not None and not touched - {0}:
            (y0, x0), (y1, x1) = prompts.box.start, prompts.box.stop
            rows, columns = np.ogrid[: regions.shape[0], : regions.shape[1]]
            inside = (rows >= y0) & (rows <= y1) & (columns >= x0) & (columns <= x1)
            touched |= set(np.unique(regions[inside]).tolist())
        return touched

    @staticmethod
    def _mask_prompt(plane, mask):
        assert mask.shape == plane.shape
        return MaskPrompt(np.where(mask, 8.0, -8.0))
