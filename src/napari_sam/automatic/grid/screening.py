"""Ask a model at many points, and keep what is good: tensors in, few masks out.

The order of the filters is that of Kirillov et al., Segment Anything, arXiv 2304.02643, appendix B: predicted IoU,
which costs nothing, before logits are brought to the plane's pixels, stability after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam.masks import BoxedMask
from napari_sam.model.protocol import PromptTensors, SelectiveModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features, PromptableModel

_MOST_VALUES = 1 << 23
"""Logits on the plane's pixels, float32, at a time: 32 MiB, so that counting them reads them out of the cache."""


@dataclass(frozen=True, slots=True)
class ScreenRules:
    """Which masks are good.

    Attributes
    ----------
    score : float
        Predicted IoU that a mask must exceed; 0 lets all pass.
    stability : float
        Least stability: the share of the pixels with logits above ``-offset`` that is above ``offset``, too.
    offset : float
        How far from 0, in logits.
    """

    score: float
    stability: float
    offset: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """Masks that passed, in the order of their points.

    Attributes
    ----------
    point : numpy.ndarray, shape (n,), int64
        The point that each answers.
    score, stability : numpy.ndarray, shape (n,), float32
    box : numpy.ndarray, shape (n, 4), int64
        First and last pixel inside, (y0, x0, y1, x1), data pixels.
    logits : Tensor, shape (n, h, w), float32
        At low resolution, where the model made them: far smaller than the masks, most of which are dropped.
    """

    point: NDArray[np.int64]
    score: NDArray[np.float32]
    stability: NDArray[np.float32]
    box: NDArray[np.int64]
    logits: Tensor

    def __len__(self) -> int:
        return len(self.point)

    def at(self, places: NDArray[np.integer]) -> Screened:
        """Pick some, in the order of their places."""
        chosen = torch.from_numpy(places).to(self.logits.device)
        return Screened(
            self.point[places], self.score[places], self.stability[places], self.box[places], self.logits[chosen]
        )

    @staticmethod
    def joined(parts: list[Screened], sizes: list[int]) -> Screened:
        """Put together what was screened of several lots of points, `sizes` of them in each."""
        starts = np.cumsum([0, *sizes[:-1]])
        return Screened(
            np.concatenate([part.point + start for part, start in zip(parts, starts, strict=True)]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.stability for part in parts]),
            np.concatenate([part.box for part in parts]),
            # One device for all: memory of another may have run out on the way.
            torch.cat([part.logits.to(parts[-1].logits.device) for part in parts]),
        )


def screen(
    model: PromptableModel, features: Features, frame: Frame, *, points: NDArray[np.float64], rules: ScreenRules
) -> Screened:
    """Ask a model for the three candidates at each point, and keep those that follow the rules.

    Parameters
    ----------
    model : PromptableModel
    features : tuple of Tensor
        The plane's.
    frame : Frame
        The plane's.
    points : numpy.ndarray, shape (n, 2), float64
        Data pixels, (y, x).
    rules : ScreenRules

    Returns
    -------
    Screened
        Masks without pixels are left out.
    """
    at = torch.from_numpy(frame.to_model(points)).to(model.device)[:, None]
    prompts = PromptTensors(at, torch.ones(at.shape[:2], dtype=torch.int64, device=at.device))
    least = rules.score or -inf
    logits, all_scores = _decoded(model, features, prompts, frame, least)
    point, candidate = torch.nonzero(all_scores > least, as_tuple=True)
    scores = all_scores[point, candidate]
    measures = [_measured(model.upscale(some[:, None], frame)[:, 0], rules) for some in _split(logits, frame)]
    stability, box, passed = (torch.cat(parts) for parts in zip(*measures, strict=True))
    (kept,) = torch.nonzero(passed, as_tuple=True)
    return Screened(
        point[kept].cpu().numpy(),
        scores[kept].float().cpu().numpy(),
        stability[kept].cpu().numpy(),
        box[kept].cpu().numpy(),
        logits[kept].float(),
    )


def _decoded(
    model: PromptableModel, features: Features, prompts: PromptTensors, frame: Frame, least: float
) -> tuple[Tensor, Tensor]:
    """Decode three candidates for each of B objects: logits (k, h, w) of those that score more, all scores (B, 3)."""
    if isinstance(model, SelectiveModel):
        return model.decode_better(features, prompts, frame, least)
    decoded = model.decode(features, prompts, frame, multimask=True)
    return decoded.logits[decoded.scores > least], decoded.scores


def full_masks(model: PromptableModel, _features: Features, frame: Frame, *, logits: Tensor) -> list[BoxedMask]:
    """Bring (n, h, w) logits to the plane, and keep what is inside each mask's box."""
    on_device = logits.to(model.device)
    return [
        BoxedMask.of(mask)
        for some in _split(on_device, frame)
        for mask in (model.upscale(some[:, None], frame)[:, 0] > 0).cpu().numpy()
    ]


def _split(logits: Tensor, frame: Frame) -> Iterator[Tensor]:
    """Give logits in lots, at least one of them, that are small enough on the plane's own pixels."""
    yield from torch.split(logits, max(1, _MOST_VALUES // (frame.plane[0] * frame.plane[1])))


def _measured(logits: Tensor, rules: ScreenRules) -> tuple[Tensor, Tensor, Tensor]:
    """Measure (n, H, W) logits: stability (n,), boxes (n, 4), and whether there is a mask and it is stable enough."""
    # Row by row, in small integers: several times as quick as at once.
    high, low = ((logits > level).sum(2, dtype=torch.int32).sum(1) for level in (rules.offset, -rules.offset))
    stability = (high / low).float()
    rows, columns = logits.amax(2) > 0, logits.amax(1) > 0
    first_y, first_x = (line.to(torch.uint8).argmax(1) for line in (rows, columns))
    last_y, last_x = (line.shape[1] - 1 - line.flip(1).to(torch.uint8).argmax(1) for line in (rows, columns))
    box = torch.stack([first_y, first_x, last_y, last_x], 1)
    return stability, box, (stability >= rules.stability) & rows.any(1)
