"""A button of a section: as wide as there is room, and a click leaves the keyboard with the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QSizePolicy

if TYPE_CHECKING:
    from collections.abc import Callable


def section_button(text: str, help: str, run: Callable[[], object]) -> QPushButton:
    """Make a button.

    Parameters
    ----------
    text, help : str
        What it says, and its tooltip.
    run : callable
        Called when it is clicked.
    """
    button = QPushButton(text)
    button.setToolTip(help)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    # Qt hands over whether the button is checked, which `run` does not take.
    button.clicked.connect(lambda: run())
    return button
