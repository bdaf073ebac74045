"""How far a data set is: images or planes that are done, objects at each stage, and what the last teaching brought."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_sam.errors import InputError
from napari_sam.widgets.controls.action_button import ActionButton
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.progress_row import ProgressRow
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState
    from napari_sam.teaching.stages import AnnotationProgress, ProgressState
    from napari_sam.teaching.stages.state import StageRow

_PACE_HELP = "Objects in a minute of work. Pauses of more than two minutes are left out."

_STAGE_HELP = {
    "By hand": "Drawn by hand, with prompts.",
    "Accepted": "Proposed, and accepted as they were.",
    "Corrected": "Proposed and accepted, and changed later.",
    "Rejected": "Proposed, and dropped or deleted later.",
    "In stacks": "Found in a whole stack, and accepted without a look at each plane.",
}


class StagesView(QWidget):
    """Draws how far a data set is, with what there is to do next.

    Parameters
    ----------
    session : Session
        Whose data set.
    progress : AnnotationProgress
        Counts and writes it.
    """

    def __init__(self, session: Session, progress: AnnotationProgress) -> None:
        super().__init__()
        self._session, self._progress = session, progress
        self._shown: tuple[StageRow, ...] = ()
        self.done, self.taught, self.words = WrappedLabel(), WrappedLabel(), WrappedLabel()
        self.next = ActionButton(session.actions["next_to_annotate"], session)
        self.write = section_button(
            "Write data set…",
            "Write all labelled images and their masks as a data set in SA-1B's form, with a card, into a new folder.",
            self._on_write_clicked,
        )
        self.writing = ProgressRow(progress.cancel)
        self._table = QWidget()
        self._grid = QGridLayout(self._table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(0, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.done, self._table, self.taught, ButtonGrid([self.next, self.write])):
            column.addWidget(widget)
        for widget in (self.writing, self.words):
            column.addWidget(widget)
        progress.changed.connect(self._on_progress_changed)
        self._on_progress_changed(progress.state)

    def draw(self, state: SessionState) -> None:
        """Show whether there is anything to go to."""
        self.next.draw(state)

    def texts(self) -> list[list[str]]:
        """Return what the table says, row by row."""
        cells = [
            [self._grid.itemAtPosition(row, column) for column in range(3)] for row in range(self._grid.rowCount())
        ]
        words = [[cell.widget() for cell in row if cell is not None] for row in cells]
        return [[label.text() for label in row if isinstance(label, QLabel)] for row in words if row]

    def _on_progress_changed(self, state: ProgressState) -> None:
        for label, text in ((self.done, state.done), (self.taught, state.taught), (self.words, state.words)):
            label.show_text(text)
            label.setVisible(bool(text))
        self._show_rows(state.rows)
        if state.writing and self.writing.isHidden():
            self.writing.start()
        self.writing.setVisible(state.writing)
        if state.writing:
            self.writing.show_progress(state.fraction)
        self.write.setEnabled(not state.writing)

    def _show_rows(self, rows: tuple[StageRow, ...]) -> None:
        self._table.setVisible(bool(rows))
        if rows == self._shown:
            return
        self._shown = rows
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        lines = [("Objects", "count", "/ min")]
        lines += [
            (row.name, str(row.objects), "" if row.per_minute is None else f"{row.per_minute:.1f}") for row in rows
        ]
        for number, line in enumerate(lines):
            for column, text in enumerate(line):
                label = QLabel(text)
                label.setTextFormat(Qt.TextFormat.PlainText)
                if not column:
                    label.setToolTip(_STAGE_HELP.get(text, ""))
                else:
                    label.setAlignment(Qt.AlignmentFlag.AlignRight)
                if column == 2:
                    label.setToolTip(_PACE_HELP)
                self._grid.addWidget(label, number, column)

    def _on_write_clicked(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for the data set", self._session.state.series.folder)
        if chosen:
            try:
                self._progress.write(Path(chosen))
            except InputError as error:
                self.words.show_text(str(error))
                self.words.setVisible(True)
        focus_canvas(self)
