"""The compact model, as the training loop takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam.model.compact.canvas import normalise
from napari_sam.model.compact.model import CompactSam

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam.model.compact.config import CompactConfig
    from napari_sam.model.protocol import Features, PromptTensors

_TRUNK = "encoder.trunk."

# Of the encoder, what lies above the trunk, or above the stages where there is none.
_LATE = tuple(
    f"encoder.{part}."
    for part in (
        "context",
        "up16",
        "up8",
        "up4",
        "lateral16",
        "lateral8",
        "lateral4",
        "out16",
        "out8",
        "out4",
        "refine8",
        "refine4",
    )
)
_HEADS = ("decoder.", "dense.", "similarity.")
_DENSE = 4  # the place of the dense logits in what `CompactSam.features` gives


class TrainableCompact:
    """A compact model to train: a `napari_sam.training.trainable.Trainable`.

    Parameters
    ----------
    config : CompactConfig
        Its sizes.
    network : CompactSam, optional
        Of these sizes; default: one with random weights.
    """

    canvas_side: int | None = None
    window: int | None = None
    saves_whole = True

    def __init__(self, config: CompactConfig, network: CompactSam | None = None) -> None:
        self.network = CompactSam(config) if network is None else network
        self.description = config.to_json()

    def is_pretrained(self, parameter: str) -> bool:
        """Tell whether a parameter is of the trunk, which has learnt from ImageNet."""
        return parameter.startswith(_TRUNK)

    def is_late(self, parameter: str) -> bool:
        """Tell whether a parameter is of what comes after the early part of the encoder."""
        return parameter.startswith((*_HEADS, *_LATE))

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, H, W) uint8."""
        return self.network.features(normalise(images))

    def begin(self, pixels: Tensor) -> Features:
        """Encode a plane, (1, 3, H, W) normalised."""
        return self.network.encode(pixels)

    def resume(self, encoded: Features) -> Features:
        """Return what was encoded."""
        return encoded

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts; see `CompactSam.respond`."""
        return self.network.respond(features, objects, prompts)

    def dense(self, features: Features, windows: Sequence[tuple[slice, slice]] | None) -> Tensor:
        """Return the logits of the dense head, (N, 3, H / 4, W / 4), or those of windows."""
        logits = features[_DENSE]
        if windows is None:
            return logits
        return torch.stack([own[:, rows, columns] for own, (rows, columns) in zip(logits, windows, strict=True)])
