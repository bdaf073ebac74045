"""Where images are clicked on: the same places for all."""

from __future__ import annotations


def grid_points(shape: tuple[int, int], side: int) -> list[tuple[float, float]]:
    """Give the centres of side x side cells of an (H, W) image, (y, x), data pixels, row by row."""
    height, width = shape
    return [
        ((row + 0.5) * height / side - 0.5, (column + 0.5) * width / side - 0.5)
        for row in range(side)
        for column in range(side)
    ]
