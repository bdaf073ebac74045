"""The bundled model: a compact SAM that answers in tens of milliseconds on a laptop's processor.

It is a `protocol.PromptableModel`. The encoder runs once for a plane; the decoder runs in a window of the features
around the prompts, so that its time does not grow with the plane.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam.errors import WeightsError
from napari_sam.geometry import Frame, square_pixels
from napari_sam.model import compact_window as window
from napari_sam.model.compact_decoder import MaskDecoder
from napari_sam.model.compact_encoder import DenseHead, Encoder, SimilarityHead
from napari_sam.model.compact_layers import COARSEST, STRIDE
from napari_sam.model.protocol import Decoded, PromptKind, PromptTensors
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.model.protocol import Features
    from napari_sam.progress import Progress

OUTSIDE = -30.0
"""Logit of every cell outside the window that the decoder looked at: certainly not the object."""

_PERCENTILES = (0.01, 0.998)
_LEAST_CONTRAST = 6.0  # grey levels: below this the noise of a constant image is not stretched to full range


@dataclass(frozen=True, slots=True)
class CompactConfig:
    """Sizes of a compact model, and how it lays planes on its canvas.

    Attributes
    ----------
    widths, blocks : (int, int, int)
        Channels and residual blocks of the encoder at strides 4, 8 and 16.
    attention_blocks, attention_heads : int
        The encoder's transformer blocks at stride 16.
    decoder_widths : (int, int, int)
        Channels of the cached features and of the decoder at strides 4, 8 and 16.
    decoder_depth, decoder_heads : int
        The decoder's two-way attention blocks.
    longest, shortest : int
        Limits of a canvas' sides, model pixels: longer planes are shrunk, shorter ones padded.
    preferred, enlarge : float
        A smaller plane is enlarged until its longer side is the geometric mean of what it was and `preferred` model
        pixels, but at most `enlarge` times: details gain by it, and time is paid where there is some to spare.
    window : int
        Least side of the decoder's window, model pixels.
    """

    widths: tuple[int, int, int] = (48, 96, 192)
    blocks: tuple[int, int, int] = (2, 2, 2)
    attention_blocks: int = 4
    attention_heads: int = 6
    decoder_widths: tuple[int, int, int] = (32, 64, 128)
    decoder_depth: int = 2
    decoder_heads: int = 4
    longest: int = 1536
    shortest: int = 128
    preferred: float = 1024.0
    enlarge: float = 2.0
    window: int = 256

    def to_json(self) -> str:
        """Write the configuration as one JSON object, as it stands in a checkpoint's metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CompactConfig:
        """Read what `to_json` wrote.

        Raises
        ------
        WeightsError
            If the text is not a configuration of a compact model.
        """
        try:
            data = json.loads(text)
            known = {field.name for field in fields(cls)}
            if unknown := set(data) - known:
                raise WeightsError(
                    f"This compact model has settings that are not known here ({', '.join(sorted(unknown))}). "
                    "Update napari-sam-live."
                )
            settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
            return cls(**settings)
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"The checkpoint's description of its compact model cannot be read ({error}). Fetch the file again."
            ) from error


def build_compact(config_json: str) -> CompactSam:
    """Build a compact model, with random weights, from the configuration in a checkpoint's metadata."""
    return CompactSam(CompactConfig.from_json(config_json))


