"""Tasks one after the other, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_sam.batch.open_stacks import close_stacks
from napari_sam.batch.tasks import describe, do

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.batch.finding import DescribedFinder, FinderDescription
    from napari_sam.batch.tasks import TileTask
    from napari_sam.progress import Progress


class Executor(Protocol):
    """Does tasks. What they find is on the disk afterwards, the same whoever did them."""

    def describe(self, finder: DescribedFinder, folder: Path) -> FinderDescription:
        """Ask a finder where it will work; see `napari_sam.batch.tasks.describe`."""

    def run(self, tasks: Sequence[TileTask], progress: Progress) -> None:
        """Do all tasks, in any order.

        Parameters
        ----------
        tasks : sequence of TileTask
        progress : Progress
            Called with the share of them that is done; may raise `Cancelled`.

        Raises
        ------
        InputError
            If one cannot be done. What was done before stays on the disk.
        """


class LocalExecutor:
    """Does tasks in this process, with all cores that the model uses."""

    def describe(self, finder: DescribedFinder, folder: Path) -> FinderDescription:
        """Ask a finder."""
        return describe(finder, folder)

    def run(self, tasks: Sequence[TileTask], progress: Progress) -> None:
        """Do all tasks, in their order."""
        try:
            for number, task in enumerate(tasks):

                def within(share: float, done: int = number) -> None:
                    progress((done + share) / len(tasks))

                within(0.0)
                do(task, within)
        finally:
            close_stacks()
