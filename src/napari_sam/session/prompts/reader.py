"""From the prompt layers to prompts: re-read as a whole after every change, because events do not say enough."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.prompts import AreaPrompt, BoxPrompt, PointPrompt, PromptSet, ScribblePrompt, is_on_plane, touches_plane
from napari_sam.session.napari_private import shape_being_drawn
from napari_sam.session.prompts.painted import PaintedPlanes
from napari_sam.session.prompts.shapes import DrawnShape, ShapeReader
from napari_sam.session.prompts.style import read_polarity
from napari_sam.session.viewing.transform import convert_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from napari.components import ViewerModel
    from napari.layers import Image, Points, Shapes
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import Prompt

_DRAGGED = frozenset({"rectangle", "ellipse"})
"""Kinds of which a plain click leaves a trace; of a path or a lasso, napari leaves nothing then."""


@dataclass(frozen=True, slots=True)
class PromptReading:
    """What the prompt layers say about the plane on screen.

    Attributes
    ----------
    prompts : PromptSet
        All points, scribbles and areas inside the image, and the newest box.
    outside : int
        What was drawn on this plane outside the image, and is left out.
    boxes : int
        Boxes on this plane, the unused older ones included.
    slivers : int
        Traces of plain clicks in a drawing mode on this plane, left out, and areas that enclose no pixel.
    point_rows, shape_rows : tuple of int
        Indices, in their layers, of everything drawn on this plane, used or not.
    box_rows : tuple of int
        Those of `shape_rows` that are boxes, oldest first: one object takes one, while areas add up.
    sliver_rows : tuple of int
        Those of `shape_rows` that are traces of plain clicks, and say nothing.
    painted : tuple of (int or None)
        This plane, as `PlaneIndex.index`, in a tuple, where anything is painted on it; several where all are read.
    counted : tuple of (int, PointPrompt or BoxPrompt)
        Every point and every box that says something, the older boxes and those around areas included, with its row:
        where each is an object of its own, all of them count.
    """

    prompts: PromptSet = field(default_factory=PromptSet)
    outside: int = 0
    boxes: int = 0
    slivers: int = 0
    point_rows: tuple[int, ...] = ()
    shape_rows: tuple[int, ...] = ()
    box_rows: tuple[int, ...] = ()
    sliver_rows: tuple[int, ...] = ()
    painted: tuple[tuple[int | None, ...], ...] = ()
    counted: tuple[tuple[int, PointPrompt | BoxPrompt], ...] = ()

    @property
    def replaced_rows(self) -> tuple[int, ...]:
        """Those of `shape_rows` that a newer box replaces, where one object is prompted after the other."""
        return self.box_rows[:-1]

    def only(self, prompts: Collection[Prompt]) -> PromptReading:
        """Return a reading of nothing but the rows of some prompts."""
        rows = [(row, isinstance(prompt, BoxPrompt)) for row, prompt in self.counted if prompt in prompts]
        return PromptReading(
            point_rows=tuple(row for row, is_box in rows if not is_box),
            shape_rows=tuple(row for row, is_box in rows if is_box),
        )

    @property
    def empty(self) -> bool:
        """Whether nothing is drawn on this plane."""
        return not self.point_rows and not self.shape_rows and not self.painted

    def warning(self, *, one_box: bool = True) -> str:
        """Say what the person should know about prompts that are not used; "" when all are.

        Parameters
        ----------
        one_box : bool
            Whether one box counts, because all prompts are of one object.
        """
        if self.outside == 1:
            return "1 prompt lies outside the image and is not used. Move or delete it."
        if self.outside:
            return f"{self.outside} prompts lie outside the image and are not used. Move or delete them."
        if self.boxes > 1 and one_box:
            return f"{self.boxes} boxes are drawn here; the newest one counts. One object takes one box."
        if self.slivers and not self.boxes and not self.prompts.areas:
            return "A click makes no box. Drag from one corner of the object to the other."
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPrompts:
    """All that is drawn in the prompt layers, on all planes.

    Attributes
    ----------
    clicks : numpy.ndarray, shape (N, D), float64
        The points, in data pixels of the image.
    positive : numpy.ndarray, shape (N,), bool
        Their polarity.
    shapes : tuple of DrawnShape
        The shapes, in data pixels of the image, in the order of their rows.
    unfinished : int or None
        Row of the shape that is being drawn at the moment, which says nothing yet.
    reader : ShapeReader
        Reads shapes.
    paint : PaintedPlanes
        What is painted.
    """

    clicks: NDArray[np.float64]
    positive: NDArray[np.bool_]
    shapes: tuple[DrawnShape, ...]
    unfinished: int | None
    reader: ShapeReader
    paint: PaintedPlanes = field(default_factory=PaintedPlanes)

    @classmethod
    def of(
        cls,
        viewer: ViewerModel,
        image: Image,
        points: Points | None,
        shapes: Shapes | None,
        reader: ShapeReader,
        paint: PaintedPlanes | None = None,
    ) -> DrawnPrompts:
        """Read the prompt layers. One that lies elsewhere than the image is converted through the world."""
        clicks, positive = np.empty((0, image.ndim)), np.empty(0, dtype=bool)
        if points is not None and len(points.data):
            clicks = convert_positions(viewer, np.asarray(points.data, dtype=np.float64), points, image)
            positive = read_polarity(points)
        found: tuple[DrawnShape, ...] = ()
        if shapes is not None and len(shapes.data):
            vertices = [np.asarray(one, dtype=np.float64) for one in shapes.data]
            ends = np.cumsum([len(one) for one in vertices])[:-1]
            # All at once: each conversion asks napari for the transforms of both layers.
            placed = np.split(convert_positions(viewer, np.concatenate(vertices), shapes, image), ends)
            polarity = read_polarity(shapes).tolist()
            found = tuple(map(DrawnShape, placed, map(str, shapes.shape_type), polarity))
        return cls(
            clicks,
            positive,
            found,
            None if shapes is None else shape_being_drawn(shapes),
            reader,
            paint or PaintedPlanes(),
        )

    def on_plane(
        self,
        view: PlaneIndex,
        is_sliver: Callable[[NDArray[np.float64]], bool],
        counts: NDArray[np.bool_] | None = None,
    ) -> PromptReading:
        """Read the prompts of a plane.

        Parameters
        ----------
        view : PlaneIndex
            The plane.
        is_sliver : callable
            Takes the (N, 2) corners of a shape, data pixels (y, x), and tells whether it is the trace of a plain click.
        counts : numpy.ndarray, shape (N,), bool, optional
            Which points count; by default all.

        Returns
        -------
        PromptReading
            Positions in data pixels of the plane, (y, x).
        """
        there = view.holds(self.clicks) if counts is None else view.holds(self.clicks) & counts
        point_rows = tuple(int(row) for row in np.flatnonzero(there))
        clicks = {
            row: PointPrompt(_pair(self.clicks[row, list(view.axes)]), bool(self.positive[row]))
            for row in point_rows
            # A plane holds by its other axes alone; along those on screen, a program may have set NaN.
            if np.isfinite(self.clicks[row]).all()
        }
        found = self._shapes_on(view, is_sliver)
        paint = self.paint.on(view)
        inside = {row: click for row, click in clicks.items() if is_on_plane(click.position, view.shape)}
        return PromptReading(
            prompts=PromptSet((*inside.values(), *found.drawn.values(), *list(found.boxes.values())[-1:], *paint)),
            outside=len(point_rows) - len(inside) + found.outside,
            boxes=len(found.boxes),
            slivers=len(found.slivers),
            point_rows=point_rows,
            shape_rows=tuple(found.rows),
            box_rows=tuple(found.boxes),
            sliver_rows=tuple(found.slivers),
            painted=(view.index,) if view.index in self.paint.planes else (),
            counted=(*inside.items(), *sorted((found.boxes | found.around).items())),
        )

    def places_along(self, view: PlaneIndex, axis: int, size: int) -> set[int]:
        """Find the planes that follow a plane along an axis and have prompts on them: their indices along it.

        Parameters
        ----------
        view : PlaneIndex
            The plane.
        axis : int
            A data axis of the image.
        size : int
            Planes along it.
        """
        others = [other for other, at in enumerate(view.index) if at is not None and other != axis]
        wanted = np.array([view.index[other] for other in others], dtype=np.float64)
        places = np.round(np.concatenate([self.clicks, *(shape.vertices for shape in self.shapes)]))
        near = np.isfinite(places[:, axis]) & np.all(places[:, others] == wanted, axis=1)
        drawn = {int(place) for place in places[near, axis]} | self.paint.places_along(view, axis)
        return {place for place in drawn if 0 <= place < size}

    def _shapes_on(self, view: PlaneIndex, is_sliver: Callable[[NDArray[np.float64]], bool]) -> _Shapes:
        """Find the shapes on a plane."""
        found = _Shapes()
        for row, shape in enumerate(self.shapes):
            # All of it: one that was drawn along other axes merely crosses this plane.
            if row == self.unfinished or not view.holds(shape.vertices).all():
                continue
            found.rows.append(row)
            there = replace(shape, vertices=shape.vertices[:, list(view.axes)])
            if not _reaches(there, view.shape):
                found.outside += 1
            elif there.kind in _DRAGGED and is_sliver(there.vertices):
                found.slivers.append(row)
            elif (prompt := self.reader.read(there, view.shape)) is None:
                found.slivers.append(row)
            elif isinstance(prompt, BoxPrompt):
                found.boxes[row] = prompt
            else:
                found.drawn[row] = prompt
        return found


@dataclass(slots=True)
class _Shapes:
    """The shapes on a plane: all their rows; boxes by row, oldest first; scribbles and areas; what is not used."""

    rows: list[int] = field(default_factory=list)
    boxes: dict[int, BoxPrompt] = field(default_factory=dict)
    drawn: dict[int, AreaPrompt | ScribblePrompt] = field(default_factory=dict)
    slivers: list[int] = field(default_factory=list)
    outside: int = 0

    @property
    def around(self) -> dict[int, BoxPrompt]:
        """The boxes around the areas that objects lie in, by row."""
        return {row: area.box for row, area in self.drawn.items() if isinstance(area, AreaPrompt) and area.positive}


def _reaches(shape: DrawnShape, plane: tuple[int, int]) -> bool:
    """Tell whether a shape, in data pixels of a plane, lies on it in part."""
    if shape.is_path:
        return any(is_on_plane(_pair(vertex), plane) for vertex in shape.vertices)
    return touches_plane(BoxPrompt(_pair(shape.vertices.min(axis=0)), _pair(shape.vertices.max(axis=0))), plane)


def _pair(position: NDArray[np.float64]) -> tuple[float, float]:
    return float(position[0]), float(position[1])
