"""What is evaluated on: images with their objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image with its objects.

    Attributes
    ----------
    name : str
        The file's name, without its ending.
    kind : str
        The type of image, such as ``"fluorescence 256x256"``; one row of a table of results.
    image : numpy.ndarray, shape (H, W, 3), uint8
    labels : numpy.ndarray, shape (H, W), uint16
        0 for background.
    """

    name: str
    kind: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint16]
