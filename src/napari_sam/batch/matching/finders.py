"""Finders that tell of each object how well it fits words, or resembles examples."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from cachetools import LRUCache

from napari_sam.automatic.descriptors import Descriptors
from napari_sam.automatic.similarity import ExampleQuery, similarities
from napari_sam.batch.finding import loaded_predictor
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.automatic import Proposal
    from napari_sam.batch.finding import FinderDescription, ModelFinder
    from napari_sam.masks import BoxedMask
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress
    from napari_sam.text.encoder import TextImageEncoder
    from napari_sam.text.query import TextQuery

_FOUND = 0.7
"""Share of a picture's work that is done when its objects are found."""

_lock = threading.Lock()
_encoders: dict[tuple[str, str], TextImageEncoder] = {}
"""Text models of this process, by name and device."""
_seen: LRUCache[tuple[ModelFinder, str], tuple[list[Proposal], Descriptors]] = LRUCache(8)
"""Pictures that were looked at last: those with the examples on them are looked at twice."""


@dataclass(frozen=True, slots=True)
class WordsFinder:
    """Finds objects, and compares each with words.

    Attributes
    ----------
    objects : ModelFinder
        Finds them.
    query : TextQuery
        What is looked for; the name of a class for each phrase.
    text_model : str
        As for `napari_sam.text.encoder.load_encoder`.
    threshold : float
        Least probability of the likeliest phrase.
    """

    objects: ModelFinder
    query: TextQuery
    text_model: str
    threshold: float

    def describe(self) -> FinderDescription:
        """Load both models, and tell what their answers depend on."""
        encoder = loaded_encoder(self.text_model, self.objects.device)
        return replace(
            self.objects.describe(),
            query=f"{encoder.name}: {astuple(self.query)}",
            least_match=self.threshold,
            classes=self.query.phrases,
        )

    def __call__(self, plane: Plane, progress: Progress, /) -> list[Proposal]:
        """Find objects on a picture, and tell how likely each phrase is for each of them."""
        from napari_sam.text.ranking import rank

        good = _good(self.objects, self.objects(plane, lambda share: progress(_FOUND * share)))
        encoder = loaded_encoder(self.text_model, self.objects.device)
        masks = [proposal.mask for proposal in good]
        ranking = rank(
            encoder, plane.rendered, masks, self.query, lambda share: progress(_FOUND + (1 - _FOUND) * share)
        )
        return [
            replace(proposal, matches=tuple(scores))
            for proposal, scores in zip(good, ranking.scores.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class ExamplesFinder:
    """Finds objects, and compares each with examples.

    Attributes
    ----------
    objects : ModelFinder
        Finds them; the model also tells how much they resemble the examples.
    query : ExampleQuery
        The examples.
    threshold : float
        Least similarity.
    """

    objects: ModelFinder
    query: ExampleQuery
    threshold: float

    def describe(self) -> FinderDescription:
        """Load the model, and tell what the answers depend on."""
        query = self.query
        digest = hashlib.blake2b(digest_size=20)
        for part in (query.centre, query.scale, query.positive, query.negative):
            digest.update(b"none" if part is None else part.tobytes())
        return replace(self.objects.describe(), query=f"examples {digest.hexdigest()}", least_match=self.threshold)

    def __call__(self, plane: Plane, progress: Progress, /) -> list[Proposal]:
        """Find objects on a picture, and tell how similar each is to the examples."""
        found, described, _none = observe(self.objects, plane, progress)
        alike = similarities(self.query, described).tolist()
        return [replace(proposal, matches=(score,)) for proposal, score in zip(found, alike, strict=True)]


def observe(
    finder: ModelFinder, plane: Plane, progress: Progress, others: Sequence[BoxedMask] = ()
) -> tuple[list[Proposal], Descriptors, Descriptors]:
    """Find the objects on a picture, and describe them.

    Parameters
    ----------
    finder : ModelFinder
    plane : Plane
        The picture.
    progress : Progress
    others : sequence of BoxedMask
        Other masks on the picture that are to be described.

    Returns
    -------
    found : list of Proposal
        Those that are good enough for the finder's settings.
    described : Descriptors
        Of `found`.
    examples : Descriptors
        Of `others`.
    """
    key = finder, hashlib.blake2b(plane.pixels.tobytes()).hexdigest() + plane.digest
    with _lock:
        known = _seen.get(key)
    if known is not None and not others:
        return *known, known[1].take([])
    embedding, proposals = finder.search(plane, progress)
    good = _good(finder, proposals)
    masks = [*(proposal.mask for proposal in good), *others]
    predictor = loaded_predictor(finder.model, finder.device)
    described = Descriptors.of(predictor, embedding, plane.pixels, masks)
    own = described.take(range(len(good)))
    with _lock:
        _seen[key] = good, own
    return good, own, described.take(range(len(good), len(masks)))


def loaded_encoder(name: str, device: str, progress: Progress = no_progress) -> TextImageEncoder:
    """Load a text model, once in this process."""
    from napari_sam.text.encoder import load_encoder

    with _lock:
        if (name, device) not in _encoders:
            _encoders[name, device] = load_encoder(name, device, progress=progress)
        return _encoders[name, device]


def forget_encoders() -> None:
    """Let go of the text models of this process, and of what was seen."""
    with _lock:
        _encoders.clear()
        _seen.clear()


def _good(finder: ModelFinder, proposals: list[Proposal]) -> list[Proposal]:
    """Leave out what is too doubtful to be written: it need not be compared."""
    least = finder.settings(loaded_predictor(finder.model, finder.device)).least_score
    return [proposal for proposal in proposals if proposal.score >= least]
