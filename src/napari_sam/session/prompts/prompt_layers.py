"""The Points and the Shapes layer in which a person prompts: made when needed, adopted when there, left as found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points, Shapes

from napari_sam.errors import InputError
from napari_sam.session.prompts.drawing import DrawnPoints, DrawnShapes
from napari_sam.session.prompts.layer_marks import is_in_use, is_made, mark_free, mark_in_use, mark_made
from napari_sam.session.prompts.orientations import PointOrientations, forget_orientations
from napari_sam.session.prompts.style import (
    KIND,
    POLARITY,
    current_polarity,
    make_points,
    make_shapes,
    set_current_polarity,
    style_points,
    write_polarity,
)
from napari_sam.session.viewing.placement import align_to_image, keeping_selection
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray


class PromptLayers:
    """The prompt layers of one image.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers live.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._own: list[Layer] = []
        self._set_aside: list[Layer] = []
        self._modes: dict[Layer, str] = {}
        self.orientations = PointOrientations()
        """Along which axes the points were drawn."""
        self.points: Points | None = None
        self.shapes: Shapes | None = None

    def __contains__(self, layer: object) -> bool:
        return layer is not None and (layer is self.points or layer is self.shapes)

    @property
    def present(self) -> list[Layer]:
        """The layers that are in use."""
        return [layer for layer in (self.points, self.shapes) if layer is not None]

    def need_points(self, image: Image) -> Points:
        """Return the Points layer: the one in use, a free one that fits, or a new one."""
        if self.points is None:
            self.points = self._find_free(Points, POLARITY, image) or self._add_layer(make_points(image))
            self._use_layer(self.points)
            style_points(self.points)
        return self.points

    def need_shapes(self, image: Image) -> Shapes:
        """Return the Shapes layer: the one in use, a free one that fits, or a new one."""
        if self.shapes is None:
            self.shapes = self._find_free(Shapes, KIND, image) or self._add_layer(make_shapes(image))
            if POLARITY not in self.shapes.features:  # of a file that was saved before shapes had one
                write_polarity(self.shapes, np.ones(len(self.shapes.data), dtype=bool))
            self._use_layer(self.shapes)
        return self.shapes

    def adopt_layer(self, layer: Points | Shapes, image: Image) -> None:
        """Work with a layer of the person's from now on, where it lies; its points get a polarity if they have none.

        Raises
        ------
        InputError
            If it has another number of axes than the image, is not in the viewer, or another session works with it.
        """
        if layer not in self._viewer.layers:
            raise InputError(f'"{layer.name}" is not in this viewer. Add it first.')
        if layer.ndim != image.ndim:
            raise InputError(
                f'"{layer.name}" has {layer.ndim} axes, but the image has {image.ndim}. Choose a layer that fits.'
            )
        if layer not in self and is_in_use(layer):
            raise InputError(f'"{layer.name}" is in use by another session. Choose another layer.')
        if isinstance(layer, Points):
            # Adopted a second time, a layer is not to be given back on the way.
            self._release_layer(self.points if self.points is not layer else None)
            self.points = layer
            if POLARITY not in layer.features:
                write_polarity(layer, np.ones(len(layer.data), dtype=bool))
            # The next click is to look like what it means, whatever colours the layer had.
            set_current_polarity(layer, current_polarity(layer))
            style_points(layer)
        else:
            self._release_layer(self.shapes if self.shapes is not layer else None)
            self.shapes = layer
            if POLARITY not in layer.features:
                write_polarity(layer, np.ones(len(layer.data), dtype=bool))
        self._use_layer(layer)

    def forget_layer(self, layer: Layer) -> None:
        """Forget a layer that was removed from the viewer; the next need makes a new one."""
        if layer is self.points:
            self.points = None
        elif layer is self.shapes:
            self.shapes = None
        if layer in self._own:
            self._own.remove(layer)
        mark_free(layer)  # or no session would take it again where somebody puts it back
        self._modes.pop(layer, None)

    def release_layers(self) -> None:
        """Give both layers back: remove those that the session made and nobody drew in, leave all others."""
        self._release_layer(self.points)
        self._release_layer(self.shapes)
        self.points = self.shapes = None

    def set_aside(self) -> None:
        """Take the session's own layers out of the viewer, as there is no image; what is drawn in them comes back.

        A viewer that is not empty does not show all of the image that is opened next. Also, napari 0.9 crashes with
        some graphics drivers when points are all that is left of several layers.
        """
        # A list of its own: forgetting a layer takes it out of the other.
        for layer in [layer for layer in self._own if layer in self._viewer.layers]:
            if len(layer.data):
                self._set_aside.append(layer)
            with keeping_selection(self._viewer):
                self._viewer.layers.remove(layer)
            self.forget_layer(layer)

    def _bring_back(self, image: Image) -> None:
        """Put the layers that were set aside into the viewer again, if they fit an image."""
        for layer in [layer for layer in self._set_aside if layer.ndim == image.ndim]:
            self._set_aside.remove(layer)
            if isinstance(layer, Points) and self.points is None:
                self.points = self._add_layer(layer)
                self._use_layer(layer)
            elif isinstance(layer, Shapes) and self.shapes is None:
                self.shapes = self._add_layer(layer)
                self._use_layer(layer)

    def follow_image(self, image: Image) -> None:
        """Keep the session's own layers where the image is, with what is drawn in them on the same pixels."""
        for layer in self._own:
            align_to_image(layer, image)

    def move_to_image(self, image: Image) -> None:
        """Go over to another image: prompts stay where they are in the world.

        Layers with another number of axes than the new image are given back.
        """
        for layer in (self.points, self.shapes):
            if layer is not None and layer.ndim != image.ndim:
                self._release_layer(layer)
                self.forget_layer(layer)
        # After those that do not fit were given back: one that was set aside comes only where there is room.
        self._bring_back(image)
        for layer in self._own:
            self._lay_over(layer, image)

    def _lay_over(self, layer: Points | Shapes, image: Image) -> None:
        """Put a layer where an image is, with what is drawn in it where it was in the world."""
        self._raise_above(layer, image)
        # Read before the layer moves: where things were in the world cannot be told afterwards.
        before = LayerTransform.of(self._viewer, layer)
        align_to_image(layer, image)
        after = LayerTransform.of(self._viewer, layer)
        if len(layer.data) and not before.matches(after):
            # Orientations are remembered by positions, which change below.
            places = np.array(layer.data) if isinstance(layer, Points) else None
            _keep_in_world(layer, before, after)
            if places is not None:
                self.orientations.follow_moved(layer, places)

    def _raise_above(self, layer: Layer, image: Image) -> None:
        """Move a layer to the top if an image that was opened later hides it."""
        layers = self._viewer.layers
        if layer in layers and layers.index(layer) < layers.index(image):
            layers.move(layers.index(layer), len(layers))

    def _find_free(self, kind: type[Layer], column: str, image: Image) -> Layer | None:
        """Find the newest prompt layer that no session works with."""
        for layer in reversed(self._viewer.layers):
            if isinstance(layer, kind) and column in layer.features and layer.ndim == image.ndim:
                if not is_in_use(layer):
                    if is_made(layer):
                        # Left by an earlier session: empty, it goes with this one, as our own do.
                        self._own.append(layer)
                        self._lay_over(layer, image)
                    return layer
        return None

    def _add_layer(self, layer: Layer) -> Layer:
        with keeping_selection(self._viewer):
            self._viewer.layers.append(layer)
        mark_made(layer)
        self._own.append(layer)
        return layer

    def _use_layer(self, layer: Layer) -> None:
        mark_in_use(layer)
        if isinstance(layer, Points):
            self.orientations.attach_layer(layer)
        self._modes[layer] = str(layer.mode)  # for when it is given back

    def _release_layer(self, layer: Layer | None) -> None:
        if layer is None:
            return
        mark_free(layer)
        layer.mode = self._modes.pop(layer, layer.mode)
        # In our own it stays for the next session; the person's are left as they were.
        if isinstance(layer, Points) and layer not in self._own:
            forget_orientations(layer)
        if layer in self._own:
            self._own.remove(layer)
            if not len(layer.data) and layer in self._viewer.layers:
                with keeping_selection(self._viewer):
                    self._viewer.layers.remove(layer)


def _keep_in_world(layer: Points | Shapes, before: LayerTransform, after: LayerTransform) -> None:
    """Keep what is drawn in a layer where it was in the world, after the layer moved."""

    def move(positions: NDArray[np.float64]) -> NDArray[np.float64]:
        return after.to_data(before.to_world(positions))

    if isinstance(layer, Points):
        DrawnPoints.of(layer).moved(move).draw_into(layer)
    else:
        DrawnShapes.of(layer).moved(move).draw_into(layer)
