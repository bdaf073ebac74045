"""How an image describes itself in OME-Zarr (https://ngff.openmicroscopy.org), of either version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam.io.axes import PIXEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

AXES = "tczyx"
"""Names that axes may have, in the order that OME-Zarr wants."""

_TYPES = {"t": "time", "c": "channel"}


def ome_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OME says in the attributes of a group: from version 0.5 on, it has a place of its own."""
    found: dict[str, Any] = dict(attributes.get("ome", attributes))
    return found


def multiscale(
    name: str,
    axes: Sequence[str],
    units: Sequence[str],
    levels: Iterable[tuple[Sequence[float], Sequence[float] | None]],
) -> dict[str, Any]:
    """Describe an image of one or more resolutions, in the groups "0", "1", and so on.

    Parameters
    ----------
    name : str
        Of the image.
    axes, units : sequence of str
        One for each axis; "pixel" is no unit, and a channel has none.
    levels : iterable of (scale, translation)
        For each resolution, the finest first: the distance of pixels along each axis, and where the first one lies;
        None where that is the origin.
    """
    described: list[dict[str, str]] = [{"name": axis, "type": _TYPES.get(axis, "space")} for axis in axes]
    for axis, unit in zip(described, units, strict=True):
        if unit != PIXEL and axis["type"] != "channel":
            axis["unit"] = unit
    datasets = []
    for number, (scale, translation) in enumerate(levels):
        moves: list[dict[str, Any]] = [{"type": "scale", "scale": list(scale)}]
        if translation is not None:
            moves.append({"type": "translation", "translation": list(translation)})
        datasets.append({"path": str(number), "coordinateTransformations": moves})
    return {"name": name, "axes": described, "datasets": datasets}
