"""Objects out of dense maps: seeds where objects are deepest, and a watershed from them.

After the automatic instance segmentation of micro-sam (Archit et al. 2025, Nature Methods 22:579), with seeds by
prominence in place of fixed thresholds: how low the distances fall in the middle of an object differs with its size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.settings import DenseSettings
    from napari_sam.predictor import DenseMaps


def grow_seeds(maps: DenseMaps, settings: DenseSettings) -> NDArray[np.int32]:
    """Divide the foreground of a plane into objects.

    Parameters
    ----------
    maps : DenseMaps
    settings : DenseSettings

    Returns
    -------
    numpy.ndarray, shape (H, W), int32
        Labels 1 to n, 0 for background.
    """
    allowed = maps.foreground > settings.foreground
    if not allowed.any():
        return np.zeros(allowed.shape, np.int32)
    allowed = ndimage.binary_fill_holes(allowed)
    # Deep inside and near the centre: one of the two alone has seeds in every bay of a border, or on every ridge.
    height = np.sqrt((1 - maps.centre) * (1 - maps.border))
    # What stands out by less than the prominence is flattened away, so that it makes no seed of its own.
    filled = reconstruction(height - settings.prominence, height)  # type: ignore[no-untyped-call]  # of scikit-image
    peaks = local_maxima(filled)  # type: ignore[no-untyped-call]  # of scikit-image
    # Pixels of one peak may meet at corners.
    seeds, _count = ndimage.label(peaks & allowed, np.ones((3, 3)))
    grown = watershed(-height, seeds, mask=allowed)  # type: ignore[no-untyped-call]  # of scikit-image
    return _only_certain(grown, maps.foreground, settings)


def _only_certain(
    labels: NDArray[np.integer], foreground: NDArray[np.float32], settings: DenseSettings
) -> NDArray[np.int32]:
    """Drop objects that are too small, or too faint in the foreground map; number the rest anew."""
    areas = np.bincount(labels.ravel())
    totals = np.bincount(labels.ravel(), foreground.ravel())
    kept = (areas >= settings.least_area) & (totals >= settings.certainty * areas)
    kept[0] = False
    names = np.where(kept, np.cumsum(kept), 0)
    result: NDArray[np.int32] = names[labels].astype(np.int32)
    return result
