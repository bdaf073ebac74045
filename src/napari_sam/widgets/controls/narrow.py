"""Small widgets that several panels share: they stay narrow, and cut no text without saying what was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from napari_sam.widgets.keyboard import focus_canvas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtGui import QKeyEvent, QPaintEvent, QResizeEvent, QWheelEvent

_GAP = 4  # between buttons, logical pixels
_POPUP_WIDTH = 480  # logical pixels; a list may be wider than the dock, but not cover the image


def line_height(widget: QWidget) -> int:
    """Return the height of a control with one line of text, logical pixels.

    Not what the style says: napari's gives a control that is disabled a border, so that every panel would jump when
    one of its buttons becomes enabled.
    """
    return widget.fontMetrics().height() + 10


class ComboRow(NamedTuple):
    """One line of a `NarrowCombo`."""

    text: str
    data: object
    detail: str = ""


class NarrowCombo(QComboBox):
    """A combo box that never asks for width: a long text is elided, and its tooltip shows the whole of it.

    Only its open list chooses: neither the wheel nor a key does while it is closed. A person who walks the dock with
    the Tab key opens it by Space or Alt-Down. When the list closes, the keyboard is the canvas's again.

    Parameters
    ----------
    placeholder : str
        Shown when nothing is chosen.
    read : callable, optional
        Called before the list opens, to show the rows that there are by then.
    """

    elide = Qt.TextElideMode.ElideMiddle
    """Where a long row is cut: names of files, layers and models differ least in the middle."""

    def __init__(self, placeholder: str = "", read: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._read = read
        self._rows: tuple[ComboRow, ...] = ()
        self._help = ""
        self.setPlaceholderText(placeholder)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.currentIndexChanged.connect(self._on_index_changed)

    def set_help(self, text: str) -> None:
        """Set what the tooltip says below the name of the chosen row."""
        self._help = text
        self._on_index_changed()

    def show_rows(self, rows: Sequence[ComboRow], current: object) -> None:
        """Show these rows, with the one whose data is `current` chosen; nothing is signalled to the outside.

        Parameters
        ----------
        rows : sequence of ComboRow
            From top to bottom.
        current : object
            Data of the row to choose, compared by identity or equality; when no row has it, the placeholder shows.
        """
        if tuple(rows) != self._rows:
            self._rows = tuple(rows)
            self.clear()
            for i, row in enumerate(rows):
                self.addItem(row.text)
                self.setItemData(i, "\n".join(filter(None, (row.text, row.detail))), Qt.ItemDataRole.ToolTipRole)
        self.setCurrentIndex(next((i for i, row in enumerate(rows) if row.data is current or row.data == current), -1))
        # Qt says nothing where another row now stands at the same index.
        self._on_index_changed()

    def row(self, index: int) -> ComboRow:
        """Return the row at `index`."""
        return self._rows[index]

    def elided(self, width: int) -> str:
        """Give the text of the closed combo in a width, logical pixels; a sentence is cut at its end."""
        if text := self.currentText():
            return self.fontMetrics().elidedText(text, self.elide, width)
        return self.fontMetrics().elidedText(self.placeholderText(), Qt.TextElideMode.ElideRight, width)

    def _on_index_changed(self) -> None:
        self.setToolTip("\n".join(filter(None, (self.currentText(), self._help))))

    def sizeHint(self) -> QSize:
        """Return room for some letters, whatever the rows and the placeholder say."""
        return QSize(160, line_height(self))

    def minimumSizeHint(self) -> QSize:
        """Return room for a few letters."""
        return QSize(80, line_height(self))

    def showPopup(self) -> None:
        """Read the rows again, and widen the list to the longest, within reason."""
        if self._read is not None:
            self._read()
        view = self.view()
        if view is not None:
            view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
            view.setMinimumWidth(min(max(self.width(), view.sizeHintForColumn(0) + 24), _POPUP_WIDTH))
        super().showPopup()
        if view is not None and (popup := view.window()) is not None:
            popup.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Hear when the list closes: Qt calls `hidePopup` after a choice, but not after Escape or a click elsewhere."""
        if event is not None and event.type() == QEvent.Type.Hide and isinstance(watched, QWidget):
            # Each opening installs it anew.
            watched.removeEventFilter(self)
            self.list_closed()
        return super().eventFilter(watched, event)

    def list_closed(self) -> None:
        """Give the keyboard back, after a choice and without one."""
        focus_canvas(self)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Open the list, or leave; Qt would choose by arrow keys and by the first letter of a row."""
        if event is None:
            return
        alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        if event.key() == Qt.Key.Key_Space or (alt and event.key() == Qt.Key.Key_Down):
            self.showPopup()
        elif event.key() == Qt.Key.Key_Escape:
            focus_canvas(self)
        else:
            event.ignore()  # the window has the canvas handle it

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area: a scroll past a combo must not choose another image."""
        if event is not None:
            event.ignore()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint as usual, with the text elided."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        if (style := self.style()) is not None:
            field = style.subControlRect(
                QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
            )
            option.currentText = self.elided(field.width() - 4)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


