"""Segment everything on a plane from the model's dense maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy import ndimage

from napari_sam.automatic.proposals import Proposal, lay, renumbered
from napari_sam.automatic.refine import refine
from napari_sam.automatic.seeds import grow_seeds
from napari_sam.automatic.settings import DenseSettings
from napari_sam.masks import BoxedMask
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.predictor import DenseMaps, Embedding, Predictor
    from napari_sam.progress import Progress

_MAPS, _SEEDS = 0.3, 0.4  # shares of the work that are done after these steps, where the decoder is still to come


def segment_everything(
    predictor: Predictor,
    embedding: Embedding,
    settings: DenseSettings | None = None,
    progress: Progress = no_progress,
) -> NDArray[np.int32]:
    """Find every object on a plane.

    Parameters
    ----------
    predictor : Predictor
        One whose model has a dense head (`Predictor.has_dense_head`).
    embedding : Embedding
        The plane's, from the same predictor.
    settings : DenseSettings, optional
        What counts as an object; `QUICK` leaves the decoder out.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.

    Returns
    -------
    numpy.ndarray, shape (H, W), int32
        Labels 1 to n on the plane's data pixels, 0 for background; all 0 where there is no object.

    Raises
    ------
    InputError
        If the model has no dense head, or the embedding is another model's.
    DeviceError
        If the device's memory runs out and there is no falling back.
    """
    settings = settings or DenseSettings()
    if not settings.refine:
        # As the watershed left them, objects have nothing in common: there is nothing to choose.
        labels, _maps = _seeds(predictor, embedding, settings, progress)
        progress(1.0)
        return labels
    proposals = find_proposals(predictor, embedding, settings, progress)
    good = [found for found in proposals if found.score >= settings.least_score]
    # Stable: proposals of one rank stay in the order in which they were found.
    good.sort(key=lambda proposal: -proposal.rank)
    masks = [proposal.mask for proposal in good]
    return renumbered(lay(masks, embedding.shape, overlap=settings.most_common, least_area=settings.least_area))


def find_proposals(
    predictor: Predictor, embedding: Embedding, settings: DenseSettings, progress: Progress = no_progress
) -> list[Proposal]:
    """Find what may be an object, for somebody to choose from.

    Parameters and errors are those of `segment_everything`.

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
        proposals = refine(
            predictor,
            embedding,
            labels,
            maps.foreground,
            settings,
            lambda share: progress(_SEEDS + (1 - _SEEDS) * share),
        )
    else:
        proposals = []
    progress(1.0)
    return proposals


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
        proposals.append(Proposal(boxed, float(maps.foreground[rows, columns][mask].mean())))
    return proposals
