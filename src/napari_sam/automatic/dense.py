"""Segment everything on a plane from the model's dense maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.automatic.refine import refine
from napari_sam.automatic.seeds import grow_seeds
from napari_sam.automatic.settings import DenseSettings
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.predictor import Embedding, Predictor
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
    progress(0.0)
    maps = predictor.dense(embedding, settings.views, lambda share: progress(_MAPS * share))
    progress(_MAPS)
    labels = grow_seeds(maps, settings)
    # Where there is nothing to draw again, the decoder is not asked.
    if settings.refine and labels.any():
        progress(_SEEDS)
        labels = refine(
            predictor,
            embedding,
            labels,
            maps.foreground,
            settings,
            lambda share: progress(_SEEDS + (1 - _SEEDS) * share),
        )
    progress(1.0)
    return labels
