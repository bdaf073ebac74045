"""The picture of a crop: its pixels as they were read, and what tells them from others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.planes.plane import Plane

if TYPE_CHECKING:
    from napari_sam.planes.crop import Crop


@dataclass(frozen=True, slots=True, eq=False)
class CropPicture:
    """What the model saw.

    Attributes
    ----------
    crop : Crop
        Where on the plane it lies.
    plane : Plane
        Its pixels.
    digest : str
        Digest of these pixels, before they were windowed.
    """

    crop: Crop
    plane: Plane
    digest: str

    @classmethod
    def of(cls, plane: Plane, crop: Crop, shape: tuple[int, int]) -> CropPicture:
        """Describe what was read of a crop.

        Parameters
        ----------
        plane : Plane
            Its pixels.
        crop : Crop
            The crop.
        shape : (int, int)
            Height and width of the plane that it is a crop of, data pixels.
        """
        # The digest reads memory as it lies there, row after row.
        pixels = np.ascontiguousarray(plane.pixels)
        # A whole plane is known by its pixels alone, a crop also by its place: crops of plain ground look alike.
        part = "" if crop.is_whole(shape) else f"{crop}"
        digest = hashlib.blake2b(f"{pixels.dtype.str}{pixels.shape}{part}".encode(), digest_size=16)
        digest.update(pixels.data)
        return cls(crop, plane, digest.hexdigest())


def blank_plane(crop: Crop, spacing: tuple[float, float]) -> Plane:
    """Return a plane like the picture of a crop, with nothing on it; it takes no memory.

    Where a picture lies on the canvas of a model depends on its size alone.

    Parameters
    ----------
    crop : Crop
        The crop.
    spacing : (float, float)
        Distance between data pixels along y and x.
    """
    (down, across), (y, x) = crop.steps, spacing
    return Plane(np.broadcast_to(np.uint8(0), crop.picture), spacing=(y * down, x * across))
