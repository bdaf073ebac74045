"""Which images the model sees together, blended as they are on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_sam.errors import InputError
from napari_sam.planes.blending import BlendedImage, Channel
from napari_sam.session.napari_private import unwrapped
from napari_sam.session.viewing.connections import Connections
from napari_sam.session.viewing.placement import PLACING
from napari_sam.session.viewing.plane_on_screen import plane_source
from napari_sam.session.viewing.transform import TOLERANCE, LayerTransform

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari.components import ViewerModel

    from napari_sam.planes.blending import BlendMode
    from napari_sam.planes.source import PlaneIndex, PlaneSource

_LOOKS = ("contrast_limits", "gamma", "colormap", "opacity", "blending")
"""Attributes, and names of events, that say how an image is shown."""
_SHADES = np.linspace(0, 1, 256)


class ChannelMix:
    """A group of images that are seen together.

    The group counts while the image that is worked on is one of it. Images that are hidden take no part until they are
    shown again.

    Parameters
    ----------
    viewer : ViewerModel
        Where the images are.
    """

    changed = Signal()
    """The images of the group look different, or others are in it."""
    pixels_set = Signal()
    """napari drew an image of the group anew, perhaps because a program changed its pixels in place."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._connections = Connections()
        self._group: list[Image] = []
        self._blended: tuple[Hashable, tuple[BlendedImage, ...]] | None = None
        self._looks: Hashable = None

    @property
    def group(self) -> tuple[Image, ...]:
        """The images of the group, lowest first; none where each is seen by itself."""
        return tuple(layer for layer in self._viewer.layers if layer in self._group)

    def choose(self, layers: Sequence[Image]) -> None:
        """See images together from now on; one or none: each by itself again.

        Raises
        ------
        InputError
            If one of them is not an image of the viewer, or lies at a slant to another; then nothing changes.
        """
        layers = list(dict.fromkeys(map(unwrapped, layers)))
        for layer in layers:
            if not (isinstance(layer, Image) and layer in self._viewer.layers):
                raise InputError("Channels are image layers of this viewer. Add them first.")
        for layer in layers[1:]:
            if why := self.misfit(layers[0], layer):
                raise InputError(why)
        self._group = layers if len(layers) > 1 else []
        self._connections.release()
        for layer in self._group:
            events: Any = layer.events
            for name in (*_LOOKS, *PLACING, "visible", "data"):
                self._connections.connect("group", events[name], self._on_group_changed)
            self._connections.connect("group", events.set_data, self.pixels_set.emit)
        if self._group:
            self._connections.connect("group", self._viewer.layers.events.reordered, self._on_group_changed)
        self._on_group_changed()

    def forget(self, layers: Sequence[Any]) -> None:
        """Go on without images that left the viewer."""
        if any(layer in self._group for layer in layers):
            self.choose([layer for layer in self._group if layer in self._viewer.layers and layer not in layers])

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()

    def seen_with(self, image: Image) -> tuple[Image, ...]:
        """Return the images that are seen together with one, itself included, lowest first; none for it alone."""
        if image not in self._group:
            return ()
        seen = tuple(layer for layer in self.group if layer is image or (layer.visible and layer.opacity > 0))
        return seen if len(seen) > 1 else ()

    def misfit(self, image: Image, other: Image) -> str:
        """Say why one image cannot be seen together with another; "" where it can."""
        if other.ndim > image.ndim:
            return f'"{other.name}" has {other.ndim} axes, and "{image.name}" {image.ndim}: choose images of one stack.'
        if _pixel_map(self._viewer, image, other) is None:
            return f'"{other.name}" lies at a slant to "{image.name}", so they cannot be blended. Turn it into place.'
        return ""

    def source(self, image: Image, view: PlaneIndex, version: int) -> PlaneSource:
        """Return how to read a plane of an image, together with those that it is seen with.

        Parameters
        ----------
        image, view, version
            As `napari_sam.session.viewing.plane_on_screen.plane_source` takes them.
        """
        alone = plane_source(image, view, version)
        channels = self._seen_channels(image)
        if not channels:
            return alone
        shapes = tuple(_sides(level, image) for level in (alone.data, *alone.coarser))
        asked = shapes, tuple(channel.look for channel in channels)
        # The same object as long as nothing changed: who reads planes tells images apart by identity.
        if self._blended is None or self._blended[0] != asked:
            self._blended = asked, tuple(BlendedImage(shape, shapes[0], channels) for shape in shapes)
        data, *coarser = self._blended[1]
        return type(alone)(data, view, None, 1.0, version, tuple(coarser))

    def blended(self, image: Image) -> BlendedImage | None:
        """Return an image with those that it is seen with, at full resolution; None where it is seen by itself."""
        channels = self._seen_channels(image)
        shape = _sides(image.data[0] if image.multiscale else image.data, image)
        return BlendedImage(shape, shape, channels) if channels else None

    def _seen_channels(self, image: Image) -> tuple[Channel, ...]:
        """Describe what is seen together with an image; nothing where it is seen by itself."""
        return tuple(found for layer in self.seen_with(image) if (found := self._channel(image, layer)) is not None)

    def _channel(self, image: Image, layer: Image) -> Channel | None:
        """Describe how an image is shown, on the pixels of another; None where it lies at a slant."""
        placed = _pixel_map(self._viewer, image, layer)
        if placed is None:
            return None
        blending = str(layer.blending)
        return Channel(
            name=layer.name,
            levels=tuple(layer.data) if layer.multiscale else (layer.data,),
            axes=layer.ndim,
            contrast_limits=None if layer.rgb else (float(layer.contrast_limits[0]), float(layer.contrast_limits[1])),
            gamma=float(layer.gamma),
            colours=np.asarray(layer.colormap.map(_SHADES), dtype=np.float32)
            if not layer.rgb
            else np.empty((0, 4), "f4"),
            opacity=float(layer.opacity),
            blend=cast("BlendMode", "translucent" if blending.startswith("translucent") else blending),
            steps=placed[0],
            offsets=placed[1],
        )

    def _on_group_changed(self) -> None:
        # napari tells of values also when they stay what they are; each would encode the plane anew.
        looks = tuple(
            (id(layer), id(layer.data), layer.visible, *(_value(layer, name) for name in (*_LOOKS, *PLACING)))
            for layer in self.group
        )
        if looks != self._looks:
            self._looks = looks
            self.changed.emit()


