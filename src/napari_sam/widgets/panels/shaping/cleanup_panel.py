"""The clean-up of every mask, live: threshold, holes, parts, outline; and what it does to the mask on screen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from napari_sam.inference.shaping import USUAL
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.filter_slider import FilterSlider
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.numbers.number_box import NumberBox
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.panels.shaping.limits_rows import LimitsRows

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_TITLE = "Clean-up"
_THRESHOLDS, _RADII, _STEPS = (-8.0, 8.0), (0.0, 20.0), (-20.0, 20.0)
"""What the sliders go through; a script may choose more."""
_MOST = 1_000_000


def _threshold(value: float, _high: float) -> str:
    return f"{value:+.1f}" if round(value, 1) else "0"


def _pixels(value: float, _high: float) -> str:
    return f"{value:.0f} px"


def _signed_pixels(value: float, _high: float) -> str:
    return f"{value:+.0f} px" if round(value) else "0 px"


class CleanupPanel(CollapsibleSection):
    """Draws the Clean-up section, folded away until somebody asks; its heading tells when it is in use.

    Parameters
    ----------
    session : Session
        Whose masks are cleaned up.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(_TITLE)
        self._session = session
        self.threshold = FilterSlider(
            "Threshold", "How sure the model must be of a pixel: to the left, masks are larger.", _threshold
        )
        self.smooth = FilterSlider("Smooth", "Rounds the outline: what is thinner than this goes.", _pixels)
        self.grow = FilterSlider(
            "Grow", "Moves the outline out, or in where it is less than 0, on all sides.", _signed_pixels
        )
        self.holes = _check("Fill holes up to", "Fills what the mask encloses.")
        self.largest_hole = NumberBox("Largest hole to fill", "Larger holes stay.")
        self.largest_hole.setSpecialValueText("all")
        self.parts = _check("Largest part only", "Leaves out all parts of the mask but the largest one.")
        self.smallest_part = NumberBox("Smallest part to keep", "Parts of fewer pixels are left out.")
        self.reset = section_button("Reset", "Leave masks as the model gives them.", self._on_reset_clicked)
        self.limits = LimitsRows(session)
        self.words = WrappedLabel(lines=1, narrow_lines=2)
        self._build()

    def draw(self, state: SessionState) -> None:
        """Show what becomes of masks, and what it did to the one on screen."""
        shaping = state.shaping
        self.setText(_TITLE if shaping.changes_nothing else f"{_TITLE} (on)")
        self.threshold.show_bounds(shaping.threshold, 0, _THRESHOLDS)
        self.smooth.show_bounds(shaping.smooth, 0, _RADII)
        self.grow.show_bounds(shaping.grow, 0, _STEPS)
        self.holes.setChecked(shaping.fill_holes)
        self.largest_hole.show_range(shaping.largest_hole, 0, _MOST)
        self.largest_hole.setEnabled(shaping.fill_holes)
        self.parts.setChecked(shaping.largest_part)
        self.smallest_part.show_range(shaping.smallest_part, 0, _MOST)
        self.limits.draw(state)
        self.reset.setEnabled(shaping != USUAL)
        self.words.show_text(_words(state))

    def _build(self) -> None:
        smallest = QLabel("Drop parts below")
        smallest.setToolTip(self.smallest_part.toolTip())
        for box in (self.largest_hole, self.smallest_part):
            box.setSuffix(" px")
        section = QWidget()
        column = QVBoxLayout(section)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(4)
        for slider in (self.threshold, self.smooth, self.grow):
            column.addWidget(slider)
        # Each number below its name where there is no room for it beside that.
        column.addWidget(ButtonGrid((self.holes, self.largest_hole, smallest, self.smallest_part)))
        column.addWidget(self.parts)
        column.addWidget(self.limits)
        column.addWidget(self.words)
        column.addWidget(self.reset)
        self.addWidget(section)
        self.threshold.chosen.connect(self._on_threshold_chosen)
        self.smooth.chosen.connect(partial(self._on_pixels_chosen, "smooth"))
        self.grow.chosen.connect(partial(self._on_pixels_chosen, "grow"))
        self.largest_hole.valueChanged.connect(partial(self._on_value_changed, "largest_hole"))
        self.smallest_part.valueChanged.connect(partial(self._on_value_changed, "smallest_part"))
        # No partials: PySide6 would not hand them whether the box is checked.
        self.holes.clicked.connect(self._on_holes_clicked)
        self.parts.clicked.connect(self._on_parts_clicked)

    def _on_threshold_chosen(self, low: float, _high: float) -> None:
        self._choose(threshold=round(low, 1))

    def _on_pixels_chosen(self, name: str, low: float, _high: float) -> None:
        self._choose(**{name: round(low)})

    def _on_value_changed(self, name: str, value: int) -> None:
        self._choose(**{name: value})

    def _on_holes_clicked(self, checked: bool) -> None:
        self._choose(fill_holes=checked)

    def _on_parts_clicked(self, checked: bool) -> None:
        self._choose(largest_part=checked)

    def _choose(self, **choices: Any) -> None:
        self._session.shaping.choose(**choices)
        # Handles stay between two steps else, as a choice that is the same is not told.
        self.draw(self._session.state)

    def _on_reset_clicked(self) -> None:
        self._session.shaping.reset()


def _check(text: str, help: str) -> QCheckBox:
    """Make a check box that leaves the keyboard to the canvas."""
    box = QCheckBox(text)
    box.setToolTip(help)
    box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return box


def _words(state: SessionState) -> str:
    """Say what the clean-up did to the mask on screen."""
    if state.shaping.changes_nothing or state.shaped is None:
        return "" if state.shaping.changes_nothing else "Each mask is cleaned up before you accept it."
    if state.selected >= 0 and not state.candidates[state.selected].area:
        return "Nothing of this mask is left. Reset, or choose less."
    changed = state.shaped.words
    return f"This mask: {changed}." if changed else "This mask stays as it is."
