"""What the panels show of work that can be had back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecoveryState:
    """An offer to restore objects.

    Attributes
    ----------
    offer : str
        What can be restored, such as "12 objects of cells.tif, yesterday 17:04."; "" when there is nothing.
    running : bool
        Whether it is being restored.
    """

    offer: str = ""
    running: bool = False
