"""Batches: crops of BBBC038 and of synthetic scenes, a few objects of each, and targets of the dense head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_sam.training.augment import disturb, random_crop, typical_size
from napari_sam.training.shapes import log_uniform, relative_depth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.training.bank import SceneBank

# Crop pixels of an object that is asked for. A few are too small to be seen well, so that the predicted IoU learns to
# say so: the model chooses between scales by it.
_LEAST_AREA = 12
_MOST_SHARE = 0.8  # of the crop
_SIZES = (7.0, 140.0)  # crop pixels: typical sizes that real objects are brought to


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from.

    Attributes
    ----------
    images : Tensor, shape (N, 3, S, S), uint8
    objects : Tensor, shape (B,), int64
        The image of each object.
    masks : Tensor, shape (B, 1, S, S), float32
        1 inside the object.
    dense : Tensor, shape (N, 3, S / 4, S / 4), float32
        Targets of the dense head.
    """

    images: Tensor
    objects: Tensor
    masks: Tensor
    dense: Tensor

    def to(self, device: torch.device) -> Batch:
        """Copy to a device."""
        return Batch(*(part.to(device) for part in (self.images, self.objects, self.masks, self.dense)))


class Source:
    """Draws batches from real images and synthetic scenes.

    Parameters
    ----------
    real : sequence of LabelledImage
        May be empty.
    bank : SceneBank or None
        Synthetic scenes.
    real_share : float
        Share of real images, where both are there.
    """

    def __init__(self, real: Sequence[LabelledImage], bank: SceneBank | None, real_share: float) -> None:
        if not real and bank is None:
            raise ValueError("nothing to train on: give real images, a bank of scenes, or both")
        self._real = [(item, typical_size(item.labels)) for item in real if item.labels.any()]
        self._bank = bank
        self._share = 0.0 if not real else 1.0 if bank is None else real_share
        by_kind: dict[str, list[int]] = {}
        for index, (item, _size) in enumerate(self._real):
            by_kind.setdefault(item.kind, []).append(index)
        # Rare types of image are drawn more often than their number says: by its square root.
        self._kinds = list(by_kind.values())
        weights = np.sqrt([len(kind) for kind in self._kinds])
        self._weights = weights / weights.sum() if len(weights) else weights

    def draw(self, rng: Generator, images: int, objects: int, side: int) -> Batch:
        """Draw a batch of `images` crops of `side` pixels, at most `objects` objects of each."""
        pixels: list[Tensor] = []
        dense: list[Tensor] = []
        masks: list[NDArray[np.bool_]] = []
        owners: list[int] = []
        while len(pixels) < images:
            image, labels = self._crop(rng, side)
            chosen = _choose(rng, labels, objects)
            if not chosen:
                continue
            owners += [len(pixels)] * len(chosen)
            masks += chosen
            pixels.append(torch.from_numpy(disturb(rng, image)).permute(2, 0, 1))
            dense.append(dense_targets(labels[0]))
        return Batch(
            torch.stack(pixels),
            torch.tensor(owners),
            torch.from_numpy(np.stack(masks)).float()[:, None],
            torch.stack(dense),
        )

    def _crop(self, rng: Generator, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        if self._bank is not None and rng.random() >= self._share:
            image, levels = self._bank[int(rng.integers(len(self._bank)))]
            return random_crop(rng, image, levels, side, side / image.shape[0] * log_uniform(rng, 0.9, 2.2))
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._weights))]
        item, size = self._real[kind[int(rng.integers(len(kind)))]]
        scale = float(np.clip(log_uniform(rng, *_SIZES) / size, 0.4, 6))
        return random_crop(rng, item.image, item.labels[None], side, scale)


def _choose(rng: Generator, labels: NDArray[np.int32], count: int) -> list[NDArray[np.bool_]]:
    """Masks of some objects of the levels, neither specks nor nearly everything."""
    candidates: list[tuple[int, int]] = []
    chances: list[float] = []
    for index, level in enumerate(labels):
        areas = np.bincount(level.ravel())
        fit = (areas >= _LEAST_AREA) & (areas <= _MOST_SHARE * level.size)
        fit[0] = False
        found = np.flatnonzero(fit)
        candidates += [(index, int(label)) for label in found]
        # One whole with six parts, or a body with ten organs, is asked for as often as they are together.
        chances += [1 / max(1, len(found))] * len(found)
    # The first of a random order that favours what is rare (Efraimidis and Spirakis 2006).
    order = np.argsort(rng.exponential(size=len(candidates)) / np.asarray(chances))[:count]
    return [labels[candidates[i][0]] == candidates[i][1] for i in order]


def dense_targets(level: NDArray[np.integer]) -> Tensor:
    """Targets of the dense head.

    Parameters
    ----------
    level : numpy.ndarray, shape (S, S), integer
        Objects, 0 for background.

    Returns
    -------
    Tensor, shape (3, S / 4, S / 4), float32
        Foreground (0 or 1); distance to the object's centre of mass, as a share of the farthest; nearness to the
        border, 1 at the border, 0 where the object is deepest. The last two are 1 in the background.
    """
    half = np.ascontiguousarray(level[::2, ::2])
    inside = half > 0
    y, x = np.nonzero(inside)
    ids = half[inside]
    counts = np.maximum(np.bincount(ids), 1)
    cy, cx = (np.bincount(ids, axis) / counts for axis in (y, x))
    away = np.hypot(y - cy[ids], x - cx[ids])
    farthest = np.ones(len(counts))
    np.maximum.at(farthest, ids, away)
    centre = np.ones(half.shape, np.float32)
    centre[inside] = away / farthest[ids]
    stacked = np.stack((inside.astype(np.float32), centre, 1 - relative_depth(half)))
    return F.avg_pool2d(torch.from_numpy(stacked)[None], 2)[0]
