"""The legend of keys, folded away until somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QWidget

from napari_sam.widgets.controls.action_button import keys_text
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam.session.actions import Action


class KeysPanel(CollapsibleSection):
    """Lists every action that has a key.

    Parameters
    ----------
    actions : iterable of Action
        The table that the bindings are made from.
    """

    def __init__(self, actions: Iterable[Action]) -> None:
        super().__init__("Keys")
        legend = QWidget()
        grid = QGridLayout(legend)
        grid.setContentsMargins(4, 0, 0, 4)
        grid.setSpacing(0)
        grid.setColumnStretch(0, 5)
        grid.setColumnStretch(1, 4)
        for row, action in enumerate(action for action in actions if action.keys):
            keys, what = WrappedLabel(), WrappedLabel()
            keys.show_text(keys_text(action.keys))
            what.show_text(action.title)
            what.setToolTip(action.tooltip)
            grid.addWidget(keys, row, 0)
            grid.addWidget(what, row, 1)
        self.addWidget(legend)
