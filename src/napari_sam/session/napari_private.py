"""Every name of napari's that is used here although it is not public, each behind one function.

napari may drop or change them in any release. What a function here gives then, says its docstring: something works less
well, and nothing fails. A test tells which of them is gone, and what for.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Labels, Shapes

_PAINT_FIELDS = ("slice_key", "mask", "old_values", "new_value")


def undo_steps(layer: Labels) -> deque[list[Any]]:
    """Return the steps that napari's undo of a layer would take back, newest last; each is a list of changes.

    `Labels.undo` takes the newest step back, whatever it is. Public names do not tell what that is, how much memory the
    steps hold, or make one of two.

    Without it: an empty deque of no one's. Undo then writes the old values as a change of its own, a run through a
    stack is as many steps of napari's undo as it has planes, and napari's history may hold a hundred large objects.
    """
    return _steps(layer, "_undo_history")


def redo_steps(layer: Labels) -> deque[list[Any]]:
    """Return the steps that napari's redo of a layer would do again, newest last.

    Without it: an empty deque of no one's. Redo then does not know the changes of an earlier session, and what they
    hold is not counted.
    """
    return _steps(layer, "_redo_history")


def paint_record() -> type[tuple[Any, ...]] | None:
    """Return the class of a change in napari's undo history that keeps a box and a mask, instead of coordinates.

    It is what `Labels.undo` takes for such a change. What `Labels.data_setitem` records lists the coordinates of every
    pixel, 25 times as much memory for a large object.

    Without it, or with other fields: None. The changes stay as napari recorded them.
    """
    from napari.layers.labels import labels

    record = getattr(labels, "_MaskedPaintAtom", None)
    return record if getattr(record, "_fields", None) == _PAINT_FIELDS else None


def forget_coarsest_level(layer: Labels) -> None:
    """Let napari read the coarsest level of a layer of several resolutions anew, after its data were written.

    napari keeps a copy of that level, and publicly forgets it only when all data are replaced, with the place and the
    zoom of what is shown.

    Without it: nothing happens. The coarsest level shows what was there before, until one zooms in.
    """
    forget = getattr(layer, "_reset_thumbnail_level_data", None)
    if callable(forget):
        forget()


def note_feature_row(layer: Labels, label: int, row: int) -> bool:
    """Tell napari in which row of the features of a layer an object is; return whether it could be told.

    Publicly it learns that only when all features are set, and then goes through all of them: 100 ms for 100,000
    objects, each time that one is added.

    Without it: False. Whoever adds a row sets all features, then.
    """
    rows = getattr(layer, "_label_index", None)
    if not isinstance(rows, dict):
        return False
    rows[label] = row
    return True


def unwrapped(thing: Any) -> Any:
    """Return the napari object itself that a plugin was handed a proxy of; any other thing as it is.

    What a proxy returns are new proxies every time, which are neither identical nor weakly referable, so layers could
    not be told apart. The proxy warns of private access, which only this module does.

    Without it: the proxy. What is remembered for a layer is then lost.
    """
    return getattr(thing, "__wrapped__", thing)


def shape_being_drawn(layer: Shapes) -> int | None:
    """Return the row of the shape that the person is just drawing; None where nobody draws.

    While one is drawn it is in the layer, a lasso as a path of those vertices that it has so far.

    Without it: None. A shape then counts as soon as anything else makes the prompts be read.
    """
    drawing = getattr(layer, "_is_creating", False)
    # Taken back before napari tells that the shape is there, unlike the other name.
    row = getattr(layer, "_moving_value", (None, None))[0]
    return int(row) if drawing and row is not None else None


def _steps(layer: Labels, name: str) -> deque[list[Any]]:
    steps = getattr(layer, name, None)
    # What napari keeps in another form would be read wrongly, so it counts as none.
    return steps if isinstance(steps, deque) else deque()
