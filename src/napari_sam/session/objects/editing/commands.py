"""The commands of a session for objects that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from napari_sam.errors import InputError
from napari_sam.session.objects.editing import messages as editing_messages
from napari_sam.session.objects.editing.pointing import label_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.editing.controller import ObjectEditing
    from napari_sam.session.objects.editing.operations import ObjectOperations
    from napari_sam.session.state import ObjectTool


class ObjectContext(Protocol):
    """What a command is made of, as `napari_sam.session.commands` has it."""

    def command(self) -> AbstractContextManager[Image | None]:
        """Run a command on the image: changes of layers are the session's own, and what comes of it is told."""

    def say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""


class ObjectCommands:
    """Objects that exist, of any Labels layer that fits the image: `pick`, `delete`, `split` and `merge`.

    An object is named by its id, and its layer, where that is not the target; the layer becomes the target by it.

    Parameters
    ----------
    context : ObjectContext
        What each command is made of.
    editing : ObjectEditing
        Knows which objects were clicked.
    operations : ObjectOperations
        Finds and writes.
    targets : TargetLayers
        Which layer is meant where none is named.
    """

    def __init__(
        self, context: ObjectContext, editing: ObjectEditing, operations: ObjectOperations, targets: TargetLayers
    ) -> None:
        self._context = context
        self._editing = editing
        self._operations = operations
        self._targets = targets
        editing.clicked.connect(self._on_editing_clicked)
        operations.ready.connect(self._on_operations_ready)

    def use_tool(self, tool: ObjectTool) -> None:
        """Let clicks choose objects: "pick" to correct one, "split", "merge". A second time, clicks prompt again."""
        self._run(lambda image: self._editing.use_tool(tool, image))

    def pick(self, label: int, layer: Labels | None = None) -> None:
        """Correct an object: its mask is the candidate, prompts correct it, and accept writes it again with its id.

        Where the plane on screen does not carry it, the viewer goes to its first plane. What is drawn on this plane
        goes, as one step of undo; the prompts that this session knows of the object come back. `leave` ends it.

        Parameters
        ----------
        label : int
            Its id.
        layer : Labels, optional
            Its layer; by default the target.
        """
        self._run(lambda image: self._operations.pick(image, self._layer(image, layer), label))

    def leave(self) -> None:
        """Correct the picked object no more: it stays as it was, and what was drawn for it goes."""
        self._run(self._editing.leave)

    def delete(self, label: int | None = None, layer: Labels | None = None, *, plane_only: bool = False) -> None:
        """Delete an object, on all of its planes, as one step of undo.

        Parameters
        ----------
        label : int, optional
            Its id; by default the picked object, or else the one under the cursor.
        layer : Labels, optional
            Its layer; by default the target.
        plane_only : bool
            Whether it stays on all planes but the one on screen.
        """

        def delete(image: Image) -> str:
            found = self._editing.meant() if label is None else (self._layer(image, layer), label)
            return (
                editing_messages.NO_OBJECT
                if found is None
                else self._operations.delete(image, *found, whole=not plane_only)
            )

        self._run(delete)

    def split(
        self,
        points: Sequence[Sequence[float]] | None = None,
        layer: Labels | None = None,
        *,
        plane_only: bool = False,
    ) -> None:
        """Divide an object into parts, which cover exactly what it covered, as one step of undo.

        The largest part keeps the id, the others get new ones. The model tells the parts apart where it can, else the
        shape does.

        Parameters
        ----------
        points : sequence of (D,) float, optional
            A place in each part, data pixels of the layer; all on one object. By default, what was clicked with the
            tool.
        layer : Labels, optional
            The layer; by default the target.
        plane_only : bool
            Whether to divide what the plane on screen carries of it, and to leave all other planes alone.
        """

        def split(image: Image) -> str:
            if points is None:
                return self._editing.apply(image)
            chosen = self._layer(image, layer)
            places = np.asarray(points, dtype=np.float64).reshape(-1, chosen.ndim)
            labels = {label_at(chosen, place) for place in places}
            pixels = np.unique(np.rint(places).astype(np.int64), axis=0)
            if len(labels) != 1 or 0 in labels or len(pixels) < 2:
                raise InputError("To split an object, name two or more of its pixels.")
            return self._operations.split(image, chosen, labels.pop(), pixels, whole=not plane_only)

        self._run(split)

    def merge(self, labels: Sequence[int] | None = None, layer: Labels | None = None) -> None:
        """Give objects the id of the first of them, on all planes, as one step of undo.

        Parameters
        ----------
        labels : sequence of int, optional
            Their ids, two or more; by default, what was clicked with the tool.
        layer : Labels, optional
            Their layer; by default the target.
        """

        def merge(image: Image) -> str:
            if labels is None:
                return self._editing.apply(image)
            wanted = tuple(dict.fromkeys(int(label) for label in labels))
            if len(wanted) < 2 or min(wanted) < 1:
                raise InputError("To merge objects, name the ids of two or more.")
            return self._operations.merge(image, self._layer(image, layer), wanted)

        self._run(merge)

    def _layer(self, image: Image, layer: Labels | None) -> Labels:
        chosen = layer if layer is not None else self._targets.chosen_layer(image)
        if chosen is None:
            raise InputError("There are no labels yet. Name the layer of the object.")
        return chosen

    def _run(self, do: Callable[[Image], str | None]) -> None:
        """Do something as a command, and say what there is to say about it; what is refused is no failure of work."""
        with self._context.command() as image:
            if image is not None:
                try:
                    self._context.say(do(image) or "")
                except InputError as error:
                    self._context.say(str(error))

    def _on_editing_clicked(self, position: NDArray[np.float64]) -> None:
        self._run(lambda image: self._editing.click(image, position))

    def _on_operations_ready(self, then: Callable[[], str]) -> None:
        self._run(lambda _image: then())
