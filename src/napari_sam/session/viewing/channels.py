"""Images that lie over one another, as channels do: the model reads one of them, and a person sees them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex

_DARK, _BRIGHT = 0.15, 0.35
"""Shares of the window of grey values: below the first there is nothing to see, above the second there is."""
_AROUND = np.array([(y, x) for y in (-4, -2, 0, 2, 4) for x in (-4, -2, 0, 2, 4)], dtype=np.float64)
"""Places around a click that are looked at, data pixels, (y, x)."""


class ChannelCheck:
    """Tells when a person points at something that the model cannot see, because it is in another image.

    A few pixels are looked at, in what napari has drawn already; nothing is read from the data.

    Parameters
    ----------
    viewer : ViewerModel
        Where the images are.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._asked: Hashable = None
        self._found: Image | None = None

    def has_others(self, image: Image) -> bool:
        """Whether other images are seen beside the one that is read."""
        return any(layer is not image for layer in self._visible_images())

    def seen_elsewhere(
        self,
        image: Image,
        view: PlaneIndex,
        position: tuple[float, float] | None,
        together: tuple[Image, ...] = (),
    ) -> Image | None:
        """Find the image that shows something at a click where the one that is read shows nothing.

        Parameters
        ----------
        image : Image
            The image that is read.
        view : PlaneIndex
            Its plane on screen.
        position : (float, float) or None
            Where the person points, data pixels of the plane, (y, x).
        together : tuple of Image
            Images that the model sees together with it, itself included.

        Returns
        -------
        Image or None
            The brightest of the others; None where the image that is read shows something, or no other does.
        """
        seen = self._visible_images()
        if position is None or image.rgb or all(layer is image or layer in together for layer in seen):
            return None
        # The state asks after every event: nothing is looked at again for the same click.
        looks = tuple((id(layer), tuple(layer.contrast_limits)) for layer in (image, *seen))
        if (asked := (view, position, looks, tuple(map(id, together)))) != self._asked:
            read = together or (image,)
            self._asked, self._found = asked, self._find_brightest(read, image, view, position, seen)
        return self._found

    def _visible_images(self) -> list[Image]:
        layers = (layer for layer in self._viewer.layers if isinstance(layer, Image))
        return [layer for layer in layers if layer.visible and layer.opacity > 0]

    def _find_brightest(
        self,
        read: tuple[Image, ...],
        image: Image,
        view: PlaneIndex,
        position: tuple[float, float],
        seen: list[Image],
    ) -> Image | None:
        places = np.array([[0 if at is None else at for at in view.index]] * len(_AROUND), dtype=np.float64)
        places[:, list(view.axes)] = np.asarray(position) + _AROUND
        world = np.tile(np.asarray(self._viewer.dims.point, dtype=np.float64), (len(places), 1))
        # Axes that this image lacks stay where the sliders are.
        world[:, -image.ndim :] = LayerTransform.of(self._viewer, image).to_world(places)

        def brightness(layer: Image) -> NDArray[np.float64]:
            if layer is image:
                return _brightness(image, places)
            return _brightness(layer, LayerTransform.of(self._viewer, layer).to_data(world[:, -layer.ndim :]))

        here = [brightness(layer) for layer in read]
        # One bright pixel near a click is something to click on, though most around it are dark.
        if not any(map(len, here)) or any(len(one) and (np.median(one) > _DARK or one.max() > _BRIGHT) for one in here):
            return None
        best, level = None, _BRIGHT
        for layer in seen:
            if layer not in read:
                there = brightness(layer)
                if len(there) and np.median(there) > level:
                    best, level = layer, float(np.median(there))
        return best


def _brightness(layer: Image, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how bright an image is drawn at some of its data pixels, (N,) from 0 to 1, where it is drawn at all."""
    low, high = (0, 255) if layer.rgb else layer.contrast_limits
    found = []
    for place in places:
        value = layer.get_value(place)
        # Of several resolutions, napari gives the level together with the value.
        value = value[1] if layer.multiscale and value is not None else value
        if value is not None:
            found.append(float(np.mean(np.asarray(value, dtype=np.float64)[..., :3] if layer.rgb else value)))
    return np.clip((np.array(found) - low) / ((high - low) or 1), 0, 1)
