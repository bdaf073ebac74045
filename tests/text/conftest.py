from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from loopback import answers, no_proxy, server  # noqa: F401  # fixtures
from napari_sam.masks import BoxedMask
from napari_sam.text.encoder import load_encoder
from tiny_clip import COLOURS, clip_folder  # noqa: F401  # fixture

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.text.encoder import TextImageEncoder


@pytest.fixture(scope="session")
def encoder(clip_folder: Path) -> TextImageEncoder:  # noqa: F811
    """The tiny model; its cache of phrases is all that changes."""
    return load_encoder(str(clip_folder), "cpu", offline=True)


@pytest.fixture(scope="session")
def scene() -> tuple[np.ndarray, list[BoxedMask], list[str]]:
    """Discs of several colours on grey ground, their masks and the names of their colours."""
    image = np.full((100, 150, 3), 70, np.uint8)
    y, x = np.mgrid[:100, :150]
    masks, names = [], ["red", "blue", "green", "background", "red", "blue"]
    for (row, column), name in zip([(22, 22), (22, 75), (22, 125), (75, 20), (75, 75), (90, 140)], names, strict=True):
        disc = np.hypot(y - row, x - column) < 13
        image[disc] = COLOURS[name]
        masks.append(BoxedMask.of(disc))
    return image, masks, names
