"""Batches: crops, a few objects of each, and targets of the dense head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from napari_sam.training.data.augment import disturb
from napari_sam.training.synthetic.shapes import relative_depth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.model.protocol import Features
    from napari_sam.training.data.object_texts import ObjectTexts
    from napari_sam.training.data.pools import Pool

# Crop pixels of an object that is asked for. A few are too small to be seen well, so that the predicted IoU learns to
# say so: the model chooses between scales by it.
_LEAST_AREA = 12
_MOST_SHARE = 0.8  # of the crop


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from.

    Attributes
    ----------
    images : Tensor, shape (N, 3, S, S), uint8
        Of no pixels, (N, 3, 0, 0), where `encoded` is given.
    objects : Tensor, shape (B,), int64
        The image of each object.
    masks : Tensor, shape (B, 1, S, S), float32
        1 inside the object.
    dense : Tensor, shape (N, 3, S / 4, S / 4), float32
        Targets of the dense head; of the windows alone, where there are some.
    complete : Tensor, shape (N,), bool
        Images all of whose objects are labelled: the dense head learns from them alone.
    texts : Tensor, shape (B, width), float32, or None
        CLIP embeddings that objects are asked for by; NaN for one that is pointed at.
    encoded : tuple of Tensor or None
        What was computed of the images before: their features, or what the encoder goes on with.
    windows : tuple of (slice, slice) or None
        Of each image the part that the dense head learns from, rows and columns of its logits; None: all of it. They
        are of one size, and of whole cells of features of stride 16.
    """

    images: Tensor
    objects: Tensor
    masks: Tensor
    dense: Tensor
    complete: Tensor
    texts: Tensor | None = None
    encoded: Features | None = None
    windows: tuple[tuple[slice, slice], ...] | None = None

    def to(self, device: torch.device) -> Batch:
        """Copy to a device."""
        images, objects, masks, dense, complete = (
            part.to(device) for part in (self.images, self.objects, self.masks, self.dense, self.complete)
        )
        texts = None if self.texts is None else self.texts.to(device)
        encoded = None if self.encoded is None else tuple(part.to(device) for part in self.encoded)
        return Batch(images, objects, masks, dense, complete, texts, encoded, self.windows)


class BatchSource(Protocol):
    """Draws batches."""

    def draw(self, rng: Generator, images: int, objects: int, side: int) -> Batch:
        """Draw a batch of `images` crops of `side` pixels, at most `objects` objects of each."""


class CropSource:
    """Draws batches from pools of crops.

    Parameters
    ----------
    pools : sequence of (Pool, float)
        Each with its share of the crops; shares need not add up to 1.
    texts : ObjectTexts, optional
        For the images of the one pool that there is then. What a colour or a grain is called would be wrong in a
        picture with other ones, so that crops keep their colours.
    disturb : callable
        Makes crops look different, where there are no texts.
    """

    def __init__(
        self,
        pools: Sequence[tuple[Pool, float]],
        texts: ObjectTexts | None = None,
        disturb: Callable[[Generator, NDArray[np.uint8]], NDArray[np.uint8]] = disturb,
    ) -> None:
        if not pools:
            raise ValueError("nothing to train on: give real images, a bank of scenes, or both")
        self._pools = [pool for pool, _ in pools]
        if texts is not None and len(pools) > 1:
            raise ValueError("embeddings belong to the images of one pool")
        self._texts, self._disturb = texts, disturb
        shares = np.array([share for _, share in pools])
        self._shares = shares / shares.sum()

    def draw(self, rng: Generator, images: int, objects: int, side: int) -> Batch:
        """Draw a batch of `images` crops of `side` pixels, at most `objects` objects of each."""
        pixels: list[Tensor] = []
        dense: list[Tensor] = []
        complete: list[bool] = []
        masks: list[NDArray[np.bool_]] = []
        owners: list[int] = []
        texts: list[NDArray[np.float32]] = []
        while len(pixels) < images:
            crop = self._pools[int(rng.choice(len(self._pools), p=self._shares))].crop(rng, side)
            chosen = choose_objects(rng, crop.labels, objects, crop.wanted)
            if not chosen:
                continue
            owners += [len(pixels)] * len(chosen)
            masks += [crop.labels[level] == label for level, label in chosen]
            image = crop.image
            if self._texts is None:
                image = self._disturb(rng, image)
            else:
                texts.append(self._texts.draw(rng, crop.source, [label for _, label in chosen]))
            pixels.append(torch.from_numpy(image).permute(2, 0, 1))
            dense.append(dense_targets(crop.labels[0]))
            complete.append(crop.complete)
        return Batch(
            torch.stack(pixels),
            torch.tensor(owners),
            torch.from_numpy(np.stack(masks)).float()[:, None],
            torch.stack(dense),
            torch.tensor(complete),
            torch.from_numpy(np.concatenate(texts)) if texts else None,
        )


def choose_objects(rng: Generator, labels: NDArray[np.int32], count: int, wanted: int = 0) -> list[tuple[int, int]]:
    """Choose level and label of some objects, neither specks nor nearly everything; first the one that is wanted."""
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
    order = np.argsort(rng.exponential(size=len(candidates)) / np.asarray(chances))
    first = sorted(order.tolist(), key=lambda i: candidates[i] != (0, wanted))
    return [candidates[i] for i in first[:count]]


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
