"""What objects are looked for: in words, or like examples; and how well an object has to match."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.filter_slider import FilterSlider
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas
from napari_sam.widgets.panels.text_model_panel import TextModelPanel
from napari_sam.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.inference.worker import Worker
    from napari_sam.session import Session
    from napari_sam.session.everything.parts import SearchScope
    from napari_sam.session.state import SessionState


class WordsPanel(CollapsibleSection):
    """Draws the section for words and examples, folded away until somebody asks.

    Parameters
    ----------
    session : Session
        What it acts on.
    worker : Worker
        Downloads text models.
    scope : callable
        Gives where and how objects are found, if none were found yet.
    """

    def __init__(self, session: Session, worker: Worker, scope: Callable[[], SearchScope]) -> None:
        super().__init__("Words, examples")
        self._session = session
        self._scope = scope
        self.words = TypedLine("nucleus, mitosis", "What to look for, in English; commas between phrases make classes.")
        self.negative = TypedLine("background dirt", "What looks like it and is not wanted; this helps most.")
        for line, name in ((self.words, "Words"), (self.negative, "But not")):
            line.setAccessibleName(name)
            # Either is the end of typing.
            for ended in (line.entered, line.left):
                ended.connect(partial(focus_canvas, line))
            line.entered.connect(self._find_words)
        self.models = TextModelPanel(worker)
        self.models.arrived.connect(self._find_words)
        self.find_words = section_button("Find by words", "Show the objects that fit the words.", self._find_words)
        self.find_like = section_button(
            "Find like picked",
            "Show the objects that are like those that you picked: Shift-click examples, click what is not wanted.\n"
            "With none picked, the labels of this plane are the examples.",
            self._find_like,
        )
        self.match = FilterSlider(
            "Match", "How well an object has to fit the words or the examples.", lambda low, _high: f"≥ {low:.2f}"
        )
        self.match.chosen.connect(self._on_match_chosen)
        self.ranked = WrappedLabel()
        self._build()

    def draw(self, state: SessionState) -> None:
        """Show what objects were ranked by."""
        section = state.everything
        self.find_words.setEnabled(section.can_find)
        self.find_like.setEnabled(section.can_find)
        for widget in (self.match, self.ranked):
            widget.setVisible(bool(section.ranked_by))
        if section.ranked_by:
            self.match.setEnabled(section.here)
            self.match.show_bounds(section.chosen.match, 1.0, (0.0, 1.0))
            self.ranked.show_text(f"Ranked by: {section.ranked_by}. {section.shown} of {section.found} shown.")

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        rows = (("Words", self.words), ("But not", self.negative), ("Model", self.models.combo))
        for row, (text, what) in enumerate(rows):
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(what, row, 1)
        section = QWidget()
        column = QVBoxLayout(section)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        column.addLayout(grid)
        column.addWidget(self.models)
        column.addWidget(ButtonGrid([self.find_words, self.find_like]))
        column.addWidget(self.match)
        column.addWidget(self.ranked)
        self.addWidget(section)

    def _find_words(self) -> None:
        # A query that makes no sense is told before anything is downloaded for it.
        if not self.words.text().strip(" ,") or self.models.has_model():
            words, negative, scope = self.words.text(), self.negative.text(), self._scope()
            self._session.everything.find_words(
                words, negative, self.models.model, scope.where, scope.mode, scope.axis, scope.link
            )

    def _find_like(self) -> None:
        scope = self._scope()
        self._session.everything.find_like(scope.where, scope.mode, scope.axis, scope.link)

    def _on_match_chosen(self, low: float, _high: float) -> None:
        self._session.everything.choose(replace(self._session.state.everything.chosen, match=low))
