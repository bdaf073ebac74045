"""Make the packaged sample volume: synthetic nuclei in fluorescence, sampled more coarsely along z.

    python scripts/make_sample_volume.py

The same numbers come out every time. It is nobody's data: ellipsoids with a bumpy surface and a grainy inside, some of
them touching, seen through a microscope's blur, with a background that falls off and the noise of counted photons.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage

SHAPE = (28, 176, 192)
SPACING = (1.0, 0.25, 0.25)  # micrometers
COUNT = 46
RADII = (2.6, 4.4)  # micrometers
TOUCHING = 0.86  # centres come as near as this share of the sum of two radii
BLUR = (1.1, 0.3, 0.3)  # micrometers, standard deviation
PHOTONS = 70.0
TARGET = Path(__file__).parents[1] / "src" / "napari_sam" / "samples" / "nuclei_volume.tif"


def nuclei(random: np.random.Generator) -> np.ndarray:
    """Give the light that nuclei send out, 0 where there is none; shape SHAPE, float32."""
    size = np.array(SHAPE) * SPACING
    grid = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij"))
    light, placed = np.zeros(SHAPE, np.float32), []
    for _ in range(20_000):
        if len(placed) == COUNT:
            break
        radius = random.uniform(*RADII)
        centre = random.uniform(0, size)
        if any(np.linalg.norm(centre - other) < TOUCHING * (radius + r) for other, r in placed):
            continue
        placed.append((centre, radius))
        turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
        axes = radius * np.array([0.75, 1.0, 1.25])  # turned every way
        local = np.einsum("ij,jzyx->izyx", turn, grid - centre[:, None, None, None]) / axes[:, None, None, None]
        bumps = ndimage.gaussian_filter(random.normal(size=SHAPE), np.divide(1.2, SPACING))
        inside = np.sqrt((local**2).sum(0)) < 1 + 0.12 * bumps / bumps.std()
        grains = ndimage.gaussian_filter(random.normal(size=SHAPE), np.divide(0.45, SPACING))
        light[inside] = random.uniform(0.45, 1) * np.clip(1 + 0.3 * grains / grains.std(), 0.2, None)[inside]
    return light


def volume() -> np.ndarray:
    """Count photons; shape SHAPE, uint8."""
    random = np.random.default_rng(20_240_601)
    light = ndimage.gaussian_filter(nuclei(random), np.divide(BLUR, SPACING))
    across = np.linspace(-1, 1, SHAPE[1])[:, None] ** 2 + np.linspace(-1, 1, SHAPE[2]) ** 2
    deep = np.linspace(1, 0.7, SHAPE[0])[:, None, None]  # tissue swallows light on its way
    photons = random.poisson(PHOTONS * deep * (light * (1 - 0.15 * across) + 0.06))
    return np.clip(photons * 2, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    tifffile.imwrite(
        TARGET,
        volume(),
        imagej=True,
        compression="zlib",
        compressionargs={"level": 9},
        resolution=(1 / SPACING[2], 1 / SPACING[1]),
        metadata={"axes": "ZYX", "spacing": SPACING[0], "unit": "micron"},
    )
    print(f"{TARGET}: {TARGET.stat().st_size / 1e3:.0f} kB")
