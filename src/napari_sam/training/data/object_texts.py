"""What a CLIP model makes of the objects of images: the first prompt, in the place of words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ObjectTexts:
    """Embeddings of objects, several of each.

    Attributes
    ----------
    vectors : sequence of mapping of int to numpy.ndarray, shape (k, width), float32
        For each image of the pool that crops are drawn from, label to embeddings of length 1; objects without have no
        entry.
    width : int
        Numbers of an embedding.
    share : float
        Of the objects that have an embedding, how many are asked for by it; the others are pointed at.
    """

    vectors: Sequence[Mapping[int, NDArray[np.float32]]]
    width: int
    share: float = 1.0

    def draw(self, rng: Generator, image: int, labels: Sequence[int]) -> NDArray[np.float32]:
        """Draw one embedding for each of some objects of an image, (n, width); NaN where it is pointed at instead."""
        drawn = np.full((len(labels), self.width), np.nan, np.float32)
        for row, label in enumerate(labels):
            known = self.vectors[image].get(label)
            if known is not None and rng.random() < self.share:
                drawn[row] = known[rng.integers(len(known))]
        return drawn
