"""Scenes of kinds that the trainer never draws: for validation, to see what a model has learnt beyond its own examples.

Shapes are unlike those of `shapes` (branching, angular, pointed, hollow, nested, very large), and so are the renderings
(speckle, weave, relief with cast shadows, noise like that of MR). Nothing here may be called by what draws batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.training.synthetic import holdout_shapes as shapes
from napari_sam.training.synthetic.shapes import Field, log_uniform, relative_depth, smooth_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_sam.training.synthetic.holdout_shapes import Drawing

SIDE = 256
"""Height and width, pixels."""

_LEAST_AREA = 60  # pixels of an object that is labelled
_NARROW = 12.0  # pixels: half the width of what is too narrow for a texture to show


def draw_unseen(family: str, seed: int, side: int = SIDE) -> LabelledImage:
    """Draw a scene; equal arguments give equal scenes.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    seed : int
        Not negative. It also tells how the scene is rendered: each rendering in turn, every family with another first.
    side : int
        Pixels.
    """
    number = list(FAMILIES).index(family)
    # With the family: scenes of one seed must not be drawn with the same numbers.
    rng = np.random.default_rng((seed, number))
    drawing = FAMILIES[family](rng, side)
    names = list(_RENDERINGS)
    rendering = names[(seed + number) % len(names)]
    grey = _RENDERINGS[rendering](rng, drawing)
    # A few bright pixels must not darken everything else.
    low, high = np.percentile(grey, (0.5, 99.8))
    values = np.clip(255 * (grey - low) / max(high - low, 1e-3), 0, 255).astype(np.uint8)
    image = np.repeat(values[..., None], 3, 2)
    labels = _without_specks(drawing.objects)
    return LabelledImage(f"{family}-{seed:03d}-{rendering}", f"unseen: {family}", image, labels)


def unseen_images(each: int, first: int = 0) -> list[LabelledImage]:
    """Draw `each` scenes of every family, those of one seed side by side; `first` is the first seed."""
    return [draw_unseen(family, seed) for seed in range(first, first + each) for family in FAMILIES]


def _without_specks(objects: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Drop objects of which hardly anything is in sight."""
    areas = np.bincount(objects.ravel())
    return np.where(areas[objects] >= _LEAST_AREA, objects, 0).astype(np.uint16)


def _means(rng: Generator, drawing: Drawing, least: float, most: float) -> Field:
    """Draw a grey value for every material, the first for the ground; at least `least` from those that it touches."""
    count = int(drawing.materials.max()) + 1
    ground, sign = rng.uniform(0.3, 0.7), rng.choice([-1.0, 1.0])
    # Parts lie inside of objects: on the other side of them in brightness, or farther out on the same one.
    steps = rng.uniform(least, most, count)
    inner = np.arange(count) >= drawing.first_part
    outer = rng.uniform(least, most)
    values = ground + sign * np.where(inner, outer + rng.choice([-1.0, 1.0]) * steps, steps)
    values[0] = ground
    return np.asarray(values, np.float32)


def _speckle(rng: Generator, drawing: Drawing) -> Field:
    """Ultrasound: grain that grows with brightness, finer along the beam than across, compressed logarithmically."""
    side = drawing.materials.shape[0]
    echo = np.exp(2.6 * _means(rng, drawing, 0.3, 0.55))[drawing.materials]
    spread = (log_uniform(rng, 0.6, 1.0), log_uniform(rng, 1.0, 2.2))
    waves = [ndimage.gaussian_filter(rng.standard_normal((side, side)), spread) for _ in range(2)]
    # The length of two normal waves: Rayleigh's distribution, as in the speckle of many scatterers.
    amplitude = np.hypot(*waves)
    envelope = echo * amplitude / amplitude.mean()
    fading = np.linspace(0, rng.uniform(0, 0.8), side)[:, None]
    return np.asarray(np.log(envelope + 0.15) - fading, np.float32)


def _half_width(objects: NDArray[np.uint16]) -> float:
    """Median over objects of how far their deepest pixel is from the background, pixels."""
    labels = np.unique(objects[objects > 0])
    return float(np.median(ndimage.maximum(ndimage.distance_transform_edt(objects > 0), objects, labels)))