class CompactSam(nn.Module):
    """Image encoder, dense head and prompt decoder of the bundled model.

    Parameters
    ----------
    config : CompactConfig, optional
        Sizes; the defaults are those of the shipped weights.
    """

    prompt_kinds: frozenset[PromptKind] = frozenset({"point", "box", "mask"})

    def __init__(self, config: CompactConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CompactConfig()
        self.encoder = Encoder(
            config.widths, config.blocks, config.attention_blocks, config.attention_heads, config.decoder_widths
        )
        self.similarity = SimilarityHead(config.decoder_widths[0])
        self.dense = DenseHead(config.decoder_widths[0])
        self.decoder = MaskDecoder(config.decoder_widths, config.decoder_depth, config.decoder_heads)
        self.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.parameters()).device

    def frame(self, plane: tuple[int, int], spacing: tuple[float, float] = (1.0, 1.0)) -> Frame:
        """Lay a plane on a canvas of its own proportions.

        Parameters
        ----------
        plane : (int, int)
            Height and width, data pixels.
        spacing : (float, float)
            Physical pixel distance along y and x.

        Returns
        -------
        Frame
            Pixel-centred; the canvas is padded to multiples of 16.
        """
        height, width = square_pixels(plane, spacing)
        longer = max(height, width)
        wanted = max(1.0, min(self.config.enlarge, math.sqrt(self.config.preferred / longer)))
        factor = min(wanted, self.config.longest / longer)
        content = max(1, round(height * factor)), max(1, round(width * factor))
        rows, columns = (
            -(-max(side, min(self.config.shortest, self.config.longest)) // COARSEST) * COARSEST for side in content
        )
        return Frame(plane, content, (rows, columns), anchor=0.5)

    def preprocess(self, image: NDArray[np.uint8], frame: Frame) -> Tensor:
        """Resample an (H, W, 3) uint8 image, normalise it, and pad it by repeating its last row and column.

        Returns
        -------
        Tensor, shape (1, 3, canvas height, canvas width), float32
        """
        pixels = normalise(torch.tensor(image, device=self.device).permute(2, 0, 1)[None])
        if frame.content != frame.plane:
            pixels = F.interpolate(pixels, frame.content, mode="bilinear", align_corners=False, antialias=True)
        below, right = (canvas - content for canvas, content in zip(frame.canvas, frame.content, strict=True))
        return F.pad(pixels, (0, right, 0, below), mode="replicate")

    def encode(self, pixels: Tensor, progress: Progress = no_progress) -> Features:
        """Run the encoder.

        Returns
        -------
        tuple of Tensor
            Features at strides 4, 8, 16; similarity features (1, heads, c, h, w); dense logits (1, 3, h, w), the last
            two at stride 4.
        """
        f4, f8, f16 = self.encoder(pixels.contiguous(memory_format=torch.channels_last), progress)
        return f4, f8, f16, self.similarity(f4), self.dense(f4).float()

    def logits_shape(self, frame: Frame) -> tuple[int, int]:
        """(h, w) of the logits: a quarter of the canvas."""
        return frame.canvas[0] // STRIDE, frame.canvas[1] // STRIDE

    def decode(self, features: Features, prompts: PromptTensors, frame: Frame, *, multimask: bool) -> Decoded:
        """Answer B sets of prompts, each in a window that grows while a mask touches its edge.

        Parameters
        ----------
        features : tuple of Tensor
            What `encode` gave.
        prompts : PromptTensors
            Model pixels.
        frame : Frame
            The plane's.
        multimask : bool
            Three candidates instead of one.

        Returns
        -------
        Decoded
            Logits at stride 4 of the canvas; cells outside the window have the logit `OUTSIDE`.
        """
        rows, columns = shape = self.logits_shape(frame)
        batch, count = len(prompts.points), MaskDecoder.masks - 1 if multimask else 1
        logits = features[0].new_full((batch, count, rows, columns), OUTSIDE, dtype=torch.float32)
        scores = features[0].new_zeros((batch, count), dtype=torch.float32)
        spans = window.extents(prompts, shape)
        least = torch.full((batch,), self.config.window // STRIDE)
        pending = torch.arange(batch)
        while len(pending):
            sides = window.window_sides(spans[pending], least[pending], shape)
            group = pending[(sides == sides[0]).all(1)]
            height, width = size = int(sides[0, 0]), int(sides[0, 1])
            corners = window.window_corners(spans[group], size, shape)
            masks, quality = self._look(features, window.take(prompts, group), spans[group], corners, size)
            masks, quality = (masks[:, 1:], quality[:, 1:]) if multimask else (masks[:, :1], quality[:, :1])
            growing = window.touches(masks, corners, size, shape)
            for row in torch.nonzero(~growing)[:, 0].tolist():
                y, x = corners[row].tolist()
                logits[group[row], :, y : y + height, x : x + width] = masks[row]
                scores[group[row]] = quality[row]
            least[group[growing]] = 2 * max(size)
            pending = pending[~torch.isin(pending, group[~growing])]
        return Decoded(logits, scores)

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts on a batch of planes, all four masks, without a window: what training needs.

        Parameters
        ----------
        features : tuple of Tensor
            What `encode` gave for (N, 3, H, W).
        objects : Tensor, shape (B,), int64
            The plane of each object.
        prompts : PromptTensors
            Model pixels; a box of NaN is no box.

        Returns
        -------
        logits : Tensor, shape (B, 4, H / 4, W / 4)
        scores : Tensor, shape (B, 4)
        """
        f4, f8, f16, keys = (part[objects] for part in features[:4])
        spans = window.extents(prompts, (f4.shape[2], f4.shape[3]))
        centre = window.centres(spans).to(f4.device)
        answer: tuple[Tensor, Tensor] = self.decoder((f4, f8, f16), keys, prompts, torch.zeros_like(centre), centre)
        return answer

    def _look(
        self, features: Features, prompts: PromptTensors, spans: Tensor, corners: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Run the decoder in one window of `size` for each object."""
        f4, f8, f16 = (
            window.cut(part, corners // step, (size[0] // step, size[1] // step))
            for part, step in zip(features[:3], (1, 2, 4), strict=True)
        )
        keys = window.cut(features[3].flatten(1, 2), corners, size).reshape(-1, *features[3].shape[1:3], *size)
        masks = None if prompts.masks is None else window.cut(prompts.masks, corners, size)
        inside = PromptTensors(prompts.points, prompts.labels, prompts.boxes, masks)
        origin = corners.flip(1).to(f4.device, torch.float32) * STRIDE
        centre = window.centres(spans).to(f4.device)
        answer: tuple[Tensor, Tensor] = self.decoder((f4, f8, f16), keys, inside, origin, centre)
        return answer

    def upscale(self, logits: Tensor, frame: Frame) -> Tensor:
        """Bring (B, n, h, w) logits to the plane, (B, n, H, W), by bilinear interpolation from cells to data pixels.

        Only the rows and columns that the decoder looked at are computed; the others are `OUTSIDE`.
        """
        full = logits.new_full((*logits.shape[:2], *frame.plane), OUTSIDE, dtype=torch.float32)
        for plane, cells in zip(full, logits.float(), strict=True):
            seen = (cells > OUTSIDE).any(0)
            rows, down = window.interpolation(seen.any(1), frame.plane[0], frame.scale[0])
            columns, across = window.interpolation(seen.any(0), frame.plane[1], frame.scale[1])
            plane[:, rows, columns] = down @ cells @ across.T
        return full


def normalise(pixels: Tensor) -> Tensor:
    """Stretch each image between its 1st and 99.8th percentile, all channels alike, to about -2 ... 2.

    Parameters
    ----------
    pixels : Tensor, shape (N, 3, H, W), uint8

    Returns
    -------
    Tensor, shape (N, 3, H, W), float32
        A very dark image looks like its bright twin; a constant one stays flat.
    """
    stretched = []
    for image in pixels:
        shares = torch.bincount(image.flatten().int(), minlength=256).cumsum(0) / image.numel()
        low, high = (float((shares < share).sum()) for share in _PERCENTILES)
        stretched.append((image.float() - low) / max(high - low, _LEAST_CONTRAST))
    return (torch.stack(stretched).clamp(-0.5, 1.5) - 0.5) / 0.25
