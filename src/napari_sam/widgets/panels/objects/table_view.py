"""The view of the table of objects: a click goes to the object, a double-click on its class chooses another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, QSize, Qt
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QStyledItemDelegate, QTableView, QWidget

from napari_sam.widgets.keyboard import focus_canvas
from napari_sam.widgets.panels.objects.model import ObjectTableModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QAbstractItemModel
    from qtpy.QtGui import QKeyEvent
    from qtpy.QtWidgets import QStyleOptionViewItem

    from napari_sam.session import Session
    from napari_sam.session.state import TableState

_ROWS = 8  # that are seen without scrolling
_MOVES = frozenset(
    (
        Qt.Key.Key_Up,
        Qt.Key.Key_Down,
        Qt.Key.Key_PageUp,
        Qt.Key.Key_PageDown,
        Qt.Key.Key_Home,
        Qt.Key.Key_End,
        Qt.Key.Key_Tab,
        Qt.Key.Key_Backtab,
    )
)


class ClassDelegate(QStyledItemDelegate):
    """Lets a class be chosen from those that there are, or a new one be typed.

    Parameters
    ----------
    session : Session
        Whose classes they are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def createEditor(
        self, parent: QWidget | None, _option: QStyleOptionViewItem, _index: QModelIndex
    ) -> QWidget | None:
        """Make a combo box."""
        combo = QComboBox(parent)
        combo.setEditable(True)
        combo.addItem("")
        combo.addItems([one.name for one in self._session.state.table.classes])
        combo.activated.connect(lambda: self._finish(combo))
        return combo

    def setEditorData(self, editor: QWidget | None, index: QModelIndex) -> None:
        """Begin with the class of now."""
        if isinstance(editor, QComboBox):
            editor.setCurrentText(str(index.data() or ""))

    def setModelData(self, editor: QWidget | None, model: QAbstractItemModel | None, index: QModelIndex) -> None:
        """Give the object what was chosen, unless that is what it has."""
        if isinstance(editor, QComboBox) and model is not None and editor.currentText() != (index.data() or ""):
            model.setData(index, editor.currentText())

    def _finish(self, combo: QComboBox) -> None:
        self.commitData.emit(combo)
        self.closeEditor.emit(combo)


class ObjectTableView(QTableView):
    """A table of the objects of a session.

    The keyboard stays with the canvas when it is clicked; who walks to it with the Tab key moves by the arrow keys.

    Parameters
    ----------
    session : Session
        Whose objects they are.
    columns : sequence of str
        Which of `napari_sam.session.table.columns.COLUMNS` there are.
    """

    def __init__(self, session: Session, columns: Sequence[str]) -> None:
        super().__init__()
        self._session = session
        self._draws = False
        self.table = ObjectTableModel(session, columns, short="prompts" not in columns)
        self._delegate = ClassDelegate(session)
        self.setModel(self.table)
        self.setItemDelegateForColumn(columns.index("class"), self._delegate)
        self._set_up(columns)

    def _set_up(self, columns: Sequence[str]) -> None:
        self.setAccessibleName("Objects")
        self.setToolTip("Click a row to go to its object; double-click a class to change it.")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        if (rows := self.verticalHeader()) is not None:
            rows.hide()
            rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        if (heads := self.horizontalHeader()) is not None:
            heads.setMinimumSectionSize(30)
            heads.setHighlightSections(False)
            heads.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            heads.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
            for place, name in enumerate(columns):
                wide = name in ("class", "prompts", "planes")
                heads.setSectionResizeMode(
                    place, QHeaderView.ResizeMode.Stretch if wide else QHeaderView.ResizeMode.Interactive
                )
        self.setSortingEnabled(True)
        if (selection := self.selectionModel()) is not None:
            selection.currentRowChanged.connect(self._on_current_row_changed)
        self._fit_columns()

    def sizeHint(self) -> QSize:
        """Return room for some rows."""
        rows, heads = self.verticalHeader(), self.horizontalHeader()
        height = 0 if rows is None or heads is None else rows.defaultSectionSize() * _ROWS + heads.sizeHint().height()
        return QSize(220, height + 4)

    def minimumSizeHint(self) -> QSize:
        """Return room for some rows, however narrow."""
        return QSize(160, self.sizeHint().height() // 2)

    def draw(self, objects: TableState) -> None:
        """Show the rows of now, and the chosen one."""
        self._draws = True
        try:
            if self.table.show_newest():
                self._fit_columns()
                self._show_sort(objects)
            self._show_picked(objects.picked)
        finally:
            self._draws = False

    def _show_picked(self, picked: int | None) -> None:
        row, selection = self.table.find(picked), self.selectionModel()
        if selection is None:
            return
        if row is None:
            selection.clear()
        elif not (selection.isRowSelected(row, QModelIndex()) and self.currentIndex().row() == row):
            self.setCurrentIndex(self.table.index(row, 0))
            self.scrollTo(self.table.index(row, 0))

    def _show_sort(self, objects: TableState) -> None:
        """Let the heading show what another view, or a script, sorted by."""
        name, descending = objects.sort
        places = [place for place, column in enumerate(self.table.columns) if column.id == name]
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        if (heads := self.horizontalHeader()) is not None and places:
            heads.setSortIndicator(places[0], order)

    def _fit_columns(self) -> None:
        """Make columns of numbers as wide as what the heading and the cells on screen need; others take the rest."""
        heads = self.horizontalHeader()
        if heads is None:
            return
        for place in range(len(self.table.columns)):
            if heads.sectionResizeMode(place) == QHeaderView.ResizeMode.Interactive:
                heads.resizeSection(place, max(heads.sectionSizeHint(place), self.sizeHintForColumn(place)))

    def _on_current_row_changed(self, current: QModelIndex, _before: QModelIndex) -> None:
        label = self.table.label(current.row())
        if not self._draws and label is not None:
            self._session.table.pick(label)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move by the arrow keys; all other keys are the canvas's, or Escape, which goes back to it."""
        if event is None:
            return
        if event.key() in _MOVES:
            super().keyPressEvent(event)
        elif event.key() == Qt.Key.Key_Escape:
            focus_canvas(self)
        else:
            event.ignore()  # the window has the canvas handle it
