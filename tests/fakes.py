"""A model small enough to reason about: it "segments" what is as bright as the clicked pixel."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from napari_sam.geometry import Frame
from napari_sam.model.protocol import Decoded, Features, PromptTensors
from napari_sam.progress import no_progress

STRIDE = 2
CANVAS = 128  # pixels: the longest side that `SmallCanvas` sees


class BrightnessModel(nn.Module):
    """Answers with the pixels above three thresholds below the brightness at the first positive point (or in the box).

    The canvas is the plane itself, the logits have half its resolution, and the scores fall in the order 0.5, 0.9, 0.7.
    """

    def __init__(self, kinds: frozenset[str] = frozenset({"point", "box", "mask"})) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()), requires_grad=False)
        self.prompt_kinds = kinds
        self.encoded = 0
        self.decoded: list[PromptTensors] = []

    @property
    def device(self) -> torch.device:
        return self.weight.device

    def frame(self, plane, spacing=(1.0, 1.0)) -> Frame:
        canvas = tuple(-(-side // STRIDE) * STRIDE for side in plane)
        return Frame(plane, plane, canvas, 0.5)

    def preprocess(self, image, frame) -> Tensor:
        padded = np.zeros((*frame.canvas, 3), np.float32)
        padded[: frame.content[0], : frame.content[1]] = image
        return torch.from_numpy(padded).permute(2, 0, 1)[None]

    def encode(self, pixels, progress=no_progress) -> Features:
        self.encoded += 1
        progress(0.5)
        progress(1.0)
        return (pixels[:, 0],)

    def object_map(self, features: Features) -> Tensor:
        return features[0]

    def logits_shape(self, frame) -> tuple[int, int]:
        return frame.canvas[0] // STRIDE, frame.canvas[1] // STRIDE

    def decode(self, features: Features, prompts: PromptTensors, frame: Frame, *, multimask: bool) -> Decoded:
        self.decoded.append(prompts)
        [image] = features
        if prompts.boxes is not None:
            x0, y0, x1, y1 = prompts.boxes[0].round().int().tolist()
            level = image[0, y0 : y1 + 1, x0 : x1 + 1].max()
        else:
            x, y = prompts.points[0, 0].round().int().tolist()
            level = image[0, y, x]
        low = nn.functional.avg_pool2d(image[:, None], STRIDE)
        offsets = torch.tensor([2.0, 20.0, 100.0]) if multimask else torch.tensor([20.0])
        logits = low - level + offsets.view(1, -1, 1, 1)
        scores = torch.tensor([[0.5, 0.9, 0.7]]) if multimask else torch.tensor([[0.8]])
        return Decoded(logits, scores)

    def upscale(self, logits: Tensor, frame: Frame) -> Tensor:
        full = nn.functional.interpolate(logits, scale_factor=STRIDE, mode="nearest")
        return full[..., : frame.content[0], : frame.content[1]]


class SmallCanvas(BrightnessModel):
    """Sees planes up to 128 pixels as they are, and shrinks others."""

    def frame(self, plane, spacing=(1.0, 1.0)):
        factor = min(1.0, CANVAS / max(plane))
        content = tuple(max(1, round(side * factor)) for side in plane)
        return Frame(plane, content, tuple(-(-side // 2) * 2 for side in content), 0.5)

    def preprocess(self, image, frame):
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
        pixels = nn.functional.interpolate(pixels, frame.content, mode="bilinear", antialias=True)
        below, right = (canvas - content for canvas, content in zip(frame.canvas, frame.content, strict=True))
        return nn.functional.pad(pixels, (0, right, 0, below))

    def upscale(self, logits, frame):
        full = nn.functional.interpolate(logits, scale_factor=2, mode="nearest")
        full = full[..., : frame.content[0], : frame.content[1]]
        return nn.functional.interpolate(full, frame.plane, mode="nearest")


def blob(shape: tuple[int, int] = (40, 60), centre: tuple[int, int] = (12, 40), radius: int = 8) -> np.ndarray:
    """A bright disc on black, (H, W) uint8."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.where((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2, 200, 0).astype(np.uint8)
