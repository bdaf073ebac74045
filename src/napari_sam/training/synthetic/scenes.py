"""Synthetic scenes: a label field made to look like some kind of microscopy, tomography or photograph.

Domain randomisation in the manner of SynthSeg (Billot et al. 2023) and AnyStar (Dey et al. 2024): the renderings are
not meant to be realistic, but to be more various than what the model will meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.training.synthetic.shapes import (
    Field,
    Labels,
    draw_labels,
    interior,
    log_uniform,
    relative_depth,
    smooth_noise,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

LEAST_AREA = 24
"""Pixels; smaller objects of a scene are left unlabelled, as clutter."""


def draw_scene(rng: Generator, side: int = 256) -> tuple[NDArray[np.uint8], Labels]:
    """Draw a scene.

    Parameters
    ----------
    rng : numpy.random.Generator
    side : int
        Height and width, pixels.

    Returns
    -------
    image : numpy.ndarray, shape (side, side, 3), uint8
    labels : numpy.ndarray, shape (2, side, side), uint8
        Two levels of objects, 0 for background.
    """
    labels = draw_labels(rng, side)
    makers, weights = zip(*_RENDERINGS, strict=True)
    image = makers[rng.choice(len(makers), p=weights)](rng, labels)
    image = _optics(rng, image)
    return _to_bytes(rng, image), _without_specks(labels)


def _without_specks(labels: Labels) -> Labels:
    kept = labels.copy()
    for level in kept:
        small = np.bincount(level.ravel(), minlength=256) < LEAST_AREA
        level[small[level]] = 0
    return kept


def _texture(rng: Generator, side: int) -> Field:
    """Draw a texture of one or two scales, unit deviation; sometimes stripes."""
    if rng.random() < 0.15:
        y, x = np.mgrid[:side, :side].astype(np.float32)
        angle, pitch = rng.uniform(0, np.pi), log_uniform(rng, 4, 24)
        phase = (x * np.cos(angle) + y * np.sin(angle)) / pitch + 0.5 * smooth_noise(rng, side, 40)
        return np.asarray(1.4 * np.sin(2 * np.pi * phase), np.float32)
    field = smooth_noise(rng, side, log_uniform(rng, 1.5, 24))
    if rng.random() < 0.5:
        field = (field + smooth_noise(rng, side, log_uniform(rng, 1.5, 24))) / np.float32(1.4)
    return field


def _levels(rng: Generator, labels: Labels) -> tuple[NDArray[np.int_], int]:
    """Kinds of material: 0 the background, others by object and level; and how many there are."""
    # Objects have numbers up to 250: 252 is the inner level, 253 where both levels agree.
    inner = np.where(labels[1] > 0, 251 + (labels[1] > 0) * 1, 0)
    kinds = np.where(labels[0] > 0, labels[0], inner)
    both = (labels[0] > 0) & (labels[1] > 0) & (labels[1] == labels[0])
    return np.where(both, 253, kinds), 254


def _intensities(rng: Generator, contrast: float) -> Field:
    """Draw a grey value for each kind of material: objects alike or each its own, never close to the background's."""
    ground = rng.uniform(0, 1)
    sign = rng.choice([-1.0, 1.0])
    spread = rng.choice([0.02, 0.1, 0.3])
    values = ground + sign * contrast + spread * rng.standard_normal(254)
    near = np.abs(values - ground) < 0.4 * contrast
    # Not quite 0, whose sign would leave a material as bright as the ground.
    values[near] = ground + np.sign(values[near] - ground + 1e-6) * contrast
    values[0] = ground
    values[251:] = ground + rng.choice([-1, 1], 3) * contrast * rng.uniform(0.4, 1.6, 3)
    return np.asarray(values, np.float32)


