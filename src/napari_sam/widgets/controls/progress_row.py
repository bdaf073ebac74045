"""A progress bar with the time left and a Cancel button: the same row for the session's work and for downloads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS = 1000
_TRUSTED_S = 1.0  # an estimate of the time left from less than this jumps about


class ProgressRow(QWidget):
    """Shows how far a piece of work is.

    Parameters
    ----------
    cancel : callable
        Called when Cancel is clicked.
    """

    def __init__(self, cancel: Callable[[], object]) -> None:
        super().__init__()
        self._started = time.monotonic()
        self.bar = QProgressBar()
        self.bar.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.bar.setMinimumWidth(40)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop this work")
        self.cancel_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        # Qt hands over whether the button is checked, which `cancel` does not take.
        self.cancel_button.clicked.connect(lambda: cancel())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.bar, 1)
        layout.addWidget(self.cancel_button)

    def start(self) -> None:
        """Begin to count the time, with nothing done yet."""
        self._started = time.monotonic()
        self.show_progress(None)

    def show_progress(self, fraction: float | None, *, cancellable: bool = True) -> None:
        """Show the share of the work that is done.

        Parameters
        ----------
        fraction : float or None
            From 0 to 1; None shows that something goes on, but not how far it is.
        cancellable : bool
            Whether the Cancel button can be pressed.
        """
        self.cancel_button.setEnabled(cancellable)
        if fraction is None:
            self.bar.setRange(0, 0)  # Qt then shows a bar that runs to and fro
            self.bar.setFormat("")
            return
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(round(_STEPS * fraction))
        self.bar.setFormat(progress_text(fraction, time.monotonic() - self._started))


def progress_text(fraction: float, elapsed: float) -> str:
    """Return words for a share of the work done, and for the time left once that can be told.

    Parameters
    ----------
    fraction : float
        From 0 to 1.
    elapsed : float
        Seconds since the work began.
    """
    percent = f"{100 * fraction:.0f} %"
    if elapsed < _TRUSTED_S or not 0.02 < fraction < 1:
        return percent
    left = elapsed * (1 - fraction) / fraction
    return f"{percent}, {left / 60:.0f} min left" if left > 90 else f"{percent}, {max(left, 1):.0f} s left"
