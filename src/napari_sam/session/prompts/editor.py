"""What is drawn in the prompt layers: read as prompts, changed by the session, copied and restored for undo."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.prompts import (
    AreaPrompt,
    BoxPrompt,
    MaskPrompt,
    PaintPrompt,
    PointPrompt,
    ScribblePrompt,
    TextPrompt,
)
from napari_sam.session.prompts.drawing import DrawnShapes, PromptContents
from napari_sam.session.prompts.painted import PaintingMemory
from napari_sam.session.prompts.reader import DrawnPrompts, PromptReading
from napari_sam.session.prompts.shapes import DrawnShape, ShapeReader, outlines_of
from napari_sam.session.prompts.slivers import SliverMemory
from napari_sam.session.prompts.style import (
    KIND,
    current_polarity,
    drop_spare_rows,
    set_current_polarity,
    style_points,
    style_shapes,
)
from napari_sam.session.viewing.locations import Location
from napari_sam.session.viewing.transform import convert_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Points, Shapes
    from numpy.typing import ArrayLike, NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet
    from napari_sam.session.prompts.prompt_layers import PromptLayers


class PromptEditor:
    """Reads and changes what is drawn in the prompt layers.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers live.
    layers : PromptLayers
        The layers.
    """

    def __init__(self, viewer: ViewerModel, layers: PromptLayers) -> None:
        self._viewer = viewer
        self.layers = layers
        self.one_box = True
        """Whether a new box takes the place of an older one, because both are of one object."""
        self.painting = PaintingMemory()
        """What is painted on the planes of each image."""
        self._slivers = SliverMemory()
        self._shapes = ShapeReader()
        # Slivers are deleted at once: the layer does not tell that one was there.
        self._clicked: tuple[PlaneIndex, PromptSet] | None = None

    def read_plane(self, image: Image, view: PlaneIndex) -> PromptReading:
        """Read the prompts of the plane on screen; a click that made no box is told until something else is drawn."""
        reading = self._read_drawn(image, view)
        return replace(reading, slivers=1) if self._clicked == (view, reading.prompts) else reading

    def read_along(self, image: Image, view: PlaneIndex, axis: int) -> dict[int, PromptReading]:
        """Read the prompts of the planes that follow a plane along an axis, by their index along it, in order.

        Of the planes other than `view`, points count that were drawn with the same axes on screen: one that was drawn
        through them, on a plane that is seen no more, says nothing about the object there.
        """
        drawn, is_sliver = self._all_drawn(image), self._sliver_test(image)
        counts = self.layers.orientations.drawn_along(self.layers.points, view.axes)
        places = sorted(drawn.places_along(view, axis, int(image.data.shape[axis])))
        return {
            # What is seen on the plane on screen counts, whichever axes it was drawn along.
            place: drawn.on_plane(view.at(axis, place), is_sliver, None if view.index[axis] == place else counts)
            for place in places
        }

    def read_everything(self) -> PromptReading:
        """Return a reading of nothing but the rows of all that is drawn, on all planes."""
        points, shapes = self.layers.points, self.layers.shapes
        point_rows, shape_rows = (() if layer is None else tuple(range(len(layer.data))) for layer in (points, shapes))
        return PromptReading(point_rows=point_rows, shape_rows=shape_rows, painted=tuple(self.painting.now.planes))

    def copy_contents(self) -> PromptContents:
        """Copy all that is drawn."""
        return PromptContents.of(self.layers.points, self.layers.shapes, self.painting.now)

    def locate_new(
        self, image: Image, view: PlaneIndex, older: PromptContents, newer: PromptContents
    ) -> list[Location]:
        """Find where that is which is drawn in `newer` and not in `older`, in the order of drawing.

        Parameters
        ----------
        image : Image
            The image.
        view : PlaneIndex
            The plane on screen: points of which nobody knows were drawn along its axes.
        older, newer : PromptContents
            What the prompt layers held at two times.
        """
        points, shapes = self.layers.points, self.layers.shapes
        found = []
        if points is not None and newer.points is not None and (rows := newer.points.rows_beyond(older.points)):
            positions = newer.points.positions[rows]
            for own, there in zip(positions, convert_positions(self._viewer, positions, points, image), strict=True):
                found.append(Location.of_point(there, self.layers.orientations.axes_of(own) or view.axes))
        if shapes is not None and newer.shapes is not None:
            for row in newer.shapes.rows_beyond(older.shapes):
                vertices = newer.shapes.shapes[row].vertices
                found.append(Location.of_shape(convert_positions(self._viewer, vertices, shapes, image)))
        found += newer.paint.locations_beyond(older.paint)
        return found

    def count_planes(self, image: Image, view: PlaneIndex) -> int:
        """Count the planes on which anything is drawn, each along the axes that were on screen then."""
        return len({one.index for one in self.locate_new(image, view, PromptContents(), self.copy_contents())})

    def draw_prompts(self, image: Image, view: PlaneIndex, prompts: PromptSet) -> None:
        """Draw prompts on a plane, beside what is there."""
        if prompts.points:
            points = self.layers.need_points(image)
            # Points are added in the current polarity, which is the person's own again at the end.
            polarity = current_polarity(points)
            for point in prompts.points:
                set_current_polarity(points, point.positive)
                points.add(convert_positions(self._viewer, _place_on(view, [point.position]), image, points))
            set_current_polarity(points, polarity)
        if prompts.paint is not None:
            self.painting.add(view, prompts.paint)
        if drawn := _shapes_of(prompts):
            shapes = self.layers.need_shapes(image)
            DrawnShapes(
                tuple(
                    replace(one, vertices=convert_positions(self._viewer, _place_on(view, one.vertices), image, shapes))
                    for one in drawn
                )
            ).add_to(shapes)
        self.note_new_points(view)
        self.mend_layers()
        self.delete_spent(image, view)

    def draw_points(self, image: Image, view: PlaneIndex, positions: Sequence[tuple[float, float]]) -> None:
        """Draw many positive points on a plane at once, (y, x) data pixels, beside what is there."""
        points = self.layers.need_points(image)
        polarity = current_polarity(points)
        set_current_polarity(points, True)
        points.add(convert_positions(self._viewer, _place_on(view, positions), image, points))
        set_current_polarity(points, polarity)
        self.note_new_points(view)
        self.mend_layers()

    def restore_contents(self, contents: PromptContents, image: Image) -> None:
        """Draw what was copied, in place of what is there; layers that were removed since come back."""
        self.painting.now = contents.paint
        present = self.copy_contents()
        if (points := contents.points or present.points) is not None and not points.shows_same(present.points):
            points.draw_into(self.layers.need_points(image))
        if (shapes := contents.shapes or present.shapes) is not None and not shapes.shows_same(present.shapes):
            shapes.draw_into(self.layers.need_shapes(image))
        # What comes back was drawn along the axes that are remembered for it, not along those on screen.
        self.layers.orientations.mark_known(self.layers.points)

    def delete_drawn(self, *readings: PromptReading) -> None:
        """Delete everything that is drawn on the planes of some readings, used or not."""
        _remove_rows(self.layers.points, {row for reading in readings for row in reading.point_rows})
        _remove_rows(self.layers.shapes, {row for reading in readings for row in reading.shape_rows})
        self.painting.now = self.painting.now.without({index for reading in readings for index in reading.painted})
        self.layers.orientations.mark_known(self.layers.points)
        self._slivers.clear()
        self._clicked = None

    def delete_spent(self, image: Image, view: PlaneIndex) -> None:
        """Take away what a person has just drawn that says nothing, and boxes that it replaces.

        Only from layers that are there for prompts: in one that the person lent, everything stays.
        """
        shapes = self.layers.shapes
        if shapes is None or KIND not in shapes.features:
            return
        reading = self._read_drawn(image, view)
        _remove_rows(shapes, {*reading.sliver_rows, *(reading.replaced_rows if self.one_box else ())})
        if reading.slivers:
            self._clicked = view, reading.prompts
        # Another plane, or something else drawn: nobody needs the advice any more.
        elif self._clicked != (view, reading.prompts):
            self._clicked = None

    def note_new_points(self, view: PlaneIndex) -> None:
        """Remember in which orientation the person drew what is new."""
        self.layers.orientations.note_new(self.layers.points, view.axes)

    def mend_layers(self) -> None:
        """Mend what a change left behind: looks that do not tell polarity, and selections that do harm.

        napari selects a point that was just clicked, and draws it blue, which hides its polarity; and it goes on
        selecting points that are gone.
        """
        points, shapes = self.layers.points, self.layers.shapes
        if shapes is not None:
            drop_spare_rows(shapes)
            style_shapes(shapes)
        if points is None:
            return
        # While points are added, napari selects them; in other modes the person does.
        there = {index for index in points.selected_data if index < len(points.data) and str(points.mode) != "add"}
        if there != set(points.selected_data):
            points.selected_data = there
        style_points(points)

    def deselect_drawn(self) -> None:
        """Take the handles off a shape that was drawn to its end: napari selects it, and they hide a small object."""
        shapes = self.layers.shapes
        if shapes is not None and shapes.selected_data and str(shapes.mode).startswith("add_"):
            shapes.selected_data = set()

    def _read_drawn(self, image: Image, view: PlaneIndex) -> PromptReading:
        return self._all_drawn(image).on_plane(view, self._sliver_test(image))

    def _all_drawn(self, image: Image) -> DrawnPrompts:
        return DrawnPrompts.of(
            self._viewer, image, self.layers.points, self.layers.shapes, self._shapes, self.painting.now
        )

    def _sliver_test(self, image: Image) -> Callable[[NDArray[np.float64]], bool]:
        """Return what tells slivers at the present zoom."""
        pixel = self._screen_pixel(image)
        return lambda corners: self._slivers.is_sliver(corners, pixel)

    def _screen_pixel(self, image: Image) -> float:
        """Give the side of a screen pixel, in data pixels: what napari sizes the trace of a click with."""
        if self.layers.shapes is None:
            return 1.0
        # A layer's scale factor is 1 until a canvas draws it.
        return float(self.layers.shapes.scale_factor) / float(abs(image.scale[-1]))


def _shapes_of(prompts: PromptSet) -> list[DrawnShape]:
    """Say with shapes, (N, 2) data pixels of the plane, what was drawn with them."""
    found = []
    for prompt in prompts:
        match prompt:
            case BoxPrompt(start=(top, left), stop=(bottom, right)):
                corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
                found.append(DrawnShape(corners, "rectangle", True))
            case ScribblePrompt(positive=positive):
                # A path has two vertices at least.
                path = prompt.vertices if len(prompt.path) > 1 else prompt.vertices.repeat(2, axis=0)
                found.append(DrawnShape(path, "path", positive))
            case AreaPrompt(positive=positive):
                found += [DrawnShape(outline, "polygon", positive) for outline in outlines_of(prompt)]
            case PointPrompt() | PaintPrompt() | MaskPrompt() | TextPrompt():
                pass  # points and paint are kept elsewhere, and the others have no place
    return found


def _place_on(view: PlaneIndex, corners: ArrayLike) -> NDArray[np.float64]:
    """Give positions on a plane, (N, 2), (y, x), a coordinate for each axis of the image: (N, D)."""
    positions = np.array([[0 if at is None else at for at in view.index]] * len(np.asarray(corners)), dtype=np.float64)
    positions[:, list(view.axes)] = corners
    return positions


def _remove_rows(layer: Points | Shapes | None, rows: set[int]) -> None:
    if layer is not None and rows:
        # A selection would outlive its rows, and napari then fails at the next change of the current values.
        layer.selected_data = set()
        layer.remove(sorted(rows))