def _materials(rng: Generator, labels: Labels) -> Field:
    """Plain grey values with texture, rims and shading: fluorescence, CT and MR, and everything between."""
    side = labels.shape[-1]
    kinds, _ = _levels(rng, labels)
    textured = rng.random() < 0.35
    contrast = log_uniform(rng, 0.02, 0.12) if textured else log_uniform(rng, 0.08, 0.6)
    image = _intensities(rng, contrast)[kinds]
    inside = (labels[0] > 0).astype(np.float32)
    strength = rng.uniform(0.05, 0.25) if textured else rng.choice([0.0, 0.02, 0.06, 0.12])
    image = image + strength * (inside * _texture(rng, side) + (1 - inside) * rng.uniform(0, 1) * _texture(rng, side))
    depth = relative_depth(labels[0])
    if rng.random() < 0.35:
        image = image + rng.normal(0, 0.3) * depth ** rng.uniform(0.5, 2)
    if rng.random() < 0.35:
        image = image + rng.choice([-1, 1]) * rng.uniform(0.1, 0.5) * _rim(rng, labels[0])
    return np.asarray(image, np.float32)


def _rim(rng: Generator, level: Labels) -> Field:
    """1 on the borders of objects, falling off softly."""
    border = (level > 0) & ~interior(level)
    soft = ndimage.gaussian_filter(border.astype(np.float32), log_uniform(rng, 0.6, 2.5))
    return np.asarray(np.minimum(1, 2.5 * soft), np.float32)


def _fluorescence(rng: Generator, labels: Labels) -> Field:
    """Bright on black, uneven from object to object, with haze."""
    side = labels.shape[-1]
    brightness = np.concatenate(([0.0], np.exp(rng.normal(0, rng.uniform(0.1, 0.7), 255)))).astype(np.float32)
    depth = relative_depth(labels[0])
    image = (
        brightness[labels[0]] * (1 + rng.uniform(-0.5, 1.5) * depth) * np.exp(rng.uniform(0, 0.4) * _texture(rng, side))
    )
    if labels[1].any():
        image = image + rng.uniform(-0.6, 1.5) * (labels[1] > 0)
    image = np.clip(image, 0, None) + rng.uniform(0, 0.6) * ndimage.gaussian_filter(image, log_uniform(rng, 4, 16))
    return np.asarray(image / (np.percentile(image, 99.8) + 1e-3), np.float32)


def _phase(rng: Generator, labels: Labels) -> Field:
    """Phase contrast or differential interference: halos or shadows where the thickness changes."""
    thickness = relative_depth(labels[0]) ** rng.uniform(0.3, 1) + 0.5 * relative_depth(labels[1])
    thickness = thickness + rng.uniform(0, 0.1) * _texture(rng, labels.shape[-1]) * (labels[0] > 0)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        height = ndimage.gaussian_filter(thickness, log_uniform(rng, 0.5, 2))
        image = np.cos(angle) * np.gradient(height, axis=1) + np.sin(angle) * np.gradient(height, axis=0)
        image = 0.5 + image * rng.uniform(1.5, 4)
    else:
        halo = ndimage.gaussian_filter(thickness, 1) - ndimage.gaussian_filter(thickness, log_uniform(rng, 3, 10))
        image = 0.5 + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2) * halo
    return np.asarray(image, np.float32)


def _electrons(rng: Generator, labels: Labels) -> Field:
    """Electron microscopy: grey grain, dark membranes, contents a little lighter or darker."""
    side = labels.shape[-1]
    kinds, _ = _levels(rng, labels)
    image = 0.6 + rng.uniform(0.03, 0.2) * rng.standard_normal(254).astype(np.float32)[kinds]
    image = image + 0.08 * _texture(rng, side) + rng.uniform(0.02, 0.12) * smooth_noise(rng, side, 2)
    for level in labels:
        image = image - rng.uniform(0.2, 0.6) * _rim(rng, level)
    if rng.random() < 0.5:  # membranes of things that nobody labelled
        clutter = smooth_noise(rng, side, log_uniform(rng, 10, 30))
        image = image - rng.uniform(0.1, 0.5) * np.exp(-((clutter / 0.08) ** 2))
    return np.asarray(image, np.float32)


