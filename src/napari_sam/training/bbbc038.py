"""BBBC038 (Data Science Bowl 2018, CC0): reading the archive, and a validation split of a tenth of each image type.

Source: Broad Bioimage Benchmark Collection, accession BBBC038v1; Caicedo et al., Nature Methods 2019. The archive holds
``images/ID.png`` and ``labels/ID.png``.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from skimage.io import imread

from napari_sam.errors import InputError
from napari_sam.evaluation.dataset import LabelledImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_SHARE = 10  # one image in ten of a type is kept for validation
_COLOURED = 4.0  # mean difference between channels, grey levels
_DARK_GROUND = 110.0  # mean grey level


def read_archive(path: Path) -> list[LabelledImage]:
    """Read every image of an archive, sorted by name.

    Raises
    ------
    InputError
        If the file is not a zip archive with ``images/`` and ``labels/``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            images = list(_read(archive))
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read as a zip archive ({error}). Give the BBBC038 archive with images/ and labels/."
        ) from error
    if not images:
        raise InputError(f"{path} holds no images/*.png with labels/*.png. Give the BBBC038 archive.")
    return images


def _read(archive: zipfile.ZipFile) -> Iterator[LabelledImage]:
    names = set(archive.namelist())
    for name in sorted(names):
        if name.startswith("images/") and name.endswith(".png") and (other := "labels/" + name[7:]) in names:
            image = imread(io.BytesIO(archive.read(name)))
            image = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]
            labels = imread(io.BytesIO(archive.read(other))).astype(np.uint16)
            yield LabelledImage(name[7:-4], image_kind(image), np.ascontiguousarray(image), labels)


def image_kind(image: NDArray[np.uint8]) -> str:
    """Name the type of an (H, W, 3) uint8 image: how it was stained or lit, by simple statistics, and its size."""
    channels = image.astype(np.int16)
    coloured = float(np.mean(channels.max(2) - channels.min(2))) > _COLOURED
    lit = "fluorescence" if channels.mean() < _DARK_GROUND else "brightfield"
    return f"{'stained' if coloured else lit} {image.shape[0]}x{image.shape[1]}"


def split(images: Iterable[LabelledImage]) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Divide images into training and validation, the same way on every run.

    A tenth of each type, rounded, is kept for validation: the first when names are sorted by their SHA-256.

    Returns
    -------
    training, validation : list of LabelledImage
    """
    kinds: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        kinds[image.kind].append(image)
    training, validation = [], []
    for kind in sorted(kinds):
        members = sorted(kinds[kind], key=lambda member: hashlib.sha256(member.name.encode()).hexdigest())
        kept = round(len(members) / _SHARE)
        validation += members[:kept]
        training += members[kept:]
    return training, validation
