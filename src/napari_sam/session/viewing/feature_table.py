"""The features table of a Labels layer: what is known of each object, beside the person's own columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_sam.session.napari_private import note_feature_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

CLASS = "class"
"""Column with the class of an object; "" for none."""
REVIEWED = "reviewed"
"""Column with what the person said of an object: "checked", "unsure", or "" for nothing yet."""
SCORE = "score"
"""Column with how far an object can be trusted, 0 to 1; not a number where nobody knows."""
PROMPTS = "prompts"
"""Column with what an object came of, such as "2 points, 1 box"; "" for no prompts."""
_INDEX = "index"
"""Column in which napari looks for the id of an object; without it, row n is that of id n."""
_BLANKS: dict[str, object] = {CLASS: "", REVIEWED: "", SCORE: float("nan"), PROMPTS: ""}
"""What the columns say of an object of which nothing is known."""


@dataclass(frozen=True, slots=True, eq=False)
class NotesChange:
    """What one column says of some objects, before and after the person changed it.

    Attributes
    ----------
    layer : Labels
        The layer of the objects.
    column : str
        The column.
    before, after : mapping from int to str
        By id.
    """

    layer: Labels
    column: str
    before: Mapping[int, str]
    after: Mapping[int, str]

    @classmethod
    def make(cls, layer: Labels, column: str, after: Mapping[int, str]) -> NotesChange | None:
        """Describe a change that is still to be made; None where everything is so already."""
        before = dict(zip(after, read_column(layer, column, list(after)), strict=True))
        changed = {label: value for label, value in after.items() if before[label] != value}
        return cls(layer, column, {label: before[label] for label in changed}, changed) if changed else None

    def undo(self) -> None:
        """Write what was there before."""
        self._write(self.before)

    def redo(self) -> None:
        """Write what was there after."""
        self._write(self.after)

    def _write(self, values: Mapping[int, str]) -> None:
        note_objects(self.layer, {label: {self.column: value} for label, value in values.items()})


def set_classes(layer: Labels, classes: Mapping[int, str]) -> None:
    """Note the class of objects in the features of a layer; all else that is there stays.

    Parameters
    ----------
    layer : Labels
        The layer.
    classes : mapping from int to str
        Of each id. Rows are added for ids that have none.
    """
    note_objects(layer, {label: {CLASS: name} for label, name in classes.items()})


def begin_objects(layer: Labels, labels: Iterable[int], name: str = "") -> None:
    """Give ids to new objects: they have a class, and nothing that was known of others with these ids before.

    Parameters
    ----------
    layer : Labels
        The layer.
    labels : iterable of int
        The ids; those of others were undone or deleted.
    name : str
        The class; "" for none.
    """
    ids = list(labels)
    blanks = {column: blank for column, blank in _BLANKS.items() if column in layer.features}
    if name:
        note_objects(layer, {label: {**blanks, CLASS: name} for label in ids})
    elif blanks:
        # Rows that are not there say nothing already.
        known = np.asarray(ids)[_find_rows(layer.features, ids) >= 0].tolist()
        note_objects(layer, dict.fromkeys(known, blanks))


def note_objects(layer: Labels, notes: Mapping[int, Mapping[str, object]]) -> None:
    """Write into columns of the features of a layer; all else that is there stays.

    Parameters
    ----------
    layer : Labels
        The layer.
    notes : mapping from int to mapping
        Of each id, the value of each column. Rows are added for ids that have none.
    """
    if not notes:
        return
    table = layer.features
    columns = list(dict.fromkeys(column for values in notes.values() for column in values))
    ids = list(notes)
    if len(ids) < _FEW and _add_rows(layer, ids) and all(_takes_cells(table, column) for column in columns):
        # In place: to set the features of 100,000 objects anew takes napari some 50 ms.
        for row, values in zip(_find_rows(table, ids).tolist(), notes.values(), strict=True):
            for column, value in values.items():
                table.iat[row, table.columns.get_loc(column)] = value
        layer.events.features(objects=tuple(ids))
        return
    table = _with_rows(table, ids)
    rows = _find_rows(table, ids)
    for column in columns:
        cells = _filled(table, column)
        for row, noted in zip(rows.tolist(), notes.values(), strict=True):
            if column in noted:
                cells[row] = noted[column]
        # Plain objects: of columns of type "str", pandas checks every cell at every turn.
        table[column] = pd.Series(cells, index=table.index, dtype=cells.dtype)
    layer.features = table


def noted_objects(event: object) -> tuple[int, ...] | None:
    """Return the ids that `note_objects` wrote about; None where anybody else changed the features, or all of them.

    Parameters
    ----------
    event : Event
        Of ``layer.events.features``.
    """
    objects = getattr(event, "objects", None)
    return objects if isinstance(objects, tuple) else None


def read_column(layer: Labels, column: str, labels: Sequence[int] | NDArray[np.integer[Any]]) -> list[Any]:
    """Read what a column says of objects, in their order; what is not known is as `begin_objects` leaves it."""
    table, blank = layer.features, _BLANKS[column]
    if column not in table or not len(labels):
        return [blank] * len(labels)
    rows = _find_rows(table, labels)
    found = rows >= 0
    values = np.full(len(rows), blank, dtype=object)
    # Only these: of a table of 100,000 objects, mostly one is asked for.
    values[found] = _filled(table.iloc[rows[found]], column)
    return values.tolist()


def find_labels(layer: Labels, column: str, value: str) -> list[int]:
    """Return the ids of objects of which a column says a word, ascending."""
    if column not in layer.features:
        return []
    ids, values = _cells(layer, column)
    return sorted(ids[values == value].tolist())


def read_classes(layer: Labels) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the ids of all objects of which the features say anything, and their classes, both of shape (n,)."""
    if CLASS not in layer.features:
        return np.zeros(0, np.int64), np.zeros(0, object)
    return _cells(layer, CLASS)