def _grey(maker: Callable[[Generator, Labels], Field]) -> Callable[[Generator, Labels], Field]:
    """Make a grey rendering three-channelled."""
    return lambda rng, labels: np.repeat(maker(rng, labels)[..., None], 3, 2)


def _stains(rng: Generator, labels: Labels) -> Field:
    """Absorbing dyes on a white ground: optical densities of two stains add up (Beer-Lambert)."""
    side = labels.shape[-1]
    dyes = rng.uniform(0.05, 1, (2, 3))
    nuclei = labels[1] if labels[1].any() else labels[0]
    tissue = np.clip(rng.uniform(0, 0.7) + 0.25 * _texture(rng, side) + 0.2 * (labels[0] > 0), 0, None)
    dense = (nuclei > 0) * np.exp(rng.uniform(0.1, 0.4) * _texture(rng, side)) * rng.uniform(0.4, 1.5)
    return np.asarray(np.exp(-(tissue[..., None] * dyes[0] + dense[..., None] * dyes[1])), np.float32)


def _photograph(rng: Generator, labels: Labels) -> Field:
    """Coloured bodies with texture, shading and shadows, before a textured ground."""
    side = labels.shape[-1]
    kinds, count = _levels(rng, labels)
    colours = rng.uniform(0.05, 0.95, (count, 3))
    if rng.random() < 0.5:  # a narrow palette: kinds differ little in colour
        colours = colours[:1] + rng.uniform(0.1, 0.4) * (colours - colours[:1])
    image = colours[kinds]
    grain = np.stack([_texture(rng, side) for _ in range(4)])
    strengths = rng.uniform(0, 0.2, count)[kinds]
    image = image * (1 + strengths * np.take_along_axis(grain, (kinds % 4)[None], 0)[0])[..., None]
    light = 1 + 0.3 * rng.uniform(0, 1) * smooth_noise(rng, side, 120)
    shade = 1 - rng.uniform(0, 0.6) * (1 - relative_depth(labels[0])) * (labels[0] > 0)
    return np.asarray(image * (light * shade)[..., None], np.float32)


_RENDERINGS: tuple[tuple[Callable[[Generator, Labels], Field], float], ...] = (
    (_grey(_materials), 0.32),
    (_grey(_fluorescence), 0.16),
    (_grey(_phase), 0.1),
    (_grey(_electrons), 0.14),
    (_stains, 0.1),
    (_photograph, 0.18),
)


def _optics(rng: Generator, image: Field) -> Field:
    """Add what every instrument adds: blur, uneven light, noise."""
    side = image.shape[0]
    if rng.random() < 0.7:
        image = ndimage.gaussian_filter(image, (*[log_uniform(rng, 0.3, 1.8)] * 2, 0))
    if rng.random() < 0.4:
        image = image * np.exp(rng.uniform(0.05, 0.35) * smooth_noise(rng, side, log_uniform(rng, 60, 250)))[..., None]
    spread = float(image.std()) + 0.02
    if rng.random() < 0.7:
        grain = rng.standard_normal((side, side, 1 if rng.random() < 0.7 else 3)).astype(np.float32)
        if rng.random() < 0.3:
            grain = ndimage.gaussian_filter(grain, (0.8, 0.8, 0)) * np.float32(2.5)
        image = image + log_uniform(rng, 0.02, 0.5) * spread * grain
    return image.astype(np.float32)


def _to_bytes(rng: Generator, image: Field) -> NDArray[np.uint8]:
    """Stretch to the range of a byte, sometimes clipping, sometimes leaving room."""
    low, high = np.percentile(image, [rng.uniform(0, 1), rng.uniform(99, 100)])
    room = rng.uniform(0, 0.15, 2)
    stretched = room[0] + (1 - room.sum()) * (image - low) / max(high - low, 1e-3)
    return np.asarray(np.clip(255 * stretched, 0, 255), np.uint8)
