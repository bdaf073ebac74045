"""EfficientNet-Lite (Tan and Le 2019; the Lite variant of 2020) as a trunk: features at strides 2, 4, 8, 16 and 32.

Inverted residual blocks with ReLU6, without squeeze and excitation. Batch normalisation is folded into the
convolutions: each has a bias in its place, in training too, so that what is trained is what ships.

The published weights come from TensorFlow, whose SAME padding of a strided convolution puts the odd pixel behind the
image. Here the padding is symmetric, which PyTorch does without a copy: away from the borders the features are those of
an image that is shifted by a pixel, and photographs are classified as before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import nn

from napari_sam.model.encoders.row_strips import in_row_strips

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SCALINGS", "EfficientNetLite", "tapped_channels"]


@dataclass(frozen=True, slots=True)
class _Stage:
    """Blocks of one resolution: the first has the stride, and widens the channels."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


# Table 1 of Tan and Le (2019), less the last stage, which serves classification.
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
)
_TAPS = (0, 1, 2, 4, 5)  # the last stages of strides 2, 4, 8, 16 and 32
_STEM = 32  # channels; not scaled in the Lite variant

SCALINGS: dict[str, tuple[float, float]] = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
"""Names of the trunks, and by how much each multiplies channels and repeats."""


class ConvReLU6(nn.Sequential):
    """A convolution that keeps the size, or divides it by its stride, and ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups), nn.ReLU6(inplace=True)
        )


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; added to the input where the shape allows (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = ConvReLU6(inputs, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvReLU6(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs
        self.hidden, self.kernel, self.stride = hidden, kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        return in_row_strips(self._chain, x, self.hidden, self.kernel, self.stride)

    def _chain(self, x: Tensor) -> Tensor:
        y = cast("Tensor", self.project(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """The trunk.

    Parameters
    ----------
    name : str
        One of `SCALINGS`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        _, depth = SCALINGS[name]
        channels = _stage_channels(name)
        self.stem = ConvReLU6(3, _STEM, 3, stride=2)
        self.stages = nn.ModuleList()
        inputs = _STEM
        for index, stage in enumerate(_STAGES):
            # Neither the first nor the last stage of the whole network is made deeper in the Lite variant.
            repeats = stage.repeats if index == 0 else math.ceil(stage.repeats * depth)
            blocks = []
            for block in range(repeats):
                stride = stage.stride if block == 0 else 1
                blocks.append(InvertedResidual(inputs, channels[index], stage.kernel, stride, stage.expansion))
                inputs = channels[index]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Turn (B, 3, H, W), about -1 ... 1, into features at strides 2, 4, 8, 16 and 32; odd sizes are rounded up."""
        found = []
        x = self.stem(pixels)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAPS:
                found.append(x)
        x2, x4, x8, x16, x32 = found
        return x2, x4, x8, x16, x32


def _stage_channels(name: str) -> tuple[int, ...]:
    width, _ = SCALINGS[name]
    return tuple(_multiple_of_8(stage.channels * width) for stage in _STAGES)


def tapped_channels(name: str) -> tuple[int, int, int, int, int]:
    """Channels of the features at strides 2, 4, 8, 16 and 32."""
    channels = _stage_channels(name)
    x2, x4, x8, x16, x32 = (channels[index] for index in _TAPS)
    return x2, x4, x8, x16, x32


def _multiple_of_8(channels: float) -> int:
    """Round to a multiple of 8, by no more than a tenth downwards."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
