"""The limits of every mask: grey values that it keeps to, labels that it leaves out, and what further clicks may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_sam.errors import InputError
from napari_sam.widgets.controls.filter_slider import FilterSlider
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.keyboard import focus_canvas
from napari_sam.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_CORRECTIONS = (
    ComboRow("Change all of the mask", "off", "The model answers all clicks anew."),
    ComboRow("Only add, or only take away", "on", "A + takes nothing away, a − adds nothing."),  # noqa: RUF001  # a minus sign
    ComboRow("Only add to branches", "branches", "As before, for objects with branches such as vessels and neurons."),
)


def _values(low: float, high: float) -> str:
    return f"{low:.3g}–{high:.3g}"  # noqa: RUF001  # an en dash, as between numbers


class LimitsRows(QWidget):
    """Draws the limits.

    Parameters
    ----------
    session : Session
        Whose masks are limited.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.correction = NarrowCombo()
        self.correction.show_rows(_CORRECTIONS, "off")
        self.correction.set_help("What further clicks on an object may do.")
        self.correction.setAccessibleName("What further clicks may do")
        self.grey_range = FilterSlider("Values", "Masks take only pixels with these grey values.", _values, both=True)
        self.from_mask = section_button(
            "Values of this mask", "Keep to the values inside the mask on screen.", session.shaping.take_grey_range
        )
        self.layer = NarrowCombo("Nothing", self._read_layers)
        self.layer.set_help("Masks leave out the pixels of these labels.")
        self.layer.setAccessibleName("Labels layer to leave out")
        self.labels = TypedLine("all labels, or 3, 7-9", "Which of its labels: all of them, or some, such as 3, 7-9.")
        self.labels.setAccessibleName("Labels to leave out")
        self._build()

    def draw(self, state: SessionState) -> None:
        """Show what is chosen."""
        shaping = state.shaping
        self.correction.show_rows(_CORRECTIONS, shaping.correction)
        least, most = self._range()
        low, high = shaping.grey_range or (least, most)
        self.grey_range.show_bounds(low, high, (least, most))
        self.grey_range.setEnabled(self._session.image is not None)
        self.from_mask.setEnabled(state.selected >= 0)
        self._read_layers()
        self.labels.setEnabled(shaping.exclusion is not None)
        if not self.labels.hasFocus():
            self._show_labels()

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        # Its words need all of the width.
        grid.addWidget(QLabel("Further clicks"), 0, 0, 1, 2)
        grid.addWidget(self.correction, 1, 0, 1, 2)
        grid.addWidget(QLabel("Leave out"), 2, 0)
        grid.addWidget(self.layer, 2, 1)
        grid.addWidget(self.labels, 3, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.grey_range)
        column.addWidget(self.from_mask)
        column.addLayout(grid)
        self.correction.activated.connect(self._on_correction_activated)
        self.grey_range.chosen.connect(self._on_grey_range_chosen)
        self.layer.activated.connect(self._on_exclusion_chosen)
        self.labels.editingFinished.connect(self._on_exclusion_chosen)
        self.labels.entered.connect(self._on_labels_entered)
        self.labels.left.connect(self._on_labels_left)

    def _range(self) -> tuple[float, float]:
        """Return the grey values that there are to choose from."""
        image = self._session.image
        if image is None or image.rgb:
            # Of colours, the luma counts, on the scale of the data.
            bytes_ = image is None or np.dtype(image.dtype) == np.uint8
            return (0.0, 255.0) if bytes_ else (0.0, 1.0)
        low, high = image.contrast_limits_range
        return float(low), float(high)

    def _read_layers(self) -> None:
        """Offer the Labels layers that fit the image now."""
        exclusion = self._session.shaping.chosen.exclusion
        rows = [ComboRow("Nothing", None)]
        rows += [ComboRow(layer.name, layer) for layer in self._session.target_choices()]
        chosen = None if exclusion is None else getattr(exclusion.read, "layer", lambda: None)()
        self.layer.show_rows(rows, chosen)

    def _show_labels(self) -> None:
        exclusion = self._session.shaping.chosen.exclusion
        self.labels.setText("" if exclusion is None else ", ".join(map(str, exclusion.labels)))

    def _on_correction_activated(self, index: int) -> None:
        self._session.shaping.choose(correction=self.correction.row(index).data)

    def _on_grey_range_chosen(self, low: float, high: float) -> None:
        # Handles at the ends leave nothing out, not even values that the layer did not tell of.
        self._session.shaping.choose(grey_range=None if (low, high) == self._range() else (low, high))

    def _on_exclusion_chosen(self) -> None:
        layer = self.layer.row(self.layer.currentIndex()).data
        try:
            self._session.shaping.exclude(layer, self.labels.text())
        except InputError as error:
            # What was typed stays, to be mended.
            self.labels.setToolTip(str(error))

    def _on_labels_entered(self) -> None:
        self._on_exclusion_chosen()
        focus_canvas(self)

    def _on_labels_left(self) -> None:
        self._show_labels()
        focus_canvas(self)
