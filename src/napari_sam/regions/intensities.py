"""How bright the objects of a labels image are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class MeanIntensities:
    """Averages an image over the objects of labels, block by block.

    Parameters
    ----------
    labels : numpy.ndarray, shape (n,), int64
        The ids of all objects, ascending.
    channels : int
        Values of each pixel of the image.
    """

    def __init__(self, labels: NDArray[np.int64], channels: int) -> None:
        self._labels = labels
        self._sums = np.zeros((len(labels), channels))
        self._counts = np.zeros((len(labels), 1))

    def add(self, block: ArrayLike, pixels: NDArray[np.generic]) -> None:
        """Take a block into account.

        Parameters
        ----------
        block : array-like, integer
            A block of the labels; all of its ids are known.
        pixels : numpy.ndarray, shape (channels, ...) with the shape of `block`
            What the image is there.
        """
        ids = np.asarray(block)
        inside = ids != 0
        places = np.searchsorted(self._labels, ids[inside])
        count = len(self._labels)
        self._counts[:, 0] += np.bincount(places, minlength=count)
        for channel, values in enumerate(pixels):
            self._sums[:, channel] += np.bincount(places, weights=values[inside], minlength=count)

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of each object, shape (n, channels)."""
        return self._sums / np.maximum(self._counts, 1)
