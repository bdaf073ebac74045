"""Which of the objects that were found are wanted: by a filter, and by what the person keeps and drops by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import ProposalFilter
    from napari_sam.masks import BoxedMask
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.search import SearchRequest, SearchResult


@dataclass(frozen=True, slots=True, eq=False)
class DecidedGroup:
    """Some of the objects of a plane, written before the rest of them.

    Attributes
    ----------
    accepted, rejected : tuple of int
        Places of those that were written, and of those that had been dropped until then.
    is_there : callable
        Tells whether they are still in the labels: what was written may be undone, and done again.
    """

    accepted: tuple[int, ...]
    rejected: tuple[int, ...]
    is_there: Callable[[], bool]


_SAME = 0.8
"""IoU from which a mask counts as that of an earlier search."""
_NOTHING = np.zeros((0, 0), np.int32)


class ProposalSelection:
    """Chooses among the objects of one search.

    Parameters
    ----------
    result : SearchResult
        What was found, with the filter to begin with.
    """

    def __init__(self, result: SearchResult) -> None:
        self.result = result
        self.objects: NDArray[np.int32] = _NOTHING
        """1 plus the place in the table of the object that is shown on a pixel, (h, w); 0 for none. Empty at rest."""
        self.shown = 0
        """Objects that are shown."""
        self.pointed: int | None = None
        """Place of the object that the mouse is on."""
        self.match: Match | None = None
        """What the objects were ranked by."""
        self.confident: NDArray[np.bool_] | None = None
        """Which objects a calibration promises to be good, by their places in the table; None where there is none."""
        self._groups: list[DecidedGroup] = []
        self._chosen = result.chosen
        self._marks: dict[int, bool] = {}
        self._wanted: int | None = None

    @property
    def chosen(self) -> ProposalFilter:
        """The filter."""
        return self._chosen

    @chosen.setter
    def chosen(self, chosen: ProposalFilter) -> None:
        self._chosen, self._wanted = chosen, None

    @property
    def marks(self) -> dict[int, bool]:
        """What the person decided by hand: whether an object is kept, by its place in the table; a copy."""
        return dict(self._marks)

    def marks_for(self, request: SearchRequest) -> tuple[tuple[BoxedMask, bool], ...]:
        """Return what was kept or dropped by hand, for another search of the same part: masks, and which of both."""
        own = self.result.request
        if (own.source.view, own.start, own.shape) != (request.source.view, request.start, request.shape):
            return ()
        return tuple((self.result.table.proposals[place].mask, mark) for place, mark in self._marks.items())

    @property
    def wanted(self) -> int:
        """Objects within the bounds of the filter, or kept by hand; those that overlap with better ones count, too."""
        # Kept: asked for on every plane of a stack, after every event.
        if self._wanted is None:
            within = self.result.table.wanted(self._chosen)
            for place, mark in self._laid_marks().items():
                within[place] = mark
            self._wanted = int(np.count_nonzero(within))
        return self._wanted

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

    @property
    def replaces(self) -> bool:
        """Whether objects take the place of those that they were made of."""
        prompted = self.result.request.prompted
        return prompted is not None and prompted.replaces

    @property
    def target(self) -> str:
        """What names the layer that objects go back into; "" where they may go into any."""
        prompted = self.result.request.prompted
        return "" if prompted is None else prompted.target

    @property
    def places(self) -> NDArray[np.intp]:
        """Places of the objects that are shown, in ascending order."""
        return _numbers(self.objects) - 1

    @property
    def shown_confident(self) -> NDArray[np.intp]:
        """Places of the objects that are shown and confident, in ascending order."""
        if self.confident is None:
            return np.array([], np.intp)
        return np.array([place for place in self.places if self.confident[place]], np.intp)

    @property
    def rejected(self) -> tuple[int, ...]:
        """Places of the objects that were on offer and are not wanted, but for those that were noted in a group."""
        dropped = {place for place, mark in self._marks.items() if not mark}
        if self.match is None:
            # What sliders leave out, too; who looks for one kind among several rejects none.
            offered = _numbers(self.result.table.selected(self.result.chosen)) - 1
            wanted = self.result.table.wanted(self._chosen)
            dropped |= {int(place) for place in offered if not wanted[place] and place not in self._marks}
        noted = {place for group in self._written() for place in (*group.accepted, *group.rejected)}
        return tuple(sorted(dropped - noted))

    def confident_only(self) -> ProposalSelection:
        """Return what is shown and confident, to be written by itself."""
        part = ProposalSelection(self.result)
        part.match, part._chosen, part._marks, part._groups = self.match, self._chosen, self._marks, self._groups
        part.objects = np.where(np.isin(self.objects - 1, self.shown_confident), self.objects, 0).astype(np.int32)
        part.shown = len(self.shown_confident)
        return part

    def add_group(self, group: DecidedGroup) -> None:
        """Take objects for written, as long as that is not undone, from the next `update` on."""
        self._groups.append(group)
        self._wanted = None

    def _written(self) -> list[DecidedGroup]:
        """Return the groups that were written and not undone."""
        return [group for group in self._groups if group.is_there()]

    def _laid_marks(self) -> dict[int, bool]:
        """Say which objects are laid or not whatever the filter says: those that are written are not laid again."""
        # Asked for often, and each group looks into the labels; mostly there is none.
        return self._marks | {place: False for group in self._written() for place in group.accepted}

    def update(self, labels: NDArray[np.integer[Any]] | None) -> None:
        """Choose anew.

        Parameters
        ----------
        labels : numpy.ndarray, shape (h, w), int, optional
            Ids that pixels carry already, and are to keep; an object that replaces its own takes its pixels all the
            same.
        """
        if labels is None or not self.replaces:
            taken = None if labels is None else labels != 0
            self.objects = self.result.table.selected(self.chosen, self._laid_marks(), taken)
        else:
            ids = self.result.labels.tolist()
            self.objects = self.result.table.selected_in_place(self.chosen, self._laid_marks(), labels, ids)
        self.shown, self._wanted = len(self.places), None if self._groups else self._wanted

    def rest(self) -> None:
        """Let go of what is shown, of which hundreds of planes would fill the memory, until the next `update`."""
        self.objects, self.pointed = _NOTHING, None

    def toggle(self, place: int) -> None:
        """Drop an object that is shown, or keep one that is not, from the next `update` on."""
        if 0 <= place < len(self.result.table):
            self._marks[place], self._wanted = not bool((self.objects == place + 1).any()), None

    def keep(self, place: int) -> None:
        """Keep an object whatever the filter says, or leave it to the filter again, from the next `update` on."""
        if 0 <= place < len(self.result.table):
            self._wanted = None
            if not self._marks.pop(place, False):
                self._marks[place] = True

    def mark_again(self, marks: Sequence[tuple[BoxedMask, bool]]) -> None:
        """Keep and drop what was kept and dropped in an earlier search, by masks that are nearly the same."""
        for mask, kept in marks:
            likeness = [proposal.mask.iou(mask) for proposal in self.result.table.proposals]
            place = int(np.argmax(likeness)) if likeness else 0
            if likeness and likeness[place] >= _SAME:
                self._marks[place], self._wanted = kept, None

    def marked(self, *, kept: bool) -> tuple[int, ...]:
        """Return the places of the objects that were kept by hand, or of those that were dropped."""
        return tuple(sorted(place for place, mark in self._marks.items() if mark is kept))

    def rank(self, match: Match) -> None:
        """Choose by how well objects match, too, from the next `update` on."""
        table = replace(self.result.table, match=match.scores)
        suggested = replace(self.result.chosen, match=match.threshold)
        self.result = replace(self.result, table=table, chosen=suggested)
        self.chosen, self.match = replace(self.chosen, match=match.threshold), match

    def reshape(self, result: SearchResult) -> None:
        """Take the same objects after another clean-up, from the next `update` on; what was chosen stays."""
        table = replace(result.table, match=self.result.table.match)
        self.result, self._wanted = replace(result, table=table, chosen=self.result.chosen), None

    def place_at(self, y: int, x: int) -> int | None:
        """Find the object at a pixel: the one that is shown there, or the smallest that is not."""
        if number := int(self.objects[y, x]):
            return number - 1
        hidden = self.result.table.at(y, x)
        return int(hidden[0]) if len(hidden) else None


def _numbers(objects: NDArray[np.int32]) -> NDArray[np.intp]:
    """List the numbers that are on any pixel, 0 aside."""
    numbers = np.flatnonzero(np.bincount(objects.ravel()))
    return numbers[numbers > 0]
