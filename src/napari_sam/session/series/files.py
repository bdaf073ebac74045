"""Images of a series read from their files, and labels written to theirs: the work of the inference thread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.layers import finest, read_layers, write_labels
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_sam.datasets.image_series import SeriesImage
    from napari_sam.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class OpenedImage:
    """An image that was read, and its labels.

    Attributes
    ----------
    image : SeriesImage
        Which one.
    data : array-like
        Its pixels.
    options : dict
        For the layer, as `napari_sam.io.layers.read_layers` gives them.
    labels : array-like or None
        Its labels; None where there are none yet.
    digest : str
        Digest of the labels, to see whether they change; "" where there are none.
    """

    image: SeriesImage
    data: Any
    options: dict[str, Any]
    labels: Any = None
    digest: str = ""


def open_image(image: SeriesImage, progress: Progress = no_progress) -> OpenedImage:
    """Read an image, and its labels if there are any.

    Parameters
    ----------
    image : SeriesImage
    progress : Progress
        Called between the files; may raise `Cancelled`.

    Raises
    ------
    InputError
        If one of them cannot be read.
    """
    progress(0.0)
    # One layer for an image: that it may be called like labels does not make it some.
    ((data, options, _kind),) = read_layers(str(image.path))
    options = {**options, "name": image.name}
    if not image.labels.exists():
        return OpenedImage(image, data, options)
    progress(0.5)
    ((labels, label_options, _kind),) = read_layers(str(image.labels))
    pixels = np.array(finest(labels, label_options))
    shape = tuple(finest(data, options).shape)
    if pixels.shape != (shape[:-1] if options.get("rgb") else shape):
        # What belongs to something else is neither shown nor written over.
        raise InputError(f"{image.labels} has another shape than {image.name}. Move it away, and open the image again.")
    return OpenedImage(image, data, options, pixels, digest(pixels))


def save_labels(
    path: Path, data: Any, options: Mapping[str, Any], known: str, progress: Progress = no_progress
) -> tuple[str, bool]:
    """Write labels, if they are others than those that are known to be in the file.

    Parameters
    ----------
    path : Path
        Their file.
    data : array-like
        Labels.
    options : mapping
        Scale, units and axis labels of their layer.
    known : str
        Digest of what is in the file; "" where there is none.
    progress : Progress
        Called before the work; may raise `Cancelled`.

    Returns
    -------
    (str, bool)
        Digest of what is in the file now, and whether it was written. Empty labels make no new file.

    Raises
    ------
    NapariSamError
        If they cannot be written.
    """
    progress(0.0)
    pixels = finest(data, options)
    now = digest(pixels)
    if now == known or (not known and not _any(pixels)):
        return known, False
    write_labels(str(path), pixels, options)
    return now, True


def digest(labels: Any) -> str:
    """Return a digest of labels; equal for equal numbers, whatever their type."""
    found = hashlib.blake2b(repr(tuple(labels.shape)).encode(), digest_size=16)
    for at in np.ndindex(*labels.shape[:-2]):
        found.update(np.ascontiguousarray(labels[at], dtype=np.int64).data)
    return found.hexdigest()


def _any(labels: Any) -> bool:
    return any(np.asarray(labels[at]).any() for at in np.ndindex(*labels.shape[:-2]))
