"""The choice of a tempo: how a prompt becomes an object."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_sam.session.settings import TEMPOS
from napari_sam.widgets.controls.action_button import KeyTooltip
from napari_sam.widgets.controls.section_button import section_button

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

    from napari_sam.session import Session
    from napari_sam.session.settings import Tempo
    from napari_sam.session.state import SessionState


_GAP = 4  # between buttons, logical pixels


class TempoRow(QWidget):
    """One button for each tempo, in a row; the one of the tempo that is chosen stays down.

    Parameters
    ----------
    session : Session
        Whose tempo it is.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_GAP)
        self._label = QLabel("Tempo")
        row.addWidget(self._label)
        self.buttons = {
            choice.name: section_button(choice.title, choice.tooltip, partial(self._choose, choice.name))
            for choice in TEMPOS
        }
        for choice in TEMPOS:
            button = self.buttons[choice.name]
            KeyTooltip(button, session, "next_tempo", f"{choice.tooltip}\nKey for the next tempo: ")
            button.setCheckable(True)
            button.setAccessibleName(f"Tempo: {choice.title.lower()}")
            row.addWidget(button, 1)

    def minimumSizeHint(self) -> QSize:
        """Return room for the buttons; the word before them is shown where there is more."""
        return QSize(self._width_of_buttons(), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show the word where there is room for it."""
        super().resizeEvent(event)
        self._label.setVisible(self.width() >= self._label.sizeHint().width() + _GAP + self._width_of_buttons())

    def draw(self, state: SessionState) -> None:
        """Press down the button of the tempo that is chosen."""
        for name, button in self.buttons.items():
            button.setChecked(name == state.tempo)

    def _width_of_buttons(self) -> int:
        widths = [button.minimumSizeHint().width() for button in self.buttons.values()]
        return sum(widths) + _GAP * (len(widths) - 1)

    def _choose(self, tempo: Tempo) -> None:
        self._session.tempo = tempo
        # Qt has toggled the button, and a choice that did not change is not told.
        self.draw(self._session.state)
