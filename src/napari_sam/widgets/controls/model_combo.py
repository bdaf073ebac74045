"""The list of models: what each is for, how big it is, and whether it is on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QFont, QFontMetrics, QPalette
from qtpy.QtWidgets import QApplication, QStyle, QStyledItemDelegate

from napari_sam.checkpoints.registry import list_models
from napari_sam.checkpoints.weights import State, imported, status
from napari_sam.files import format_bytes
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QModelIndex
    from qtpy.QtGui import QPainter
    from qtpy.QtWidgets import QStyleOptionViewItem

    from napari_sam.checkpoints.registry import ModelSpec

IMPORT = "+import"
"""Data of the last row, which is none of a model; a model's name cannot begin with a plus."""
_IMPORT_USE = "A .safetensors, .pth or .pt file: your own, or from a colleague."

_PADDING = 6  # logical pixels
_ROW_WIDTH = 440


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What the list says about one model."""

    name: str
    title: str
    use_for: str
    place: str
    detail: str


def size_text(spec: ModelSpec) -> str:
    """Return the size of a model's file for a person, such as "375 MB"."""
    return "size not stated" if spec.approximate_size is None else format_bytes(spec.approximate_size)


def model_row(spec: ModelSpec) -> ModelRow:
    """Return what the list says about a row of the registry."""
    here = status(spec)
    size = size_text(spec)
    place = f"{size}, {here}" if here is State.TO_DOWNLOAD else str(here)
    lines = (
        spec.use_for,
        f"Trained on: {spec.domain}" if spec.domain else "",
        f"{size}, {here}",
        f"Licence: {spec.licence or 'not stated'}",
    )
    return ModelRow(spec.name, spec.title, spec.use_for, place, "\n".join(filter(None, lines)))


class ModelDelegate(QStyledItemDelegate):
    """Paints a row: title and place, and below them what the model is for."""

    def sizeHint(self, option: QStyleOptionViewItem, _index: QModelIndex) -> QSize:
        """Return room for two lines."""
        return QSize(_ROW_WIDTH, 2 * QFontMetrics(option.font).lineSpacing() + _PADDING)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint the row that the index holds."""
        row = index.data(Qt.ItemDataRole.UserRole)
        if painter is None or not isinstance(row, ModelRow):
            super().paint(painter, option, index)
            return
        self.initStyleOption(option, index)
        option.text = ""  # the style paints the background only
        style = QApplication.style() if option.widget is None else option.widget.style()
        if style is not None:
            style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        painter.save()
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        _paint_row(painter, row, option)
        painter.restore()


def _paint_row(painter: QPainter, row: ModelRow, option: QStyleOptionViewItem) -> None:
    """Paint the words of a row: title and place on the upper line, the use on the lower."""
    area = option.rect.adjusted(_PADDING, _PADDING // 2, -_PADDING, -_PADDING // 2)
    upper = QRect(area.left(), area.top(), area.width(), area.height() // 2)
    lower = upper.translated(0, area.height() // 2)
    left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
    elide = Qt.TextElideMode.ElideRight
    painter.setFont(option.font)
    plain = painter.fontMetrics()
    painter.drawText(upper, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, row.place)
    painter.drawText(lower, left, plain.elidedText(row.use_for, elide, lower.width()))
    bold = QFont(option.font)
    bold.setBold(True)
    painter.setFont(bold)
    room = upper.width() - plain.horizontalAdvance(row.place) - 2 * _PADDING
    painter.drawText(upper, left, painter.fontMetrics().elidedText(row.title, elide, room))


class ModelCombo(NarrowCombo):
    """Chooses among the models of the registry, or shows the path of a checkpoint that a script chose.

    The last row brings in another one.
    """

    def __init__(self) -> None:
        # A file may have come or gone since the list was last open.
        super().__init__(read=lambda: self.show_model(str(self.row(self.currentIndex()).data)))
        self._specs: dict[str, ModelSpec] = {}
        self.setItemDelegate(ModelDelegate(self))

    def spec(self, model: str) -> ModelSpec | None:
        """Return the registry's row of a model; None for a path."""
        return self._specs.get(model)

    def show_model(self, model: str) -> None:
        """Read the registry again, and show `model`, a registry name or a path, as the chosen one."""
        self._specs = {spec.name: spec for spec in (*list_models(), *imported())}
        models = [model_row(spec) for spec in self._specs.values()]
        if all(row.name != model for row in models):
            models.append(ModelRow(model, Path(model).name, "A checkpoint of your own", "", model))
        models.append(ModelRow(IMPORT, "Import a checkpoint…", _IMPORT_USE, "", _IMPORT_USE))
        show_model_rows(self, models, model)


def show_model_rows(combo: NarrowCombo, rows: Sequence[ModelRow], model: str) -> None:
    """Show models in a combo that paints them by `ModelDelegate`, with one of them chosen, by its name."""
    combo.show_rows([ComboRow(row.title, row.name, row.detail) for row in rows], model)
    for i, row in enumerate(rows):
        combo.setItemData(i, row, Qt.ItemDataRole.UserRole)
    combo.set_help(next((row.detail for row in rows if row.name == model), ""))
