"""The offer to restore objects, in place: nothing has to be answered before work goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState


class RecoveryPanel(QFrame):
    """Draws what can be restored, and the choice; there is nothing of it where there is no offer.

    Parameters
    ----------
    session : Session
        Whose offer this is.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.text = WrappedLabel()
        self.restore_button = _button("Restore", "Write these objects into a labels layer, with their ids. Undo works.")
        self.later_button = _button("Not now", "Hide this offer. The journal keeps the objects.")
        self.restore_button.clicked.connect(lambda: session.recovery.restore())
        self.later_button.clicked.connect(lambda: session.recovery.dismiss())
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.restore_button, 1)
        buttons.addWidget(self.later_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.setAccessibleName("Restore objects")
        self.hide()

    def draw(self, state: SessionState) -> None:
        """Show the offer, if there is one."""
        offer = state.recovery.offer
        self.text.show_text(f"Restore your work? {offer}" if offer else "")
        self.setVisible(bool(offer))


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAccessibleName(text)
    # Clicks on the image, not keys for a button, are what follows.
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
