"""Nine squares, as labels, as an image and as an archive."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.training.data.batches import CropSource
from napari_sam.training.data.pools import TypicalPool

if TYPE_CHECKING:
    from pathlib import Path


def squares(side: int = 120) -> np.ndarray:
    """Nine squares of 20 pixels."""
    labels = np.zeros((side, side), np.uint16)
    for index in range(9):
        y, x = 10 + 40 * (index // 3), 10 + 40 * (index % 3)
        labels[y : y + 20, x : x + 20] = index + 1
    return labels


def labelled(name: str = "a", kind: str = "squares", side: int = 120) -> LabelledImage:
    labels = squares(side)
    return LabelledImage(name, kind, np.repeat((labels * 25).astype(np.uint8)[..., None], 3, 2), labels)


def squares_source(*images: LabelledImage) -> CropSource:
    """Draws crops of the squares, or of the images given."""
    return CropSource([(TypicalPool(images or [labelled()]), 1.0)])


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def write_archive(path: Path, images: dict[str, np.ndarray], labels: np.ndarray) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, image in images.items():
            archive.writestr(f"images/{name}.png", png(image))
            archive.writestr(f"labels/{name}.png", png(labels))
    return path
