"""The legend of keys, folded away until somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_sam.widgets.action_button import keys_text
from napari_sam.widgets.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam.session.actions import Action


class KeysPanel(Fold):
    """Lists every action that has a key.

    Parameters
    ----------
    actions : iterable of Action
        The table that the bindings are made from.
    """

    def __init__(self, actions: Iterable[Action]) -> None:
        super().__init__("Keys")
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
