"""Which parts of a plane to look at enlarged, and how much.

Dense maps have a cell for every 4 x 4 model pixels: neighbours of a dozen pixels flow together in them, and the decoder
draws such objects badly as well. So where the first look at a plane finds small objects, its parts are enlarged until
these have the size that the model sees best, and looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.geometry import Frame

SMALL = 16.0
"""Model pixels: objects whose area has a smaller root are looked at enlarged."""

_WANTED = 24.0  # model pixels: the root of their area, enlarged
_LEAST, _MOST = 1.4, 4.0  # times: less is not worth the time, and more shows nothing but the interpolation
_SIDE = 512  # model pixels of an enlarged part, its margins with it
_MARGIN = 3.0  # of the wanted size: what lies in the middle of a part is in it as a whole


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a plane. All are data pixels, (y, x).

    Attributes
    ----------
    corner, size : (int, int)
        What is looked at.
    core : ((int, int), (int, int))
        Upper left corner and the one beyond the lower right one of what is the part's own: cores of the parts of a
        plane have no pixel in common.
    """

    corner: tuple[int, int]
    size: tuple[int, int]
    core: tuple[tuple[int, int], tuple[int, int]]

    @property
    def end(self) -> tuple[int, int]:
        """The pixel after the last one that is looked at."""
        return self.corner[0] + self.size[0], self.corner[1] + self.size[1]

    def owns(self, point: tuple[float, float]) -> bool:
        """Whether a point of the plane lies in the core."""
        (top, left), (bottom, right) = self.core
        return top <= point[0] < bottom and left <= point[1] < right


def object_sizes(labels: NDArray[np.int32], frame: Frame) -> NDArray[np.float64]:
    """Measure the objects of a plane, 1 to n: roots of their areas, model pixels, (n,)."""
    areas: NDArray[np.float64] = np.bincount(labels.ravel())[1:] * np.prod(frame.scale)
    return np.sqrt(areas)


def enlargement(sizes: NDArray[np.float64]) -> float:
    """Choose how much to enlarge objects of these sizes, model pixels: 1 where that is not worth the time."""
    small = sizes[sizes < SMALL]
    if not len(small):
        return 1.0
    factor = min(_MOST, _WANTED / float(np.median(small)))
    return factor if factor >= _LEAST else 1.0


def plan_parts(frame: Frame, factor: float) -> Iterator[Part]:
    """Cut a plane into parts that overlap.

    Parameters
    ----------
    frame : Frame
        The plane's, not enlarged.
    factor : float
        How much they will be enlarged.
    """
    axes = []
    for length, scale in zip(frame.plane, frame.scale, strict=True):
        side, margin = (max(1, round(pixels / (scale * factor))) for pixels in (_SIDE, _MARGIN * _WANTED))
        count = 1 if length <= side else -(-length // max(1, side - 2 * margin))
        edges = np.linspace(0, length, count + 1).round().astype(int).tolist()
        axes.append(
            [(max(0, start - margin), min(length, stop + margin), start, stop) for start, stop in pairwise(edges)]
        )
    for top, bottom, first, last in axes[0]:
        for left, right, begin, end in axes[1]:
            yield Part((top, left), (bottom - top, right - left), ((first, begin), (last, end)))
