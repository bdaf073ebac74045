"""A predictor whose dense maps, and whose masks, are computed from known labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_sam.geometry import Frame
from napari_sam.predictor import DenseMaps, Prediction


@dataclass(frozen=True)
class FakeEmbedding:
    shape: tuple[int, int]

    @property
    def frame(self) -> Frame:
        return Frame(self.shape, self.shape, self.shape)


def discs(shape: tuple[int, int], *circles: tuple[float, float, float]) -> np.ndarray:
    """Labels of discs (y, x, radius); a pixel that two claim goes to the nearer centre."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    away = np.stack([np.hypot(y - cy, x - cx) / radius for cy, cx, radius in circles])
    return np.where(away.min(0) <= 1, away.argmin(0) + 1, 0)


def ideal_maps(labels: np.ndarray) -> DenseMaps:
    """What a perfect dense head would say."""
    centre, border = np.ones(labels.shape, np.float32), np.ones(labels.shape, np.float32)
    for label in np.unique(labels[labels > 0]):
        inside = labels == label
        y, x = np.nonzero(inside)
        away = np.hypot(y - y.mean(), x - x.mean())
        centre[inside] = away / max(away.max(), 1)
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        border[inside] = 1 - (depth / depth.max())[inside]
    return DenseMaps((labels > 0).astype(np.float32), centre, border)


class FakePredictor:
    """Sees `labels` in its dense maps; answers a point with the object of `drawn` under it.

    The logits of the masks are 8 in and -8 out of the object. `scores` names the predicted IoU of some objects; that
    of the others is 0.9.
    """

    dense_views = 4

    def __init__(
        self, labels: np.ndarray, drawn: np.ndarray | None = None, scores: dict[int, float] | None = None
    ) -> None:
        self.maps = ideal_maps(labels)
        self.drawn = labels if drawn is None else drawn
        self.scores = scores or {}
        self.asked: list[tuple[float, float]] = []
        self.embedding = FakeEmbedding(labels.shape)

    def dense(self, embedding, views=1, progress=None) -> DenseMaps:
        return self.maps

    def compute(self, embedding, work):
        return work(None, (), embedding.frame)

    def predict_many(self, embedding, prompt_sets, *, multimask=False, most=None):
        for prompts in prompt_sets:
            [point] = prompts
            self.asked.append(point.position)
            y, x = (round(v) for v in point.position)
            label = int(self.drawn[y, x])
            mask = (self.drawn == label) & (label > 0)
            yield Prediction(
                mask[None], np.array([self.scores.get(label, 0.9)], np.float32), np.where(mask, 8.0, -8.0)[None]
            )
