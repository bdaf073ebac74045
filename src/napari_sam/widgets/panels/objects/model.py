"""The table of objects as Qt asks for it: cell by cell, so that 100,000 rows cost what one screenful does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_sam.session.table.columns import COLUMNS
from napari_sam.widgets.panels.objects.class_list import swatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qtpy.QtGui import QIcon

    from napari_sam.session import Session
    from napari_sam.session.table.rows import ObjectRows

_NOWHERE = QModelIndex()
_MARKS = {"checked": "✓", "unsure": "?"}


class ObjectTableModel(QAbstractTableModel):
    """Shows the rows of `Session.table`; sorting and filtering are the session's.

    Parameters
    ----------
    session : Session
        Whose objects they are.
    columns : sequence of str
        Which of `napari_sam.session.table.columns.COLUMNS` there are.
    short : bool
        Whether there is room for marks and units only, not for words.
    """

    def __init__(self, session: Session, columns: Sequence[str], *, short: bool) -> None:
        super().__init__()
        self._session = session
        self._short = short
        self.columns = tuple(COLUMNS[column] for column in columns)
        self._revision = -1
        self._rows: ObjectRows | None = None
        self._order: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._icons: dict[str, QIcon] = {}

    def show_newest(self) -> bool:
        """Show the rows of now; tell whether they are others than before."""
        state = self._session.state.table
        if state.revision == self._revision:
            return False
        rows, order = self._session.table.rows, np.asarray(self._session.table.order)
        self._revision = state.revision
        icons = {one.name: swatch(one.color) for one in state.classes}
        if len(order) == len(self._order) and len(order):
            # As many as before: the view keeps its place.
            self.layoutAboutToBeChanged.emit()
            self._rows, self._order, self._icons = rows, order, icons
            self.layoutChanged.emit()
        else:
            self.beginResetModel()
            self._rows, self._order, self._icons = rows, order, icons
            self.endResetModel()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(self.columns) - 1)
        return True

    def label(self, row: int) -> int | None:
        """Return the id of the object in a row; None where there is none."""
        if self._rows is None or not 0 <= row < len(self._order):
            return None
        return int(self._rows.labels[self._order[row]])

    def find(self, label: int | None) -> int | None:
        """Return the row of an object; None where it is not shown."""
        if self._rows is None or label is None:
            return None
        found = np.flatnonzero(self._rows.labels[self._order] == label)
        return int(found[0]) if len(found) else None

    # -- what Qt asks -----------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Return how many objects there are."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        if self._rows is None or not index.isValid() or index.row() >= len(self._order):
            return None
        column, row = self.columns[index.column()], int(self._order[index.row()])
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole, Qt.ItemDataRole.ToolTipRole):
            text = column.text(self._rows, row)
            if column.id != "reviewed":
                return text
            mark = _MARKS.get(text, "")
            return mark if self._short and role == Qt.ItemDataRole.DisplayRole else f"{mark} {text}".strip()
        if role == Qt.ItemDataRole.TextAlignmentRole and (
            column.is_number or (column.id == "reviewed" and self._short)
        ):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.DecorationRole and column.id == "class":
            return self._icons.get(str(self._rows.classes[row]))
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the heading of a column, or its tooltip."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if self._short and role == Qt.ItemDataRole.DisplayRole and column.id in ("size", "reviewed"):
            return "✓" if column.id == "reviewed" else "px" if self._rows is None else self._rows.unit or "px"
        if role == Qt.ItemDataRole.DisplayRole:
            return column.id.capitalize() if self._rows is None else column.title(self._rows)
        title = column.id.capitalize() if self._rows is None else column.title(self._rows)
        return f"{title}. {column.help}\nClick to sort." if role == Qt.ItemDataRole.ToolTipRole else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let classes be edited."""
        flags = super().flags(index)
        editable = index.isValid() and self.columns[index.column()].id == "class"
        return flags | Qt.ItemFlag.ItemIsEditable if editable else flags

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Give an object the class that was typed or chosen."""
        label = self.label(index.row())
        if role != Qt.ItemDataRole.EditRole or label is None:
            return False
        self._session.table.classify([label], " ".join(str(value).split()))
        return True

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows into the order of a column."""
        wanted = self.columns[column].id, order == Qt.SortOrder.DescendingOrder
        # Qt also sorts when the view is made.
        if wanted != self._session.state.table.sort:
            self._session.table.sort(wanted[0], descending=wanted[1])
