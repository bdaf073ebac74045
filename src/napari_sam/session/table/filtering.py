"""Which objects a person wants to see, said in plain words: "mitosis unchecked area > 200"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.session.table.columns import REVIEW_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.session.table.rows import ObjectRows

HELP = (
    "Words of a class, an id, checked, unsure, unchecked or unclassified, and sizes or scores such as "
    "area > 200, area 50-300 or score < 0.8. All must hold."
)
_NUMBER = r"(\d+(?:\.\d+)?)"
_BOUNDS = re.compile(
    rf"\b(area|size|volume|score)\s*(?:{_NUMBER}\s*(?:-|–|to)\s*{_NUMBER}|(<=|>=|<|>|≤|≥|=)\s*{_NUMBER})",  # noqa: RUF001
    re.IGNORECASE,
)
_STATES = {word: value for value, word in REVIEW_WORDS.items()}


def find_rows(rows: ObjectRows, text: str) -> NDArray[np.intp]:
    """Return the rows for which all that a text says holds, ascending.

    Parameters
    ----------
    rows : ObjectRows
        The rows.
    text : str
        Such as "mitosis unchecked area > 200": words of a class, ids, what was reviewed, bounds of size and score.
        Sizes are in the unit of the table.
    """
    wanted = np.ones(len(rows), dtype=bool)
    for name, low, high, sign, bound in _BOUNDS.findall(text):
        values = rows.scores if name.lower() == "score" else rows.sizes
        wanted &= _within(values, low, high) if low else _compared(values, sign, float(bound))
    ids: list[int] = []
    for word in _BOUNDS.sub(" ", text).split():
        if word.lower() in _STATES:
            wanted &= rows.reviewed == _STATES[word.lower()]
        elif word.lower() == "unclassified":
            wanted &= rows.classes == ""
        elif word.lstrip("#").isdecimal():
            ids.append(int(word.lstrip("#")))
        elif word.lower() != "id":
            wanted &= np.char.find(np.char.lower(rows.classes), word.lower()) >= 0
    if ids:
        wanted &= np.isin(rows.labels, np.array(ids, dtype=np.float64))
    return np.flatnonzero(wanted)


def _within(values: NDArray[np.float64], low: str, high: str) -> NDArray[np.bool_]:
    return (values >= float(low)) & (values <= float(high))


def _compared(values: NDArray[np.float64], sign: str, bound: float) -> NDArray[np.bool_]:
    match sign:
        case "<":
            return values < bound
        case ">":
            return values > bound
        case "<=" | "≤":
            return values <= bound
        case ">=" | "≥":
            return values >= bound
        case _:
            return np.isclose(values, bound)
