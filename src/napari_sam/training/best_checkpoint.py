"""The best averaged model of a run so far, by its checks on validation images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from napari_sam.files import part_path, replacing

if TYPE_CHECKING:
    from pathlib import Path

BEST = "best.pt"


class Best:
    """Keeps the best average in a file of its own: weights only, a quarter of a checkpoint.

    Parameters
    ----------
    folder : Path
        The run's; what an earlier part of the run kept there is taken up again.

    Attributes
    ----------
    score : float
        Of the best; minus infinity before the first check.
    checks_since : int
        Checks that brought nothing better.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / BEST
        self.score, self.checks_since = float("-inf"), 0
        self._state: dict[str, Any] = {}
        if self.path.exists():
            self._state = torch.load(self.path, map_location="cpu", weights_only=True)
            self.score, self.checks_since = self._state["score"], self._state["checks_since"]

    def offer(self, score: float, state: dict[str, Any]) -> bool:
        """Look at the result of a check, and keep the model if it is the best.

        Parameters
        ----------
        score : float
            The larger the better; NaN is never the best.
        state : dict
            A checkpoint without the parts that only training needs.

        Returns
        -------
        bool
            Whether it was kept.
        """
        better = score > self.score
        if better:
            self.score, self.checks_since = score, 0
            # Copies, on the processor: training goes on in the tensors that it was given.
            weights = {name: tensor.detach().cpu().clone() for name, tensor in state["average"].items()}
            self._state = state | {"average": weights}
        else:
            self.checks_since += 1
        if self._state:
            self._save()
        return better

    def forget(self) -> None:
        """Drop what another run left in the folder."""
        self.path.unlink(missing_ok=True)
        self.score, self.checks_since, self._state = float("-inf"), 0, {}

    def _save(self) -> None:
        with replacing(self.path, part_path(self.path)) as part:
            torch.save(self._state | {"score": self.score, "checks_since": self.checks_since}, part)
