"""Images and volumes for File > Open Sample.

The three images are of BBBC038v1 (Caicedo et al. 2019, Nature Methods 16:1247), which the Broad Bioimage Benchmark
Collection gives to the public domain (CC0). Their pixel sizes are not published, so the layers carry no scale. Of the
volumes, a synthetic one is packaged; a real one comes with nibabel, another one is downloaded by scikit-image.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from skimage import io

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    LayerData = tuple[NDArray[np.generic], dict[str, Any], str]

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


LABELLED = ("fluorescence", "tissue", "brightfield")
"""Images of which there are the labels that annotators drew."""


def labels_of(image: str) -> NDArray[np.integer[Any]]:
    """Read what annotators drew of a sample image; 0 is background.

    Parameters
    ----------
    image : str
        One of `LABELLED`.

    Returns
    -------
    numpy.ndarray, shape (H, W), uint16
    """
    with as_file(files("napari_sam") / "samples" / f"{image}_labels.png") as path:
        labels: NDArray[np.integer[Any]] = io.imread(path)
    return labels


def nuclei_volume() -> list[LayerData]:
    """Give a synthetic volume of nuclei in fluorescence, four times as coarse along z as in the plane.

    Returns
    -------
    list of (numpy.ndarray, dict, str)
        One image layer for napari, shape (28, 176, 192), uint8, 1.0 x 0.25 x 0.25 micrometers a voxel.
    """
    with as_file(files("napari_sam") / "samples" / "nuclei_volume.tif") as path:
        source = {"source": "Synthetic: scripts/make_sample_volume.py of napari-sam-live", "licence": "CC0-1.0"}
        return _volume(path, "Nuclei (synthetic volume)", source, colormap="gray", contrast_limits=(0, 140))


def brain() -> list[LayerData]:
    """Give a real MR volume of a brain, which nibabel ships.

    Returns
    -------
    list of (numpy.ndarray, dict, str)
        One image layer for napari, shape (24, 96, 128), int16, 2.2 x 2 x 2 millimeters a voxel.

    Raises
    ------
    InputError
        If nibabel is not installed, or without its data.
    """
    from napari_sam.io.formats.nifti import EXTRA
    from napari_sam.io.reading import require

    # For its words: the data are read by way of nibabel's reader below.
    require("nibabel", EXTRA, "The brain and other NIfTI files")
    with as_file(files("nibabel") / "tests" / "data" / "example4d.nii.gz") as path:
        if not path.is_file():
            raise InputError('This nibabel comes without its data: pip install --force-reinstall "nibabel".')
        source = {"source": "nibabel, tests/data/example4d.nii.gz, the first of two volumes", "licence": "MIT"}
        return _volume(path, "Brain (MR volume)", source, colormap="gray")


def cells_volume() -> list[LayerData]:
    """Give a real volume of nuclei in fluorescence, which scikit-image downloads once, 11 MB.

    Returns
    -------
    list of (numpy.ndarray, dict, str)
        One image layer for napari, shape (60, 256, 256), uint16, 0.29 x 0.26 x 0.26 micrometers a voxel.

    Raises
    ------
    InputError
        If it cannot be downloaded.
    """
    from skimage import data

    download: Callable[[], NDArray[np.generic]] = data.cells3d
    try:
        pixels = download()[:, 1]  # the other channel holds membranes
    except (OSError, ModuleNotFoundError) as error:
        raise InputError(
            f"The volume of cells cannot be downloaded: {error} The other samples need no network."
        ) from error
    options = {
        "name": "Nuclei (real volume)",
        "colormap": "gray",
        "scale": (0.29, 0.26, 0.26),
        "units": ("micrometer",) * 3,
        "axis_labels": tuple("zyx"),
        "metadata": {"source": "Allen Institute for Cell Science, as scikit-image's cells3d"},
    }
    return [(pixels, options, "image")]


def _volume(path: Path, name: str, source: dict[str, str], **display: Any) -> list[LayerData]:
    """Read a volume, the first time point of several, as layer data with its spacing."""
    import numpy as np

    from napari_sam.io.stacks import open_stack

    with open_stack(path) as stack:
        # The first of whatever comes before z, y and x.
        first = (0,) * (len(stack.axes) - 3)
        options = {
            "name": name,
            "scale": stack.spacing[-3:],
            "units": stack.units[-3:],
            "axis_labels": tuple(stack.axes[-3:]),
            "contrast_limits": stack.contrast_limits,
            "metadata": source,
            **display,
        }
        # A copy: the file is closed when the block ends.
        return [(np.array(stack.data[first]), options, "image")]


def _image(file: str, name: str, **display: Any) -> list[LayerData]:
    """Read one packaged image as layer data."""
    with as_file(files("napari_sam") / "samples" / file) as path:
        pixels = io.imread(path)
    # A copy: layers keep their metadata, which anybody may change.
    return [(pixels, {"name": name, "metadata": dict(_SOURCE), **display}, "image")]
