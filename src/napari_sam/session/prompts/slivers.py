"""Which shapes are no more than the trace of a plain click."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SliverMemory:
    """Tells the trace of a plain click in a drawing mode from a box that somebody drew.

    A click without a drag leaves a square of a few pixels of the *screen*, whatever the zoom, so a shape is judged by
    the zoom at which it is first seen; zooming later changes nothing. A changed shape is judged anew.

    Parameters
    ----------
    least : float
        Sides shorter than this many screen pixels make a sliver.
    """

    def __init__(self, least: float = 4.0) -> None:
        self._least = least
        self._verdicts: dict[bytes, bool] = {}

    def is_sliver(self, corners: NDArray[np.float64], pixel: float) -> bool:
        """Tell whether a shape is a sliver.

        Parameters
        ----------
        corners : numpy.ndarray, shape (N, 2)
            Data pixels.
        pixel : float
            Side of a screen pixel, in data pixels, now.
        """
        key = corners.tobytes()
        if key not in self._verdicts:
            sides = corners.max(axis=0) - corners.min(axis=0)
            # A quarter of a data pixel encloses nothing at any zoom.
            self._verdicts[key] = bool(sides.min() < max(self._least * pixel, 0.25))
        return self._verdicts[key]

    def clear(self) -> None:
        """Forget all verdicts."""
        self._verdicts.clear()
