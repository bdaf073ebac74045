"""Segment everything with any model that answers points: ask at every point of a grid, and keep the good masks.

Kirillov et al., Segment Anything, arXiv 2304.02643, appendix B. With the same weights, the masks, their scores and
their order are those of the authors' code.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.grid.crops import layer_crops, point_grid
from napari_sam.automatic.grid.small_regions import without_small_regions
from napari_sam.automatic.proposals import Proposal
from napari_sam.automatic.suppression import suppress
from napari_sam.errors import InputError
from napari_sam.planes.plane import Plane
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.automatic.grid.crops import LayerCrop
    from napari_sam.automatic.settings import GridSettings
    from napari_sam.masks import BoxedMask
    from napari_sam.predictor import Embedding, Predictor
    from napari_sam.progress import Progress

_ENCODING = 0.3  # share of the work on a crop that is done once it is encoded
_TOGETHER_ON_CPU, _TOGETHER = 32, 64  # points: about a second on a CPU, and what fits into a small GPU's memory


def grid_proposals(
    predictor: Predictor,
    embedding: Embedding,
    settings: GridSettings,
    progress: Progress = no_progress,
    *,
    plane: Plane | None = None,
) -> list[Proposal]:
    """Ask a model at every point of a grid, and keep the good masks.

    Parameters
    ----------
    predictor : Predictor
        One whose model takes points.
    embedding : Embedding
        The plane's, from the same predictor.
    settings : GridSettings
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    plane : Plane, optional
        Needed with crop layers, whose crops are encoded one by one.

    Returns
    -------
    list of Proposal
        The best first; with crop layers, those of the smaller crops first. Where small regions were removed, masks in
        which there was none come first.

    Raises
    ------
    InputError
        If the model does not take points, the embedding is another model's or another plane's, or the plane is missing.
    DeviceError
        If the device's memory runs out and there is no falling back.
    """
    predictor.require_kind("point")
    if settings.crop_layers:
        plane = _required(plane, predictor, embedding)
    crops = list(layer_crops(embedding.shape, settings))
    found: list[tuple[LayerCrop, Proposal]] = []
    for number, crop in enumerate(crops):
        tell = _share(progress, number / len(crops), (number + 1) / len(crops))
        tell(0.0)
        if crop.layer == 0 or plane is None:
            proposals = _in_crop(predictor, embedding, crop, embedding.shape, settings, tell)
        else:
            part = Plane(plane.rendered[crop.place], spacing=plane.spacing)
            seen = predictor.embed(part, progress=_share(tell, 0.0, _ENCODING))
            proposals = _in_crop(predictor, seen, crop, embedding.shape, settings, _share(tell, _ENCODING, 1.0))
        found += ((crop, proposal) for proposal in proposals)
    if len(crops) > 1:
        sizes = np.array([1 / (crop.shape[0] * crop.shape[1]) for crop, _proposal in found])
        boxes = _boxes([proposal.mask for _crop, proposal in found])
        found = [found[place] for place in suppress(boxes, sizes, settings.most_crop_iou)]
    kept = [proposal for _crop, proposal in found]
    if settings.least_region:
        kept = _cleaned(kept, settings)
    progress(1.0)
    return [proposal for proposal in kept if proposal.mask.area >= settings.least_area]


def _in_crop(
    predictor: Predictor,
    embedding: Embedding,
    crop: LayerCrop,
    plane: tuple[int, int],
    settings: GridSettings,
    progress: Progress,
) -> list[Proposal]:
    """Find proposals in one crop, which `embedding` is of; they lie on the plane."""
    # Late, because torch comes with it; who has a predictor has torch already.
    from napari_sam.automatic.grid.screening import Screened, ScreenRules, full_masks, screen

    points = point_grid(crop, settings)
    rules = ScreenRules(settings.least_score, settings.least_stability, settings.stability_offset)
    together = settings.points_per_batch or (_TOGETHER_ON_CPU if predictor.device.type == "cpu" else _TOGETHER)
    lots = [points[start : start + together] for start in range(0, len(points), together)]
    parts = []
    for number, some in enumerate(lots, 1):
        parts.append(predictor.compute(embedding, partial(screen, points=some, rules=rules)))
        progress(number / len(lots))
    screened = Screened.joined(parts, [len(some) for some in lots])
    offset = np.array(crop.start)
    screened = screened.at(np.flatnonzero(~crop.cuts(screened.box + np.tile(offset, 2), plane)))
    screened = screened.at(suppress(screened.box, screened.score, settings.most_box_iou))
    # Only now, because most masks are gone: full of pixels, hundreds of them would not fit into memory.
    masks = predictor.compute(embedding, partial(full_masks, logits=screened.logits))
    origin = (crop.start, crop.stop) if crop.layer else None
    return [
        Proposal(mask.shifted(crop.start, plane), float(score), float(stability), (float(y), float(x)), origin)
        for mask, score, stability, (y, x) in zip(
            masks, screened.score, screened.stability, points[screened.point] + offset, strict=True
        )
    ]


def _cleaned(proposals: Sequence[Proposal], settings: GridSettings) -> list[Proposal]:
    """Rid masks of small regions; of those that are alike now, keep one, rather one that was not changed."""
    cleaned = [without_small_regions(proposal.mask, settings.least_region) for proposal in proposals]
    untouched = np.array([one.mask is other for one, other in zip(proposals, cleaned, strict=True)], np.float64)
    kept = suppress(_boxes(cleaned), untouched, max(settings.most_box_iou, settings.most_crop_iou))
    return [replace(proposals[place], mask=cleaned[place]) for place in kept]


def _boxes(masks: Sequence[BoxedMask]) -> NDArray[np.int64]:
    """Give the first and the last pixel of each mask, (n, 4), (y0, x0, y1, x1)."""
    corners = [(*mask.origin, *np.add(mask.origin, mask.mask.shape) - 1) for mask in masks]
    return np.array(corners, np.int64).reshape(-1, 4)


def _required(plane: Plane | None, predictor: Predictor, embedding: Embedding) -> Plane:
    """Return the plane that an embedding is of, or say that it is missing or another one."""
    if plane is None:
        raise InputError(
            "Crop layers look at parts of the plane again: give the plane as well, or set crop_layers to 0."
        )
    if predictor.key(plane) != embedding.key:
        raise InputError("This embedding is not of this plane, or was made by another model. Embed the plane again.")
    return plane


def _share(progress: Progress, start: float, stop: float) -> Progress:
    """Report a part of the work, from `start` to `stop`."""
    return lambda fraction: progress(start + (stop - start) * fraction)