def _sides(data: Any, image: Image) -> tuple[int, ...]:
    """Give the lengths of the data axes of an image, in one of its resolutions."""
    return tuple(int(size) for size in data.shape[: image.ndim])


def _value(layer: Image, name: str) -> Hashable:
    """Return an attribute as something to compare."""
    value = getattr(layer, name)
    if name == "colormap":
        return np.asarray(value.map(_SHADES)).tobytes()
    if name == "affine":
        return np.asarray(value.affine_matrix).tobytes()
    return value.tobytes() if isinstance(value, np.ndarray) else str(value)


def _pixel_map(viewer: ViewerModel, image: Image, other: Image) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Tell which pixels of another image lie on those of one: a step and an offset for each axis of the other.

    None where its axes are not those of the image: where it is turned or sheared against it.
    """
    own, there = LayerTransform.of(viewer, image), LayerTransform.of(viewer, other)
    lacking = image.ndim - other.ndim
    if lacking < 0:
        return None
    steps = np.linalg.solve(there.linear, own.linear[lacking:])
    offsets = there.to_data(own.offset[lacking:])
    diagonal = steps[:, lacking:].diagonal()
    # An axis that the other lacks may not move through it, either.
    lean = np.abs(steps)
    lean[:, lacking:] -= np.diag(np.abs(diagonal))
    if not np.isfinite(lean).all() or (diagonal == 0).any() or lean.max() > TOLERANCE * np.abs(diagonal).max():
        return None
    # Where both have the same pixels, rounding errors must not make others of them.
    if np.abs(diagonal - 1).max() <= TOLERANCE and np.abs(offsets - np.round(offsets)).max() <= 1e-3:
        diagonal, offsets = np.ones(other.ndim), np.round(offsets)
    return tuple(diagonal.tolist()), tuple(offsets.tolist())