def _weave(rng: Generator, drawing: Drawing) -> Field:
    """Cloth: threads of one brightness everywhere, and of another direction and pitch in each material."""
    side = drawing.materials.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    count = int(drawing.materials.max()) + 1
    start, pitch = rng.uniform(0, np.pi), rng.uniform(4, 6)
    # A turn of at least 40 degrees from the ground, and from an object to its parts.
    turns = start + np.where(np.arange(count) >= drawing.first_part, -1, 1) * rng.uniform(0.7, 1.4, count)
    turns[0] = start
    pitches = np.clip(pitch * np.exp(rng.uniform(-0.3, 0.3, count)), 3.5, 7)
    pitches[0] = pitch
    angle, length = turns[drawing.materials], pitches[drawing.materials]
    threads = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length)
    # Narrow things have no room for threads: there brightness helps.
    shade = rng.uniform(0.5, 0.8) if _half_width(drawing.objects) < _NARROW else rng.uniform(0.1, 0.3)
    tones = np.full(count, rng.choice([-1.0, 1.0]) * shade)
    tones[0] = 0
    tones[drawing.first_part :] += rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 0.7)
    return np.asarray(0.5 * threads + tones[drawing.materials] + 0.15 * rng.standard_normal((side, side)), np.float32)


def _relief(rng: Generator, drawing: Drawing) -> Field:
    """Things on a table: all of one grey, raised, lit from one side, throwing shadows to the other."""
    side = drawing.materials.shape[0]
    inside = drawing.objects > 0
    # relative_depth takes labels of one byte.
    height = np.sqrt(relative_depth(np.minimum(drawing.objects, 255).astype(np.uint8))) * rng.uniform(4, 9)
    raised = height + 2.5 * (drawing.materials >= drawing.first_part) + 1.5 * inside
    smooth = ndimage.gaussian_filter(raised + 0.3 * smooth_noise(rng, side, 5), rng.uniform(0.8, 1.6))
    angle = rng.uniform(0, 2 * np.pi)
    light = np.array((np.sin(angle), np.cos(angle)))
    slope = light[0] * np.gradient(smooth, axis=0) + light[1] * np.gradient(smooth, axis=1)
    shadow = np.zeros((side, side), bool)
    reach = rng.uniform(4, 9)
    for step in np.arange(1, reach):
        shadow |= ndimage.shift(inside.astype(np.float32), -light * step, order=0, mode="nearest") > 0.5
    shade = ndimage.gaussian_filter((shadow & ~inside).astype(np.float32), 1.0)
    albedo = 0.55 + rng.choice([-1.0, 1.0]) * rng.uniform(0.04, 0.12) * inside
    image = albedo * (1 - 0.45 * shade) * (1 + np.clip(0.22 * slope, -0.6, 0.9))
    return np.asarray(image + 0.02 * rng.standard_normal((side, side)), np.float32)


def _resonance(rng: Generator, drawing: Drawing) -> Field:
    """MR: little contrast, a field that is uneven, and the noise of a magnitude."""
    side = drawing.materials.shape[0]
    values = _means(rng, drawing, 0.13, 0.3)[drawing.materials] + 0.03 * smooth_noise(rng, side, 20)
    bias = 1 + 0.12 * smooth_noise(rng, side, 150)
    signal = ndimage.gaussian_filter(values * bias, rng.uniform(0.6, 1.2))
    noise = rng.uniform(0.04, 0.08)
    real, imaginary = noise * rng.standard_normal((2, side, side))
    # The magnitude of two noisy parts: Rice's distribution.
    return np.asarray(np.hypot(signal + real, imaginary), np.float32)


_RENDERINGS: dict[str, Callable[[Generator, Drawing], Field]] = {
    "speckle": _speckle,
    "weave": _weave,
    "relief": _relief,
    "resonance": _resonance,
}

FAMILIES: dict[str, Callable[[Generator, int], Drawing]] = {
    "trees": shapes.trees,
    "shards": shapes.shards,
    "stars and gears": shapes.stars_and_gears,
    "rings and crescents": shapes.rings_and_crescents,
    "large bodies": shapes.large_bodies,
    "parts of bodies": shapes.parts_of_bodies,
}
"""What draws each family."""
