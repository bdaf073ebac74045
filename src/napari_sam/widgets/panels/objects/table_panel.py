"""The table of objects with what belongs to it: a line to filter by, words, and buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_sam.session.table import filtering
from napari_sam.widgets.controls.action_button import ActionButton
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas
from napari_sam.widgets.panels.objects.table_view import ObjectTableView
from napari_sam.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QPushButton

    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

NARROW = ("id", "class", "size", "reviewed")
"""Columns that fit into the dock."""


class TablePanel(QWidget):
    """Draws the table of objects.

    Parameters
    ----------
    session : Session
        Whose objects they are.
    columns : sequence of str
        Which of `napari_sam.session.table.columns.COLUMNS` there are.
    more : sequence of QPushButton
        Further buttons.
    in_a_row : int
        Buttons in a row, where there is room.
    """

    def __init__(
        self, session: Session, columns: Sequence[str], more: Sequence[QPushButton] = (), in_a_row: int = 2
    ) -> None:
        super().__init__()
        self._session = session
        self.filter = TypedLine("Filter: mitosis unchecked area > 200", filtering.HELP)
        self.filter.setAccessibleName("Filter the objects")
        self.filter.textEdited.connect(session.table.filter)
        for ended in (self.filter.entered, self.filter.left):
            ended.connect(self._on_filter_ended)
        self.view = ObjectTableView(session, columns)
        self.words = WrappedLabel()
        names = ("mark_checked", "mark_unsure", "next_unchecked")
        self.actions_ = [ActionButton(session.actions[name], session) for name in names]
        self.export = section_button(
            "Export CSV", "Write all objects, with all that is known of them, to a file.", self._on_export_clicked
        )
        self.recount = section_button(
            "Count again", "Measure all objects anew, as after a script changed the labels.", session.table.recount
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.filter)
        column.addWidget(self.view, 1)
        column.addWidget(self.words)
        column.addWidget(ButtonGrid([*self.actions_, self.export, self.recount, *more], in_a_row))

    def draw(self, state: SessionState) -> None:
        """Show the rows of now, and what there is to say of them."""
        objects = state.table
        self.words.show_text(objects.text)
        if not self.filter.hasFocus() and self.filter.text() != objects.filter:
            self.filter.setText(objects.filter)
        for button in self.actions_:
            button.draw(state)
        for other in (self.export, self.recount):
            other.setEnabled(objects.count is not None)
        self.view.draw(objects)

    def export_to(self, path: str) -> None:
        """Write the table into a file; "" for none."""
        if path:
            self._session.table.export(path)

    def _on_export_clicked(self) -> None:
        layer = self._session.target
        name = "objects" if layer is None else layer.name
        path, _kind = QFileDialog.getSaveFileName(self, "Export objects", f"{name}.csv", "CSV (*.csv)")
        self.export_to(path)

    def _on_filter_ended(self) -> None:
        focus_canvas(self.filter)
