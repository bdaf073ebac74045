"""Carrying an object through a stack: along which axis, how far and how, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_sam.propagation import STRATEGIES
from napari_sam.widgets.controls.action_button import ActionButton, KeyTooltip
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.narrow import ButtonGrid, ComboRow, NarrowCombo
from napari_sam.widgets.controls.numbers.number_box import NumberBox
from napari_sam.widgets.controls.score_strip import ScoreStrip
from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState, StackState

_COMMANDS = ("propagate", "cancel", "copy_prompts", "next_weak_plane")


class PlaneBox(NumberBox):
    """The index of a plane."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name} to go through")


class PropagationPanel(CollapsibleSection):
    """Draws the Stack section, folded away until somebody asks.

    Parameters
    ----------
    session : Session
        What it acts on.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Stack")
        self._session = session
        self.axis = NarrowCombo("No stack")
        self.axis.setAccessibleName("Axis")
        self.axis.set_help("The axis that the object is carried along: depth, time or another one.")
        self.axis.activated.connect(self._on_axis_activated)
        self.first, self.last = PlaneBox("First plane"), PlaneBox("Last plane")
        self.first.valueChanged.connect(self._on_first_changed)
        self.last.valueChanged.connect(self._on_last_changed)
        self.strategy = NarrowCombo()
        self.strategy.setAccessibleName("Strategy")
        self.strategy.activated.connect(self._on_strategy_activated)
        self.buttons = {name: ActionButton(session.actions[name], session) for name in _COMMANDS}
        same = session.actions["toggle_same_object"]
        self.same = QCheckBox(same.title)
        KeyTooltip(
            self.same,
            session,
            same.id,
            "On: Accept writes the last object again, in place of what this plane carries of it.\n"
            "Off: Accept writes a new object.\nIt is on by itself when what you click is the last object.\n"
            "Key: ",
        )
        self.same.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.same.clicked.connect(self._on_same_clicked)
        self.strip = ScoreStrip(session.stack.go_to_plane)
        self.words = WrappedLabel(lines=4, narrow_lines=7)
        self._controls = QWidget()
        self._build()

    def draw(self, state: SessionState) -> None:
        """Show the stack of `state`."""
        stack = state.stack
        self._controls.setEnabled(stack.axis is not None)
        self._draw_choices(stack)
        for button in self.buttons.values():
            button.draw(state)
        # The table enables it for any work; in this section it is about the run.
        self.buttons["cancel"].setEnabled(stack.running)
        self.same.setChecked(stack.same_object)
        self.same.setEnabled(stack.label is not None)
        self.same.setText("Same object" if stack.label is None else f"Same object: {stack.label}")
        self.strip.draw(stack)
        self.words.show_text(stack.text)

    def _draw_choices(self, stack: StackState) -> None:
        rows = [ComboRow(axis.name, axis.axis, f"{axis.size} planes") for axis in stack.axes]
        self.axis.show_rows(rows, None if stack.axis is None else stack.axis.axis)
        self.strategy.show_rows(
            [ComboRow(strategy.title, name, strategy.description) for name, strategy in STRATEGIES.items()],
            stack.strategy,
        )
        if stack.strategy in STRATEGIES:
            self.strategy.set_help(STRATEGIES[stack.strategy].description)
        last = max(0, stack.stop - 1)
        self.first.show_range(stack.start, 0, last)
        self.last.show_range(last, stack.start, 0 if stack.axis is None else stack.axis.size - 1)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        span = QWidget()
        planes = QHBoxLayout(span)
        planes.setContentsMargins(0, 0, 0, 0)
        planes.setSpacing(6)
        planes.addWidget(self.first, 1)
        planes.addWidget(QLabel("to"))
        planes.addWidget(self.last, 1)
        rows: tuple[tuple[str, QWidget], ...] = (("Along", self.axis), ("Planes", span), ("How", self.strategy))
        for row, (text, what) in enumerate(rows):
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(what, row, 1)
        column = QVBoxLayout(self._controls)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(grid)
        column.addWidget(ButtonGrid(list(self.buttons.values())))
        column.addWidget(self.strip)
        column.addWidget(self.same)
        section = QWidget()
        layout = QVBoxLayout(section)
        layout.setContentsMargins(4, 0, 0, 4)
        layout.setSpacing(4)
        layout.addWidget(self._controls)
        layout.addWidget(self.words)
        self.addWidget(section)

    def _on_axis_activated(self, index: int) -> None:
        axes = self._session.state.stack.axes
        self._session.stack.choose(axis=axes[index].axis)
        # The list shows what was clicked, even if the session has refused it.
        self.draw(self._session.state)

    def _on_strategy_activated(self, index: int) -> None:
        self._session.stack.choose(strategy=list(STRATEGIES)[index])

    def _on_first_changed(self, place: int) -> None:
        self._session.stack.choose(start=place)

    def _on_last_changed(self, place: int) -> None:
        self._session.stack.choose(stop=place + 1)

    def _on_same_clicked(self, checked: bool) -> None:
        self._session.stack.same_object = checked
        # Qt has toggled the box; while accepts wait, the session refuses the choice.
        self.draw(self._session.state)
