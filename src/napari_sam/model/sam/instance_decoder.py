"""micro-sam's decoder of instances: where objects are on the whole plane, out of SAM's image embedding.

Archit et al., Segment Anything for Microscopy, Nature Methods 22, 579 (2025); the network is torch_em's UNETR without
skip connections, and parameter names are those of its checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam.model.sam.sam import Sam
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features
    from napari_sam.model.sam.sam import SamConfig
    from napari_sam.progress import Progress

PART = "instance_decoder."
"""What the decoder's names begin with in the state of a `DenseSam`."""

_WIDTHS = (512, 256, 128, 64)  # channels at strides 16 (or 8, on the side path), 8, 4 and 2
_MAPS = 3  # foreground, distance to the centre, distance to the border
_STEPS = 5  # that progress is told of


class DenseSam(Sam):
    """A SAM whose checkpoint also holds a decoder of instances: a `napari_sam.model.protocol.DenseModel`.

    Parameters
    ----------
    config : SamConfig
        Shape of the SAM.
    transposed : collection of str
        See `InstanceDecoder`.
    """

    most_views = 1  # the embedding holds no pixels to mirror

    def __init__(self, config: SamConfig, transposed: Collection[str]) -> None:
        super().__init__(config)
        self.instance_decoder = InstanceDecoder(config.channels, transposed)

    def dense_maps(self, features: Features, frame: Frame, views: int = 1, progress: Progress = no_progress) -> Tensor:
        """Bring the decoder's maps to the plane, (3, H, W), 0 to 1; there is one view, whatever `views` says."""
        # Probabilities, not logits, are interpolated, as the authors do it.
        maps = self.instance_decoder(features[0], progress).sigmoid()
        return self.upscale(maps, frame)[0]


class InstanceDecoder(nn.Module):
    """A U-shaped decoder whose skip connections come out of the embedding, too, by a path of upsamplings.

    Parameters
    ----------
    channels : int
        Channels of the image embedding.
    transposed : collection of str
        Names of the upsamplers that are transposed convolutions, as `transposed_upsamplers` reads them off a state: in
        some checkpoints all are, in others bilinear interpolation is followed by a convolution.
    """

    def __init__(self, channels: int, transposed: Collection[str] = ()) -> None:
        super().__init__()
        coarse, *_, fine = _WIDTHS

        def upsampler(name: str, inside: int, outside: int) -> nn.Module:
            return (
                _Named(nn.ConvTranspose2d(inside, outside, 2, 2)) if name in transposed else _Bilinear(inside, outside)
            )

        steps = list(zip((channels, *_WIDTHS), _WIDTHS, strict=False))
        self.deconv1, self.deconv2, self.deconv3, self.deconv4 = (
            _Named(
                nn.Sequential(
                    upsampler(f"deconv{index}.block.0", inside, outside),
                    _Named(nn.Conv2d(outside, outside, 3, padding=1)),
                    nn.BatchNorm2d(outside),
                    nn.ReLU(),
                )
            )
            for index, (inside, outside) in enumerate(steps, 1)
        )
        self.base = _two_convolutions(channels, coarse)
        self.decoder = _Upward([upsampler(f"decoder.samplers.{index}", *step) for index, step in enumerate(steps[1:])])
        self.deconv_out = upsampler("deconv_out", fine, fine)
        self.decoder_head = _two_convolutions(2 * fine, fine)
        self.out_conv = nn.Conv2d(fine, _MAPS, 1)

    def forward(self, embedding: Tensor, progress: Progress = no_progress) -> Tensor:
        """Decode a (1, channels, h, w) embedding.

        Returns
        -------
        Tensor, shape (1, 3, 16 h, 16 w)
            Logits of foreground, of the distance to the object's centre as a share of the farthest, and of the nearness
            to its border: 1 at the border and in the background, 0 where the object is deepest.
        """
        sides = [embedding]
        for layer in (self.deconv1, self.deconv2, self.deconv3, self.deconv4):
            sides.append(layer(sides[-1]))
        progress(1 / _STEPS)
        x = self.base(embedding)
        for index, (sampler, block) in enumerate(zip(self.decoder.samplers, self.decoder.blocks, strict=True), 1):
            x = sampler(x)
            x = block(torch.cat([x, _middle(sides[index], x.shape[1])], 1))
            progress((1 + index) / _STEPS)
        x = torch.cat([self.deconv_out(x), sides[-1]], 1)
        logits: Tensor = self.out_conv(self.decoder_head(x))
        progress(1.0)
        return logits


def transposed_upsamplers(state: Mapping[str, Tensor]) -> frozenset[str]:
    """Name the upsamplers in a decoder's state that are transposed convolutions."""
    with torch.device("meta"):
        known = InstanceDecoder(1).state_dict()
    names = (key.removesuffix(".conv.weight") for key in known if key.endswith(".conv.weight"))
    return frozenset(name for name in names if f"{name}.block.weight" in state)


def _middle(side: Tensor, channels: int) -> Tensor:
    """Take as many channels out of the middle: the side path has twice as many as the weights were trained with."""
    first = (side.shape[1] - channels) // 2
    return side[:, first : first + channels]


def _two_convolutions(inside: int, outside: int) -> _Named:
    return _Named(
        nn.Sequential(
            nn.InstanceNorm2d(inside),
            nn.Conv2d(inside, outside, 3, padding=1),
            nn.ReLU(),
            nn.InstanceNorm2d(outside),
            nn.Conv2d(outside, outside, 3, padding=1),
            nn.ReLU(),
        )
    )


class _Named(nn.Module):
    """A layer called `block`, which names in the checkpoints contain."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class _Bilinear(nn.Module):
    """Twice as fine: (B, inside, h, w) to (B, outside, 2h, 2w)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        # The authors interpolate first: the same, for a convolution of single pixels, in four times its time.
        return F.interpolate(self.conv(x), scale_factor=2, mode="bilinear", align_corners=False)


class _Upward(nn.Module):
    """The way up of the U: what makes the map finer, and what reads it together with the side path."""

    def __init__(self, samplers: list[nn.Module]) -> None:
        super().__init__()
        self.samplers = nn.ModuleList(samplers)
        self.blocks = nn.ModuleList(_two_convolutions(2 * width, width) for width in _WIDTHS[1:])
