"""The legend of keys, folded away until somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget
from superqt import QCollapsible

from napari_sam.widgets.action_button import keys_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam.session.actions import Action


_TOGGLE_STYLE = (
    "text-align: left; border: none; outline: none; background: transparent; font-weight: bold; padding: 0px"
)


class KeysPanel(QCollapsible):
    """Lists every action that has a key.

    Parameters
    ----------
    actions : iterable of Action
        The table that the bindings are made from.
    """

    def __init__(self, actions: Iterable[Action]) -> None:
        super().__init__("Keys", expandedIcon="▾", collapsedIcon="▸")
        self.setDuration(120)
        self.toggleButton().setStyleSheet(_TOGGLE_STYLE)
        self.toggleButton().setFocusPolicy(Qt.FocusPolicy.TabFocus)
        legend = QWidget()
        form = QFormLayout(legend)
        form.setContentsMargins(4, 0, 0, 4)
        form.setVerticalSpacing(2)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for action in actions:
            if action.keys:
                what = QLabel(action.title)
                what.setToolTip(action.tooltip)
                form.addRow(keys_text(action.keys), what)
        self.addWidget(legend)
        for layout in (self.layout(), self.content().layout()):
            if layout is not None:
                layout.setContentsMargins(0, 0, 0, 0)

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the arrows anew in the colours of a new theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self.setExpandedIcon("▾")
            self.setCollapsedIcon("▸")
