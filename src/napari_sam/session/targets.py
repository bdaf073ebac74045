"""Which Labels layer accepted objects go to."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from napari.layers import Image, Labels

from napari_sam.errors import InputError
from napari_sam.session import label_store
from napari_sam.session.layers import add_below, follow, make_labels
from napari_sam.session.target import LabelWriter, fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_sam.worker import Worker


class Targets:
    """The target layer of each image.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers live.
    worker : Worker
        Counts the ids of large layers.
    changed : callable
        Called when they are counted.
    """

    def __init__(self, viewer: ViewerModel, worker: Worker, changed: Callable[[], None]) -> None:
        self._viewer = viewer
        self._worker = worker
        self._changed = changed
        self._writers: weakref.WeakKeyDictionary[Image, LabelWriter] = weakref.WeakKeyDictionary()
        self._own: weakref.WeakSet[Labels] = weakref.WeakSet()

    def choices(self, image: Image, without: Labels | None) -> list[Labels]:
        """List the layers that objects of an image can go to, lowest first.

        Parameters
        ----------
        image : Image
            The image.
        without : Labels or None
            The preview, which is no target.
        """
        labels = [layer for layer in self._viewer.layers if isinstance(layer, Labels) and layer is not without]
        return [layer for layer in labels if fits(self._viewer, layer, image)]

    def chosen(self, image: Image) -> Labels | None:
        """Return the layer that is chosen for an image, whether it fits now or not; None when there is none."""
        writer = self._writers.get(image)
        if writer is not None and writer.layer not in self._viewer.layers:
            self._drop(image)
            return None
        return None if writer is None else writer.layer

    def writer(self, image: Image) -> LabelWriter | None:
        """Return what writes the objects of an image; None when no target is chosen, or its pixels are elsewhere."""
        layer = self.chosen(image)
        return self._writers[image] if layer is not None and fits(self._viewer, layer, image) else None

    def choose(self, layer: Labels | None, image: Image) -> None:
        """Let objects of an image go to a layer from now on; None: to a new one, made when it is needed.

        Raises
        ------
        InputError
            If the layer is not in the viewer, or its pixels are not those of the image.
        """
        before = self._writers.get(image)
        if before is not None and before.layer is layer:
            return
        if layer is not None and not (isinstance(layer, Labels) and layer in self._viewer.layers):
            raise InputError("The target must be a labels layer of this viewer. Add it first.")
        if layer is not None and not fits(self._viewer, layer, image):
            raise InputError(
                f'The pixels of "{layer.name}" are not those of "{image.name}": another shape, scale or place. '
                "Choose another labels layer, or add a new one."
            )
        if before is not None:
            self._drop(image)
        if layer is not None:
            self._writers[image] = LabelWriter(layer, self._worker, self._changed)

    def expect(self, image: Image) -> None:
        """Get ready, on the worker, for what a new target of an image will need."""
        if label_store.is_large(image):
            self._worker.submit("labels", lambda _progress: label_store.warm_up())

    def _drop(self, image: Image) -> None:
        self._writers.pop(image).stop()

    def add(self, image: Image, above: list[Layer | None]) -> LabelWriter:
        """Add an empty layer that fits an image, beneath the layers `above`, and make it the target."""
        layer = make_labels(image)
        self._own.add(layer)
        add_below(self._viewer, layer, above)
        self.choose(layer, image)
        self._writers[image].take_as_empty()
        return self._writers[image]

    def follow(self, image: Image) -> None:
        """Keep the target where the image is, if the session made it; the person's own layers stay where they are."""
        writer = self._writers.get(image)
        if writer is not None and writer.layer in self._own:
            follow(writer.layer, image)
