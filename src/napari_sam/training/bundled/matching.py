"""A new encoder learns to give the features of an old one, so that what reads them starts where it was.

The trunk has its ImageNet weights and stays; only what lies between it and the features learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_sam.model.compact.canvas import normalise
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from napari_sam.model.compact.model import CompactSam
    from napari_sam.progress import Progress
    from napari_sam.training.data.batches import CropSource

STEPS = 300
_CROPS, _SIDE = 8, 192
_RATE = 2e-3


@dataclass(frozen=True, slots=True)
class Matching:
    """What a new encoder begins with.

    Attributes
    ----------
    teacher : CompactSam
        A trained model.
    trunk : mapping of str to Tensor
        Weights of the new encoder's trunk.
    """

    teacher: CompactSam
    trunk: Mapping[str, Tensor]


def matched_start(
    student: CompactSam,
    teacher: CompactSam,
    trunk: Mapping[str, Tensor],
    source: CropSource,
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda _words: None,
) -> dict[str, Tensor]:
    """Bring a model with a new encoder to the features of one that is trained.

    Parameters
    ----------
    student : CompactSam
        With a backbone. It takes the teacher's decoder and heads, and what the encoders have in common.
    teacher : CompactSam
        Trained; its decoder's widths are the student's.
    trunk : mapping of str to Tensor
        Weights of the student's trunk.
    source : CropSource
        Crops to compare the features on.
    steps, seed : int
    progress, tell : callable
        As in `napari_sam.training.loop.Trainer.run`.

    Returns
    -------
    dict of str to Tensor
        The student's state.
    """
    own = student.state_dict()
    # What has the same name and shape in both: the decoder, the heads, and what the encoders share.
    shared = {
        name: value for name, value in teacher.state_dict().items() if name in own and own[name].shape == value.shape
    }
    student.load_state_dict(own | shared | {f"encoder.trunk.{name}": value for name, value in trunk.items()})
    learning = [p for name, p in student.encoder.named_parameters() if not name.startswith("trunk.")]
    optimizer = torch.optim.AdamW(learning, lr=_RATE, weight_decay=0.01)
    rng = np.random.default_rng((seed, 7))
    for step in range(steps):
        # Twenty steps to warm up, then half a cosine down to a hundredth.
        for group in optimizer.param_groups:
            group["lr"] = (
                _RATE * min(1.0, (step + 1) / 20) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))
            )
        pixels = normalise(source.draw(rng, _CROPS, 1, _SIDE).images)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = teacher.encoder(pixels, no_progress)
        found = student.encoder(pixels, no_progress)
        # Every level counts alike, whatever its features' scale.
        loss = torch.stack([F.mse_loss(a, b) / b.var() for a, b in zip(found, wanted, strict=True)]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        tell(f"matching {step + 1} of {steps}, loss {loss.item():.3f}")
        progress((step + 1) / steps)
    return {name: value.detach().clone() for name, value in student.state_dict().items()}
