"""The columns of the object table: their words, their order, and the file that they are exported to."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_sam.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.session.table.rows import ObjectRows

REVIEW_WORDS = {"": "unchecked", "unsure": "unsure", "checked": "checked"}
"""What the table says for what the features say."""
_REVIEW_ORDER = tuple(REVIEW_WORDS)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column.

    Attributes
    ----------
    id : str
        Its name in `COLUMNS`.
    title : callable
        Takes the rows; gives its heading, with the unit.
    text : callable
        Takes the rows and the number of one; gives what the cell says.
    key : callable
        Takes the rows; gives numbers to sort by, shape (n,) or (n, k), the first of k first.
    help : str
        Its tooltip.
    is_number : bool
        Whether it is aligned at the right.
    """

    id: str
    title: Callable[[ObjectRows], str]
    text: Callable[[ObjectRows, int], str]
    key: Callable[[ObjectRows], NDArray[Any]]
    help: str
    is_number: bool = False


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _ranks(values: NDArray[Any]) -> NDArray[Any]:
    """Give words their places in the alphabet; "" comes last."""
    ranks, words = pd.factorize(values.astype(object), sort=True)
    return np.where(values == "", len(words), ranks)


def _score_text(rows: ObjectRows, row: int) -> str:
    score = float(rows.scores[row])
    return "" if np.isnan(score) else f"{score:.2f}"


_TABLE = (
    TableColumn(
        "id", lambda _: "Id", lambda rows, i: str(rows.labels[i]), lambda rows: rows.labels, "Its label.", True
    ),
    TableColumn(
        "class",
        lambda _: "Class",
        lambda rows, i: str(rows.classes[i]),
        lambda rows: _ranks(rows.classes),
        "Double-click to choose another one.",
    ),
    TableColumn(
        "size",
        lambda rows: f"{'Volume' if rows.regions.ndim > 2 else 'Area'} ({rows.unit or 'px'})",
        lambda rows, i: _number(float(rows.sizes[i])),
        lambda rows: rows.sizes,
        "Its size, by the scale and the units of the layer.",
        True,
    ),
    TableColumn(
        "reviewed",
        lambda _: "Reviewed",
        lambda rows, i: REVIEW_WORDS.get(str(rows.reviewed[i]), str(rows.reviewed[i])),
        lambda rows: _review_ranks(rows.reviewed),
        "Whether you have checked it, or are unsure.",
    ),
    TableColumn(
        "pixels",
        lambda rows: "Voxels" if rows.regions.ndim > 2 else "Pixels",
        lambda rows, i: str(rows.regions.area[i]),
        lambda rows: rows.regions.area,
        "Count of its pixels.",
        True,
    ),
    TableColumn(
        "score",
        lambda _: "Score",
        _score_text,
        lambda rows: rows.scores,
        "How sure the model is of it, 0 to 1; of a carried object, on its worst plane.",
        True,
    ),
    TableColumn(
        "planes",
        lambda _: "Planes",
        lambda rows, i: rows.planes(i),
        lambda rows: rows.regions.low[:, list(rows.depth)],
        "The plane that it is on, or the first and the last.",
    ),
    TableColumn(
        "prompts",
        lambda _: "Prompts",
        lambda rows, i: str(rows.prompts[i]),
        lambda rows: _ranks(rows.prompts),
        "What it came of.",
    ),
)

COLUMNS = {column.id: column for column in _TABLE}
"""All columns by id, in the order of the table."""


def _review_ranks(values: NDArray[Any]) -> NDArray[Any]:
    return np.select([values == known for known in _REVIEW_ORDER], range(len(_REVIEW_ORDER)), len(_REVIEW_ORDER))


def sort_rows(rows: ObjectRows, column: str, *, descending: bool, among: NDArray[np.intp]) -> NDArray[np.intp]:
    """Put rows into the order of a column; equal ones stay in that of their ids.

    Parameters
    ----------
    rows : ObjectRows
        The rows.
    column : str
        The id of the column.
    descending : bool
        Whether the largest comes first; what is not known comes last in any case.
    among : numpy.ndarray, shape (k,)
        The rows that are wanted, ascending.
    """
    if not len(among):
        return among
    keys = np.asarray(COLUMNS[column].key(rows), dtype=np.float64)[among].reshape(len(among), -1)
    signs = -keys if descending else keys
    # The last key of `lexsort` counts first; not a number sorts last.
    return among[np.lexsort((among, *signs.T[::-1]))]


def write_csv(rows: ObjectRows, path: Path) -> None:
    """Export all rows, with all that is known, as text with commas; headings say the units.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(csv_heading(rows))
    writer.writerows(_csv_lines(rows))
    write_whole(path, file.getvalue())


def csv_heading(rows: ObjectRows) -> list[str]:
    """Name the columns of `write_csv`."""
    sizes = [f"{'volume' if rows.unit.endswith('³') else 'area'} [{rows.unit}]"] if rows.unit else []
    spans = [f"{end} {axis}" for axis in rows.axes for end in ("first", "last")]
    centers = [f"center {axis} [px]" for axis in rows.axes]
    return ["id", "class", "reviewed", "area [px]", *sizes, "score", *spans, *centers, "prompts"]


def _csv_lines(rows: ObjectRows) -> Iterator[list[object]]:
    regions, center = rows.regions, rows.regions.center
    for i in range(len(rows)):
        sizes = [f"{float(rows.sizes[i]):.6g}"] if rows.unit else []
        ends = np.stack([regions.low[i], regions.high[i] - 1], axis=1)
        score = "" if np.isnan(rows.scores[i]) else f"{float(rows.scores[i]):.4f}"
        yield [
            int(regions.labels[i]),
            _plain(rows.classes[i]),
            REVIEW_WORDS.get(str(rows.reviewed[i]), str(rows.reviewed[i])),
            int(regions.area[i]),
            *sizes,
            score,
            *ends.ravel().tolist(),
            *(f"{value:.3f}" for value in center[i]),
            str(rows.prompts[i]),
        ]


def _plain(text: object) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if str(text).startswith(("=", "+", "-", "@")) else str(text)
