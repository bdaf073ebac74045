"""Find every object on a plane, in the way that the settings name: the front door of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.automatic.dense import dense_proposals, grown_labels
from napari_sam.automatic.grid import grid_proposals
from napari_sam.automatic.laying import lay, renumbered
from napari_sam.automatic.settings import DenseSettings, GridSettings, dense_settings_for
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import Proposal
    from napari_sam.planes.plane import Plane
    from napari_sam.predictor import Embedding, Predictor
    from napari_sam.progress import Progress


def find_proposals(
    predictor: Predictor,
    embedding: Embedding,
    settings: DenseSettings | GridSettings,
    progress: Progress = no_progress,
    *,
    plane: Plane | None = None,
) -> list[Proposal]:
    """Find what may be an object, for somebody to choose from.

    Parameters
    ----------
    predictor : Predictor
        For dense mode one whose model has a dense head (`Predictor.has_dense_head`), for grid mode one that takes
        points.
    embedding : Embedding
        The plane's, from the same predictor.
    settings : DenseSettings or GridSettings
        What counts as an object; their kind is the mode.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    plane : Plane, optional
        What `embedding` was made of. Grid mode needs it where there are crop layers, which look at parts of it again.

    Returns
    -------
    list of Proposal
        In any order; several may cover the same pixels, and with `DenseSettings.refine` their scores may be low.

    Raises
    ------
    InputError
        If the model cannot work in this mode, the embedding is another model's, or the plane is needed and missing or
        another one.
    DeviceError
        If the device's memory runs out and there is no falling back.
    """
    match settings:
        case DenseSettings():
            return dense_proposals(predictor, embedding, settings, progress)
        case GridSettings():
            return grid_proposals(predictor, embedding, settings, progress, plane=plane)


def segment_everything(
    predictor: Predictor,
    embedding: Embedding,
    settings: DenseSettings | GridSettings | None = None,
    progress: Progress = no_progress,
    *,
    plane: Plane | None = None,
) -> NDArray[np.int32]:
    """Find every object on a plane, and give each pixel to one.

    Parameters and errors are those of `find_proposals`; without settings, dense mode with those that suit the model.
    `QUICK` leaves the decoder out.

    Returns
    -------
    numpy.ndarray, shape (H, W), int32
        Labels 1 to n on the plane's data pixels, 0 for background; all 0 where there is no object.
    """
    settings = settings or dense_settings_for(predictor)
    if isinstance(settings, DenseSettings) and not settings.refine:
        # As the watershed left them, objects have nothing in common: there is nothing to choose.
        return grown_labels(predictor, embedding, settings, progress)
    proposals = find_proposals(predictor, embedding, settings, progress, plane=plane)
    good = [found for found in proposals if found.score >= settings.least_score]
    # Stable: proposals of one rank stay in the order in which they were found.
    good.sort(key=lambda proposal: -proposal.rank)
    masks = [proposal.mask for proposal in good]
    return renumbered(lay(masks, embedding.shape, overlap=settings.most_common, least_area=settings.least_area))
