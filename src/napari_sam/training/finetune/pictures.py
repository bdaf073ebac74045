"""Pictures of what was found before and after teaching, side by side, on planes that were not learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import io
from skimage.segmentation import find_boundaries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage

_DRAWN = (90, 230, 120)  # what the person drew
_FOUND = (255, 170, 40)
_GAP = 8  # pixels between two pictures
_LONGEST = 700  # pixels of one picture


def draw_comparison(
    folder: Path,
    images: Sequence[LabelledImage],
    before: Mapping[str, NDArray[np.integer[Any]]],
    after: Mapping[str, NDArray[np.integer[Any]]],
) -> list[Path]:
    """Draw, of each plane: what the person labelled, what was found before, what is found after.

    Parameters
    ----------
    folder : Path
        Gets ``before-after-1.png``, ...; pictures of an earlier run are replaced.
    images : sequence of LabelledImage
    before, after : mapping of str to numpy.ndarray
        What was found on planes, by their names; of others there is no picture.
    """
    for old in folder.glob("before-after-*.png"):
        old.unlink()
    files: list[Path] = []
    for image in images:
        if image.name not in before or image.name not in after:
            continue
        parts = [
            _outlined(image.image, labels, colour)
            for labels, colour in (
                (image.labels, _DRAWN),
                (before[image.name], _FOUND),
                (after[image.name], _FOUND),
            )
        ]
        gap = np.full((len(parts[0]), _GAP, 3), 255, np.uint8)
        files.append(folder / f"before-after-{len(files) + 1}.png")
        io.imsave(files[-1], np.hstack([parts[0], gap, parts[1], gap, parts[2]]), check_contrast=False)
    return files


def _outlined(
    image: NDArray[np.uint8], labels: NDArray[np.integer[Any]], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Draw the outlines of objects, (H, W), on an (H, W, 3) image, made smaller where it is large."""
    step = -(-max(labels.shape) // _LONGEST)
    picture: NDArray[np.uint8] = image[::step, ::step].copy()
    borders: NDArray[np.bool_] = find_boundaries(labels[::step, ::step], mode="inner")  # type: ignore[no-untyped-call]
    picture[borders] = colour
    return picture
