"""Label fields of synthetic scenes: what lies where, before anything has a colour.

Every family is a function of a random generator and a side length. It gives a (2, side, side) uint8 array: objects, and
on the second level things inside or around them (nuclei of cells, the body around organs), 0 where there is nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

Labels: TypeAlias = "NDArray[np.uint8]"
Field: TypeAlias = "NDArray[np.float32]"

_MOST = 250  # objects in one level: labels are uint8


def smooth_noise(rng: Generator, side: int, wavelength: float) -> Field:
    """Draw a smooth field (side, side) of zero mean and unit deviation, with features `wavelength` pixels wide."""
    coarse = max(2, round(side / wavelength) + 1)
    grid = torch.from_numpy(rng.standard_normal((1, 1, coarse, coarse), dtype=np.float32))
    field = F.interpolate(grid, (side, side), mode="bicubic", align_corners=False)[0, 0].numpy()
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), dtype=np.float32)


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _grid(side: int) -> tuple[Field, Field]:
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return y, x


def warp(rng: Generator, labels: Labels, strength: float) -> Labels:
    """Displace a label field smoothly by about `strength` pixels."""
    side = labels.shape[-1]
    wavelength = log_uniform(rng, 16, 96)
    y, x = _grid(side)
    at = [
        np.clip(np.rint(axis + strength * smooth_noise(rng, side, wavelength)), 0, side - 1).astype(int)
        for axis in (y, x)
    ]
    return labels[:, at[0], at[1]]


def _outline(rng: Generator, roughness: float) -> Callable[[Field], Field]:
    """Draw a closed outline: relative radius at each angle."""
    orders = np.arange(2, 8)
    # The finer a wave, the lower: outlines stay smooth.
    heights = roughness * rng.standard_normal(6) / orders
    phases = rng.uniform(0, 2 * np.pi, 6)
    return lambda angle: np.exp(
        sum(h * np.cos(k * angle + p) for h, k, p in zip(heights, orders, phases, strict=True))
    ).astype(np.float32)


def _paint_blob(
    rng: Generator,
    level: Labels,
    label: int,
    centre: NDArray[np.float64],
    radius: float,
    style: tuple[float, float],
    over: bool,
) -> None:
    """Paint one blob; `style` is its roughness and its elongation; `over` hides what is there already."""
    roughness, elongation = style
    side = level.shape[0]
    reach = int(radius * 2.2 * np.sqrt(elongation)) + 2
    y0, x0 = (max(0, int(c) - reach) for c in centre)
    y1, x1 = (min(side, int(c) + reach) for c in centre)
    if y1 <= y0 or x1 <= x0:
        return
    turn = rng.uniform(0, np.pi)
    dy, dx = np.meshgrid(np.arange(y0, y1) - centre[0], np.arange(x0, x1) - centre[1], indexing="ij")
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / np.sqrt(elongation)
    v = (dy * np.cos(turn) - dx * np.sin(turn)) * np.sqrt(elongation)
    inside = np.hypot(u, v) < radius * _outline(rng, roughness)(np.arctan2(v, u))
    patch = level[y0:y1, x0:x1]
    if not over:
        inside &= patch == 0
    patch[inside] = label


def blobs(rng: Generator, side: int) -> Labels:
    """Draw round to irregular bodies of one typical size, scattered or crowded, touching or hiding each other."""
    labels = np.zeros((2, side, side), np.uint8)
    radius = log_uniform(rng, 5, 55)
    crowding = rng.uniform(0.15, 1.1)
    count = int(np.clip(crowding * side**2 / (np.pi * radius**2), 1, 160))
    centres = rng.uniform(0, side, (count, 2))
    if rng.random() < 0.4:  # clusters
        seeds = rng.uniform(0, side, (max(1, count // 8), 2))
        centres = seeds[rng.integers(len(seeds), size=count)] + rng.normal(0, 2.5 * radius, (count, 2))
    style, over = (rng.uniform(0, 0.35), log_uniform(rng, 1, 2.2)), bool(rng.random() < 0.4)
    for label, centre in enumerate(centres, 1):
        _paint_blob(rng, labels[0], label, centre, radius * log_uniform(rng, 0.6, 1.6), style, over)
    return labels


def collage(rng: Generator, side: int) -> Labels:
    """Draw a few bodies of unlike shapes and sizes, nearer ones hiding farther ones."""
    labels = np.zeros((2, side, side), np.uint8)
    for label in range(1, int(rng.integers(2, 14))):
        radius, centre = log_uniform(rng, 8, 90), rng.uniform(0, side, 2)
        if rng.random() < 0.3:
            _paint_polygon(rng, labels[0], label, centre, radius)
        else:
            style = (rng.uniform(0, 0.7), log_uniform(rng, 1, 3))
            _paint_blob(rng, labels[0], label, centre, radius, style, True)
    return labels


def _paint_polygon(rng: Generator, level: Labels, label: int, centre: NDArray[np.float64], radius: float) -> None:
    """Paint a convex polygon: what lies on the inner side of a few lines."""
    y, x = _grid(level.shape[0])
    inside = np.ones(level.shape, bool)
    corners = int(rng.integers(3, 7))
    for angle in rng.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners:
        angle += rng.normal(0, 0.2)
        inside &= (y - centre[0]) * np.sin(angle) + (x - centre[1]) * np.cos(angle) < radius * rng.uniform(0.5, 1)
    level[inside] = label


def cells(rng: Generator, side: int) -> Labels:
    """Draw cells that tile the plane, walls of any thickness between them, some missing, with or without nuclei."""
    pitch = log_uniform(rng, 12, 90)
    count = int(np.clip((side / pitch) ** 2 * 1.5, 3, _MOST))
    y, x = _grid(side)
    bend, wavelength = pitch * rng.uniform(0, 0.3), log_uniform(rng, 20, 80)
    # Places are bent, and so are the walls between cells, which would be straight.
    where = np.stack([axis + bend * smooth_noise(rng, side, wavelength) for axis in (y, x)], -1)
    distance, nearest = cKDTree(rng.uniform(-0.1 * side, 1.1 * side, (count, 2))).query(where.reshape(-1, 2), k=2)
    wall = rng.uniform(0.5, 4) if rng.random() < 0.7 else 0.0
    kept = rng.random(count) < rng.choice([1.0, 0.85, 0.5])
    level = (nearest[:, 0] + 1) * kept[nearest[:, 0]] * (distance[:, 1] - distance[:, 0] > wall)
    labels = np.zeros((2, side, side), np.uint8)
    labels[0] = level.reshape(side, side)
    return with_nuclei(rng, labels) if rng.random() < 0.4 else labels


def with_nuclei(rng: Generator, labels: Labels) -> Labels:
    """Put a nucleus into every object, as the part that is deep inside it."""
    depth = relative_depth(labels[0])
    edge = rng.uniform(0.35, 0.65) + 0.07 * smooth_noise(rng, labels.shape[-1], log_uniform(rng, 8, 30))
    inner = np.where(depth > edge, labels[0], 0)
    return np.stack((labels[0], inner.astype(np.uint8)))


def relative_depth(level: Labels) -> Field:
    """Distance to the object's border, 1 where the object is deepest, 0 outside."""
    # Without the pixels on borders: objects that touch are deep inside only.
    core = level * interior(level)
    depth = ndimage.distance_transform_edt(core > 0)
    # An object of borders alone would divide by 0.
    deepest = np.maximum(ndimage.maximum(depth, level, np.arange(level.max() + 1)), 1)
    return np.asarray(depth / deepest[level] * (level > 0), np.float32)


