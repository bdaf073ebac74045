"""The classes of the target: which one new objects get, and how they are called and coloured."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QColorDialog, QMenu, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.widgets.controls.action_button import keys_text
from napari_sam.widgets.controls.narrow import ButtonGrid, line_height
from napari_sam.widgets.keyboard import focus_canvas
from napari_sam.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from qtpy.QtCore import QPoint

    from napari_sam.session import Session
    from napari_sam.session.state import ObjectClass, TableState

_SWATCH = 12  # logical pixels
_EDIT = "Right-click to rename it, to choose another colour or to remove it."


def swatch(color: str) -> QIcon:
    """Draw a square of a colour, with a rim that shows on any theme."""
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(QColor(color))
    painter = QPainter(pixmap)
    painter.setPen(QColor("#808080"))
    painter.drawRect(0, 0, _SWATCH - 1, _SWATCH - 1)
    painter.end()
    return QIcon(pixmap)


class ClassButton(QPushButton):
    """A class: a click chooses it, as its key does.

    Parameters
    ----------
    one : ObjectClass
        The class.
    number : int
        Its place in the list, from 1 on.
    keys : tuple of str
        Its keys; none for those after the ninth.
    """

    def __init__(self, one: ObjectClass, number: int, keys: tuple[str, ...]) -> None:
        super().__init__(swatch(one.color), "")
        self.object_class = one
        self._name = f"{number} {one.name}" if keys else one.name
        self.setCheckable(True)
        self.setIconSize(QSize(_SWATCH, _SWATCH))
        key = f"\nKey: {keys_text(keys)}" if keys else ""
        self.setToolTip(f"{one.name}: the class of the chosen object, or else of new ones.{key}\n{_EDIT}")
        self.setAccessibleName(f"Class {one.name}")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setStyleSheet("text-align: left; padding-left: 4px")

    def sizeHint(self) -> QSize:
        """Return room for a word; a longer name is elided."""
        return QSize(110, line_height(self))

    def minimumSizeHint(self) -> QSize:
        """Return room for a short word."""
        return QSize(90, line_height(self))

    def resizeEvent(self, event: object) -> None:
        """Elide the name."""
        super().resizeEvent(event)  # type: ignore[arg-type]  # a QResizeEvent; qtpy has no stub for it
        room = self.width() - _SWATCH - 20
        self.setText(self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideRight, room))


class ClassList(QWidget):
    """Draws the classes, and a line to add one.

    Parameters
    ----------
    session : Session
        Whose classes they are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._classes: tuple[ObjectClass, ...] | None = None
        self._renamed = ""
        self.buttons: list[ClassButton] = []
        self._grid: ButtonGrid | None = None
        self.line = TypedLine("Add a class", "A name for a kind of objects; Enter adds it, and new objects get it.")
        self.line.setAccessibleName("Add a class")
        self.line.entered.connect(self._on_line_entered)
        self.line.left.connect(self._leave_line)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addWidget(self.line)

    def draw(self, objects: TableState) -> None:
        """Show the classes, and which one new objects get."""
        if objects.classes != self._classes:
            self._classes = objects.classes
            self._build()
        for button in self.buttons:
            button.setChecked(button.object_class.name == objects.object_class)

    def _build(self) -> None:
        if self._grid is not None:
            self._column.removeWidget(self._grid)
            self._grid.hide()
            self._grid.deleteLater()
            self._grid = None
        self.buttons = []
        for number, one in enumerate(self._classes or (), 1):
            action = self._session.actions.get(f"class_{number}")
            button = ClassButton(one, number, () if action is None else action.keys)
            button.clicked.connect(partial(self._on_button_clicked, number))
            button.customContextMenuRequested.connect(partial(self._on_menu_requested, button))
            self.buttons.append(button)
        if self.buttons:
            self._grid = ButtonGrid(self.buttons)
            self._column.insertWidget(0, self._grid)

    def _on_button_clicked(self, number: int) -> None:
        # Pressed once more, it is none.
        chosen = self._session.state.table
        again = chosen.picked is None and chosen.classes[number - 1].name == chosen.object_class
        self._session.table.choose_class(0 if again else number)
        # Qt has toggled the button, and a state that did not change is not told.
        self.draw(self._session.state.table)

    def menu_for(self, button: ClassButton) -> QMenu:
        """Make the menu of a class."""
        name, menu = button.object_class.name, QMenu(self)
        for text, run in (
            ("Rename", partial(self._rename, name)),
            ("Colour", partial(self._choose_color, button.object_class)),
            ("Remove", partial(self._session.table.remove_class, name)),
        ):
            if (entry := menu.addAction(text)) is not None:
                entry.triggered.connect(partial(_call, run))
        return menu

    def _on_menu_requested(self, button: ClassButton, position: QPoint) -> None:
        menu = self.menu_for(button)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(button.mapToGlobal(position))

    def _rename(self, name: str) -> None:
        self._renamed = name
        self.line.setPlaceholderText(f"New name of {name}")
        self.line.setText(name)
        self.line.selectAll()
        self.line.setFocus()

    def _choose_color(self, one: ObjectClass) -> None:
        dialog = QColorDialog(QColor(one.color), self)
        dialog.setWindowTitle(f"Colour of {one.name}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(lambda color: self._session.table.color_class(one.name, color.name()))
        dialog.open()

    def _on_line_entered(self) -> None:
        name, renamed = self.line.text(), self._renamed
        if name.strip() and renamed:
            self._session.table.rename_class(renamed, name)
        elif name.strip():
            self._session.table.add_class(name)
        self._leave_line()

    def _leave_line(self) -> None:
        self._renamed = ""
        self.line.clear()
        self.line.setPlaceholderText("Add a class")
        focus_canvas(self.line)


def _call(run: object, *_checked: object) -> None:
    """Run what takes nothing of what Qt hands over."""
    assert callable(run)
    run()