def _cells(layer: Labels, column: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the ids of all rows, and what a column says of them."""
    table = layer.features
    ids = table[_INDEX].to_numpy(np.int64) if _INDEX in table else np.arange(len(table))
    return ids, table[column].to_numpy(object)


_FEW = 256
"""Objects up to which cells are written one by one."""
_FEW_ROWS = 16
"""Objects up to which rows are added, or looked for, one by one."""


def _find_rows(table: pd.DataFrame, labels: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Find the row of each id; -1 where there is none."""
    wanted = np.asarray(labels, dtype=np.int64)
    if _INDEX not in table:
        return np.where(wanted < len(table), wanted, -1) if table.shape[1] else np.full(len(wanted), -1)
    if len(wanted) <= _FEW_ROWS:
        # Without a hash of all ids, which takes as long as everything else together.
        there = table[_INDEX].to_numpy()
        found = [np.flatnonzero(there == label) for label in wanted.tolist()]
        return np.array([rows[-1] if len(rows) else -1 for rows in found], dtype=np.int64)
    ids = pd.Index(table[_INDEX])
    # Two rows of one id: the last one counts, as it does for napari.
    if ids.is_unique:
        return np.asarray(ids.get_indexer(wanted), dtype=np.int64)
    last = {label: row for row, label in enumerate(ids.tolist())}
    return np.array([last.get(label, -1) for label in wanted.tolist()], dtype=np.int64)


def _add_rows(layer: Labels, labels: Sequence[int]) -> bool:
    """Add rows to the table of a layer in place, for ids that have none; tell whether all have one now."""
    table = layer.features
    new = [label for label, row in zip(labels, _find_rows(table, labels).tolist(), strict=True) if row < 0]
    if not new:
        return True
    # Columns of other types could not stay what they are beside a cell without a value.
    can = _INDEX in table and all(column == _INDEX or _takes_none(table[column].dtype) for column in table)
    if not can or len(new) > _FEW_ROWS:
        return False
    for label in sorted(new):
        row = len(table)
        if not note_feature_row(layer, label, row):
            return False
        table.loc[row] = [label if column == _INDEX else _BLANKS.get(column, np.nan) for column in table]
    return True


def _with_rows(table: pd.DataFrame, labels: Sequence[int]) -> pd.DataFrame:
    """Copy a table, with rows for ids that have none."""
    if _INDEX not in table and table.shape[1]:
        return table.reindex(range(max(len(table), max(labels) + 1)))
    new = sorted(label for label, row in zip(labels, _find_rows(table, labels).tolist(), strict=True) if row < 0)
    known = table[_INDEX].tolist() if _INDEX in table else []
    longer = table.reset_index(drop=True).reindex(range(len(known) + len(new)))
    longer[_INDEX] = [*known, *new]
    return longer


def _filled(table: pd.DataFrame, column: str) -> NDArray[Any]:
    """Copy a column, with its blank where there is no value; pandas has several kinds of none."""
    blank = _BLANKS[column]
    kind = object if isinstance(blank, str) else np.float64
    if column not in table:
        return np.full(len(table), blank, dtype=kind)
    if kind is np.float64:
        return np.array(pd.to_numeric(table[column], errors="coerce"), dtype=np.float64)
    values: NDArray[Any] = np.array(table[column], dtype=object)
    missing = pd.isna(values)
    if missing.any():
        values[missing] = blank
    return values


def _takes_cells(table: pd.DataFrame, column: str) -> bool:
    """Tell whether single cells of a column can be set: another type of column would have to become a wider one."""
    if column not in table:
        return False
    kind = table[column].dtype
    return bool(kind == np.float64) == (not isinstance(_BLANKS[column], str)) and _takes_none(kind)


def _takes_none(kind: Any) -> bool:
    """Tell whether a column of a type may have cells without a value."""
    return isinstance(kind, pd.StringDtype) or kind == np.dtype(object) or kind == np.float64
