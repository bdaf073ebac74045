"""Every name of napari's that is used here although it is not public, each behind one function.

napari may drop or change them in any release. What a function here gives then, says its docstring: something works less
well, and nothing fails. A test tells which of them is gone, and what for.
"""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from napari.layers import Labels, Shapes
    from numpy.typing import NDArray

_PAINT_FIELDS = ("slice_key", "mask", "old_values", "new_value")


def file_source(path: Path) -> AbstractContextManager[Any]:
    """Let layers that are made within say which file they are of, as those do that napari opens itself.

    `Layer.source` is public and can only be read; the journal knows an image again by it, and the images of its folder.

    Without it: layers of no file, which are known again by their pixels alone.
    """
    try:
        from napari.layers._source import layer_source
    except ImportError:
        return nullcontext()
    made: AbstractContextManager[Any] = layer_source(path=str(path.absolute()))
    return made


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


def record_change(layer: Labels, record: tuple[Any, ...]) -> bool:
    """Put a change into napari's undo history, as napari does with its own: tell whether that could be done.

    The change becomes a step, or a part of the one that `Labels.block_history` is gathering. Publicly, only
    `Labels.data_setitem` does so, by the coordinates of every pixel: half a second for an object of four million.

    Without it: False, and nothing is recorded.
    """
    record_it = getattr(layer, "_save_history", None)
    if not callable(record_it):
        return False
    record_it(record)
    return True


def redraw_box(layer: Labels, box: tuple[slice, ...], pixels: NDArray[np.bool_] | None = None) -> None:
    """Draw a box of a layer anew, after its data, an array in memory, were written.

    It does what `Labels.data_setitem` does with what it wrote: new colours for the box, and the event that lets the
    canvas draw these. The public `Labels.refresh` draws the whole plane.

    Parameters
    ----------
    layer : Labels
        The layer, of one resolution.
    box : tuple of slice
        The box, one slice for each axis of the data.
    pixels : numpy.ndarray, bool, optional
        Which of its pixels changed, if all of these have the same label now; only their colours are looked up then.

    Without it, and where napari does not show the memory of the data: that.
    """
    shown, colours = _shown(layer), getattr(layer, "_raw_to_displayed", None)
    if shown is None or not callable(colours) or not np.may_share_memory(shown[0], layer.data):
        layer.refresh(extent=False)
        return
    raw, view, axes = shown
    # A contour reaches one pixel beyond its object, and its width into those next to it.
    margin = layer.contour + 1 if layer.contour else 0
    at = tuple(
        slice(max(0, box[axis].start - margin), min(side, box[axis].stop + margin))
        for axis, side in zip(axes, raw.shape, strict=True)
    )
    # Another plane of the stack may be on screen.
    if not np.may_share_memory(raw[at], layer.data[box]):
        return
    if pixels is None or margin or list(axes) != sorted(axes) or pixels.size != view[at].size:
        view[at] = colours(raw, data_slice=at)
    else:
        part = pixels.reshape(view[at].shape)
        first = tuple(slice(int(found), int(found) + 1) for found in np.unravel_index(part.argmax(), part.shape))
        np.copyto(view[at], colours(raw[at], data_slice=first), where=part)
    layer.events.labels_update(data=view[at], offset=[part.start for part in at])


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


def _shown(layer: Labels) -> tuple[NDArray[Any], NDArray[Any], Sequence[int]] | None:
    """Return labels and colours of what is on screen, and the axes of the data there; None while that is not known."""
    image = getattr(getattr(layer, "_slice", None), "image", None)
    raw: Any = getattr(image, "raw", None)
    view: Any = getattr(image, "view", None)
    axes: Any = getattr(getattr(layer, "_slice_input", None), "displayed", None)
    known = isinstance(raw, np.ndarray) and isinstance(view, np.ndarray) and axes is not None and layer.loaded
    if not known or not raw.ndim == view.ndim == len(axes):
        return None
    return raw, view, axes
