"""The tools: what a click on the image says about the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_sam.widgets.controls.action_button import ActionButton
from napari_sam.widgets.controls.icons import tool_icon
from napari_sam.widgets.controls.narrow import heading
from napari_sam.widgets.panels.many.batch_row import BatchRow
from napari_sam.widgets.panels.tempo.hover_box import HoverBox
from napari_sam.widgets.panels.tempo.tempo_row import TempoRow

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

    from napari_sam.session import Session
    from napari_sam.session.actions import Action
    from napari_sam.session.state import SessionState, Tool

_ICON = 16  # logical pixels
_ROWS: tuple[tuple[Tool, ...], ...] = (("positive", "negative", "box"), ("scribble", "lasso", "brush", "eraser"))


class ToolButton(ActionButton):
    """A button that stays down while its tool is selected. Where it is narrow, its words go without the mark."""

    def __init__(self, tool: Tool, action: Action, session: Session) -> None:
        super().__init__(action, session)
        self._tool = tool
        self._positive = True
        self.setCheckable(True)
        self.setIconSize(QSize(_ICON, _ICON))
        self._draw_icon()

    def sizeHint(self) -> QSize:
        """Return room for the mark and the words."""
        return super().sizeHint() + QSize(_ICON + 4, 0)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show the mark if there is room for it."""
        super().resizeEvent(event)
        self._draw_icon()

    def draw(self, state: SessionState) -> None:
        """Press the button down when its tool is selected, and show what it would draw now."""
        super().draw(state)
        self.setChecked(state.tool == self._tool)
        if state.positive != self._positive:
            self._positive = state.positive
            self._draw_icon()

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the icon anew for a screen of another resolution."""
        if event is not None and event.type() == QEvent.Type.DevicePixelRatioChange:
            self._draw_icon()
        super().changeEvent(event)

    def _draw_icon(self) -> None:
        room = self.width() >= self.minimumSizeHint().width() + _ICON + 4
        ratio = self.devicePixelRatioF()
        self.setIcon(tool_icon(self._tool, _ICON, ratio, positive=self._positive) if room else QIcon())


class PromptPanel(QWidget):
    """Draws the tools, and the tempo.

    Parameters
    ----------
    session : Session
        Whose tools these are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.tools = {tool: ToolButton(tool, session.actions[f"tool_{tool}"], session) for row in _ROWS for tool in row}
        self.tempo, self.hover = TempoRow(session), HoverBox(session)
        self.batch = BatchRow(session)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading("Prompt", self.hover))
        for tools in _ROWS:
            row = QHBoxLayout()
            row.setSpacing(4 if len(tools) < 4 else 2)  # four words just fit the narrowest dock
            for tool in tools:
                row.addWidget(self.tools[tool], 1)
            layout.addLayout(row)
        layout.addWidget(self.tempo)
        layout.addWidget(self.batch)

    def draw(self, state: SessionState) -> None:
        """Show which tool is selected, and which tempo."""
        self.tempo.draw(state)
        self.hover.draw(state)
        self.batch.draw(state)
        for button in self.tools.values():
            button.draw(state)
