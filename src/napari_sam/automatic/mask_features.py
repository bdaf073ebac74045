"""What a model's image encoder says of objects: its features under their masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.geometry import Frame
    from napari_sam.masks import BoxedMask
    from napari_sam.model.protocol import Features, PromptableModel


def pooled_features(
    model: PromptableModel, features: Features, frame: Frame, masks: Sequence[BoxedMask]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pool the features of an embedding under masks; with the masks bound, work for `Predictor.compute`.

    Parameters
    ----------
    model : PromptableModel
    features : tuple of Tensor
        What the model's `encode` gave for a plane.
    frame : Frame
        Where the plane lies on the canvas.
    masks : sequence of BoxedMask
        On the plane, none of them empty.

    Returns
    -------
    means, spreads : numpy.ndarray, shape (n, d), float32
        Mean and standard deviation of each channel under each mask.
    """
    cells = model.object_map(features)
    weights = cell_weights(masks, frame, (cells.shape[1], cells.shape[2]))
    # On the CPU: the map has a few megabytes, and almost all weights are 0.
    values = cells.float().flatten(1).T.cpu().numpy()
    means = weights @ values
    # Rounding may bring it below 0 where all cells are alike.
    variances = np.maximum(weights @ values**2 - means**2, 0)
    return means.astype(np.float32), np.sqrt(variances).astype(np.float32)


def cell_weights(masks: Sequence[BoxedMask], frame: Frame, grid: tuple[int, int]) -> sparse.csr_array:
    """Weigh each cell of a grid by how much of it a mask covers.

    Parameters
    ----------
    masks : sequence of BoxedMask
        On the plane, none of them empty.
    frame : Frame
        Where the plane lies on the canvas.
    grid : (int, int)
        Rows and columns of a grid that covers the canvas, (h, w).

    Returns
    -------
    scipy.sparse.csr_array, shape (n, h * w), float64
        Rows add up to 1; a mask that is smaller than a cell has the cells around it.
    """
    rows, columns = frame.cell_weights(grid)
    weights, places, counts = [], [], [0]
    for mask in masks:
        down, across = rows[:, mask.box[0]], columns[:, mask.box[1]]
        ys, xs = np.flatnonzero(down.any(axis=1)), np.flatnonzero(across.any(axis=1))
        covered = down[ys].astype(np.float64) @ mask.mask @ across[xs].T
        y, x = np.nonzero(covered)
        weights.append(covered[y, x] / covered.sum())
        places.append(ys[y] * grid[1] + xs[x])
        counts.append(len(y))
    shape = (len(masks), grid[0] * grid[1])
    if not masks:
        return sparse.csr_array(shape)
    return sparse.csr_array((np.concatenate(weights), np.concatenate(places), np.cumsum(counts)), shape=shape)
