"""How far two packages give the same masks with the same weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.evaluation.speed.report import Agreement
from napari_sam.masks import iou

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray


def compare_answers(ours: Path, theirs: Path, contender: str) -> Agreement:
    """Compare what two contenders answered.

    Parameters
    ----------
    ours, theirs : Path
        Files of numpy with ``masks``, (points, 3, H, W), and ``logits``, (points, 3, h, w).
    contender : str
        Who the other one is.
    """
    with np.load(ours) as first, np.load(theirs) as second:
        pairs = list(zip(_flat(first["masks"]), _flat(second["masks"]), strict=True))
        logits = first["logits"]
        difference = float(np.abs(logits - second["logits"]).max())
        largest = float(np.abs(logits).max())
    return Agreement(contender, float(np.mean([iou(*pair) for pair in pairs])), difference, largest, len(pairs))


def _flat(masks: NDArray[Any]) -> NDArray[Any]:
    return masks.reshape(-1, *masks.shape[-2:])
