"""Which candidate for a click is the best one: a small network that compares those of all scales.

The decoder estimates the IoU of each mask by what it sees at one scale, and says too much of masks that are too small
or too large to be seen well there. The ranker reads that estimate beside what tells how far it can be believed.

It is not told how large a mask is on the plane, only how large it is seen. Of kinds that it was fitted to, it would
know how large their objects are, and that helps: on held-out nuclei .012 of the mean IoU of a click instead of .004.
But on kinds that it was not fitted to (a third of fifteen, three times) it errs by that: up to .14 is lost on one of
them. As it is, no kind loses, and the mean over kinds rises by .019.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam.model.compact.layers import STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.model.compact.scales import ScaleCandidate
    from napari_sam.model.compact.windowed_decode import Look

_MASKS = 3  # candidates of a look
_CLOSE = 1.0  # logits: a mask is stable that hardly changes when its threshold moves by so much
_FARTHEST = 6.0  # standard deviations

_TRUST = 2 / 3
"""Weight of the ranker's estimate in the score; the rest is that of the rule that `napari_sam.model.compact.scales`
has, which knows no kinds at all."""

FEATURES = 6 + _MASKS
"""Numbers for each candidate; see `describe`."""


def describe(found: Sequence[ScaleCandidate]) -> Tensor:
    """Describe the candidates for one object by a row of `FEATURES` numbers each.

    They are: the decoder's estimate of the IoU; the root of the mask's area in pixels of the scale that it is seen at,
    as logarithm to base 2; how stable the mask is, as the ratio of what exceeds a higher and a lower threshold; how
    much of it lies on the edge of its window, by the root of its area; the mean probability inside; the IoU with the
    single mask of the same look; and which of the three candidates it is.

    Parameters
    ----------
    found : sequence of ScaleCandidate
        Of looks with three candidates.

    Returns
    -------
    Tensor, shape (n, FEATURES), float32
    """
    seen: dict[int, Tensor] = {}
    for candidate in found:
        if id(candidate.look) not in seen:
            seen[id(candidate.look)] = _described(candidate.look)
    return torch.stack([seen[id(candidate.look)][candidate.mask - 1] for candidate in found])


def _described(look: Look) -> Tensor:
    """Describe the three candidates of a look: (3, FEATURES)."""
    logits = look.logits[1:].float()
    inside = logits > 0
    area = inside.flatten(1).sum(1).float()
    root = area.clamp(min=1).sqrt()
    edge = inside[:, 0].sum(1) + inside[:, -1].sum(1) + inside[:, :, 0].sum(1) + inside[:, :, -1].sum(1)
    sure, maybe = ((logits > limit).flatten(1).sum(1) for limit in (_CLOSE, -_CLOSE))
    single = look.logits[:1] > 0
    common, joined = ((one.flatten(1).sum(1)) for one in (inside & single, inside | single))
    numbers = [
        look.scores[1:].float(),
        (STRIDE * root).log2(),
        sure / maybe.clamp(min=1),
        edge / root,
        (logits.sigmoid() * inside).flatten(1).sum(1) / area.clamp(min=1),
        common / joined.clamp(min=1),
    ]
    return torch.cat([torch.stack(numbers, 1), torch.eye(_MASKS, device=logits.device)], 1)


class CandidateRanker(nn.Module):
    """Predict the IoU of each candidate for an object from all of them.

    Its numbers are buffers: `napari_sam.training.bundled.candidate_ranking` fits them when the rest is learnt, and
    nothing else changes them.

    Parameters
    ----------
    width : int
        Of the two hidden layers.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        for index, (inputs, outputs) in enumerate(((2 * FEATURES, width), (width, width), (width, 1))):
            self.register_buffer(f"weight{index}", torch.zeros(outputs, inputs))
            self.register_buffer(f"bias{index}", torch.zeros(outputs))

    def forward(self, features: Tensor, there: Tensor | None = None) -> Tensor:
        """Predict the IoU, (..., n), 0 to 1, of the n candidates of each object, described by (..., n, FEATURES).

        Objects with fewer are padded; `there`, (..., n) bool, is then False for what pads.
        """
        numbers = ((features - self.mean) / self.deviation).clamp(-_FARTHEST, _FARTHEST)
        # What is said of one is read beside what is said of all.
        if there is None:
            mean = numbers.mean(-2, keepdim=True)
        else:
            mean = (numbers * there[..., None]).sum(-2, keepdim=True) / there.sum(-1)[..., None, None]
        x = torch.cat([numbers, numbers - mean], -1)
        layers = [(getattr(self, f"weight{index}"), getattr(self, f"bias{index}")) for index in range(3)]
        for weight, bias in layers[:-1]:
            x = F.gelu(F.linear(x, weight, bias))
        return F.linear(x, *layers[-1])[..., 0].sigmoid()

    def rate(self, found: Sequence[ScaleCandidate]) -> list[ScaleCandidate]:
        """Score the candidates for one object, of looks with three each, by what they are next to each other."""
        estimates = self(describe(found).to(self.mean)).tolist()
        return [
            replace(candidate, score=_TRUST * estimate + (1 - _TRUST) * candidate.score)
            for candidate, estimate in zip(found, estimates, strict=True)
        ]
