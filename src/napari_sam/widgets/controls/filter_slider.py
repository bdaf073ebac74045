"""A slider with its name before it and its value behind it: the least of something, or the least and the largest."""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QSlider, QWidget
from superqt import QRangeSlider

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QWheelEvent

_TICKS = 1000
"""Positions of a handle: more than the slider has pixels."""
_NAME, _VALUE, _VALUES = 76, 56, 86  # widths of the name, and of one value or of two, logical pixels
# napari's style draws a handle that is wider than a row of this dock is high.
_HEIGHT = 18


def _ignore_wheel(event: QWheelEvent | None) -> None:
    """Leave the wheel to the scroll area: who scrolls through the dock would change what lies under the mouse."""
    if event is not None:
        event.ignore()


class _Least(QSlider):
    def wheelEvent(self, event: QWheelEvent | None) -> None:
        _ignore_wheel(event)


class _Range(QRangeSlider):
    def wheelEvent(self, event: QWheelEvent | None) -> None:
        _ignore_wheel(event)


class FilterSlider(QWidget):
    """Chooses the least of a property, or the least and the largest.

    Parameters
    ----------
    name : str
        What is chosen.
    help : str
        One sentence for the tooltip.
    text : callable
        Gives the words for the chosen bounds, least and largest.
    both : bool
        Whether the largest is chosen, too.
    logarithmic : bool
        Whether equal distances on the slider are equal ratios; the bounds are then 1 or more.
    """

    chosen = Signal(float, float)
    """The person moved a handle to these bounds; a bound at the end of the slider is the end of the range."""

    def __init__(
        self,
        name: str,
        help: str,
        text: Callable[[float, float], str],
        *,
        both: bool = False,
        logarithmic: bool = False,
    ) -> None:
        super().__init__()
        self._text = text
        self._both = both
        self._logarithmic = logarithmic
        self._range = (0.0, 1.0)
        # Any: the one takes and gives two numbers, the other one.
        self.slider: Any = (_Range if both else _Least)(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _TICKS)
        self.slider.setFixedHeight(_HEIGHT)
        self.slider.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.slider.setAccessibleName(name)
        self.slider.valueChanged.connect(self._on_slider_changed)
        self.value = QLabel()
        self.value.setFixedWidth(_VALUES if both else _VALUE)
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        label = QLabel(name)
        label.setFixedWidth(_NAME)
        for widget in (self.slider, self.value, label):
            widget.setToolTip(help)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(label)
        row.addWidget(self.slider, 1)
        row.addWidget(self.value)

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds that the handles stand for."""
        low, high = self._ticks
        return self._bound(low), self._bound(high)

    @property
    def _ticks(self) -> tuple[int, int]:
        """Where the handles are."""
        value = self.slider.value()
        return (int(value[0]), int(value[1])) if self._both else (int(value), _TICKS)

    def show_bounds(self, low: float, high: float, range_: tuple[float, float]) -> None:
        """Show which bounds are chosen within a range; nothing is signalled to the outside."""
        self._range = range_
        ticks = self._tick(low), self._tick(high)
        if self._ticks != (ticks if self._both else (ticks[0], _TICKS)):
            self.slider.blockSignals(True)
            self.slider.setValue(ticks if self._both else ticks[0])
            self.slider.blockSignals(False)
        self.value.setText(self._text(max(low, range_[0]), min(high, range_[1])))

    def _bound(self, tick: float) -> float:
        low, high = self._range
        share = tick / _TICKS
        if self._logarithmic:
            return exp(log(low) + share * (log(high) - log(low)))
        return low + share * (high - low)

    def _tick(self, bound: float) -> int:
        low, high = self._range
        if high <= low:
            return 0 if bound <= low else _TICKS
        inside = min(max(bound, low), high)
        if self._logarithmic:
            return round(_TICKS * log(inside / low) / log(high / low))
        return round(_TICKS * (inside - low) / (high - low))

    def _on_slider_changed(self) -> None:
        self.chosen.emit(*self.bounds)
