"""The objects of the target: which there are, what is known of each, and which one the person is looking at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_sam.session.state import TableState
from napari_sam.session.table import messages as table_messages
from napari_sam.session.table.classes import ClassLists
from napari_sam.session.table.coloring import LARGEST, ClassColors
from napari_sam.session.table.columns import sort_rows
from napari_sam.session.table.counting import ObjectCounter
from napari_sam.session.table.filtering import find_rows
from napari_sam.session.table.rows import ObjectRows
from napari_sam.session.table.visiting import go_to
from napari_sam.session.viewing.connections import Connections
from napari_sam.session.viewing.feature_table import CLASS, noted_objects, read_column
from napari_sam.session.viewing.plane_on_screen import axis_names

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.inference.worker import Worker
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage


class ObjectTable:
    """Keeps the rows of the table of objects, in the order and under the filter that the person chose.

    Nothing is counted before somebody opens the table.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    active : ActiveImage
        Which image is worked on.
    targets : TargetLayers
        Which layer its objects are in.
    settings : SessionSettings
        What class new objects get.
    worker : Worker
        Counts.
    """

    changed = Signal()
    """There is something new to show."""

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        targets: TargetLayers,
        settings: SessionSettings,
        worker: Worker,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._targets = targets
        self._settings = settings
        self._connections = Connections()
        self._own = Connections()
        self._layer: Labels | None = None
        self._opened = False
        self._revision = 0
        self._rows: tuple[int, ObjectRows] | None = None
        # Of which objects the features changed since the rows were read; None for any.
        self._noted: set[int] | None = None
        self._order: tuple[int, NDArray[np.intp]] | None = None
        self._sort = ("id", False)
        self._filter = ""
        self._picked: int | None = None
        self.lists = ClassLists()
        """The classes of each layer."""
        self.colors = ClassColors(self.lists, worker, self.changed)
        """The colours of classes, which the target has while that is wanted."""
        self.counter = ObjectCounter(worker)
        self._own.connect("counter", self.counter.changed, self._on_counter_changed)
        self._own.connect("settings", settings.events.object_class, self.changed.emit)

    def release(self) -> None:
        """Stop listening and counting."""
        self._own.release()
        self._connections.release()
        self.counter.release()
        self.colors.stop()

    # -- what is shown ----------------------------------------------------------------------------

    @property
    def layer(self) -> Labels | None:
        """The layer of the objects; None while there is no target."""
        image = self._active.image
        return None if image is None else self._targets.chosen_layer(image)

    @property
    def is_open(self) -> bool:
        """Whether anybody looks at the table."""
        return self._opened

    def open(self) -> None:
        """Count the objects, from now on."""
        self._opened = True
        self.connect_layer()
        self._watch()

    def close(self) -> None:
        """Count no more: nobody looks."""
        self._opened = False
        self.counter.watch(None)
        self._refresh()

    def connect_layer(self) -> None:
        """Listen to the target that is in use now."""
        layer = self.layer
        if layer is self._layer:
            return
        colored = self.colors.is_on
        self._connections.release()
        self._layer, self._picked, self._rows = layer, None, None
        if layer is not None:
            self.lists.keep(layer)
            self._connections.connect("layer", layer.events.features, self._on_layer_features)
            self._connections.connect("layer", layer.events.selected_label, self._on_layer_selected_label)
        if self._settings.object_class not in {one.name for one in self.lists.of(layer)}:
            self._settings.object_class = ""
        if colored:
            self.color_by_class(on=True)
        if self._opened:
            self._watch()
        self._refresh()

    def color_by_class(self, *, on: bool) -> bool:
        """Show the target in the colours of classes, or in its own; tell whether it has as few ids as can be told."""
        image = self._active.image
        writer = None if image is None or not on else self._targets.find_writer(image)
        # Ids that are not counted yet are taken for few.
        fits = writer is None or (writer.known_label or 1) - 1 <= LARGEST
        if self._layer is not None and on and fits:
            self.colors.start(self._layer)
        else:
            self.colors.stop()
        return fits

    def _watch(self) -> None:
        image = self._active.image
        writer = None if image is None else self._targets.find_writer(image)
        self.counter.watch(self._layer, None if writer is None else writer.pixels_set)

    @property
    def rows(self) -> ObjectRows | None:
        """All rows, by ascending id; None while the objects are not counted. Another object after every change."""
        layer, regions, image = self._layer, self.counter.table, self._active.image
        if layer is None or regions is None or image is None or self.counter.layer is not layer:
            return None
        if self._rows is None or self._rows[0] != self._revision:
            view = self._active.view
            planar = (regions.ndim - 2, regions.ndim - 1) if view is None else view.axes
            axes = axis_names(self._viewer, image)
            if self._rows is None or self._noted is None:
                rows = ObjectRows.of(layer, regions, axes, planar)
            else:
                rows = self._rows[1].updated(layer, regions, axes, planar, self._noted)
            self._rows, self._noted = (self._revision, rows), set()
        return self._rows[1]

    @property
    def order(self) -> NDArray[np.intp]:
        """Which of the rows are shown, from top to bottom."""
        rows = self.rows
        if rows is None:
            return np.zeros(0, dtype=np.intp)
        if self._order is None or self._order[0] != self._revision:
            column, descending = self._sort
            among = find_rows(rows, self._filter)
            self._order = self._revision, sort_rows(rows, column, descending=descending, among=among)
        return self._order[1]

    @property
    def picked(self) -> int | None:
        """Id of the object that the person chose; None when there is none, or it is gone."""
        table = self.counter.table
        if self._picked is not None and table is not None and table.find(self._picked) is None:
            return None
        return self._picked

    @property
    def state(self) -> TableState:
        """What the Objects section shows."""
        rows = self.rows if self._opened else None
        return TableState(
            classes=self.lists.of(self._layer),
            object_class=self._settings.object_class,
            has_target=self._layer is not None,
            picked=self.picked,
            revision=self._revision,
            count=None if rows is None else len(rows),
            shown=0 if rows is None else len(self.order),
            sort=self._sort,
            filter=self._filter,
            text=self._words(rows),
            by_class=self.colors.is_on,
        )

    def _words(self, rows: ObjectRows | None) -> str:
        if not self._opened:
            return ""
        if self._layer is None:
            return table_messages.NO_TARGET
        if self.counter.problem:
            return self.counter.problem
        if rows is None:
            return table_messages.counting(self.counter.share)
        return table_messages.counted(len(rows), len(self.order))

    # -- choosing ---------------------------------------------------------------------------------

    def sort(self, column: str, *, descending: bool) -> None:
        """Put the rows into the order of a column."""
        self._sort, self._order = (column, descending), None
        self._refresh(same_rows=True)

    def filter(self, text: str) -> None:
        """Show the rows for which all that a text says holds; see `find_rows`."""
        self._filter, self._order = text, None
        self._refresh(same_rows=True)

    def pick(self, label: int) -> bool:
        """Choose an object, and go where it is; tell whether there is such an object."""
        layer, table = self._layer, self.counter.table
        row = None if table is None else table.find(label)
        if layer is None or table is None or row is None:
            return False
        self._picked = label
        layer.selected_label = label
        go_to(self._viewer, self._active, layer, table, row)
        self.changed.emit()
        return True

    def next_label(self, reviewed: str = "") -> int | None:
        """Return the next object, in the order of the table after the chosen one, of which the person said this."""
        rows, order = self.rows, self.order
        if rows is None or not len(order):
            return None
        labels = rows.labels[order]
        wanted = rows.reviewed[order] == reviewed
        here = np.flatnonzero(labels == self.picked)
        start = int(here[0]) + 1 if len(here) else 0
        # After the last row, the first one.
        turned = np.roll(np.arange(len(order)), -start)
        found = turned[wanted[turned]]
        found = found[labels[found] != self.picked]
        return int(labels[found[0]]) if len(found) else None

    # -- events -----------------------------------------------------------------------------------

    def forget_names(self) -> None:
        """Read the classes of the objects anew: some were renamed."""
        if self._layer is not None:
            self.lists.forget_names(self._layer)

    def _refresh(self, *, same_rows: bool = False) -> None:
        self._revision += 1
        if same_rows and self._rows is not None:
            self._rows = self._revision, self._rows[1]
        self.changed.emit()

    def _on_counter_changed(self) -> None:
        self._refresh()

    def _on_layer_features(self, event: object) -> None:
        objects = noted_objects(event)
        if objects is None:
            self._noted = None
        elif self._noted is not None:
            self._noted.update(objects)
        if objects is not None and self._layer is not None:
            self.lists.note_names(self._layer, read_column(self._layer, CLASS, objects))
        self.colors.update()
        self._refresh()

    def _on_layer_selected_label(self) -> None:
        layer = self._layer
        label = 0 if layer is None else int(layer.selected_label)
        if label != self._picked:
            self._picked = label or None
            self.changed.emit()
