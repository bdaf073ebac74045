"""Random crops: a square cut out of a labelled image at a random scale and turn, and made to look different."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from napari_sam.training.synthetic.shapes import log_uniform, smooth_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray


_MARGIN = 4  # image pixels around what a crop sees, for the filters of resampling


def random_crop(
    rng: Generator,
    image: NDArray[np.uint8],
    labels: NDArray[np.integer],
    side: int,
    scale: float,
    centre: tuple[float, float] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Cut a square around a random object, turned, mirrored and a little stretched.

    Parameters
    ----------
    rng : numpy.random.Generator
    image : numpy.ndarray, shape (H, W, 3), uint8
    labels : numpy.ndarray, shape (L, H, W), integer
    side : int
        Height and width of the crop, pixels.
    scale : float
        Crop pixels per image pixel; raised where the crop would not fit into the image.
    centre : (float, float), optional
        Image pixel, (y, x), in the middle of the crop, as far as the image allows; else one of a random object.

    Returns
    -------
    image : numpy.ndarray, shape (side, side, 3), uint8
    labels : numpy.ndarray, shape (L, side, side), int32
    """
    height, width = image.shape[:2]
    turn = rng.integers(4) * np.pi / 2 + (rng.uniform(-0.5, 0.5) if rng.random() < 0.4 else 0.0)
    mirror = rng.choice([-1.0, 1.0])
    stretch = log_uniform(rng, 0.8, 1.25) if rng.random() < 0.3 else 1.0
    # Half of the crop's bounding box at scale 1. The crop never leaves the image: mirrored or empty margins would teach
    # that two halves are one object, or that objects end in straight lines.
    reach = side / 2 * (abs(np.cos(turn)) + abs(np.sin(turn))) * max(stretch, 1.0)
    scale = max(scale, 2 * reach / min(height, width))
    y, x = (
        float(np.clip(at, reach / scale - 0.5, length - reach / scale - 0.5))
        for at, length in zip(centre or _centre(rng, labels), (height, width), strict=True)
    )
    # Only what the crop sees is converted and resampled: images are large, crops are not.
    (top, bottom), (left, right) = (
        (max(0, int(at - reach / scale) - _MARGIN), min(length, int(at + reach / scale) + _MARGIN + 2))
        for at, length in ((y, height), (x, width))
    )
    image, labels = image[top:bottom, left:right], labels[:, top:bottom, left:right]
    y, x, (height, width) = y - top, x - left, image.shape[:2]
    pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    if scale < 0.7:  # bilinear sampling alone would alias
        smaller = [max(8, round(length * scale)) for length in (height, width)]
        pixels = F.interpolate(pixels, smaller, mode="bilinear", align_corners=False, antialias=True)
    cos, sin = np.cos(turn) * side / 2 / scale, np.sin(turn) * side / 2 / scale
    # Rows give x, then y, in grid_sample's units of half the image.
    matrix = np.array(
        [
            [mirror * cos * 2 / width * stretch, -sin * 2 / width, (2 * x + 1) / width - 1],
            [mirror * sin * 2 / height * stretch, cos * 2 / height, (2 * y + 1) / height - 1],
        ],
        np.float32,
    )
    grid = F.affine_grid(torch.from_numpy(matrix)[None], [1, 3, side, side], align_corners=False)
    crop = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    levels = torch.from_numpy(labels.astype(np.float32))[None]
    cut = F.grid_sample(levels, grid, mode="nearest", padding_mode="border", align_corners=False)
    return crop[0].permute(1, 2, 0).numpy().round().astype(np.uint8), cut[0].numpy().astype(np.int32)


def _centre(rng: Generator, labels: NDArray[np.integer]) -> tuple[float, float]:
    """Somewhere near an object, or anywhere."""
    height, width = labels.shape[1:]
    for _ in range(20):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        if labels[:, y, x].any():
            break
    return float(y), float(x)


def typical_size(labels: NDArray[np.integer]) -> float:
    """Median of the square roots of the objects' areas, pixels; 32 where there are none."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.sqrt(np.median(areas))) if len(areas) else 32.0


def disturb(rng: Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Change colours, contrast, sharpness and noise at random.

    Parameters
    ----------
    rng : numpy.random.Generator
    image : numpy.ndarray, shape (H, W, 3), uint8

    Returns
    -------
    numpy.ndarray, shape (H, W, 3), uint8
    """
    values: NDArray[np.float32] = image.astype(np.float32) / np.float32(255)
    values = _recolour(rng, values)
    side = max(image.shape[:2])
    if rng.random() < 0.25:
        values = 1 - values
    if rng.random() < 0.5:
        values = np.clip(values, 0, 1) ** log_uniform(rng, 0.5, 2.0)
    if rng.random() < 0.2:
        field = smooth_noise(rng, side, log_uniform(rng, 60, 200))[: image.shape[0], : image.shape[1]]
        values = values * np.exp(rng.uniform(0.05, 0.3) * field)[..., None]
    if rng.random() < 0.25:
        values = ndimage.gaussian_filter(values, (*[log_uniform(rng, 0.3, 1.6)] * 2, 0))
    if rng.random() < 0.4:
        shape = (*image.shape[:2], 1 if rng.random() < 0.7 else 3)
        amount = log_uniform(rng, 0.05, 0.6) * (values.std() + 0.01)
        values = values + amount * rng.standard_normal(shape, dtype=np.float32)
    if rng.random() < 0.4:  # window too wide or too narrow; now and then nearly black
        gain = log_uniform(rng, 0.05, 1.5) if rng.random() < 0.4 else rng.uniform(0.7, 1.4)
        values = values * gain + rng.uniform(-0.1, 0.1) * (rng.random() < 0.5)
    return np.asarray((255 * np.clip(values, 0, 1)).round(), np.uint8)


def disturb_gently(rng: Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Change contrast, sharpness and noise at random as they change from one image to the next on one microscope.

    Where a model learns one kind of image in minutes, colours and contrasts that the kind never has cost time. With
    four photographs of gravel and 150 steps, the mean IoU of one click on three others rose from .590 to .726, with
    `disturb` to .711.

    Parameters
    ----------
    rng : numpy.random.Generator
    image : numpy.ndarray, shape (H, W, 3), uint8

    Returns
    -------
    numpy.ndarray, shape (H, W, 3), uint8
    """
    values: NDArray[np.float32] = image.astype(np.float32) / np.float32(255)
    if rng.random() < 0.5:
        values = np.clip(values, 0, 1) ** log_uniform(rng, 0.7, 1.4)
    if rng.random() < 0.5:
        values = values * rng.uniform(0.8, 1.25) + rng.uniform(-0.05, 0.05)
    if rng.random() < 0.2:  # a tint
        values = values * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    if rng.random() < 0.15:
        values = ndimage.gaussian_filter(values, (*[log_uniform(rng, 0.3, 1.0)] * 2, 0))
    if rng.random() < 0.3:
        amount = log_uniform(rng, 0.02, 0.2) * (values.std() + 0.01)
        values = values + amount * rng.standard_normal((*image.shape[:2], 1), dtype=np.float32)
    return np.asarray((255 * np.clip(values, 0, 1)).round(), np.uint8)


def _recolour(rng: Generator, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mix the channels, or leave them."""
    choice = rng.random()
    if choice < 0.12:
        return values[..., rng.permutation(3)]
    if choice < 0.24:
        grey = values @ rng.dirichlet([1, 1, 1]).astype(np.float32)
        return np.repeat(grey[..., None], 3, 2)
    if choice < 0.36:  # a tint
        return values * rng.uniform(0.2, 1, 3).astype(np.float32)
    return values
