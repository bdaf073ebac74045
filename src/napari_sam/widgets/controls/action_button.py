"""A button made from a row of the table of actions: its words, its keys and when it may be pressed come from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QSize, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QPushButton, QSizePolicy

from napari_sam.widgets.controls.narrow import line_height

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_sam.session import Session
    from napari_sam.session.actions import Action
    from napari_sam.session.state import SessionState


_QT_NAMES = {"Control": "Ctrl", "PageUp": "PgUp", "PageDown": "PgDown"}
"""Where Qt does not know a key by the name that napari has for it."""


def keys_text(keys: tuple[str, ...], between: str = " or ") -> str:
    """Return the keys of an action as this platform writes them, such as "Ctrl+Z"; "" when there are none.

    Parameters
    ----------
    keys : tuple of str
        As napari writes them, such as "Shift-X" or "Control-Z".
    between : str
        What stands between two of them.
    """
    names = [key.replace("-", "+") for key in keys]
    for napari_s, qt_s in _QT_NAMES.items():
        names = [name.replace(napari_s, qt_s) for name in names]
    return between.join(QKeySequence(name).toString(QKeySequence.SequenceFormat.NativeText) for name in names)


class KeyTooltip(QObject):
    """The tooltip of a widget, which ends with the keys of an action, and goes with them.

    Parameters
    ----------
    widget : QWidget
        Whose tooltip.
    session : Session
        Whose keys.
    action : str
        The action.
    text : str
        What stands before the keys.
    """

    def __init__(self, widget: QWidget, session: Session, action: str, text: str) -> None:
        super().__init__(widget)
        self._widget, self._keys, self._action, self._text = widget, session.keys, action, text
        self._keys.changed.connect(self._on_keys_changed)
        self._on_keys_changed()

    def _on_keys_changed(self) -> None:
        self._widget.setToolTip(f"{self._text}{keys_text(self._keys.of(self._action))}")


class ActionButton(QPushButton):
    """A push button for one action.

    Parameters
    ----------
    action : Action
        The row of the table.
    session : Session
        What the action acts on.
    """

    def __init__(self, action: Action, session: Session) -> None:
        super().__init__(action.title)
        self._action = action
        self._session = session
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        # The keyboard stays with the canvas: a click on a button must not turn Enter or Space into another click.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clicked.connect(self._on_clicked)
        KeyTooltip(self, session, action.id, f"{action.tooltip}\nKey: ")

    def sizeHint(self) -> QSize:
        """Return room for the words; Qt's styles ask for more, which four buttons in a row have not."""
        return self._size(12)

    def minimumSizeHint(self) -> QSize:
        """Return as little room as the words can do with."""
        return self._size(4)

    def _size(self, padding: int) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance(self.text()) + padding, line_height(self))

    def draw(self, state: SessionState) -> None:
        """Enable the button when the action would do something."""
        self.setEnabled(self._action.enabled(state))

    def _on_clicked(self) -> None:
        self._action.run(self._session)
        # Qt has toggled a button that can stay down, and a state that did not change is not told.
        self.draw(self._session.state)
