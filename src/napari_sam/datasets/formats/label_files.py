"""Labels images as a format of masks: TIFF, every pixel with the number of its object.

What lies under another object is lost, and so are categories and scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.datasets.documents import Intake
from napari_sam.datasets.records import LARGEST_NUMBER, AnnotatedImage, from_labels, to_labels
from napari_sam.errors import InputError
from napari_sam.io.labels import read_labels, write_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_label_file(path: Path, images: Sequence[AnnotatedImage]) -> None:
    """Write one image's masks as labels; where objects overlap, the smaller one lies on top.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    (image,) = images
    labels = to_labels(image)
    write_labels(path, labels.astype(np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32))


def read_label_file(path: Path, faults: list[str] | None = None) -> list[AnnotatedImage]:
    """Read one image's masks out of labels.

    Parameters
    ----------
    path : Path
        PNG or TIFF.
    faults : list of str, optional
        See `napari_sam.datasets.documents.Intake`.

    Raises
    ------
    InputError
        If it cannot be read, or holds no labels.
    """
    with Intake(path, faults).whole():
        labels = read_labels(path)
        if int(labels.max(initial=0)) > LARGEST_NUMBER:
            raise InputError(f"{path}: its largest label is {labels.max()}; labels go up to {LARGEST_NUMBER}.")
        return [from_labels(path.name, labels)]
    return []
