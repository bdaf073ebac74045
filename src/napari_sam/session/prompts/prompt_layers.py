"""The Points and the Shapes layer in which a person prompts: made when needed, adopted when there, left as found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points, Shapes

from napari_sam.errors import InputError
from napari_sam.session.prompts.drawing import Contents, DrawnPoints, DrawnShapes
from napari_sam.session.prompts.orientations import Orientations, forget_orientations
from napari_sam.session.prompts.reader import DrawnPrompts, PromptReading, SliverMemory, from_image, to_image
from napari_sam.session.prompts.style import (
    KIND,
    POLARITY,
    current_polarity,
    dress_points,
    make_points,
    make_shapes,
    set_current_polarity,
)
from napari_sam.session.viewing.locations import Location, new_points, new_shapes
from napari_sam.session.viewing.placement import follow, keeping_selection
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet

_IN_USE = "napari-sam-live: in use"
"""Key in the metadata of a prompt layer while a session works with it, so that a second session does not take it."""
_MADE = "napari-sam-live: made by a session"
"""Key in the metadata of a prompt layer that is no layer of the person's: the session that finds it may remove it."""


class PromptLayers:
    """The prompt layers of one image.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers live.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._slivers = SliverMemory()
        self._orientations = Orientations()
        self._clicked: tuple[PlaneIndex, PromptSet] | None = None
        self._own: list[Layer] = []
        self._kept: list[Layer] = []
        self._modes: dict[Layer, str] = {}
        self.points: Points | None = None
        self.shapes: Shapes | None = None

    def __contains__(self, layer: object) -> bool:
        return layer is not None and (layer is self.points or layer is self.shapes)

    # -- getting and giving back ------------------------------------------------------------------

    def need_points(self, image: Image) -> Points:
        """Return the Points layer: the one in use, a free one that fits, or a new one."""
        if self.points is None:
            self.points = self._find(Points, POLARITY, image) or self._add(make_points(image))
            self._take(self.points)
            dress_points(self.points)
        return self.points

    def need_shapes(self, image: Image) -> Shapes:
        """Return the Shapes layer: the one in use, a free one that fits, or a new one."""
        if self.shapes is None:
            self.shapes = self._find(Shapes, KIND, image) or self._add(make_shapes(image))
            self._take(self.shapes)
        return self.shapes

    def adopt(self, layer: Points | Shapes, image: Image) -> None:
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
        if layer not in self and layer.metadata.get(_IN_USE):
            raise InputError(f'"{layer.name}" is in use by another session. Choose another layer.')
        if isinstance(layer, Points):
            self._release(self.points if self.points is not layer else None)
            self.points = layer
            if POLARITY not in layer.features:
                # An empty column of no type becomes one of floats, which takes no words.
                polarity = np.full(len(layer.data), "positive", dtype=object)
                layer.features = layer.features.assign(**{POLARITY: polarity})
            set_current_polarity(layer, current_polarity(layer))
            dress_points(layer)
        else:
            self._release(self.shapes if self.shapes is not layer else None)
            self.shapes = layer
        self._take(layer)

    def lose(self, layer: Layer) -> None:
        """Forget a layer that was removed from the viewer; the next need makes a new one."""
        if layer is self.points:
            self.points = None
        elif layer is self.shapes:
            self.shapes = None
        if layer in self._own:
            self._own.remove(layer)
        layer.metadata.pop(_IN_USE, None)  # or no session would take it again where somebody puts it back
        self._modes.pop(layer, None)

    def release(self) -> None:
        """Give both layers back: remove those that the session made and nobody drew in, leave all others."""
        self._release(self.points)
        self._release(self.shapes)
        self.points = self.shapes = None
        self._slivers.clear()

    def put_by(self) -> None:
        """Take the session's own layers out of the viewer, as there is no image; what is drawn in them comes back.

        A viewer that is not empty does not show all of the image that is opened next. Also, napari 0.9 crashes with
        some graphics drivers when points are all that is left of several layers.
        """
        for layer in [layer for layer in self._own if layer in self._viewer.layers]:
            if len(layer.data):
                self._kept.append(layer)
            with keeping_selection(self._viewer):
                self._viewer.layers.remove(layer)
            self.lose(layer)

    def _bring_back(self, image: Image) -> None:
        """Put the layers that were put by into the viewer again, if they fit an image."""
        for layer in [layer for layer in self._kept if layer.ndim == image.ndim]:
            self._kept.remove(layer)
            if isinstance(layer, Points) and self.points is None:
                self.points = self._add(layer)
                self._take(layer)
            elif isinstance(layer, Shapes) and self.shapes is None:
                self.shapes = self._add(layer)
                self._take(layer)

    def follow(self, image: Image) -> None:
        """Keep the session's own layers where the image is, with what is drawn in them on the same pixels."""
        for layer in self._own:
            follow(layer, image)

    def move_to(self, image: Image) -> None:
        """Go over to another image: prompts stay where they are in the world.

        Layers with another number of axes than the new image are given back.
        """
        for layer in (self.points, self.shapes):
            if layer is not None and layer.ndim != image.ndim:
                self._release(layer)
                self.lose(layer)
        self._bring_back(image)
        for layer in self._own:
            self._lay(layer, image)

    def _lay(self, layer: Points | Shapes, image: Image) -> None:
        """Put a layer where an image is, with what is drawn in it where it was in the world."""
        self._raise_above(layer, image)
        before = LayerTransform.of(self._viewer, layer)
        follow(layer, image)
        after = LayerTransform.of(self._viewer, layer)
        if len(layer.data) and not before.matches(after):
            places = np.array(layer.data) if isinstance(layer, Points) else None
            _carry(layer, before, after)
            if places is not None:
                self._orientations.moved(layer, places)

    def _raise_above(self, layer: Layer, image: Image) -> None:
        """Move a layer to the top if an image that was opened later hides it."""
        layers = self._viewer.layers
        if layer in layers and layers.index(layer) < layers.index(image):
            layers.move(layers.index(layer), len(layers))

    def _find(self, kind: type[Layer], column: str, image: Image) -> Layer | None:
        """Find the newest prompt layer that no session works with."""
        for layer in reversed(self._viewer.layers):
            if isinstance(layer, kind) and column in layer.features and layer.ndim == image.ndim:
                if not layer.metadata.get(_IN_USE):
                    if layer.metadata.get(_MADE):
                        self._own.append(layer)
                        self._lay(layer, image)
                    return layer
        return None

    def _add(self, layer: Layer) -> Layer:
        with keeping_selection(self._viewer):
            self._viewer.layers.append(layer)
        layer.metadata[_MADE] = True
        self._own.append(layer)
        return layer

    def _take(self, layer: Layer) -> None:
        layer.metadata[_IN_USE] = True
        if isinstance(layer, Points):
            self._orientations.tie(layer)
        self._modes[layer] = str(layer.mode)

    def _release(self, layer: Layer | None) -> None:
        if layer is None:
            return
        layer.metadata.pop(_IN_USE, None)
        layer.mode = self._modes.pop(layer, layer.mode)
        if isinstance(layer, Points) and layer not in self._own:
            forget_orientations(layer)
        if layer in self._own:
            self._own.remove(layer)
            if not len(layer.data) and layer in self._viewer.layers:
                with keeping_selection(self._viewer):
                    self._viewer.layers.remove(layer)

    # -- what is drawn ----------------------------------------------------------------------------

    def read(self, image: Image, view: PlaneIndex) -> PromptReading:
        """Read the prompts of the plane on screen; a click that made no box is told until something else is drawn."""
        reading = self._read(image, view)
        return replace(reading, slivers=1) if self._clicked == (view, reading.prompts) else reading

    def drop_spent(self, image: Image, view: PlaneIndex) -> None:
        """Take away what a person has just drawn that says nothing, and boxes that it replaces.

        Only from layers that are there for prompts: in one that the person lent, everything stays.
        """
        shapes = self.shapes
        if shapes is None or KIND not in shapes.features:
            return
        reading = self._read(image, view)
        if reading.spent_rows:
            shapes.selected_data = set()
            shapes.remove(list(reading.spent_rows))
        if reading.slivers:
            self._clicked = view, reading.prompts
        elif self._clicked != (view, reading.prompts):
            self._clicked = None

    def read_along(self, image: Image, view: PlaneIndex, axis: int) -> dict[int, PromptReading]:
        """Read the prompts of the planes that follow a plane along an axis, by their index along it, in order.

        Of the planes other than `view`, points count that were drawn with the same axes on screen: one that was drawn
        through them, on a plane that is seen no more, says nothing about the object there.
        """
        drawn, is_sliver = self._drawn(image), self._judge(image)
        counts = self._orientations.match(self.points, view.axes)
        places = sorted(drawn.places(view, axis, int(image.data.shape[axis])))
        return {
            place: drawn.on(view.at(axis, place), is_sliver, None if view.index[axis] == place else counts)
            for place in places
        }

    def everything(self) -> PromptReading:
        """Return a reading of nothing but the rows of all that is drawn, on all planes."""
        points, shapes = (
            () if layer is None else tuple(range(len(layer.data))) for layer in (self.points, self.shapes)
        )
        return PromptReading(point_rows=points, shape_rows=shapes)

    def spots(self, image: Image, view: PlaneIndex, older: Contents, newer: Contents) -> list[Location]:
        """Find where that is which is drawn in `newer` and not in `older`, in the order of drawing.

        Parameters
        ----------
        image : Image
            The image.
        view : PlaneIndex
            The plane on screen: points of which nobody knows were drawn along its axes.
        older, newer : Contents
            What the prompt layers held at two times.
        """
        found = []
        rows = new_points(older.points, newer.points)
        if self.points is not None and newer.points is not None and rows:
            positions = newer.points.positions[rows]
            for own, there in zip(positions, to_image(self._viewer, self.points, image, positions), strict=True):
                found.append(Location.of_point(there, self._orientations.of(own) or view.axes))
        if self.shapes is not None and newer.shapes is not None:
            for row in new_shapes(older.shapes, newer.shapes):
                vertices = newer.shapes.shapes[row][0]
                found.append(Location.of_shape(to_image(self._viewer, self.shapes, image, vertices)))
        return found

    def planes(self, image: Image, view: PlaneIndex) -> int:
        """Count the planes on which anything is drawn, each along the axes that were on screen then."""
        return len({spot.index for spot in self.spots(image, view, Contents(), self.contents())})

    def note(self, view: PlaneIndex) -> None:
        """Remember in which orientation the person drew what is new."""
        self._orientations.note(self.points, view.axes)

    def _read(self, image: Image, view: PlaneIndex) -> PromptReading:
        return self._drawn(image).on(view, self._judge(image))

    def _drawn(self, image: Image) -> DrawnPrompts:
        return DrawnPrompts.of(self._viewer, image, self.points, self.shapes)

    def _judge(self, image: Image) -> Callable[[NDArray[np.float64]], bool]:
        """Return what tells slivers at the present zoom."""
        pixel = self._screen_pixel(image)
        return lambda corners: self._slivers.judge(corners, pixel)

    def draw(self, image: Image, view: PlaneIndex, prompts: PromptSet) -> None:
        """Draw prompts on a plane, beside what is there."""

        def placed(*corners: tuple[float, float]) -> NDArray[np.float64]:
            positions = np.array([[0 if at is None else at for at in view.index]] * len(corners), dtype=np.float64)
            positions[:, list(view.axes)] = corners
            return positions

        if prompts.points:
            points = self.need_points(image)
            polarity = current_polarity(points)
            for point in prompts.points:
                set_current_polarity(points, point.positive)
                points.add(from_image(self._viewer, points, image, placed(point.position)))
            set_current_polarity(points, polarity)
        if (box := prompts.box) is not None:
            shapes = self.need_shapes(image)
            (top, left), (bottom, right) = box.start, box.stop
            corners = placed((top, left), (top, right), (bottom, right), (bottom, left))
            shapes.add(from_image(self._viewer, shapes, image, corners), shape_type="rectangle")
            shapes.selected_data = set()
        self.note(view)
        self.tidy()
        self.drop_spent(image, view)

    def _screen_pixel(self, image: Image) -> float:
        """Give the side of a screen pixel, in data pixels: what napari sizes the trace of a click with."""
        if self.shapes is None:
            return 1.0
        # A layer's scale factor is 1 until a canvas draws it.
        return float(self.shapes.scale_factor) / float(abs(image.scale[-1]))

    def tidy(self) -> None:
        """Mend what a change left behind: looks that do not tell polarity, and selections that do harm.

        napari selects a point that was just clicked, and draws it blue, which hides its polarity; and it goes on
        selecting points that are gone.
        """
        points = self.points
        if points is None:
            return
        there = {index for index in points.selected_data if index < len(points.data) and str(points.mode) != "add"}
        if there != set(points.selected_data):
            points.selected_data = there
        dress_points(points)

    def contents(self) -> Contents:
        """Copy all that is drawn."""
        return Contents.of(self.points, self.shapes)

    def restore(self, contents: Contents, image: Image) -> None:
        """Draw what was copied, in place of what is there; layers that were removed since come back."""
        present = self.contents()
        if (points := contents.points or present.points) is not None and not points.same(present.points):
            points.draw(self.need_points(image))
        if (shapes := contents.shapes or present.shapes) is not None and not shapes.same(present.shapes):
            shapes.draw(self.need_shapes(image))
        self._orientations.look(self.points)

    def clear(self, *readings: PromptReading) -> None:
        """Delete everything that is drawn on the planes of some readings, used or not."""
        points = sorted({row for reading in readings for row in reading.point_rows})
        shapes = sorted({row for reading in readings for row in reading.shape_rows})
        if self.points is not None and points:
            self.points.selected_data = set()
            self.points.remove(points)
        if self.shapes is not None and shapes:
            self.shapes.selected_data = set()
            self.shapes.remove(shapes)
        self._orientations.look(self.points)
        self._slivers.clear()
        self._clicked = None


def _carry(layer: Points | Shapes, before: LayerTransform, after: LayerTransform) -> None:
    """Keep what is drawn in a layer where it was in the world, after the layer moved."""

    def move(positions: NDArray[np.float64]) -> NDArray[np.float64]:
        return after.to_data(before.to_world(positions))

    if isinstance(layer, Points):
        DrawnPoints.of(layer).moved(move).draw(layer)
    else:
        DrawnShapes.of(layer).moved(move).draw(layer)
