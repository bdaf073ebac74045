"""The objects of one search, on a plane or on the planes of a stack, under one filter."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from napari_sam.session.everything.selection import ProposalSelection

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import ProposalFilter
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.search import Findings, SearchResult


class FoundObjects:
    """Chooses among the objects of all planes; what is shown is made for one plane at a time.

    Parameters
    ----------
    findings : Findings
        What was found; at least one object.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.chosen = findings.results[0].chosen
        """The filter."""
        self.suggested = self.chosen
        """The filter to begin with."""
        self.match: Match | None = None
        """What the objects of all planes were ranked by, in the order of the planes and of their tables."""
        self._planes = {result.request.source.view: ProposalSelection(result) for result in findings.results}
        stack = findings.stack
        if stack is not None and (before := self.at(stack.plane.source.view)) is not None:
            before.mark_again(stack.marks)
        self.largest = 0
        """Area of the largest object, data pixels."""
        self.intensities = (0.0, 0.0)
        """Least and largest mean intensity of the objects."""
        self._measure()

    def __len__(self) -> int:
        return self.findings.count

    @property
    def planes(self) -> tuple[ProposalSelection, ...]:
        """The objects of each plane, in the order of the planes."""
        return tuple(self._planes.values())

    @property
    def wanted(self) -> int:
        """Objects of all planes that the filter leaves or that were kept by hand; see `ProposalSelection.wanted`."""
        return sum(selection.wanted for selection in self._planes.values())

    def reshape(self, result: SearchResult) -> None:
        """Take the objects of a plane after another clean-up."""
        self._planes[result.request.source.view].reshape(result)
        self._measure()

    def _measure(self) -> None:
        """Note what sliders go through; of no object, that stays as it is."""
        tables = [plane.result.table for plane in self.planes]
        areas = [table.area[table.area > 0] for table in tables]
        intensities = [table.intensity[table.area > 0] for table in tables]
        if any(map(len, areas)):
            self.largest = max(int(area.max()) for area in areas if len(area))
            self.intensities = (
                min(float(mean.min()) for mean in intensities if len(mean)),
                max(float(mean.max()) for mean in intensities if len(mean)),
            )

    def judge(self, confident: Mapping[PlaneIndex, NDArray[np.bool_]]) -> None:
        """Note which objects of each plane are confident."""
        for view, selection in self._planes.items():
            selection.confident = confident.get(view)

    def at(self, view: PlaneIndex | None) -> ProposalSelection | None:
        """Return the objects of a plane; None where none were looked for."""
        return None if view is None else self._planes.get(view)

    def choose(self, chosen: ProposalFilter) -> None:
        """Choose by another filter."""
        self.chosen = chosen
        for selection in self._planes.values():
            selection.chosen = chosen

    def rank(self, match: Match) -> None:
        """Choose by how well objects match, too."""
        self.match = match
        bounds = accumulate((len(selection.result.table) for selection in self.planes), initial=0)
        for selection, (start, stop) in zip(self.planes, pairwise(bounds), strict=True):
            selection.rank(match.part(start, stop))
        first = self.planes[0]
        self.chosen, self.suggested = first.chosen, first.result.chosen

    def marked(self, *, kept: bool) -> tuple[int, ...]:
        """Return the objects that were kept by hand, or those that were dropped, counted on over all planes."""
        found, before = [], 0
        for selection in self._planes.values():
            found += [before + place for place in selection.marked(kept=kept)]
            before += len(selection.result.table)
        return tuple(found)

    def rest(self, but: ProposalSelection | None) -> None:
        """Let go of what is shown on all planes but one."""
        for selection in self._planes.values():
            if selection is not but:
                selection.rest()
