"""The images of a folder, and how far each is: open, done, skipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFileDialog, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_sam.widgets.controls.action_button import ActionButton, keys_text
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas

if TYPE_CHECKING:
    from napari_sam.datasets.image_series import ImageStatus
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_ROWS = 6  # of the list that are seen without scrolling
_COMMANDS = ("series_previous", "series_next", "series_skip", "series_done", "next_to_annotate")
# A sign and a word each: the sign is seen at a glance, the word is read out.
_SIGNS: dict[ImageStatus, tuple[str, str]] = {
    "untouched": ("○", "no labels yet"),
    "started": ("◐", "has labels"),
    "done": ("✓", "done"),
    "skipped": ("–", "skipped"),  # noqa: RUF001  # a dash, not a hyphen
}


class SeriesPanel(CollapsibleSection):
    """Draws the section for images one after the other, folded away until somebody asks.

    Parameters
    ----------
    session : Session
        What it acts on.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Images")
        self._session = session
        self._drawn: tuple[tuple[str, ImageStatus], ...] = ()
        self._source: Path | None = None
        self.open_button = section_button(
            "Open folder…",
            "Go through the images of a folder. Labels are saved beside each image, and come back with it.",
            self._choose_folder,
        )
        self.labels_button = section_button(
            "Labels into…", "Choose a folder for the labels, instead of beside each image.", self._choose_labels
        )
        self.how_far = WrappedLabel()
        self.list = QListWidget()
        self.list.setAccessibleName("Images of the series")
        self.list.setToolTip("Double-click an image to open it.")
        self.list.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemActivated.connect(self._on_item_activated)
        self.skip_done = QCheckBox("Pass over what is done")
        self.skip_done.setToolTip("On: next and previous go to images that are neither done nor skipped.")
        self.skip_done.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.skip_done.setChecked(session.series.skip_done)
        self.skip_done.toggled.connect(self._on_skip_done_toggled)
        self.buttons = [ActionButton(session.actions[name], session) for name in _COMMANDS]
        self._build()

    def open_folder(self, folder: Path, labels: Path | None = None) -> None:
        """Go through the images of a folder."""
        self._source = folder
        self._session.series.open(folder, labels)

    def draw(self, state: SessionState) -> None:
        """Show the images, which is on screen, and which commands would do something."""
        series = state.series
        self.how_far.show_text(series.text or self._first_words())
        for widget in (self.list, self.skip_done, self._grid):
            widget.setVisible(bool(series.images))
        self.labels_button.setVisible(bool(series.images))
        self._draw_rows(series.images)
        if series.index is not None and series.index != self.list.currentRow():
            self.list.setCurrentRow(series.index)
        for button in self.buttons:
            button.draw(state)

    def _first_words(self) -> str:
        return f"Choose a folder, and go through its images by {keys_text(self._session.keys.of('series_next')[:1])}."

    def _on_keys_changed(self) -> None:
        self.draw(self._session.state)

    def _build(self) -> None:
        self._session.keys.changed.connect(self._on_keys_changed)
        self._grid = ButtonGrid(self.buttons)
        section = QWidget()
        column = QVBoxLayout(section)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        column.addWidget(ButtonGrid([self.open_button, self.labels_button]))
        column.addWidget(self.how_far)
        self.list.setFixedHeight(_ROWS * (self.fontMetrics().height() + 6))
        column.addWidget(self.list)
        column.addWidget(self.skip_done)
        column.addWidget(self._grid)
        self.addWidget(section)

    def _draw_rows(self, images: tuple[tuple[str, ImageStatus], ...]) -> None:
        """Write what is new: a series may have thousands of images."""
        if len(images) != len(self._drawn):
            self.list.clear()
            self.list.addItems(["" for _ in images])
            self._drawn = ()
        for row, image in enumerate(images):
            if row < len(self._drawn) and self._drawn[row] == image:
                continue
            name, status = image
            sign, words = _SIGNS[status]
            if (item := self.list.item(row)) is not None:
                item.setText(f"{sign} {name}")
                item.setToolTip(f"{name}: {words}")
        self._drawn = images

    def _choose_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of images", str(self._source or ""))
        if chosen:
            self.open_folder(Path(chosen))
        focus_canvas(self)

    def _choose_labels(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for labels", self._session.state.series.folder)
        if chosen and self._source is not None:
            self.open_folder(self._source, Path(chosen))
        focus_canvas(self)

    def _on_item_activated(self, item: QListWidgetItem) -> None:
        self._session.series.go_to(self.list.row(item))
        focus_canvas(self)

    def _on_skip_done_toggled(self, checked: bool) -> None:
        self._session.series.skip_done = checked
