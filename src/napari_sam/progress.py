"""How long work reports, and how it is cancelled.

One callback serves both ways: the work calls it between steps, and whoever wants the work to stop raises
`napari_sam.errors.Cancelled` from it.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by long work between two steps; may raise `napari_sam.errors.Cancelled`."""

    def __call__(self, fraction: float, /) -> None:
        """Report progress.

        Parameters
        ----------
        fraction : float
            Share of the work that is done, from 0 to 1.
        """


def no_progress(_fraction: float, /) -> None:
    """Ignore the report: the default of every function that takes a `Progress`."""
