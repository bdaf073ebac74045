"""Which axes were on screen when a point was drawn: a point does not show it, as a box does by its sides."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Points
    from numpy.typing import NDArray

Axes = tuple[int, int]
"""The data axes on screen, in ascending order: `PlaneIndex.axes`."""

_DRAWN_IN = "napari-sam-live: drawn in"
"""Key in the metadata of a prompt layer, so that the next session knows as well."""
_LIMIT = 10_000
"""Positions that are remembered."""


class PointOrientations:
    """Remembers by its exact position, in data pixels of the layer, in which orientation a point was drawn.

    So a point that comes back by undo is what it was, and one that was dragged belongs to where it was dropped.
    """

    def __init__(self) -> None:
        self._axes: dict[bytes, Axes] = {}
        self._seen: Counter[bytes] = Counter()

    def attach_layer(self, points: Points) -> None:
        """Work with a layer from now on, and remember what a session before knew of it."""
        self._axes.update(points.metadata.get(_DRAWN_IN, {}))
        # The very dictionary, so that what is noted later is kept with the layer as well.
        points.metadata[_DRAWN_IN] = self._axes
        self.mark_known(points)

    def mark_known(self, points: Points | None) -> None:
        """Take the points that are there for known ones."""
        self._seen = Counter(_keys(points))

    def note_new(self, points: Points | None, axes: Axes) -> None:
        """Remember the axes on screen for the points that are new since the points were last marked as known."""
        now = Counter(_keys(points))
        # Counted: a second point at the same place is new, too.
        for key in now - self._seen:
            self._axes.pop(key, None)  # the newest are last
            self._axes[key] = axes
        self._seen = now
        for key in list(self._axes)[:-_LIMIT]:
            del self._axes[key]

    def follow_moved(self, points: Points, before: NDArray[np.float64]) -> None:
        """Go on with points that lie elsewhere in their layer now, because the layer was laid elsewhere.

        Parameters
        ----------
        points : Points
            The layer.
        before : numpy.ndarray, shape (N, D)
            Where each was.
        """
        for old, new in zip(before, _keys(points), strict=True):
            if (axes := self._axes.get(_key(old))) is not None:
                self._axes[new] = axes
        # They lie elsewhere, but nobody has drawn them anew.
        self.mark_known(points)

    def axes_of(self, position: NDArray[np.float64]) -> Axes | None:
        """Return the axes on screen when a point was drawn, (D,) data pixels of its layer; None where nobody knows."""
        return self._axes.get(_key(position))

    def drawn_along(self, points: Points | None, axes: Axes) -> NDArray[np.bool_]:
        """Tell which points, (N,), were drawn with these axes on screen; those of which nobody knows, were."""
        return np.array([self._axes.get(key, axes) == axes for key in _keys(points)], dtype=bool)


def forget_orientations(points: Points) -> None:
    """Leave nothing behind in a layer of the person's."""
    points.metadata.pop(_DRAWN_IN, None)


def _keys(points: Points | None) -> Iterator[bytes]:
    yield from () if points is None else map(_key, points.data)


def _key(position: NDArray[np.float64]) -> bytes:
    # In one type, as the same number has other bytes in another.
    return np.asarray(position, dtype=np.float64).tobytes()
