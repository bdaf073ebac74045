"""Ranks the objects that were found: by words, with a CLIP model, or by examples, with the model that found them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage

from napari_sam.automatic.descriptors import Descriptors
from napari_sam.automatic.similarity import SIMILAR, ExampleQuery, similarities
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.ranking.match import Match
from napari_sam.session.everything.search import describe_objects, read_part
from napari_sam.text.query import TextQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.progress import Progress
    from napari_sam.session.everything.ranking.match import Knowledge
    from napari_sam.session.everything.ranking.tools import RankingTools
    from napari_sam.session.everything.search import SearchRequest, SearchResult


class ObjectQuery(Protocol):
    """What objects are ranked by."""

    @property
    def intent(self) -> str:
        """Words for what it does."""

    def rank(
        self, results: Sequence[SearchResult], known: Knowledge, tools: RankingTools, progress: Progress
    ) -> Iterator[Match | None]:
        """Rank objects; on the inference thread.

        Parameters
        ----------
        results : sequence of SearchResult
            The objects of each plane; one at least.
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
        self, results: Sequence[SearchResult], known: Knowledge, tools: RankingTools, progress: Progress
    ) -> Iterator[Match | None]:
        """See `ObjectQuery.rank`."""
        # Here: torch comes in with the ranking.
        from napari_sam.text.ranking import THRESHOLD, MaskEmbeddings, embed_masks, rank_embeddings

        tools.stage = self.intent
        encoder = tools.encoder(self.model, results[0].request.device, progress)
        yield None
        embeddings = known.embeddings
        if embeddings is None or embeddings.model != encoder.name:
            tools.stage = everything_messages.comparing(sum(len(result.table) for result in results))
            vectors = []
            for result, within in _with_objects(results, progress):
                plane = read_part(result.request, within)
                vectors.append(embed_masks(encoder, plane.rendered, _masks(result), progress=within).vectors)
                yield None
            embeddings = MaskEmbeddings(np.concatenate(vectors), encoder.name)
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
        Examples, and objects unlike them, counted on over the tables of all planes.
    labels : numpy.ndarray, shape (h, w), integer, or None
        Labels of the part of a plane, each an example; only where none was picked.
    on : SearchRequest or None
        That part of a plane.
    """

    positive: tuple[int, ...]
    negative: tuple[int, ...] = ()
    labels: NDArray[np.integer[Any]] | None = None
    on: SearchRequest | None = None

    @property
    def intent(self) -> str:
        """See `ObjectQuery.intent`."""
        return everything_messages.COMPARING_EXAMPLES

    def rank(
        self, results: Sequence[SearchResult], known: Knowledge, tools: RankingTools, progress: Progress
    ) -> Iterator[Match | None]:
        """See `ObjectQuery.rank`."""
        tools.stage = self.intent
        request = results[0].request
        engine = tools.engine(request.model, request.device, progress)
        descriptors = known.descriptors
        if descriptors is None:
            parts = []
            for result, within in _with_objects(results, progress):
                noted = result.descriptors
                parts.append(noted or describe_objects(engine, read_part(result.request, within), result.table, within))
                yield None
            descriptors = Descriptors.joined(parts)
        examples, drawn = descriptors.take(self.positive), _drawn(self.labels)
        if drawn and self.on is not None:
            plane = read_part(self.on, progress)
            examples = Descriptors.of(engine.predictor, engine.embed(plane, progress), plane.pixels, drawn)
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


def _with_objects(results: Sequence[SearchResult], progress: Progress) -> Iterator[tuple[SearchResult, Progress]]:
    """Give each plane that has objects, and what takes the share of its work that is done."""

    def report(share: float, done: int) -> None:
        progress((done + share) / len(results))

    for number, result in enumerate(results):
        if len(result.table):
            yield result, partial(report, done=number)


def _masks(result: SearchResult) -> list[BoxedMask]:
    return [proposal.mask for proposal in result.table.proposals]


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
