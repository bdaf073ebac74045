"""Which Labels layer accepted objects go to."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam.errors import InputError
from napari_sam.io.layers import AFFINE
from napari_sam.session.labels import storage
from napari_sam.session.labels.pixels import full_resolution
from napari_sam.session.labels.remembered import recall_choices, remember_choices
from napari_sam.session.labels.storage import make_labels
from napari_sam.session.labels.undo_history import EarlierSteps
from napari_sam.session.labels.writer import LabelWriter, fits_image, same_shape
from napari_sam.session.viewing.placement import add_below, align_to_image
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_sam.inference.request import Candidate
    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class TargetOffer:
    """A labels layer that would be a target of an image if it lay where the image does.

    Attributes
    ----------
    layer : Labels
        The layer.
    differs : str
        In what it differs: "scale" or "place".
    """

    layer: Labels
    differs: str


class TargetLayers:
    """The target layer of each image, and how objects are written there.

    What is chosen is kept with the layers, and comes back with the next session.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers live.
    worker : Worker
        Counts the ids of large layers.
    settings : SessionSettings
        What the person chose; whether only empty pixels are written is kept with the layers.
    above : callable
        Gives the layers that lie on top of a target.
    """

    counted = Signal()
    """The ids of a large layer are known."""

    def __init__(
        self,
        viewer: ViewerModel,
        worker: Worker,
        settings: SessionSettings,
        above: Callable[[], list[Layer | None]],
    ) -> None:
        self._viewer = viewer
        self._worker = worker
        self._settings = settings
        self._above = above
        # Weak, so that an image that is closed is let go with all that was kept for it.
        self._writers: weakref.WeakKeyDictionary[Image, LabelWriter] = weakref.WeakKeyDictionary()
        self._earlier: weakref.WeakKeyDictionary[Labels, EarlierSteps] = weakref.WeakKeyDictionary()
        self._policy_is_chosen = False
        self._is_restoring = False
        # Weak likewise; the layers that hold what overlaps, lowest first.
        self._overlaps: weakref.WeakKeyDictionary[Image, list[LabelWriter]] = weakref.WeakKeyDictionary()
        settings.events.only_empty.connect(self._on_settings_policy)
        settings.events.write_policy.connect(self._on_settings_policy)
        settings.events.protected_ids.connect(self._on_settings_policy)

    def list_choices(self, image: Image, without: Labels | None) -> list[Labels]:
        """List the layers that objects of an image can go to, lowest first.

        Parameters
        ----------
        image : Image
            The image.
        without : Labels or None
            The preview, which is no target.
        """
        return [
            layer for layer in self._list_labels() if layer is not without and fits_image(self._viewer, layer, image)
        ]

    def list_offers(self, image: Image, without: Labels | None) -> list[TargetOffer]:
        """List the layers that have the shape of an image and lie elsewhere, lowest first; `without` as above.

        Such as labels that were saved by a program that keeps no scale. What another image's objects go to is that
        image's.
        """
        transform = LayerTransform.of(self._viewer, image)
        taken = {without, *(self._remembered_target(other) for other in self._list_images() if other is not image)}
        found = []
        for layer in self._list_labels():
            if layer in taken or not same_shape(layer, image) or fits_image(self._viewer, layer, image):
                continue
            linear = LayerTransform.of(self._viewer, layer).linear
            found.append(TargetOffer(layer, "place" if np.allclose(linear, transform.linear) else "scale"))
        return found

    def fit_layer(self, layer: Labels, image: Image) -> None:
        """Put a layer of the same shape where an image is, because the person said so, and make it the target.

        Raises
        ------
        InputError
            If it has another shape.
        """
        if not (isinstance(layer, Labels) and layer in self._viewer.layers and same_shape(layer, image)):
            raise InputError(f'This takes a labels layer of this viewer that has the shape of "{image.name}".')
        align_to_image(layer, image)
        self.choose_layer(layer, image)

    def chosen_layer(self, image: Image) -> Labels | None:
        """Return the layer that is chosen for an image, whether it fits now or not; None when there is none."""
        writer = self._writers.get(image)
        if writer is not None and writer.layer not in self._viewer.layers:
            self._drop_writer(image)
            return None
        return None if writer is None else writer.layer

    def find_writer(self, image: Image) -> LabelWriter | None:
        """Return what writes the objects of an image; None when no target is chosen, or its pixels are elsewhere."""
        layer = self.chosen_layer(image)
        return self._writers[image] if layer is not None and fits_image(self._viewer, layer, image) else None

    def takes(self, layer: Labels, image: Image) -> bool:
        """Tell whether objects of an image can go to a layer as it is now, whatever is chosen."""
        return layer in self._viewer.layers and fits_image(self._viewer, layer, image)

    def choose_layer(self, layer: Labels | None, image: Image) -> None:
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
        if layer is not None and not fits_image(self._viewer, layer, image):
            raise InputError(
                f'The pixels of "{layer.name}" are not those of "{image.name}": another shape, scale or place. '
                "Choose another labels layer, or add a new one."
            )
        if before is not None:
            self._drop_writer(image)
        if layer is not None:
            if AFFINE in image.metadata:  # saved labels are to lie over the image in other programs, too
                layer.metadata.setdefault(AFFINE, image.metadata[AFFINE])
            self._writers[image] = self._make_writer(layer)
        remember_choices(image, target=None if layer is None else str(layer.unique_id))

    def restore_choices(self, image: Image) -> None:
        """Take up what was chosen for an image, and get ready, on the worker, for what a new target will need."""
        if not self._policy_is_chosen:
            # An image that was opened later has no choice yet: the newest of the others counts for it.
            known = [recall_choices(one) for one in (image, *reversed(self._list_images()))]
            if (chosen := next((one for one in known if "only_empty" in one), None)) is not None:
                self._is_restoring = True
                try:
                    self._settings.only_empty = chosen["only_empty"]
                    # Older choices have no other policies.
                    self._settings.write_policy = chosen.get("write_policy", self._settings.write_policy)
                    self._settings.protected_ids = chosen.get("protected_ids", ())
                finally:
                    self._is_restoring = False
        if self._policy_is_chosen:
            self._remember_policy(image)
        layer = self._remembered_target(image)
        if layer is not None and image not in self._writers:
            self._writers[image] = self._make_writer(layer)
            # Before this session writes anything: what is there now is older than it.
            self._earlier[layer] = EarlierSteps(layer)
        if storage.is_large(image):
            self._worker.submit("labels", lambda _progress: storage.warm_up())

    def release(self) -> None:
        """Listen to no layer any more: the session ends."""
        for writer in self._writers.values():
            writer.disconnect()

    def _drop_writer(self, image: Image) -> None:
        self._writers.pop(image).ids.stop_counting()

    def need_writer(self, image: Image) -> LabelWriter:
        """Return what writes the objects of an image, into a new layer where there is no target."""
        return self.find_writer(image) or self.add_layer(image)

    def add_layer(self, image: Image) -> LabelWriter:
        """Add an empty layer that fits an image, and make it the target."""
        layer = make_labels(image)
        # Only what a session made goes along when the image is moved.
        remember_choices(layer, made=True)
        add_below(self._viewer, layer, self._above())
        self.choose_layer(layer, image)
        # Else all of a large layer would be read for its ids.
        self._writers[image].ids.assume_empty()
        return self._writers[image]

    def follow_image(self, image: Image) -> None:
        """Keep the target where the image is, if the session made it; the person's own layers stay where they are."""
        writer = self._writers.get(image)
        if writer is not None and recall_choices(writer.layer).get("made"):
            align_to_image(writer.layer, image)

    def earlier_steps(self, image: Image) -> tuple[bool, bool]:
        """Tell whether napari's history of the target would undo, and redo, what was done before this session.

        The session before has taken its own history with it.
        """
        writer = self.find_writer(image)
        steps = None if writer is None else self._earlier.get(writer.layer)
        if writer is None or steps is None:
            return False, False
        return steps.next_to_undo(writer.layer), steps.next_to_redo(writer.layer)

    # -- the write policy -------------------------------------------------------------------------

    def place_whole(self, image: Image, view: PlaneIndex, candidate: Candidate) -> tuple[LabelWriter, int | None]:
        """Choose where a new object goes, and its id, where that is not the next one of the layer.

        By the policy "overlap", that is the first layer where it meets no other object: the target, or one of those
        that hold what overlaps, of which another one is made where all of them have something there. Ids are then
        those of no object in any of them.

        Parameters
        ----------
        image : Image
            The image.
        view : PlaneIndex
            The plane.
        candidate : Candidate
            The object on it.
        """
        target = self.need_writer(image)
        if self._settings.write_policy != "overlap":
            return target, None
        writers = [target, *self._overlap_writers(image)]
        label = max(writer.next_label for writer in writers)
        region = view.slices(candidate.origin, (candidate.mask.shape[0], candidate.mask.shape[1]))
        for writer in writers:
            if not (np.asarray(full_resolution(writer.layer)[region])[candidate.mask] != 0).any():
                return writer, label
        layer = make_labels(image)
        number = "" if len(writers) == 1 else f" {len(writers)}"
        layer.name = f"{target.layer.name} overlaps{number}"
        remember_choices(layer, made=True)
        add_below(self._viewer, layer, self._above())
        self._overlaps.setdefault(image, []).append(self._make_writer(layer))
        self._overlaps[image][-1].ids.assume_empty()
        remember_choices(image, overlaps=[str(one.layer.unique_id) for one in self._overlaps[image]])
        return self._overlaps[image][-1], label

    def next_id(self, image: Image) -> int | None:
        """Return the id of the next new object; None while it is not known, 1 where there is no target yet."""
        writer = self.find_writer(image)
        overlapping = self._overlap_writers(image) if self._settings.write_policy == "overlap" else []
        known = [one.known_label for one in (writer, *overlapping) if one is not None]
        return None if None in known else max((one for one in known if one is not None), default=1)

    def _overlap_writers(self, image: Image) -> list[LabelWriter]:
        """Return what writes into the layers that hold what overlaps, as far as they are there and fit."""
        if image not in self._overlaps:
            wanted = recall_choices(image).get("overlaps", [])
            layers = [layer for layer in self._list_labels() if str(layer.unique_id) in wanted]
            self._overlaps[image] = [self._make_writer(layer) for layer in layers]
        self._overlaps[image] = [one for one in self._overlaps[image] if one.layer in self._viewer.layers]
        return [one for one in self._overlaps[image] if fits_image(self._viewer, one.layer, image)]

    def _make_writer(self, layer: Labels) -> LabelWriter:
        settings = self._settings

        def protected() -> tuple[int, ...]:
            return settings.protected_ids if settings.write_policy == "protect" else ()

        return LabelWriter(layer, self._worker, self.counted.emit, protected, lambda: settings.object_class)

    def _remember_policy(self, image: Image) -> None:
        settings = self._settings
        remember_choices(
            image,
            only_empty=settings.only_empty,
            write_policy=settings.write_policy,
            protected_ids=list(settings.protected_ids),
        )

    def _on_settings_policy(self) -> None:
        self._policy_is_chosen = True
        # What comes back for one image was not chosen for the others, which may keep another choice.
        for image in [] if self._is_restoring else self._list_images():
            self._remember_policy(image)

    def _remembered_target(self, image: Image) -> Labels | None:
        wanted = recall_choices(image).get("target")
        return next((layer for layer in self._list_labels() if str(layer.unique_id) == wanted), None)

    def _list_images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _list_labels(self) -> list[Labels]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
