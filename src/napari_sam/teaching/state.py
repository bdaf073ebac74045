"""What a panel shows of teaching: replaced as a whole, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_sam.training.finetune.report import FinetuneReport

TeachingStage = Literal["idle", "gathering", "running", "done", "failed", "stopped"]
"""How far it is: labels are read, a model learns, and one of three ends."""


@dataclass(frozen=True, slots=True)
class TeachingState:
    """How far teaching is.

    Attributes
    ----------
    stage : str
        A `TeachingStage`.
    words : str
        What is done now, what the verdict is, or why it failed.
    fraction : float or None
        Share that is done, 0 to 1; None where that is not known.
    name : str
        What the taught model is, or will be, called; "" where nothing was taught yet.
    report : FinetuneReport or None
        Of a run that is done.
    rows : tuple of (str, float, float)
        The table of the report: a measure, before, after.
    kept : bool
        Whether there is now a model `name`.
    source : str
        What there is to learn from, in words; "" while nobody asked.
    has_source : bool
        Whether there is anything to learn from.
    resumable : str
        Name of a run that was cut and can go on; "" where there is none.
    """

    stage: TeachingStage = "idle"
    words: str = ""
    fraction: float | None = None
    name: str = ""
    report: FinetuneReport | None = None
    rows: tuple[tuple[str, float, float], ...] = ()
    kept: bool = False
    source: str = ""
    has_source: bool = False
    resumable: str = ""

    @property
    def busy(self) -> bool:
        """Whether a model is being taught."""
        return self.stage in ("gathering", "running")
