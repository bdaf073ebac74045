"""What the tempo "batch" needs: making an object of every prompt, and a grid of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QSpinBox, QWidget

from napari_sam.widgets.controls.action_button import ActionButton
from napari_sam.widgets.controls.narrow import line_height
from napari_sam.widgets.controls.section_button import section_button

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent

    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_SPACING = 40
"""Data pixels between points of a grid, at first: some nuclei wide."""

_STEPS = 64
"""Room for the buttons of a number, logical pixels."""


class SpacingBox(QSpinBox):
    """The spacing of a grid; the wheel scrolls the dock over it, and changes nothing."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the dock."""
        if event is not None:
            event.ignore()


class BatchRow(QWidget):
    """Makes all, and lays a grid of points; there in the tempo "batch" alone.

    Parameters
    ----------
    session : Session
        What it acts on.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.make_all = ActionButton(session.actions["make_all"], session)
        self.spacing = SpacingBox()
        self.add_grid = section_button(
            "Add grid", "Draw a regular grid of points over what you see.", self._on_add_grid
        )
        self._build()

    def draw(self, state: SessionState) -> None:
        """Show how many objects there would be."""
        self.setVisible(state.tempo == "batch")
        self.make_all.draw(state)
        drawn = state.everything.drawn
        self.make_all.setText(f"Make all {drawn}" if drawn else "Make all")
        self.add_grid.setEnabled(state.next_id is not None)

    def _build(self) -> None:
        self.spacing.setRange(4, 2000)
        self.spacing.setValue(_SPACING)
        self.spacing.setSuffix(" px")
        self.spacing.setToolTip("Distance between the points of the grid, in pixels of the image")
        self.spacing.setAccessibleName("Spacing of the grid")
        # By the Tab key alone: a click on an arrow must not take the keyboard from the canvas.
        self.spacing.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.spacing.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        # napari's style puts a button on either side of the number, and counts neither.
        self.spacing.setFixedWidth(self.spacing.fontMetrics().horizontalAdvance("2000 px") + _STEPS)
        for widget in (self.make_all, self.spacing, self.add_grid):
            widget.setFixedHeight(line_height(self.make_all))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.make_all, 2)
        row.addWidget(self.spacing)
        row.addWidget(self.add_grid, 1)
        self.hide()

    def _on_add_grid(self) -> None:
        self._session.everything.add_grid(self.spacing.value())
