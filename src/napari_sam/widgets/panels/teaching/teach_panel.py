"""What was labelled teaches the model: how long, how far it is, and what came of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_sam.errors import InputError
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.numbers.number_box import NumberBox
from napari_sam.widgets.controls.progress_row import ProgressRow
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas
from napari_sam.widgets.panels.teaching.pictures_window import PicturesWindow
from napari_sam.widgets.panels.teaching.report_table import ReportTable
from napari_sam.widgets.panels.teaching.stages_view import StagesView
from napari_sam.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.session import Session
    from napari_sam.session.state import SessionState
    from napari_sam.teaching import Teaching, TeachingState
    from napari_sam.teaching.stages import AnnotationProgress

_MINUTES, _MOST = 10, 120


class TeachPanel(CollapsibleSection):
    """Draws the Teach section, folded away until somebody asks: only then objects are counted.

    Parameters
    ----------
    session : Session
        Whose model is taught.
    teaching : Teaching
        What it acts on.
    progress : AnnotationProgress
        Knows how far the data set is.
    """

    def __init__(self, session: Session, teaching: Teaching, progress: AnnotationProgress) -> None:
        super().__init__("Teach")
        self._session, self._teaching = session, teaching
        self.grows = False
        """Whether an end has just come: the section is to be brought into view."""
        self._proposed_for = ""
        self._is_own_name = False
        self._checked: tuple[str, str] = ("", "")
        self._stage = teaching.state.stage
        self.pictures: PicturesWindow | None = None
        """The window of pictures; None while there is none."""
        self._progress = progress
        self.stages = StagesView(session, progress)
        self.source = WrappedLabel()
        self.name = TypedLine("my-cells", "What to call the taught model in the list of models.")
        self.name.setAccessibleName("Name of the taught model")
        self.name.textEdited.connect(self._on_name_edited)
        for ended in (self.name.entered, self.name.left):
            ended.connect(partial(focus_canvas, self.name))
        self.minutes = NumberBox("Minutes", "How long it learns. Measuring before and after takes its own time.")
        self.minutes.show_range(_MINUTES, 1, _MOST)
        self.start = section_button(
            "Teach",
            "Teach the model in use what is labelled, beside your work. The model itself stays as it is: what is "
            "learnt becomes a model of its own, if it is better on objects that were kept back.",
            self._on_start_clicked,
        )
        self.go_on = section_button(
            "Go on", "Go on with the teaching that was stopped or cut, with the labels of then.", self._on_go_on_clicked
        )
        self.progress = ProgressRow(teaching.cancel)
        self.progress.cancel_button.setToolTip("Stop teaching. What was learnt is kept, and can go on.")
        self.words = WrappedLabel()
        self.table = ReportTable()
        self.use = section_button("Use it", "Work with the taught model from now on.", self._on_use_clicked)
        self.show_pictures = section_button(
            "Show pictures", "What was labelled, found before and found after, side by side.", self._on_show_clicked
        )
        self.keep = section_button(
            "Keep anyway", "Keep the taught model although it is not better.", self._on_keep_clicked
        )
        self._build()
        teaching.changed.connect(self._on_teaching_changed)
        self.toggled.connect(self._on_section_toggled)
        self._on_teaching_changed(teaching.state)

    def draw(self, state: SessionState) -> None:
        """Propose a name for what the image shows, and offer the taught model while another is in use."""
        image = "" if self._session.image is None else self._session.image.name
        if self.isExpanded() and image != self._proposed_for:
            self._propose()
        self.stages.draw(state)
        taught = self._teaching.state
        self.use.setEnabled(taught.kept and state.model != taught.name)

    def begin(self) -> None:
        """Unfold the section, and press its button; while a model is being taught, or has no name, only show that."""
        self.expand(animate=False)
        self._propose()
        if not self._teaching.state.busy and not self.problem.text():
            self._on_start_clicked()

    def close_pictures(self) -> None:
        """Close the window of pictures, if it is open."""
        if self.pictures is not None:
            self.pictures.close()

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for row, (text, what) in enumerate((("Name", self.name), ("Minutes", self.minutes))):
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(what, row, 1)
        self.problem = WrappedLabel()
        self._ended = ButtonGrid([self.use, self.show_pictures, self.keep])
        section = QWidget()
        column = QVBoxLayout(section)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        column.addWidget(self.stages)
        column.addWidget(self.source)
        column.addLayout(grid)
        column.addWidget(self.problem)
        column.addWidget(ButtonGrid([self.start, self.go_on]))
        for widget in (self.progress, self.words, self.table, self._ended):
            column.addWidget(widget)
        self.addWidget(section)

    def _propose(self) -> None:
        """Write a free name into the field, unless the person has written another."""
        image = self._session.image
        self._proposed_for = "" if image is None else image.name
        if not self._is_own_name:
            self.name.setText(self._teaching.propose_name())
            self._draw_start()

    def _draw_start(self) -> None:
        state, name = self._teaching.state, self.name.text().strip()
        # What is on the disk is read again when something was taught, not with every step.
        if self._checked != (name, state.stage):
            self._checked = (name, state.stage)
            self.problem.show_text("" if state.busy else self._teaching.name_problem(name))
        unnamed = bool(self._proposed_for or self._is_own_name) and bool(self.problem.text())
        self.problem.setVisible(unnamed and not state.busy)
        self.start.setEnabled(state.has_source and not state.busy and not self.problem.text())
        self.go_on.setEnabled(bool(state.resumable) and not state.busy)
        for field in (self.name, self.minutes):
            field.setEnabled(not state.busy)

    def _on_teaching_changed(self, state: TeachingState) -> None:
        begins = state.busy and self._stage not in ("gathering", "running")
        self.grows = self.grows or state.stage != self._stage
        ended = state.stage != self._stage and not state.busy
        if ended:
            self._progress.refresh()
        self._stage = state.stage
        self.source.show_text(state.source)
        self.progress.setVisible(state.busy)
        if begins:
            self.progress.start()
        if state.busy:
            self.progress.show_progress(state.fraction)
        self.words.show_text(state.words)
        self.words.setVisible(bool(state.words))
        self.table.show_rows(state.rows)
        for widget in (self.table, self._ended):
            widget.setVisible(state.stage == "done")
        self.keep.setEnabled(state.stage == "done" and not state.kept)
        self.show_pictures.setEnabled(state.stage == "done" and bool(self._teaching.pictures))
        self.use.setEnabled(state.kept and self._session.model != state.name)
        if ended and state.kept and self.name.text().strip() == state.name:
            self._is_own_name = False  # it is this model's now
            self._propose()
        self._draw_start()

    def _on_section_toggled(self, expanded: bool) -> None:
        self._teaching.watch(expanded)
        self._progress.watch(expanded)
        if expanded:
            self._propose()

    def _on_name_edited(self, text: str) -> None:
        self.grows = False  # from now on the person says where the dock is scrolled to
        self._is_own_name = bool(text.strip())
        self._draw_start()

    def _run(self, command: Callable[[], None]) -> None:
        """Run a command, and say why it could not begin."""
        try:
            command()
        except InputError as error:
            self.words.show_text(str(error))
            self.words.setVisible(True)
        focus_canvas(self)

    def _on_start_clicked(self) -> None:
        self._run(lambda: self._teaching.teach(self.name.text().strip(), self.minutes.value()))

    def _on_go_on_clicked(self) -> None:
        self._run(self._teaching.go_on)

    def _on_keep_clicked(self) -> None:
        self._run(self._teaching.keep)

    def _on_use_clicked(self) -> None:
        self.grows = False
        self._run(self._teaching.use)

    def _on_show_clicked(self) -> None:
        self.close_pictures()
        self.pictures = PicturesWindow(self._teaching.state.name, self._teaching.pictures, self)
        self.pictures.finished.connect(self._on_pictures_finished)
        self.pictures.show()

    def _on_pictures_finished(self) -> None:
        self.pictures = None
