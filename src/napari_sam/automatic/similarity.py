"""Find all like this: objects ranked by how much they resemble examples that a person picked.

Objects are described once for each plane (`Descriptors`); another example or another threshold costs a few products of
small matrices. How objects are described, and all constants, were chosen on half of the images of
``benchmarks/similarity.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.descriptors import Descriptors

SIMILAR = 0.5
"""The similarity from which on an object counts as one like the examples."""

_BACKGROUND = 0.5  # how far the centre lies from the mean of the objects towards the plane as a whole, at most
_NEGATIVE = 0.5  # how much likeness to negative examples counts against that to positive ones
_WIDTH = 0.2  # of cosines, in which the similarity changes from a half to three quarters, nearly


@dataclass(frozen=True, slots=True, eq=False)
class ExampleQuery:
    """What is looked for: examples, seen against the plane that they were picked on.

    Attributes
    ----------
    centre, scale : numpy.ndarray, shape (d,), float64
        What is subtracted from the descriptors of objects, and what they are divided by then.
    positive : numpy.ndarray, shape (d,), float64
        Direction in which the positive examples lie from the centre, of length 1.
    negative : numpy.ndarray, shape (d,), float64, or None
        That of the negative ones.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    positive: NDArray[np.float64]
    negative: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, plane: Descriptors, positive: Descriptors, negative: Descriptors | None = None) -> ExampleQuery:
        """Make a query.

        Parameters
        ----------
        plane : Descriptors
            All proposals of the plane: what is remarkable about an example is seen against them.
        positive : Descriptors
            Objects like which others are looked for; proposals (`Descriptors.take`) or any others.
        negative : Descriptors, optional
            Objects unlike those that are looked for.

        Raises
        ------
        InputError
            If there is no proposal or no positive example, or they are described by other models.
        """
        if not len(plane):
            raise InputError("No objects were found on this plane. Segment everything first, then pick examples.")
        if not len(positive):
            raise InputError("Pick at least one object that is an example of what you look for.")
        centre, scale = _standard(plane)
        unlike = None if negative is None or not len(negative) else _direction(_unit(negative, centre, scale))
        return cls(centre, scale, _direction(_unit(positive, centre, scale)), unlike)


def similarities(query: ExampleQuery, objects: Descriptors) -> NDArray[np.float64]:
    """Compare objects with examples.

    Parameters
    ----------
    query : ExampleQuery
    objects : Descriptors
        Of the plane of the examples, or of another plane of the same image.

    Returns
    -------
    numpy.ndarray, shape (n,), float64
        0 to 1: from `SIMILAR` on, they are of the kind of the positive examples.

    Raises
    ------
    InputError
        If they are described by another model than the examples.
    """
    units = _unit(objects, query.centre, query.scale)
    likeness = units @ query.positive
    if query.negative is not None:
        likeness = likeness - _NEGATIVE * (units @ query.negative)
    similarity: NDArray[np.float64] = 1 / (1 + np.exp(-likeness / _WIDTH))
    return similarity


def _standard(plane: Descriptors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what descriptors of a plane are centred on, and what they are divided by."""
    mean, spread = plane.values.mean(axis=0), np.maximum(plane.values.std(axis=0), plane.least)
    # What is the same everywhere on this plane says nothing on another one, either.
    scale = np.divide(spread, plane.weights, out=np.full_like(spread, np.inf), where=spread > 0)
    # Objects of one kind alone resemble each other against the background only. Where it is far off, a step in its
    # direction is enough: else all objects would be alike, seen from there.
    away = np.where(np.isnan(plane.background), 0, plane.background - mean) / scale
    step = _BACKGROUND * away / max(1.0, float(np.linalg.norm(away)))
    # 0 where the scale is endless.
    return mean + np.multiply(step, scale, out=np.zeros_like(step), where=step != 0), scale


def _unit(objects: Descriptors, centre: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardise descriptors, and bring each row to length 1; one that is the centre stays 0."""
    if objects.values.shape[1] != len(centre):
        raise InputError("The examples and the objects were described by different models. Pick the examples again.")
    standardised: NDArray[np.float64] = (objects.values - centre) / scale
    lengths = np.linalg.norm(standardised, axis=1, keepdims=True)
    return standardised / np.where(lengths > 0, lengths, 1)


def _direction(units: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of unit vectors, of length 1; 0 where they cancel out."""
    mean: NDArray[np.float64] = units.mean(axis=0)
    length = float(np.linalg.norm(mean))
    return mean / length if length else mean
