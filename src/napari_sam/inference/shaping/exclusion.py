"""Labels that a mask leaves alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex

    LabelReader = Callable[[PlaneIndex, tuple[int, int], tuple[int, int]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class LabelExclusion:
    """Pixels that carry some labels, which masks do not take.

    Parameters
    ----------
    layer : str
        Name of the labels, for the person and the journal.
    labels : tuple of int
        Which labels; empty: all but 0.
    read : callable or None
        Takes a plane, and the upper left pixel and the size of a rectangle of it, data pixels, (y, x); returns the
        labels there. Called on the inference thread. None for one that was read from a journal, which excludes nothing.
    """

    layer: str
    labels: tuple[int, ...] = ()
    read: LabelReader | None = None

    def covers(self, view: PlaneIndex, start: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Tell which pixels of a rectangle of a plane are excluded, `shape` bool."""
        if self.read is None:
            return np.zeros(shape, dtype=bool)
        there = self.read(view, start, shape)
        return np.isin(there, self.labels) if self.labels else there != 0

    def but(self, label: int) -> LabelExclusion:
        """Return the same labels without one: what is made anew of an object may take the pixels of that."""
        if (read := self.read) is None:
            return self

        def others(view: PlaneIndex, start: tuple[int, int], shape: tuple[int, int]) -> NDArray[Any]:
            there = read(view, start, shape)
            return np.where(there == label, 0, there)

        return replace(self, read=others)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"layer": self.layer, "labels": list(self.labels)}

    @property
    def words(self) -> str:
        """Say it in a few words."""
        which = f"labels {', '.join(map(str, self.labels))} of" if self.labels else "all labels of"
        return f'without {which} "{self.layer}"'


def parse_labels(text: str) -> tuple[int, ...]:
    """Read labels that a person typed, such as "3, 7-9"; "" and "all" for all of them, which is ().

    Raises
    ------
    InputError
        If that is something else.
    """
    if text.strip().lower() in ("", "all"):
        return ()
    labels: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.strip().partition("-")
            low, high = int(first), int(last or first)
            if not 0 < low <= high < low + _MOST:
                raise ValueError
            labels.update(range(low, high + 1))
    except ValueError:
        raise InputError(f"Labels are numbers from 1 on, such as 3, 7-9, or all; got {text!r}.") from None
    return tuple(sorted(labels))


_MOST = 100_000
"""Labels that a range may hold."""
