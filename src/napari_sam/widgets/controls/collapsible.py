"""A section of the dock that is folded away until somebody asks."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QSizePolicy
from superqt import QCollapsible

_ANY_HEIGHT = (1 << 24) - 1  # what Qt calls QWIDGETSIZE_MAX; not every binding has the name
_STYLE = "text-align: left; border: none; outline: none; background: transparent; font-weight: bold; padding: 0px"


class CollapsibleSection(QCollapsible):
    """A collapsible section in the looks of the dock.

    Parameters
    ----------
    title : str
        Its heading.
    """

    def __init__(self, title: str) -> None:
        super().__init__(title, expandedIcon="▾", collapsedIcon="▸")
        self.setDuration(0)  # a section that grows while one looks at it is hard to bring into view
        # The base class allows the height of the size hint at most, by its policy and by the alignment of its layout:
        # too little for a text that needs another line in a narrow dock.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.toggleButton().setStyleSheet(_STYLE)
        self.toggleButton().setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.toggleButton().setToolTip(f"Show or hide the section {title}.")
        for layout in (self.layout(), self.content().layout()):
            if layout is not None:
                layout.setContentsMargins(0, 0, 0, 0)
                layout.setAlignment(Qt.AlignmentFlag(0))
        # What is folded away only has no height; the Tab key would still go through it.
        self.content().setVisible(False)
        self.toggleButton().toggled.connect(self._on_toggle_button_toggled)
        self.toggled.connect(self._on_toggled)

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the arrows anew in the colours of a new theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self.setExpandedIcon("▾")
            self.setCollapsedIcon("▸")

    def eventFilter(self, _watched: QObject | None, _event: QEvent | None) -> bool:
        """Leave the height to the layout: the base class fixes it, which cuts a text that comes to need more lines."""
        return False

    def _on_toggle_button_toggled(self, checked: bool) -> None:
        if checked:
            self.content().setVisible(True)

    def _on_toggled(self, expanded: bool) -> None:
        self.content().setVisible(expanded)
        if expanded:
            self.content().setMaximumHeight(_ANY_HEIGHT)