def interior(level: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Object pixels whose four neighbours are of the same object; the edge of the plane is no border."""
    same = np.asarray(level > 0)
    padded = np.pad(level, 1, mode="edge")
    for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
        same = same & (padded[dy : dy + level.shape[0], dx : dx + level.shape[1]] == level)
    return same


def tubes(rng: Generator, side: int) -> Labels:
    """Draw vessels, filaments, axons: smooth paths of varying thickness, each an object."""
    labels = np.zeros((2, side, side), np.uint8)
    thickness = log_uniform(rng, 2, 16)
    for label in range(1, int(rng.integers(2, 12))):
        steps = np.arange(int(rng.integers(20, 160)))
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0.02, 0.2), len(steps)))
        path = rng.uniform(0, side, 2) + 2.0 * np.cumsum(np.stack((np.sin(heading), np.cos(heading)), 1), 0)
        width = thickness * np.exp(0.25 * np.cumsum(rng.normal(0, 0.1, len(steps))))
        for (cy, cx), radius in zip(path, np.clip(width, 1.5, 24), strict=True):
            y0, x0 = max(0, int(cy - radius)), max(0, int(cx - radius))
            y1, x1 = (min(side, int(c + radius) + 2) for c in (cy, cx))
            if y1 <= y0 or x1 <= x0:
                continue
            disk = np.hypot(*np.ogrid[y0 - cy : y1 - cy - 0.5, x0 - cx : x1 - cx - 0.5]) < radius
            labels[0, y0 : y0 + disk.shape[0], x0 : x0 + disk.shape[1]][disk] = label
    return labels


def rods(rng: Generator, side: int) -> Labels:
    """Draw bacteria: capsules of one width, scattered or in a crowd."""
    labels = np.zeros((2, side, side), np.uint8)
    width = log_uniform(rng, 3, 14)
    y, x = _grid(side)
    leaning = rng.uniform(0, np.pi)
    for label in range(1, int(rng.integers(5, 90))):
        half = width * rng.uniform(0.5, 4)
        angle = leaning + rng.normal(0, 0.3) if rng.random() < 0.5 else rng.uniform(0, np.pi)
        cy, cx = rng.uniform(0, side, 2)
        reach = int(half + width) + 2
        area = (slice(max(0, int(cy) - reach), int(cy) + reach), slice(max(0, int(cx) - reach), int(cx) + reach))
        along = (x[area] - cx) * np.cos(angle) + (y[area] - cy) * np.sin(angle)
        across = (y[area] - cy) * np.cos(angle) - (x[area] - cx) * np.sin(angle)
        inside = np.hypot(np.maximum(np.abs(along) - half, 0), across) < width
        patch = labels[0][area]
        patch[inside & (patch == 0)] = label
    return labels


def organs(rng: Generator, side: int) -> Labels:
    """Draw a slice through a body: a large outline with organs in it; the body itself is on the second level."""
    labels = np.zeros((2, side, side), np.uint8)
    middle = side / 2 + rng.normal(0, side / 12, 2)
    _paint_blob(rng, labels[1], 1, middle, side * rng.uniform(0.25, 0.5), (0.15, log_uniform(rng, 1, 1.8)), True)
    for label in range(1, int(rng.integers(3, 12))):
        centre = middle + rng.normal(0, side / 6, 2)
        style = (rng.uniform(0, 0.4), log_uniform(rng, 1, 2.5))
        _paint_blob(rng, labels[0], label, centre, log_uniform(rng, 6, 50), style, True)
    # The body is 1: what reaches beyond it is cut off.
    labels[0] *= labels[1]
    return labels


def composites(rng: Generator, side: int) -> Labels:
    """Draw bodies made of unlike parts, as everyday objects are: parts first, whole bodies on the second level.

    What holds such a body together is its outline alone: inside it differs as much from itself as from the ground.
    """
    labels = np.zeros((2, side, side), np.uint8)
    part = 0
    for body in range(1, int(rng.integers(2, 7))):
        radius, centre = log_uniform(rng, 20, 110), rng.uniform(0.1 * side, 0.9 * side, 2)
        outline = np.zeros((side, side), np.uint8)
        if rng.random() < 0.3:
            _paint_polygon(rng, outline, 1, centre, radius)
        else:
            _paint_blob(rng, outline, 1, centre, radius, (rng.uniform(0, 0.5), log_uniform(rng, 1, 2.5)), True)
        inside = outline > 0
        labels[0][inside], labels[1][inside] = 0, body
        for _ in range(int(rng.integers(1, 7))):
            part += 1
            piece = np.zeros((side, side), np.uint8)
            at = centre + rng.normal(0, 0.5 * radius, 2)
            if rng.random() < 0.4:  # a band across, or a part cut off by a straight line
                y, x = _grid(side)
                angle, reach = rng.uniform(0, 2 * np.pi), rng.choice([radius * rng.uniform(0.1, 0.4), 4 * radius])
                across = (x - at[1]) * np.cos(angle) + (y - at[0]) * np.sin(angle)
                piece[(across > 0) & (across < reach)] = 1
            else:
                style = (rng.uniform(0, 0.5), log_uniform(rng, 1, 2.5))
                _paint_blob(rng, piece, 1, at, radius * log_uniform(rng, 0.15, 0.8), style, True)
            labels[0][inside & (piece > 0)] = part
    return labels


def level_sets(rng: Generator, side: int) -> Labels:
    """Draw the connected parts of a thresholded random field: any topology, with holes and bridges."""
    field = smooth_noise(rng, side, log_uniform(rng, 14, 90)) + rng.uniform(0, 0.4) * smooth_noise(rng, side, 8)
    parts, _count = ndimage.label(field > rng.uniform(-0.2, 1.2))
    sizes = np.bincount(parts.ravel())
    # The ground is no object, however large it is.
    sizes[0] = 0
    order = np.argsort(sizes)[::-1][:_MOST]
    order = order[sizes[order] >= 30]
    table = np.zeros(len(sizes), np.uint8)
    table[order] = np.arange(1, len(order) + 1)
    return np.stack((table[parts], np.zeros((side, side), np.uint8)))


FAMILIES: dict[str, tuple[Callable[[Generator, int], Labels], float]] = {
    "blobs": (blobs, 0.18),
    "collage": (collage, 0.16),
    "composites": (composites, 0.2),
    "cells": (cells, 0.14),
    "organs": (organs, 0.1),
    "level sets": (level_sets, 0.08),
    "tubes": (tubes, 0.07),
    "rods": (rods, 0.07),
}
"""The families and how often each is drawn."""


def draw_labels(rng: Generator, side: int) -> Labels:
    """Draw a label field of a random family, often warped."""
    makers, weights = zip(*FAMILIES.values(), strict=True)
    labels: Labels = makers[rng.choice(len(makers), p=weights)](rng, side)
    if rng.random() < 0.2 and not labels[1].any():
        labels = with_nuclei(rng, labels)
    return warp(rng, labels, log_uniform(rng, 0.5, 5)) if rng.random() < 0.6 else labels
