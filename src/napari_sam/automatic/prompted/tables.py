"""Reads points and boxes from CSV files, those that napari writes of its layers among them."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import open_plain
from napari_sam.prompts import BoxPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_AREAS = ("rectangle", "ellipse", "polygon")
"""Kinds of shapes that enclose something."""
_BOX = ("y0", "x0", "y1", "x1")
_POINT = ("y", "x")


def read_points(path: Path) -> tuple[PointPrompt, ...]:
    """Read points from a CSV file.

    Parameters
    ----------
    path : Path
        With columns "y" and "x", those of a Points layer that napari saved ("axis-0", "axis-1"), or two columns
        without names, y before x. A column "polarity" may call some of them "negative".

    Returns
    -------
    tuple of PointPrompt
        Data pixels, at least one of them positive.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no points of one plane.
    """
    table = _Table.read(path)
    columns = table.columns(_POINT) or table.axes() or table.unnamed(2)
    if columns is None:
        raise InputError(f"{path} has no columns y and x, nor those of points that napari saved (axis-0, axis-1).")
    polarity = table.names.index("polarity") if "polarity" in table.names else None
    points = tuple(
        PointPrompt(
            (table.number(row, columns[0]), table.number(row, columns[1])),
            polarity is None or row.cells[polarity].strip().casefold() != "negative",
        )
        for row in table.rows
    )
    if not any(point.positive for point in points):
        raise InputError(f"{path} holds no point on an object.")
    return points


def read_boxes(path: Path) -> tuple[BoxPrompt, ...]:
    """Read boxes from a CSV file.

    Parameters
    ----------
    path : Path
        With columns "y0", "x0", "y1" and "x1", two opposite corners; those of a Shapes layer that napari saved, of
        which every rectangle, ellipse and polygon counts by the box around it; or four columns without names.

    Returns
    -------
    tuple of BoxPrompt
        Data pixels, at least one.

    Raises
    ------
    InputError
        As `read_points`.
    """
    table = _Table.read(path)
    if "shape-type" in table.names and (axes := table.axes()) is not None:
        boxes = _boxes_of_shapes(table, axes)
    elif (columns := table.columns(_BOX) or table.unnamed(4)) is not None:
        corners = [[table.number(row, column) for column in columns] for row in table.rows]
        boxes = tuple(BoxPrompt((y0, x0), (y1, x1)) for y0, x0, y1, x1 in corners)
    else:
        raise InputError(f"{path} has no columns y0, x0, y1 and x1, nor those of shapes that napari saved.")
    if not boxes:
        raise InputError(f"{path} holds no box.")
    return boxes


def _boxes_of_shapes(table: _Table, axes: tuple[int, int]) -> tuple[BoxPrompt, ...]:
    """Put boxes around the shapes that enclose something, whose vertices are rows."""
    index, kind = table.names.index("index"), table.names.index("shape-type")
    vertices: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in table.rows:
        if row.cells[kind].strip() in _AREAS:
            vertices[row.cells[index]].append((table.number(row, axes[0]), table.number(row, axes[1])))
    found = []
    for shape in vertices.values():
        corners = np.array(shape)
        (top, left), (bottom, right) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        found.append(BoxPrompt((top, left), (bottom, right)))
    return tuple(found)


class _TableRow:
    """A row of a table, and where in the file it is."""

    def __init__(self, line: int, cells: Sequence[str]) -> None:
        self.line, self.cells = line, cells


class _Table:
    """A CSV file: the names of its columns, in small letters, and its rows."""

    def __init__(self, path: Path, names: Sequence[str], rows: Sequence[_TableRow]) -> None:
        self._path, self.names, self.rows = path, list(names), rows

    @classmethod
    def read(cls, path: Path) -> _Table:
        """Read a file; where its first row is one of numbers, columns have no names."""
        try:
            with open_plain(path) as file:
                text = file.read().decode("utf-8-sig")
            lines = list(csv.reader(io.StringIO(text, newline="")))
        except (OSError, ValueError, csv.Error) as error:
            raise InputError(f"{path} cannot be read as a CSV file: {error}.") from error
        rows = [_TableRow(line, cells) for line, cells in enumerate(lines, 1) if any(cell.strip() for cell in cells)]
        if not rows:
            raise InputError(f"{path} is empty.")
        named = not all(_is_number(cell) for cell in rows[0].cells)
        names = [name.strip().casefold() for name in rows[0].cells] if named else []
        table = cls(path, names, rows[1:] if named else rows)
        for row in table.rows:
            if len(row.cells) != len(rows[0].cells):
                raise InputError(f"{path}, line {row.line}: {len(row.cells)} columns instead of {len(rows[0].cells)}.")
        return table

    def columns(self, wanted: Sequence[str]) -> tuple[int, ...] | None:
        """Find columns by their names; None where one is missing."""
        return tuple(self.names.index(name) for name in wanted) if set(wanted) <= set(self.names) else None

    def unnamed(self, count: int) -> tuple[int, ...] | None:
        """Return the columns of a table without names; None where it has names, or another number of columns."""
        return None if self.names or len(self.rows[0].cells) != count else tuple(range(count))

    def axes(self) -> tuple[int, int] | None:
        """Find the columns of y and x of a layer that napari saved: the last axes; the others must name one plane."""
        axes = [self.names.index(name) for name in sorted(self.names) if name.startswith("axis-")]
        if len(axes) < 2:
            return None
        for axis in axes[:-2]:
            if len({round(self.number(row, axis)) for row in self.rows}) > 1:
                raise InputError(f"{self._path} holds what is on several planes. Save that of one plane.")
        return axes[-2], axes[-1]

    def number(self, row: _TableRow, column: int) -> float:
        """Read a finite number."""
        cell = row.cells[column]
        if not _is_number(cell):
            raise InputError(f"{self._path}, line {row.line}: {cell!r} is no number.")
        return float(cell)


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
