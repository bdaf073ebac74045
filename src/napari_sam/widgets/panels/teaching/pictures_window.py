"""Pictures of before and after, in a window of their own: as layers they would lie on the image that is worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QScrollArea, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WIDEST = 1000  # logical pixels of a picture
_SIZE = (_WIDEST + 60, 640)
_LEGEND = "Left: what was labelled, green. Middle: what was found before, orange. Right: what is found after."


class PicturesWindow(QDialog):
    """Shows pictures below one another; Escape closes it, and closing ends it.

    Parameters
    ----------
    name : str
        Of the taught model.
    pictures : sequence of Path
        Files.
    parent : QWidget
        Where it belongs.
    """

    def __init__(self, name: str, pictures: Sequence[Path], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"{name}: before and after")
        column = QWidget()
        rows = QVBoxLayout(column)
        rows.addWidget(QLabel(_LEGEND))
        self.labels: list[QLabel] = []
        for path in pictures:
            picture = QPixmap(str(path))
            if picture.isNull():
                continue  # deleted since, or damaged: the others are seen all the same
            label = QLabel()
            label.setAccessibleName(f"Picture {len(self.labels) + 1} of before and after")
            if picture.width() > _WIDEST:
                picture = picture.scaledToWidth(_WIDEST, Qt.TransformationMode.SmoothTransformation)
            label.setPixmap(picture)
            rows.addWidget(label)
            self.labels.append(label)
        rows.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        self.resize(*_SIZE)
