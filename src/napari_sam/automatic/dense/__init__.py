"""Find the objects of a plane in the model's dense maps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.automatic.dense.magnified import can_magnify, part_proposals
from napari_sam.automatic.dense.parts import SMALL, enlargement, object_sizes, plan_parts
from napari_sam.automatic.dense.refine import deepest_points, refine
from napari_sam.automatic.dense.seeds import grow_seeds
from napari_sam.automatic.proposals import Proposal
from napari_sam.automatic.suppression import suppress
from napari_sam.masks import BoxedMask
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.settings import DenseSettings
    from napari_sam.predictor import DenseMaps, Embedding, Predictor
    from napari_sam.progress import Progress

_ALIKE = 0.7  # IoU of the boxes of two masks of one object

_MAPS, _SEEDS = 0.3, 0.4  # shares of the work that are done after these steps, where the decoder is still to come


def dense_proposals(
    predictor: Predictor, embedding: Embedding, settings: DenseSettings, progress: Progress = no_progress
) -> list[Proposal]:
    """Find what may be an object in the dense maps of a plane.

    Parameters and errors are those of `find_proposals`.

    Returns
    -------
    list of Proposal
        In any order; with `DenseSettings.refine` several may cover the same pixels, and their scores may be low.
    """
    labels, maps = _seeds(predictor, embedding, settings, progress)
    if not settings.refine:
        proposals = _grown(labels, maps)
    # Where there is nothing to draw again, the decoder is not asked.
    elif labels.any():
        progress(_SEEDS)
        proposals = _drawn(
            predictor, embedding, labels, maps, settings, lambda share: progress(_SEEDS + (1 - _SEEDS) * share)
        )
    else:
        proposals = []
    progress(1.0)
    return proposals


def grown_labels(
    predictor: Predictor, embedding: Embedding, settings: DenseSettings, progress: Progress = no_progress
) -> NDArray[np.int32]:
    """Find the objects of a plane in its dense maps, without the decoder: labels 1 to n, (H, W) int32, 0 background.

    Parameters and errors are those of `find_proposals`.
    """
    labels, _maps = _seeds(predictor, embedding, settings, progress)
    progress(1.0)
    return labels


def _seeds(
    predictor: Predictor, embedding: Embedding, settings: DenseSettings, progress: Progress
) -> tuple[NDArray[np.int32], DenseMaps]:
    """Divide a plane into objects by its dense maps alone; return their labels, 1 to n, and the maps."""
    progress(0.0)
    maps = predictor.dense(embedding, settings.views, lambda share: progress(_MAPS * share))
    progress(_MAPS)
    return grow_seeds(maps, settings), maps


def _grown(labels: NDArray[np.int32], maps: DenseMaps) -> list[Proposal]:
    """Make a proposal of each object, 1 to n, as the watershed left it."""
    proposals = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[rows, columns] == label
        boxed = BoxedMask((rows.start, columns.start), mask, (labels.shape[0], labels.shape[1]))
        certainty = float(maps.foreground[rows, columns][mask].mean())
        proposals.append(Proposal(boxed, certainty, foreground=certainty))
    return proposals


def _drawn(
    predictor: Predictor,
    embedding: Embedding,
    labels: NDArray[np.int32],
    maps: DenseMaps,
    settings: DenseSettings,
    progress: Progress,
) -> list[Proposal]:
    """Have the decoder draw the objects, small ones in parts of the plane that are enlarged."""
    points = list(deepest_points(labels))
    sizes = object_sizes(labels, embedding.frame)
    factor = enlargement(sizes) if settings.magnify and can_magnify(predictor, embedding) else 1.0
    small = sizes < SMALL if factor > 1 else np.zeros(len(points), bool)
    asked = [point for point, tiny in zip(points, small, strict=True) if not tiny]
    left = [point for point, tiny in zip(points, small, strict=True) if tiny]
    found, done = [], 0
    for part in plan_parts(embedding.frame, factor):
        if not (own := sum(map(part.owns, left))):
            continue
        steps = partial(_part_of, progress, done / len(points), own / len(points))
        found += part_proposals(predictor, embedding, part, factor, settings, steps)
        done += own
    steps = partial(_part_of, progress, done / len(points), len(asked) / len(points))
    return _distinct(found + refine(predictor, embedding, asked, maps.foreground, settings, steps))


def _distinct(proposals: list[Proposal]) -> list[Proposal]:
    """Of masks that are alike, keep the best: nobody would choose between them, and the plane is laid the same."""
    spans = [proposal.mask.box for proposal in proposals]
    boxes = np.array([(y.start, x.start, y.stop, x.stop) for y, x in spans], np.int64).reshape(-1, 4)
    return [proposals[place] for place in suppress(boxes, np.array([one.rank for one in proposals]), _ALIKE)]


def _part_of(progress: Progress, start: float, length: float, share: float) -> None:
    """Report the progress of a part of the work, which starts at a share of the whole."""
    progress(start + length * share)
