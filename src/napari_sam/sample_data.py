"""Three real microscopy images for File > Open Sample: nothing to download.

They are images of BBBC038v1 (Caicedo et al. 2019, Nature Methods 16:1247), which the Broad Bioimage Benchmark
Collection gives to the public domain (CC0). Their pixel sizes are not published, so the layers carry no scale.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from skimage import io

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    LayerData = tuple[NDArray[np.uint8], dict[str, Any], str]

_SOURCE = {"source": "Broad Bioimage Benchmark Collection, BBBC038v1", "licence": "CC0-1.0"}


def fluorescence() -> list[LayerData]:
    """Give cultured cells whose nuclei carry a fluorescent stain.

    Returns
    -------
    list of (numpy.ndarray, dict, str)
        One image layer for napari, shape (520, 696), uint8. The contrast limits leave the dimmest nuclei visible.
    """
    return _image("fluorescence.png", "Nuclei (fluorescence)", colormap="gray", contrast_limits=(0, 110))


def tissue() -> list[LayerData]:
    """Give a section of stained tissue with crowded nuclei, in colour.

    Returns
    -------
    list of (numpy.ndarray, dict, str)
        One RGB image layer for napari, shape (256, 320, 3), uint8.
    """
    return _image("tissue.png", "Tissue (stained)", rgb=True)


def brightfield() -> list[LayerData]:
    """Give stained flat cells in brightfield, each a large cell around a small dark nucleus.

    Returns
    -------
    list of (numpy.ndarray, dict, str)
        One image layer for napari, shape (1024, 1024), uint8. One click has two good answers here: cell and nucleus.
    """
    return _image("brightfield.png", "Cells (brightfield)", colormap="gray", contrast_limits=(40, 245))


def _image(file: str, name: str, **display: Any) -> list[LayerData]:
    """Read one packaged image as layer data."""
    with as_file(files("napari_sam") / "samples" / file) as path:
        pixels = io.imread(path)
    return [(pixels, {"name": name, "metadata": dict(_SOURCE), **display}, "image")]
