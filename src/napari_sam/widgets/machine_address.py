"""Asks for the address of another machine, which then encodes planes."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.errors import InputError
from napari_sam.remote.addresses import PORT, complete_address
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas
from napari_sam.widgets.typed_line import TypedLine

_HELP = (
    "Another machine encodes the planes, and this computer answers clicks. How to start it: see "
    "“A GPU on another machine” in the documents."
)


class MachineAddress(QWidget):
    """A line for an address with two buttons, hidden until it is asked for."""

    chosen = Signal(str)
    """The address that was typed, in full."""
    closed = Signal()
    """Nothing is asked any more."""

    def __init__(self) -> None:
        super().__init__()
        self.text = WrappedLabel()
        self.box = TypedLine(
            f"tcp://NAME:{PORT}", "The address that its Dask scheduler prints; its name alone will mostly do."
        )
        self.box.setAccessibleName("Address of the other machine")
        self.use_button, self.keep_button = QPushButton("Use it"), QPushButton("Not now")
        self.use_button.setToolTip("Encode planes on this machine")
        self.keep_button.setToolTip("Keep the device in use")
        for button in (self.use_button, self.keep_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.box, self.text, ButtonGrid([self.use_button, self.keep_button])):
            layout.addWidget(widget)
        self.box.entered.connect(self._on_box_entered)
        self.box.left.connect(self.close_offer)
        self.use_button.clicked.connect(self._on_box_entered)
        self.keep_button.clicked.connect(self.close_offer)
        self.hide()

    def ask(self) -> None:
        """Ask for an address; the keyboard goes there."""
        self.text.show_text(_HELP)
        self.show()
        self.box.setFocus(Qt.FocusReason.OtherFocusReason)
        self.box.selectAll()

    def close_offer(self) -> None:
        """Ask for nothing any more, and give the keyboard back to the canvas."""
        focus_canvas(self)
        self.hide()
        self.closed.emit()

    def _on_box_entered(self) -> None:
        try:
            address = complete_address(self.box.text())
        except InputError as error:
            self.text.show_text(str(error))
            self.box.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        self.box.setText(address)
        self.close_offer()
        self.chosen.emit(address)
