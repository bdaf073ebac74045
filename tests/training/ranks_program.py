"""One of several processes that train together: ``python ranks_program.py FOLDER``, with the variables of torchrun
and this folder on the path.

Writes what became of it into FOLDER, for the test that has started it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from labelled_squares import squares_source
from tiny import SHORT, tiny_model

from napari_sam.errors import Cancelled
from napari_sam.training.loop import Trainer
from napari_sam.training.ranks import started_ranks

if TYPE_CHECKING:
    from napari_sam.training.ranks import Ranks

WORDS = "DefaultCPUAllocator: can't allocate memory"


class FailingSource:
    """A source that is out of memory in the second process."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks, self._source = ranks, squares_source()

    def draw(self, *arguments: Any) -> Any:
        if not self._ranks.first:
            raise RuntimeError(WORDS)
        return self._source.draw(*arguments)


def trainer(folder: Path, ranks: Ranks, **more: Any) -> Trainer[Any]:
    return Trainer(tiny_model, replace(SHORT, **more), squares_source(), folder, ranks=ranks)


def main(folder: Path) -> None:
    found: dict[str, Any] = {}
    with started_ranks() as ranks:
        whole = trainer(folder / "whole", ranks)
        whole.run()
        torch.save(whole.model.state_dict(), folder / f"weights-{ranks.rank}.pt")
        found["crops"] = whole.crops

        cut = trainer(folder / "cut", ranks)

        def progress(share: float, /) -> None:
            # One of them is told to stop: all do.
            if not ranks.first and share >= 0.5:
                raise Cancelled

        try:
            cut.run(progress)
        except Cancelled:
            found["cut at"] = cut.step

        gone_on = trainer(folder / "of one", ranks)
        found["gone on from"] = gone_on.step
        gone_on.run()

        failing = Trainer(tiny_model, SHORT, FailingSource(ranks), folder / "failing", ranks=ranks)
        try:
            failing.run()
        except RuntimeError as error:
            found["error"] = str(error)

        # By the clock of the first one alone.
        timed = trainer(folder / "timed", ranks, steps=10**6, max_seconds=1e-3 if ranks.first else 1e6)
        timed.run()
        found["timed"] = timed.step

        def fails() -> None:
            raise ValueError("of the first")

        try:
            ranks.first_alone(fails)
        except Cancelled:
            found["told"] = "stopped"
        except ValueError as error:
            found["told"] = str(error)
        found["same"] = ranks.first_alone(lambda: "from the first")
    (folder / f"found-{ranks.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
