"""Chooses the objects that exist and are to be changed: which tool is in hand, and what was clicked with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_sam.session.objects.editing import messages as editing_messages
from napari_sam.session.objects.editing.pointing import GatheredClicks, object_at
from napari_sam.session.state import ObjectsState
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.objects.editing.marks import MarksLayer
    from napari_sam.session.objects.editing.operations import ObjectOperations
    from napari_sam.session.objects.editing.picker import ObjectPicker
    from napari_sam.session.objects.editing.pointing import PointedObject
    from napari_sam.session.prompts.tools import PromptTools
    from napari_sam.session.state import ObjectTool, Status
    from napari_sam.session.viewing.active_image import ActiveImage
    from napari_sam.session.viewing.connections import Mute


class ObjectEditing:
    """Lets clicks and keys choose objects: to pick, delete, split or merge them.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    active, tools, live
        What is on screen, what clicks do, and what is answered.
    picker : ObjectPicker
        Tells which object is corrected.
    marks : MarksLayer
        Takes the clicks on objects.
    operations : ObjectOperations
        Does what is clicked for.
    ours : callable
        Gives the Labels layers that hold no objects of the person's.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    """

    clicked = Signal(object)
    """The person clicked with a tool: where, in the world."""
    changed = Signal()
    """Something that panels may show changed."""

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        tools: PromptTools,
        live: LivePrediction,
        picker: ObjectPicker,
        marks: MarksLayer,
        operations: ObjectOperations,
        ours: Callable[[], list[Layer | None]],
        mute: Mute,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._tools = tools
        self._live = live
        self._picker = picker
        self._marks = marks
        self._operations = operations
        self._ours = ours
        self._mute = mute
        self._gathered = GatheredClicks()
        self._connections = Connections()
        self._connections.connect("marks", marks.clicked, self.clicked.emit)
        self._connections.connect("operations", operations.changed, self.changed.emit)
        self._connections.connect("active", active.image_changed, self._on_active_image)
        self._connections.connect("active", active.viewer_events.removed, self._on_viewer_removed)

    def release(self) -> None:
        """Stop working and listening; the layer stays until `remove_layer`."""
        self._operations.step.stop()
        self._connections.release()
        self._picker.release()

    def remove_layer(self) -> None:
        """Take the layer for clicks away, which nobody may select any more."""
        self._marks.remove_layer()

    # -- what there is ----------------------------------------------------------------------------

    @property
    def layer(self) -> Layer | None:
        """The layer that takes clicks on objects; None where no tool does."""
        return self._marks.layer

    @property
    def tool(self) -> ObjectTool | None:
        """What a click on an object does now; None when it is something else."""
        return self._gathered.tool if self._marks.is_selected else None

    @property
    def status(self) -> Status | None:
        """Describe what is under way; None when nothing is."""
        return self._operations.step.status

    @property
    def state(self) -> ObjectsState:
        """Everything that panels show of this."""
        picked, tool = self._picker.picked, self.tool
        return ObjectsState(
            tool=tool,
            label=None if picked is None else picked.label,
            hint="" if tool is None else editing_messages.hint(self._gathered),
            clicks=0 if tool is None else len(self._gathered.clicks),
            can_pick=self._active.view is not None,
            can_apply=tool is not None and self._gathered.enough,
        )

    # -- tools ------------------------------------------------------------------------------------

    def use_tool(self, tool: ObjectTool, image: Image) -> None:
        """Let clicks choose objects for something; a second time, let them prompt again."""
        if self.tool == tool:
            self.put_down(image)
            return
        picked = self._picker.picked
        self._gathered = GatheredClicks(tool)
        # Who has an object at hand need not click it again to merge others into it.
        if tool == "merge" and picked is not None:
            self._gathered = GatheredClicks(tool, picked.layer, held=(picked.label,))
        self._marks.clear()
        self._tools.select_other(self._marks.need_layer(image))

    def put_down(self, image: Image) -> None:
        """Let clicks prompt again."""
        if self._marks.layer is not None:
            self._tools.select_tool(self._tools.last_tool, image)
            self.drop_tool()

    def drop_tool(self) -> None:
        """Forget the tool, whatever is selected now."""
        self._gathered = GatheredClicks()
        self._marks.remove_layer()

    def leave(self, image: Image) -> str:
        """Put the tool down, or else stop correcting an object; return words for that, "" where there was neither."""
        if self._operations.step.stop():
            return editing_messages.CANCELLED
        if self._marks.layer is not None:
            self.put_down(image)
            return editing_messages.CANCELLED
        if self._live.start is None:
            return ""
        self._picker.leave(image)
        return editing_messages.left()

    # -- clicks -----------------------------------------------------------------------------

    def click(self, image: Image, position: NDArray[np.float64]) -> str:
        """Do what a click with the tool is for, at a place of the world; return what the person should know."""
        found = self.pointed(position)
        if found is None:
            return editing_messages.NOTHING_HERE
        if self.tool == "pick":
            return self._operations.pick(image, found.layer, found.label)
        self._picker.retarget(image, found.layer, found.label)
        if not self._gathered.takes(found):
            return editing_messages.other_object(self._gathered)
        self._gathered = self._gathered.with_click(found)
        self._marks.mark(image, found.place)
        return ""

    def apply(self, image: Image) -> str:
        """Split or merge what was clicked, and put the tool down; return what the person should know.

        Raises
        ------
        InputError
            As `pick`.
        """
        gathered, layer = self._gathered, self._gathered.layer
        if layer is None or not gathered.enough:
            return editing_messages.more_clicks(gathered)
        text = (
            self._operations.merge(image, layer, gathered.labels)
            if gathered.tool == "merge"
            else self._operations.split(image, layer, gathered.labels[0], gathered.pixels, whole=True)
        )
        self.put_down(image)
        return text

    def take_back(self) -> bool:
        """Take the last click with a tool back; tell whether there was any."""
        if self.tool is None or not self._gathered.clicks:
            return False
        self._gathered = self._gathered.without_last()
        self._marks.unmark()
        return True

    def pointed(self, position: NDArray[np.float64]) -> PointedObject | None:
        """Find the object of the person's at a place of the world."""
        return object_at(self._viewer, position, self._ours())

    def meant(self) -> tuple[Labels, int] | None:
        """Return the object that a key is for: the picked one, or else the one under the cursor."""
        if (picked := self._picker.picked) is not None:
            return picked.layer, picked.label
        found = self.pointed(self._cursor())
        return None if found is None else (found.layer, found.label)

    def _cursor(self) -> NDArray[np.float64]:
        return np.asarray(self._viewer.cursor.position, dtype=np.float64)

    # -- what happens -----------------------------------------------------------------------------

    def _on_active_image(self) -> None:
        self._operations.step.stop()
        with self._mute():
            self.drop_tool()

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        if self._marks.layer is not None and self._marks.layer in layers:
            self._marks.forget_layer()
            self._gathered = GatheredClicks()
