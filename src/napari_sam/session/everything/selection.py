"""Which of the objects that were found are wanted: by a filter, and by what the person keeps and drops by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.masks import BoxedMask
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.search import SearchResult


class ProposalSelection:
    """Chooses among the objects of one search.

    Parameters
    ----------
    result : SearchResult
        What was found, with the filter to begin with.
    """

    def __init__(self, result: SearchResult) -> None:
        self.result = result
        self.chosen = result.chosen
        """The filter."""
        self.objects: NDArray[np.int32] = np.zeros(result.request.shape, np.int32)
        """1 plus the place in the table of the object that is shown on a pixel, (h, w); 0 for none."""
        self.shown = 0
        """Objects that are shown."""
        self.pointed: int | None = None
        """Place of the object that the mouse is on."""
        self.match: Match | None = None
        """What the objects were ranked by."""
        self._marks: dict[int, bool] = {}

    @property
    def kept(self) -> int:
        """Objects that are shown whatever the filter says."""
        return sum(self._marks.values())

    @property
    def dropped(self) -> int:
        """Objects that are not shown whatever the filter says."""
        return len(self._marks) - self.kept

    @property
    def pointed_mask(self) -> BoxedMask | None:
        """Mask of the object that the mouse is on."""
        return None if self.pointed is None else self.result.table.proposals[self.pointed].mask

    def update(self, taken: NDArray[np.bool_] | None) -> None:
        """Choose anew.

        Parameters
        ----------
        taken : numpy.ndarray, shape (h, w), bool, optional
            Pixels that carry other objects already.
        """
        self.objects = self.result.table.selected(self.chosen, self._marks, taken)
        self.shown = int(np.count_nonzero(np.bincount(self.objects.ravel())[1:]))

    def toggle(self, place: int) -> None:
        """Drop an object that is shown, or keep one that is not, from the next `update` on."""
        if 0 <= place < len(self.result.table):
            self._marks[place] = not bool((self.objects == place + 1).any())

    def keep(self, place: int) -> None:
        """Keep an object whatever the filter says, or leave it to the filter again, from the next `update` on."""
        if 0 <= place < len(self.result.table) and not self._marks.pop(place, False):
            self._marks[place] = True

    def marked(self, *, kept: bool) -> tuple[int, ...]:
        """Return the places of the objects that were kept by hand, or of those that were dropped."""
        return tuple(sorted(place for place, mark in self._marks.items() if mark is kept))

    def rank(self, match: Match) -> None:
        """Choose by how well objects match, too, from the next `update` on."""
        table = replace(self.result.table, match=match.scores)
        suggested = replace(self.result.chosen, match=match.threshold)
        self.result = replace(self.result, table=table, chosen=suggested)
        self.chosen, self.match = replace(self.chosen, match=match.threshold), match

    def place_at(self, y: int, x: int) -> int | None:
        """Find the object at a pixel: the one that is shown there, or the smallest that is not."""
        if number := int(self.objects[y, x]):
            return number - 1
        hidden = self.result.table.at(y, x)
        return int(hidden[0]) if len(hidden) else None
