"""What is in one tile: it depends on the tile's pixels alone, so that tiles may be done anywhere, in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import Proposal
    from napari_sam.automatic.tiles.plan import Tile
    from napari_sam.planes import Crop
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress


class Finder(Protocol):
    """Finds what may be an object on a plane that is small enough to be looked at as a whole."""

    def __call__(self, plane: Plane, progress: Progress, /) -> list[Proposal]:
        """Return masks on the pixels of the plane."""


def find_in_tile(source: PlaneSource, tile: Tile, find: Finder, progress: Progress = no_progress) -> list[Proposal]:
    """Find what may be an object in one tile of a plane.

    Parameters
    ----------
    source : PlaneSource
        Reads the plane; only the tile is read.
    tile : Tile
        One of `TilePlan.tiles`.
    find : Finder
        Asked once.
    progress : Progress
        Given to `find`; may raise `Cancelled`.

    Returns
    -------
    list of Proposal
        On the whole plane's data pixels. What is cut off by the tile's border is among them.

    Raises
    ------
    InputError
        If the image has no contrast limits and needs some: each tile would be shown with limits of its own.
    """
    plane, crop = _picture(source, tile.crop)
    found = [_on_plane(proposal, crop, source.view.shape) for proposal in find(plane, progress)]
    # Between pixels of a coarse picture, a speck may lie on no data pixel.
    return [proposal for proposal in found if proposal.mask.mask.any()]


def _picture(source: PlaneSource, crop: Crop) -> tuple[Plane, Crop]:
    """Read the picture of a crop, enlarged where a pixel of it is less than one of the data; return its crop too."""
    fitted = source.pyramid.fitted(crop)
    plane = source.read(fitted)
    if source.contrast_limits is None and not plane.rgb and plane.pixels.dtype not in (np.uint8, np.bool_):
        raise InputError("Tiles of this image need contrast limits, or each would be shown differently. Give some.")
    if all(step >= 1 for step in crop.steps):
        return plane, fitted
    enlarged = replace(fitted, steps=(min(crop.steps[0], fitted.steps[0]), min(crop.steps[1], fitted.steps[1])))
    shares = [fine / read for fine, read in zip(enlarged.steps, fitted.steps, strict=True)]
    spacing = plane.spacing[0] * shares[0], plane.spacing[1] * shares[1]
    return replace(plane, pixels=_enlarged(plane.pixels, shares, enlarged.picture), spacing=spacing), enlarged


def _enlarged(pixels: NDArray[Any], shares: list[float], picture: tuple[int, int]) -> NDArray[Any]:
    """Interpolate linearly between pixels; a pixel of the picture covers a share of one along each axis."""
    if pixels.ndim == 3:
        channels = [_enlarged(pixels[..., channel], shares, picture) for channel in range(pixels.shape[2])]
        return np.stack(channels, axis=-1)
    values = ndimage.affine_transform(
        pixels.astype(np.float64), shares, [(share - 1) / 2 for share in shares], picture, order=1, mode="nearest"
    )
    kept = pixels.dtype if pixels.dtype.kind != "b" else np.dtype(np.float32)
    return np.asarray(np.rint(values) if kept.kind in "ui" else values).astype(kept)


def _on_plane(proposal: Proposal, crop: Crop, plane: tuple[int, int]) -> Proposal:
    """Bring what was found on a picture to the plane."""
    mask = proposal.mask
    if crop.steps == (1, 1):
        # Laid out on the picture first, hundreds of small masks would take as many pictures.
        moved = mask.shifted((int(crop.start[0]), int(crop.start[1])), plane)
    else:
        moved = _within(crop.boxed(mask.whole(), plane), crop)
    at = None if proposal.point is None else crop.to_plane(proposal.point)
    return replace(
        proposal,
        mask=moved,
        point=None if at is None else (float(at[0]), float(at[1])),
        crop=None if proposal.crop is None and crop.covers(plane) else _part_shown(proposal, crop),
    )


def _part_shown(proposal: Proposal, crop: Crop) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bring the part of a picture that a model was shown to the plane."""
    seen = ((0, 0), crop.picture) if proposal.crop is None else proposal.crop
    # Edges of pixels, not centres; the last pixel of a picture may reach beyond its crop.
    (top, left), (bottom, right) = np.minimum(np.array(seen) * crop.steps + crop.start, crop.stop)
    return (float(top), float(left)), (float(bottom), float(right))


def _within(boxed: BoxedMask, crop: Crop) -> BoxedMask:
    """Cut off what interpolation carried beyond the border of a crop, where the mask may go on or not."""
    low = np.clip(np.round(crop.start).astype(int) - boxed.origin, 0, boxed.mask.shape)
    high = np.clip(np.round(crop.stop).astype(int) - boxed.origin, low, boxed.mask.shape)
    inside = BoxedMask.of(boxed.mask[low[0] : high[0], low[1] : high[1]])
    origin = np.add(boxed.origin, low) + inside.origin
    return BoxedMask((int(origin[0]), int(origin[1])), inside.mask, boxed.plane)