def heading(text: str, right: QWidget | None = None) -> QWidget:
    """Return a section's title with a hairline to its right, and perhaps a few words at the end of that."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 6, 0, 0)
    layout.setSpacing(6)
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    line = QFrame()
    line.setObjectName("QtCustomTitleBarLine")  # napari's own style sheet colours this name in every theme
    line.setFixedHeight(1)
    layout.addWidget(label)
    layout.addWidget(line, 1)
    if right is not None:
        layout.addWidget(right)
    return row


class ButtonGrid(QWidget):
    """Buttons in columns of one width: in as many as there is room for.

    Parameters
    ----------
    buttons : sequence of QWidget
        From left to right, and from top to bottom.
    columns : int
        The most columns.
    """

    def __init__(self, buttons: Sequence[QWidget], columns: int = 2) -> None:
        super().__init__()
        self._buttons = tuple(buttons)
        self._most = columns
        self._keeping = QTimer(self)  # ends with the grid
        self._keeping.setSingleShot(True)
        self._keeping.timeout.connect(self._keep_height)
        for button in self._buttons:
            button.setParent(self)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def sizeHint(self) -> QSize:
        """Return room for all columns."""
        width = self._width_of([self._widest()] * self._most)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """Return the width of one column, and the height of all columns."""
        return QSize(self._widest(), self.sizeHint().height())

    def heightForWidth(self, width: int) -> int:
        """Return the height of as many rows as it takes at this width, logical pixels."""
        rows = -(-len(self._buttons) // self._columns(width))
        return rows * self._row_height() + (rows - 1) * _GAP

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put the buttons into as many columns as there is room for."""
        super().resizeEvent(event)
        height, widths = self._row_height(), self._widths(self.width())
        for i, button in enumerate(self._buttons):
            row, column = divmod(i, len(widths))
            left = self._width_of(widths[:column]) + _GAP * (column > 0)
            button.setGeometry(left, row * (height + _GAP), widths[column], height)
        # Not now: a layout that is at work does not hear of it.
        self._keeping.start()

    def _widths(self, width: int) -> list[int]:
        """Return the widths of the columns."""
        columns = self._columns(width)
        return [(width - (columns - 1) * _GAP) // columns] * columns

    def _columns(self, width: int) -> int:
        wide = [self._widest()] * self._most
        return next((n for n in range(self._most, 1, -1) if width >= self._width_of(wide[:n])), 1)

    def _width_of(self, widths: Sequence[int]) -> int:
        """Return the width of columns with the gaps between them."""
        return sum(widths) + _GAP * max(0, len(widths) - 1)

    def _keep_height(self) -> None:
        self.setMinimumHeight(self.heightForWidth(self.width()))

    def _row_height(self) -> int:
        return max(button.sizeHint().height() for button in self._buttons)

    def _widest(self) -> int:
        return max(self._least())

    def _least(self) -> list[int]:
        return [button.minimumSizeHint().width() for button in self._buttons]


class ButtonRow(ButtonGrid):
    """Buttons in one row, each as wide as its words need; in columns where a row is too narrow for that.

    Parameters
    ----------
    buttons, columns
        As `ButtonGrid` takes them.
    """

    def sizeHint(self) -> QSize:
        """Return room for one row."""
        return QSize(self._width_of([button.sizeHint().width() for button in self._buttons]), self._row_height())

    def _columns(self, width: int) -> int:
        return len(self._buttons) if width >= self._width_of(self._least()) else super()._columns(width)

    def _widths(self, width: int) -> list[int]:
        least, n = self._least(), len(self._buttons)
        spare = width - self._width_of(least)
        if spare < 0:
            return super()._widths(width)
        # What is over is dealt out in whole pixels, so that the row is filled to its end.
        return [one + spare * (i + 1) // n - spare * i // n for i, one in enumerate(least)]
