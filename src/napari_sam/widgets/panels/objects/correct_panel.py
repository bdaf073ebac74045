"""The tools for objects that exist, whoever drew them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_sam.widgets.controls.action_button import ActionButton
from napari_sam.widgets.controls.narrow import heading

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.actions import Action
    from napari_sam.session.state import SessionState

_TOOLS = {"pick_object": "pick", "split_object": "split", "merge_objects": "merge"}
"""The actions that let clicks choose objects, and for what."""


class ObjectToolButton(ActionButton):
    """A button that stays down while clicks choose objects for it."""

    def __init__(self, action: Action, session: Session) -> None:
        super().__init__(action, session)
        self._tool = _TOOLS[action.id]
        self.setCheckable(True)

    def draw(self, state: SessionState) -> None:
        """Press the button down while its tool is in hand."""
        super().draw(state)
        self.setChecked(state.objects.tool == self._tool)


class CorrectPanel(QWidget):
    """Draws the tools: pick, split, merge, and delete.

    Parameters
    ----------
    session : Session
        Whose objects these are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.buttons: dict[str, ActionButton] = {
            name: ObjectToolButton(session.actions[name], session) for name in _TOOLS
        }
        self.buttons["delete_object"] = ActionButton(session.actions["delete_object"], session)
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in self.buttons.values():
            row.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading("Correct"))
        layout.addLayout(row)

    def draw(self, state: SessionState) -> None:
        """Show which tool is in hand."""
        for button in self.buttons.values():
            button.draw(state)
