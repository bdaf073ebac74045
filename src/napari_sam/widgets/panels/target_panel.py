"""Where accepted objects go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.session.labels.targets import TargetOffer
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo, heading, line_height

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState


class TargetPanel(QWidget):
    """Draws the target layer, the next id, and how masks are written.

    Parameters
    ----------
    session : Session
        Whose target this is.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.combo = NarrowCombo("A new layer, at the first accept", self.read_layers)
        self.combo.setAccessibleName("Labels layer")
        self.combo.set_help("The Labels layer that accepted objects are written to.")
        self.combo.activated.connect(self._on_combo_activated)
        self.new_button = QPushButton("+")
        self.new_button.setToolTip("Add an empty Labels layer that fits the image, and write to it")
        self.new_button.setAccessibleName("New Labels layer")
        self.new_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.new_button.setFixedSize(28, line_height(self.new_button))
        self.new_button.clicked.connect(lambda: session.new_target())
        self.only_empty = QCheckBox("Empty pixels only")
        self.only_empty.setToolTip(
            "On: pixels that carry a label already keep it.\nOff: the new object covers what lies beneath it."
        )
        self.only_empty.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.only_empty.clicked.connect(self._on_only_empty_clicked)
        self.next_id = QLabel()
        self.next_id.setToolTip("The label that the next accepted object gets")
        self.next_id.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.next_id.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)

        first = QHBoxLayout()
        first.setSpacing(4)
        first.addWidget(self.combo, 1)
        first.addWidget(self.new_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading("Into", self.next_id))
        layout.addLayout(first)
        layout.addWidget(self.only_empty)

    def read_layers(self) -> None:
        """Offer the Labels layers that fit the image now."""
        rows = [ComboRow(layer.name, layer) for layer in self._session.target_choices()]
        rows += [
            ComboRow(f"{offer.layer.name} (same shape, other {offer.differs}: use the image's {offer.differs}?)", offer)
            for offer in self._session.target_offers()
        ]
        self.combo.show_rows(rows, self._session.target)
        self.combo.setEnabled(bool(rows))
        self.new_button.setEnabled(self._session.image is not None)

    def draw(self, state: SessionState) -> None:
        """Show the next id and the way of writing."""
        what = "Same id" if state.stack.same_object else "Next id"
        self.next_id.setText("" if state.next_id is None else f"{what}: {state.next_id}")
        self.only_empty.setChecked(state.only_empty)

    def _on_combo_activated(self, index: int) -> None:
        chosen = self.combo.row(index).data
        if isinstance(chosen, TargetOffer):
            self._session.fit_target(chosen.layer)
        else:
            self._session.target = chosen

    def _on_only_empty_clicked(self, checked: bool) -> None:
        self._session.only_empty = checked
