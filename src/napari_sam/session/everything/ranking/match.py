"""How well objects fit what is looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_sam.session.everything import messages as everything_messages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.automatic.descriptors import Descriptors
    from napari_sam.text.ranking import MaskEmbeddings


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What models made of the objects of a search: another query needs it again.

    Attributes
    ----------
    embeddings : MaskEmbeddings or None
        What a CLIP model saw.
    descriptors : Descriptors or None
        What the model that found them saw.
    """

    embeddings: MaskEmbeddings | None = None
    descriptors: Descriptors | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How well the objects of a search, on all its planes, fit what is looked for.

    Attributes
    ----------
    by : str
        Words for what was looked for.
    scores : numpy.ndarray, shape (n,), float64
        0 to 1, of each object of the tables.
    threshold : float
        From which on an object is one of those that are looked for, unless the person says otherwise.
    known : Knowledge
        What the next query need not compute again.
    classes : tuple of str
        What there is to tell apart; empty where there is one kind of object.
    numbers : numpy.ndarray, shape (n,), int
        Place of each object's class among them.
    """

    by: str
    scores: NDArray[np.float64]
    threshold: float
    known: Knowledge
    classes: tuple[str, ...] = ()
    numbers: NDArray[np.intp] | None = None

    @property
    def count(self) -> int:
        """How many objects match."""
        return int((self.scores >= self.threshold).sum())

    @property
    def words(self) -> str:
        """Say how many objects match."""
        return everything_messages.matching(self.count, len(self.scores), self.by, float(self.scores.max()))

    def class_of(self, place: int) -> str:
        """Return the class of an object, by its place in the table; "" where there is none."""
        return "" if self.numbers is None else self.classes[self.numbers[place]]

    def part(self, start: int, stop: int) -> Match:
        """Return the match of some of the objects, such as those of one plane of a stack."""
        numbers = None if self.numbers is None else self.numbers[start:stop]
        return replace(self, scores=self.scores[start:stop], numbers=numbers, known=Knowledge())

    def describe(self, place: int) -> dict[str, object]:
        """Return what the journal is told of an object."""
        found: dict[str, object] = {"by": self.by, "match": float(self.scores[place])}
        return found | ({"class": self.class_of(place)} if self.class_of(place) else {})
