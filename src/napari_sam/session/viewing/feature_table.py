"""The features table of a Labels layer: what is known of each object, beside the person's own columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.layers import Labels

CLASS = "class"
"""Column with the class of an object."""
_INDEX = "index"
"""Column in which napari looks for the id of an object; without it, row n is that of id n."""


def set_classes(layer: Labels, classes: Mapping[int, str]) -> None:
    """Note the class of objects in the features of a layer; all else that is there stays.

    Parameters
    ----------
    layer : Labels
        The layer.
    classes : mapping from int to str
        Of each id. Rows are added for ids that have none.
    """
    if not classes:
        return
    table = layer.features.copy()
    if _INDEX not in table and table.shape[1]:
        table = table.reindex(range(max(len(table), max(classes) + 1)))
    else:
        known = [] if _INDEX not in table else table[_INDEX].tolist()
        ids = [*known, *sorted(classes.keys() - set(known))]
        table = table.reset_index(drop=True).reindex(range(len(ids)))
        table[_INDEX] = ids
    column = table[CLASS].tolist() if CLASS in table else [""] * len(table)
    # None, or not a number, is what pandas fills new rows with.
    column = ["" if value is None or value != value else value for value in column]
    for row, label in enumerate(_ids(table)):
        column[row] = classes.get(label, column[row])
    table[CLASS] = column
    layer.features = table


def forget_classes(layer: Labels, labels: Iterable[int]) -> None:
    """Empty the class of ids that new objects get: it is that of others, which were undone or deleted."""
    table = layer.features
    if CLASS not in table:
        return
    classes = dict(zip(_ids(table), table[CLASS], strict=True))
    set_classes(layer, {label: "" for label in labels if classes.get(label, "")})


def _ids(table: Any) -> list[int]:
    return list(range(len(table))) if _INDEX not in table else table[_INDEX].tolist()
