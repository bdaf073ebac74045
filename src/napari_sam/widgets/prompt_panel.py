"""The tools: what a click on the image says about the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_sam.widgets.action_button import ActionButton
from napari_sam.widgets.controls import heading
from napari_sam.widgets.icons import tool_icon

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.actions import Action
    from napari_sam.session.state import SessionState, Tool

_ICON = 16  # logical pixels
_TOOLS: tuple[Tool, ...] = ("positive", "negative", "box")


class ToolButton(ActionButton):
    """A button that stays down while its tool is the one in hand."""

    def __init__(self, tool: Tool, action: Action, session: Session) -> None:
        super().__init__(action, session)
        self._tool = tool
        self.setCheckable(True)
        self.setIcon(tool_icon(tool, _ICON, self.devicePixelRatioF()))
        self.setIconSize(QSize(_ICON, _ICON))

    def draw(self, state: SessionState) -> None:
        """Press the button down when its tool is in hand."""
        super().draw(state)
        self.setChecked(state.tool == self._tool)

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the icon anew for a screen of another resolution."""
        if event is not None and event.type() == QEvent.Type.DevicePixelRatioChange:
            self.setIcon(tool_icon(self._tool, _ICON, self.devicePixelRatioF()))
        super().changeEvent(event)


class PromptPanel(QWidget):
    """Draws the tools.

    Parameters
    ----------
    session : Session
        Whose tools these are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.tools = {tool: ToolButton(tool, session.actions[f"tool_{tool}"], session) for tool in _TOOLS}
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in self.tools.values():
            row.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading("Prompt"))
        layout.addLayout(row)

    def draw(self, state: SessionState) -> None:
        """Show which tool is in hand."""
        for button in self.tools.values():
            button.draw(state)
