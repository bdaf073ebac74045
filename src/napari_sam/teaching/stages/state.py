"""What a panel shows of how far a data set is: replaced as a whole, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam.journal.notes.stages import DataSetStages


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of annotating.

    Attributes
    ----------
    name : str
        For a person.
    objects : int
        How many objects came about at it.
    per_minute : float or None
        How many of them in a minute of active time; None where that is not known.
    """

    name: str
    objects: int
    per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class ProgressState:
    """How far a data set is.

    Attributes
    ----------
    done : str
        Images or planes that are done, of all, in words; "" without an image.
    rows : tuple of StageRow
        Objects at each stage; none while nobody asked.
    taught : str
        What the last teaching brought, in words; "" where there was none.
    words : str
        What came of writing the data set; "" for nothing.
    writing : bool
        Whether it is being written.
    fraction : float or None
        Share of it that is written, 0 to 1; None where that is not known.
    """

    done: str = ""
    rows: tuple[StageRow, ...] = ()
    taught: str = ""
    words: str = ""
    writing: bool = False
    fraction: float | None = None


def stage_rows(known: DataSetStages) -> tuple[StageRow, ...]:
    """Name the stages and what came about at each; that of whole stacks only where there is anything."""
    counts, pace = known.counts, known.pace
    speeds = {stage: one.per_minute for stage, one in pace.items()}
    rows = (
        StageRow("By hand", counts.by_hand, speeds.get("by_hand")),
        StageRow("Accepted", counts.accepted, speeds.get("accepted")),
        StageRow("Corrected", counts.corrected, speeds.get("corrected")),
        StageRow("Rejected", counts.rejected),
    )
    automatic = StageRow("In stacks", known.automatic, speeds.get("automatic"))
    return (*rows, automatic) if known.automatic else rows
