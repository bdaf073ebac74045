"""The keys, folded away until somebody asks: the legend, where each key can be exchanged for another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt, Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QGridLayout, QPushButton, QSizePolicy, QWidget

from napari_sam.errors import InputError
from napari_sam.widgets.controls.action_button import keys_text
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.narrow import line_height
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas

if TYPE_CHECKING:
    from qtpy.QtGui import QFocusEvent, QResizeEvent

    from napari_sam.session import Session
    from napari_sam.session.actions import Action

_HELP = "Click a key, then press the one that you want instead. Backspace brings the first one back, Escape leaves it."
_WAITING = "Press a key"
_WIDTH = 100  # logical pixels
_MODIFIERS = (
    (Qt.KeyboardModifier.ControlModifier, "Ctrl"),
    (Qt.KeyboardModifier.AltModifier, "Alt"),
    (Qt.KeyboardModifier.MetaModifier, "Meta"),
    (Qt.KeyboardModifier.ShiftModifier, "Shift"),
)
_ALONE = frozenset({Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta, Qt.Key.Key_Shift, Qt.Key.Key_AltGr})
_NAMES = {"Return": "Enter", "Esc": "Escape", "Del": "Delete", "Ins": "Insert", "PgUp": "PageUp", "PgDown": "PageDown"}
"""Where napari has another name for a key than Qt."""


def pressed_key(event: QKeyEvent) -> str:
    """Write the key of an event as napari does, such as "Ctrl-Shift-Z"; "" for a modifier that is pressed alone."""
    if event.key() in _ALONE:
        return ""
    name = QKeySequence(event.key()).toString(QKeySequence.SequenceFormat.PortableText)
    held = [text for modifier, text in _MODIFIERS if event.modifiers() & modifier]
    return "-".join((*held, _NAMES.get(name, name)))


class KeyButton(QPushButton):
    """Shows the keys of an action, and waits for another one when it is pressed.

    Parameters
    ----------
    action : Action
        Whose keys.
    """

    pressed_another = Signal(str)
    """A key was pressed, as napari writes it."""
    reset_wanted = Signal()
    """The keys that the action had at first are wanted."""

    def __init__(self, action: Action) -> None:
        super().__init__()
        self._keys = ""
        self._title, self._help = action.title, action.tooltip
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setStyleSheet("QPushButton { text-align: left; padding-left: 4px; }")
        self.toggled.connect(self._on_toggled)

    @property
    def waiting(self) -> bool:
        """Whether the next key is taken for the action."""
        return self.isChecked()

    def show_keys(self, text: str) -> None:
        """Show the keys of the action."""
        self._keys = text
        self.setAccessibleName(f"Key of {self._title}: {text}")
        self.setToolTip(f"{text}\n{self._help}\n{_HELP}")
        self._draw()

    def sizeHint(self) -> QSize:
        """Return the height of one line; the width is that of the column."""
        return QSize(_WIDTH, line_height(self))

    def minimumSizeHint(self) -> QSize:
        """Return room for most keys."""
        return self.sizeHint()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Cut the keys where there is no room for all; the tooltip has them."""
        super().resizeEvent(event)
        self._draw()

    def event(self, event: QEvent | None) -> bool:
        """Take every key while one is awaited, before menus and the Tab order do."""
        if self.waiting and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self._take(event)
                return True
        return super().event(event)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Wait no longer."""
        self.setChecked(False)
        super().focusOutEvent(event)

    def _take(self, event: QKeyEvent) -> None:
        event.accept()
        # The key that pressed this button may still be held.
        if event.isAutoRepeat() or not (key := pressed_key(event)):
            return
        self.setChecked(False)
        if key == "Backspace":
            self.reset_wanted.emit()
        elif key != "Escape":
            self.pressed_another.emit(key)
        focus_canvas(self)

    def _on_toggled(self, waiting: bool) -> None:
        if waiting:
            self.setFocus(Qt.FocusReason.OtherFocusReason)
        self._draw()

    def _draw(self) -> None:
        elided = self.fontMetrics().elidedText(self._keys, Qt.TextElideMode.ElideRight, self.width() - 10)
        self.setText(_WAITING if self.waiting else elided)


class KeysPanel(CollapsibleSection):
    """Lists every action with its keys, and lets the person choose others.

    Parameters
    ----------
    session : Session
        Whose keys these are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Keys")
        self._session = session
        self.buttons = {action.id: KeyButton(action) for action in session.actions.values()}
        self.reset_button = section_button("Reset all keys", "Bring all first keys back.", self._on_reset_clicked)
        self.help = WrappedLabel()
        self.help.show_text(_HELP)
        self.groups: dict[str, QPushButton] = {}
        """Buttons that stand for the keys of many actions in one line, until one of these is looked at or changed."""
        self._rows: dict[str, tuple[QWidget, QWidget]] = {}
        self._unfolded: set[str] = set()
        self._build()
        session.keys.changed.connect(self._on_keys_changed)
        self._on_keys_changed()

    def _build(self) -> None:
        legend = QWidget()
        grid = QGridLayout(legend)
        grid.setContentsMargins(4, 0, 0, 4)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 5)
        grid.setColumnStretch(1, 4)
        for name, button in self.buttons.items():
            action = self._session.actions[name]
            if action.group and action.group not in self.groups:
                self.groups[action.group] = self._group_button(action.group)
                self._add_row(grid, action.group, self.groups[action.group], action.group, action.tooltip)
            button.pressed_another.connect(partial(self._choose, name))
            button.reset_wanted.connect(partial(self._reset, name))
            self._add_row(grid, name, button, action.title, action.tooltip)
        for widget in (self.help, self.reset_button):
            grid.addWidget(widget, grid.rowCount(), 0, 1, 2)
        self.addWidget(legend)

    def _add_row(self, grid: QGridLayout, name: str, button: QPushButton, title: str, tooltip: str) -> None:
        what, row = WrappedLabel(), len(self._rows)
        what.show_text(title)
        what.setToolTip(tooltip)
        grid.addWidget(button, row, 0)
        grid.addWidget(what, row, 1)
        self._rows[name] = button, what

    def _group_button(self, group: str) -> QPushButton:
        """Make the button that stands for the keys of a group of actions."""
        names = self._members(group)
        first, last = (keys_text(self._session.keys.of(name)) for name in (names[0], names[-1]))
        button = section_button(
            f"{first} … {last}", "Click to choose these keys one by one.", partial(self._unfold, group)
        )
        button.setAccessibleName(f"Keys of {group}: {first} to {last}")
        button.setStyleSheet("QPushButton { text-align: left; padding-left: 4px; }")
        return button

    def _members(self, group: str) -> list[str]:
        return [action.id for action in self._session.actions.values() if action.group == group]

    def _unfold(self, group: str) -> None:
        self._unfolded.add(group)
        self._show_groups()

    def _show_groups(self) -> None:
        """Show a group in one line, unless its keys are looked at one by one, or one of them was chosen."""
        for group in self.groups:
            names = self._members(group)
            one_by_one = group in self._unfolded or any(self._session.keys.is_chosen(name) for name in names)
            for name in (group, *names):
                for widget in self._rows[name]:
                    widget.setVisible(one_by_one is not (name == group))

    def _choose(self, name: str, key: str) -> None:
        title = self._session.actions[name].title
        try:
            if menu := self._menu_entry(key):
                raise InputError(f"{key} is napari's {menu}. Choose another key.")
            self._session.keys.choose(name, key)
        except InputError as error:
            self.help.show_text(str(error))
        else:
            self.help.show_text(f"{title} has the key {keys_text((key,))} now.")

    def _reset(self, name: str) -> None:
        try:
            self._session.keys.reset(name)
        except InputError as error:
            self.help.show_text(str(error))
        else:
            self.help.show_text(f"{self._session.actions[name].title} has its first key again.")

    def _menu_entry(self, key: str) -> str:
        """Return the words of an entry of the window's menus that has a key; "" where there is none."""
        wanted = QKeySequence(key.replace("-", "+"))
        window = self.window()
        # Of each widget: who made an action need not have put it into the window.
        for widget in [] if window is None else (window, *window.findChildren(QWidget)):
            for action in widget.actions():
                if wanted in action.shortcuts():
                    return f'"{action.text().replace("&", "")}"'
        return ""

    def _on_reset_clicked(self) -> None:
        self._unfolded.clear()
        self._session.keys.reset()
        self.help.show_text(_HELP)

    def _on_keys_changed(self) -> None:
        keys = self._session.keys
        for name, button in self.buttons.items():
            button.show_keys(keys_text(keys.of(name)))
        self._show_groups()
        self.reset_button.setEnabled(keys.is_chosen())
