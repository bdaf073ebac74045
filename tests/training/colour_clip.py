"""A stand-in for a CLIP model: it knows the colour in the middle of a picture, and what colours are called."""

from __future__ import annotations

import numpy as np

import tiny_clip
from napari_sam.evaluation.dataset import LabelledImage

COLOURS = {name: tiny_clip.COLOURS[name] for name in ("red", "blue")}
_TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0][:3]


class ColourClip:
    name = clip = "colours"
    source = ""

    def __init__(self):
        self.shown = 0

    def _vectors(self, colours) -> np.ndarray:
        values = np.asarray(colours, np.float64) - 60
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        return (values @ _TURN).astype(np.float32)

    def encode_text(self, phrases) -> np.ndarray:
        return self._vectors([next((c for name, c in COLOURS.items() if name in p), (90, 90, 90)) for p in phrases])

    def encode_images(self, images, count=None, progress=None) -> np.ndarray:
        middles = []
        for image in images:
            self.shown += 1
            y, x = (side // 2 for side in image.shape[:2])
            middles.append(image[y - 3 : y + 3, x - 3 : x + 3].reshape(-1, 3).mean(0))
        return self._vectors(middles)


def two_discs(seed: int, side: int = 96) -> LabelledImage:
    """A red disc and a blue one, labels 1 and 2, on grey, in places that say nothing of the colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image = rng.normal(110, 6, (side, side, 3))
    labels = np.zeros((side, side), np.uint16)
    halves = rng.permutation(2)
    for label, (colour, half) in enumerate(zip(COLOURS.values(), halves, strict=True), 1):
        centre = rng.uniform(0.3, 0.7) * side, (0.25 + 0.5 * half) * side
        disc = np.hypot(y - centre[0], x - centre[1]) < rng.uniform(13, 17)
        image[disc] = rng.normal(colour, 6, (int(disc.sum()), 3))
        labels[disc] = label
    return LabelledImage(f"discs {seed}", "discs", image.clip(0, 255).astype(np.uint8), labels)
