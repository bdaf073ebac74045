"""Objects of a time series as a table of tracks, in the text form of the Cell Tracking Challenge.

Ulman et al. 2017, "An objective comparison of cell-tracking algorithms"; the challenge calls the file res_track.txt. A
line for each object, ``L B E P``: its label, the first and the last frame that it is on, from 0, and the label of its
mother, 0 for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.datasets.image_files import stem_of
from napari_sam.errors import InputError
from napari_sam.files import write_whole
from napari_sam.io.outputs import reason, remedy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.batch.plan import PlannedImage
    from napari_sam.batch.results import ImageLabels

_ENDINGS = (".nii.gz", ".nii", ".npy", ".zarr", ".mha", ".nrrd", ".json", ".geojson", ".zip")
"""Of outputs; what is left to do, `stem_of` does."""


def is_time_series(image: PlannedImage) -> bool:
    """Tell whether the objects of an image are followed along time."""
    return image.axis is not None and image.axes[image.axis] == "t"


def require_time_series(images: Sequence[PlannedImage]) -> None:
    """Refuse images of which none has tracks.

    Raises
    ------
    InputError
        If that is so.
    """
    if not any(is_time_series(image) for image in images):
        raise InputError("--tracks is for time series, and no image is linked along t. Name the axis: --axis t.")


def tracks_path(folder: Path, name: str) -> Path:
    """Return where the tracks of labels, or of an image, of a name go."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return folder / f"{stem_of(name) if not ending else name[: -len(ending)]}_track.txt"


def write_tracks(path: Path, result: ImageLabels) -> None:
    """Write the tracks of a time series; a file that is there is replaced in one step.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    axis = result.image.axis
    if axis is None:
        raise ValueError("the objects of this image are not linked")
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, known in sorted(result.known.items(), key=lambda item: item[0][axis]):
        for number in known:
            first.setdefault(number, index[axis])
            last[number] = index[axis]
    lines = (
        f"{number} {first[number]} {last[number]} {result.parents.get(number, [0])[0]}\n" for number in sorted(first)
    )
    try:
        write_whole(path, "".join(lines))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from error
