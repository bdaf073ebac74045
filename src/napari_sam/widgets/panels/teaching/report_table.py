"""The numbers of a taught model: before and after, on what it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAMPLES = "sample images, "
_FORGOTTEN = "On the sample images: what it forgot."


class ReportTable(QWidget):
    """Shows measures in rows; those of the sample images below, under words of their own."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[tuple[str, float, float], ...] = ()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(0, 1)

    def show_rows(self, rows: Sequence[tuple[str, float, float]]) -> None:
        """Show a table; none for nothing."""
        if tuple(rows) == self._shown:
            return
        self._shown = tuple(rows)
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        own = [row for row in rows if not row[0].startswith(_SAMPLES)]
        samples = [row for row in rows if row[0].startswith(_SAMPLES)]
        self._add("", "before", "after")
        for name, before, after in own:
            self._add(name, f"{before:.3f}", f"{after:.3f}", better=after > before)
        if samples:
            words = WrappedLabel()
            words.show_text(_FORGOTTEN)
            self._grid.addWidget(words, self._grid.rowCount(), 0, 1, 3)
        for name, before, after in samples:
            self._add(name.removeprefix(_SAMPLES), f"{before:.3f}", f"{after:.3f}")

    def _add(self, *texts: str, better: bool = False) -> None:
        row = self._grid.rowCount()
        for column, text in enumerate(texts):
            label = QLabel(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            if column:
                label.setAlignment(Qt.AlignmentFlag.AlignRight)
            if better and column == len(texts) - 1:
                font = label.font()
                font.setBold(True)
                label.setFont(font)
            self._grid.addWidget(label, row, column)
