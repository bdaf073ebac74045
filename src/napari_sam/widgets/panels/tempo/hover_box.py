"""The switch of the preview under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox

from napari_sam.widgets.controls.action_button import KeyTooltip

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState


class HoverBox(QCheckBox):
    """Switches the preview under the cursor on and off.

    Parameters
    ----------
    session : Session
        Whose preview it is.
    """

    def __init__(self, session: Session) -> None:
        action = session.actions["toggle_hover"]
        super().__init__("Hover")  # its whole name is wider than a narrow dock
        self._session = session
        KeyTooltip(self, session, action.id, f"{action.tooltip}\nKey: ")
        self.setAccessibleName("Preview under the cursor")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clicked.connect(self._on_clicked)

    def draw(self, state: SessionState) -> None:
        """Tick the box while the preview is on."""
        self.setChecked(state.hover)

    def _on_clicked(self, checked: bool) -> None:
        self._session.hover = checked
