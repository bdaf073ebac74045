"""Where accepted objects go."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.session.labels.targets import TargetOffer
from napari_sam.session.settings import WRITE_POLICIES
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo, heading, line_height
from napari_sam.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.settings import WritePolicy
    from napari_sam.session.state import SessionState

_MOST_IDS = 100_000
"""Ids that one range may name."""


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
        self._shown_ids: tuple[int, ...] = ()
        self.combo = NarrowCombo("New layer at first accept", self.read_layers)
        self.combo.setAccessibleName("Labels layer")
        self.combo.set_help("The Labels layer that accepted objects are written to.")
        self.combo.activated.connect(self._on_combo_activated)
        self.new_button = QPushButton("+")
        self.new_button.setToolTip("Add an empty Labels layer that fits the image, and write to it")
        self.new_button.setAccessibleName("New Labels layer")
        self.new_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.new_button.setFixedSize(28, line_height(self.new_button))
        self.new_button.clicked.connect(lambda: session.new_target())
        self.policy = NarrowCombo()
        self.policy.setAccessibleName("What happens to pixels that carry a label")
        self.policy.set_help("\n".join(f"{choice.title}: {choice.tooltip}" for choice in WRITE_POLICIES))
        self.policy.activated.connect(self._on_policy_activated)
        self.protected = TypedLine("Ids to protect, such as 1, 4-7", "These objects are never covered. Enter applies.")
        self.protected.setAccessibleName("Ids to protect")
        self.protected.entered.connect(self._on_protected_entered)
        self.protected.editingFinished.connect(self._on_protected_entered)
        self.protected.left.connect(lambda: self.protected.setText(ids_text(session.protected_ids)))
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
        layout.addWidget(self.policy)
        layout.addWidget(self.protected)

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
        self.policy.show_rows([ComboRow(choice.title, choice.name) for choice in WRITE_POLICIES], state.write_policy)
        self.protected.setVisible(state.write_policy == "protect")
        if state.protected_ids != self._shown_ids:
            self._shown_ids = state.protected_ids
            self.protected.setText(ids_text(state.protected_ids))

    def _on_combo_activated(self, index: int) -> None:
        chosen = self.combo.row(index).data
        if isinstance(chosen, TargetOffer):
            self._session.fit_target(chosen.layer)
        else:
            self._session.target = chosen

    def _on_policy_activated(self, index: int) -> None:
        self._session.write_policy = cast("WritePolicy", self.policy.row(index).data)

    def _on_protected_entered(self) -> None:
        ids = parse_ids(self.protected.text())
        self.protected.setText(ids_text(self._session.protected_ids if ids is None else ids))
        if ids is not None:
            self._shown_ids = self._session.protected_ids = ids


def parse_ids(text: str) -> tuple[int, ...] | None:
    """Read ids such as "1, 4-7"; None where the text is something else."""
    found: set[int] = set()
    for part in text.replace(";", ",").split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not part.strip():
            continue
        ends = (first, last if dash else first)
        if not all(end.isdecimal() and len(end) < 10 for end in ends) or not 0 < int(ends[0]) <= int(ends[1]):
            return None
        if int(ends[1]) - int(ends[0]) > _MOST_IDS:
            return None
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    return tuple(sorted(found))


def ids_text(ids: tuple[int, ...]) -> str:
    """Write ids as a person would: runs of them by their ends."""
    runs: list[list[int]] = []
    for label in ids:
        if runs and label == runs[-1][1] + 1:
            runs[-1][1] = label
        else:
            runs.append([label, label])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
