"""Objects of a part of a plane, which is enlarged and embedded as a plane of its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from napari_sam.automatic.dense.refine import deepest_points, refine
from napari_sam.automatic.dense.seeds import grow_seeds
from napari_sam.model.protocol import MagnifyingModel

if TYPE_CHECKING:
    from napari_sam.automatic.dense.parts import Part
    from napari_sam.automatic.proposals import Proposal
    from napari_sam.automatic.settings import DenseSettings
    from napari_sam.embedding import Embedding
    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features, PromptableModel
    from napari_sam.predictor import Predictor
    from napari_sam.progress import Progress


_EMBEDDED, _MAPPED = 0.3, 0.35  # shares of the work on a part that are done after these steps


def can_magnify(predictor: Predictor, embedding: Embedding) -> bool:
    """Whether a model keeps of a plane what it needs for enlarging it."""
    return predictor.compute(embedding, lambda model, _features, _frame: isinstance(model, MagnifyingModel))


def part_proposals(
    predictor: Predictor,
    embedding: Embedding,
    part: Part,
    factor: float,
    settings: DenseSettings,
    progress: Progress,
) -> list[Proposal]:
    """Find the objects whose middle lies in the core of a part.

    Parameters
    ----------
    predictor : Predictor
        One that can magnify.
    embedding : Embedding
        The plane's.
    part : Part
    factor : float
        How much larger than in `embedding` it is looked at, along both axes.
    settings : DenseSettings
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.

    Returns
    -------
    list of Proposal
        On the plane, without those that the border of the part cuts.
    """
    own = embed_part(predictor, embedding, part, factor, lambda share: progress(_EMBEDDED * share))
    # Enlarged, more views change nothing: an AP of .563 with one, two and four, on planes of small nuclei.
    maps = predictor.dense(own, 1)
    progress(_MAPPED)
    labels = grow_seeds(maps, settings)
    top, left = part.corner
    points = [(y, x) for y, x in deepest_points(labels) if part.owns((y + top, x + left))]
    found = refine(
        predictor, own, points, maps.foreground, settings, lambda share: progress(_MAPPED + (1 - _MAPPED) * share)
    )
    progress(1.0)
    moved = [_moved(proposal, part, embedding.shape) for proposal in found]
    return [proposal for proposal in moved if not proposal.mask.cut_by(part.corner, part.end)]


def embed_part(predictor: Predictor, embedding: Embedding, part: Part, factor: float, progress: Progress) -> Embedding:
    """Enlarge a part of a plane, and run the encoder on it: parameters as for `part_proposals`."""
    # Late, because it brings torch with it, which the dock opens without.
    from napari_sam.embedding import Embedding

    rectangle = part.corner, part.end

    def work(model: PromptableModel, features: Features, frame: Frame) -> Embedding:
        pixels, own = cast("MagnifyingModel", model).magnify(features, frame, rectangle, factor)
        key = hashlib.blake2b(f"{embedding.key}|{rectangle}|{factor}".encode(), digest_size=20).hexdigest()
        return Embedding(key, embedding.weights, own, model.encode(pixels, progress))

    return predictor.compute(embedding, work)


def _moved(proposal: Proposal, part: Part, plane: tuple[int, int]) -> Proposal:
    """Lay a proposal of a part on the plane."""
    top, left = part.corner
    point = proposal.point and (proposal.point[0] + top, proposal.point[1] + left)
    return replace(proposal, mask=proposal.mask.shifted(part.corner, plane), point=point, crop=(part.corner, part.end))
