"""Ranks the objects that were found: by words, with a CLIP model, or by examples, with the model that found them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage

from napari_sam.automatic.descriptors import Descriptors
from napari_sam.automatic.similarity import SIMILAR, ExampleQuery, similarities
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.planes.crop import Crop
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.ranking.match import Match
from napari_sam.text.query import TextQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress
    from napari_sam.session.everything.ranking.match import Knowledge
    from napari_sam.session.everything.ranking.tools import RankingTools
    from napari_sam.session.everything.search import SearchResult


class ObjectQuery(Protocol):
    """What objects are ranked by."""

    @property
    def intent(self) -> str:
        """Words for what it does."""

    def rank(
        self, result: SearchResult, known: Knowledge, tools: RankingTools, progress: Progress
    ) -> Iterator[Match | None]:
        """Rank objects; on the inference thread.

        Parameters
        ----------
        result : SearchResult
            The objects.
        known : Knowledge
            What earlier queries found out about them.
        tools : RankingTools
            The models.
        progress : Progress
            Called with the share of the work that is done; may raise `Cancelled`.

        Yields
        ------
        Match or None
            None after each piece of work, so that somebody else can be answered in between; at last the ranking.
        """


@dataclass(frozen=True, slots=True)
class WordsQuery:
    """Objects that fit words.

    Attributes
    ----------
    text : TextQuery
        What is looked for; several phrases give classes.
    model : str
        The CLIP model.
    """

    text: TextQuery
    model: str

    @classmethod
    def of(cls, words: str, negative: str, model: str) -> WordsQuery:
        """Read what a person typed: phrases between commas.

        Raises
        ------
        InputError
            If there is no phrase, or one is there twice.
        """
        return cls(TextQuery(_phrases(words), _phrases(negative)), model)

    @property
    def intent(self) -> str:
        """See `ObjectQuery.intent`."""
        return everything_messages.loading_text_model(self.model)

    def rank(
        self, result: SearchResult, known: Knowledge, tools: RankingTools, progress: Progress
    ) -> Iterator[Match | None]:
        """See `ObjectQuery.rank`."""
        # Here: torch comes in with the ranking.
        from napari_sam.text.ranking import THRESHOLD, embed_masks, rank_embeddings

        tools.stage = self.intent
        encoder = tools.encoder(self.model, result.request.device, progress)
        yield None
        masks = [proposal.mask for proposal in result.table.proposals]
        embeddings = known.embeddings
        if embeddings is None or embeddings.model != encoder.name:
            tools.stage = everything_messages.comparing(len(masks))
            embeddings = embed_masks(encoder, _plane(result, progress).rendered, masks, progress=progress)
            yield None
        ranking = rank_embeddings(encoder, embeddings, self.text)
        yield Match(
            everything_messages.words(self.text.phrases, self.text.negatives),
            ranking.best.astype(np.float64),
            THRESHOLD,
            replace(known, embeddings=embeddings),
            self.text.phrases,
            ranking.classes,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ExamplesQuery:
    """Objects like some that a person picked.

    Attributes
    ----------
    positive, negative : tuple of int
        Places of examples in the table, and of objects unlike them.
    labels : numpy.ndarray, shape (h, w), integer, or None
        Labels of the part of the plane, each an example; only where none was picked.
    """

    positive: tuple[int, ...]
    negative: tuple[int, ...] = ()
    labels: NDArray[np.integer[Any]] | None = None

    @property
    def intent(self) -> str:
        """See `ObjectQuery.intent`."""
        return everything_messages.COMPARING_EXAMPLES

    def rank(
        self, result: SearchResult, known: Knowledge, tools: RankingTools, progress: Progress
    ) -> Iterator[Match | None]:
        """See `ObjectQuery.rank`."""
        masks, drawn = [proposal.mask for proposal in result.table.proposals], _drawn(self.labels)
        tools.stage = self.intent
        engine = tools.engine(result.request.model, result.request.device, progress)
        plane = _plane(result, progress)

        def describe(masks: list[BoxedMask]) -> Descriptors:
            return Descriptors.of(engine.predictor, engine.embed(plane, progress), plane.pixels, masks)

        descriptors = known.descriptors or describe(masks)
        yield None
        examples = describe(drawn) if drawn else descriptors.take(self.positive)
        if not len(examples):
            raise InputError(everything_messages.PICK_FIRST)
        query = ExampleQuery.of(descriptors, examples, descriptors.take(self.negative))
        yield Match(
            everything_messages.examples(len(examples), len(self.negative)),
            similarities(query, descriptors),
            SIMILAR,
            replace(known, descriptors=descriptors),
        )


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase for phrase in (part.strip() for part in text.split(",")) if phrase)


def _plane(result: SearchResult, progress: Progress) -> Plane:
    """Read the part of the plane that was searched, at its full resolution."""
    start, shape = result.request.start, result.request.shape
    return result.request.source.read(Crop((float(start[0]), float(start[1])), shape), progress)


def _drawn(labels: NDArray[np.integer[Any]] | None) -> list[BoxedMask]:
    """Return the objects of labels."""
    if labels is None:
        return []
    ids, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.reshape(labels.shape) + (1 if ids[0] != 0 else 0)
    boxes = ndimage.find_objects(numbers)
    shape = (labels.shape[0], labels.shape[1])
    return [
        BoxedMask((box[0].start, box[1].start), numbers[box] == number, shape)
        for number, box in enumerate(boxes, 1)
        if box is not None
    ]
