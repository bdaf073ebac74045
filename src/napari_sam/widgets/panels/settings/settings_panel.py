"""The Settings section, folded away until somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo
from napari_sam.widgets.panels.settings.cache_row import CacheRow

if TYPE_CHECKING:
    from napari_sam.inference.worker import Worker
    from napari_sam.session import Session

_REGIONS = (
    ComboRow("object's surroundings", "object", "As much as the object needs, at full detail."),
    ComboRow("what is on screen", "screen", "Zoom in to give the model more detail, out to give it more around."),
)


class SettingsPanel(CollapsibleSection):
    """Draws the choices that are made once, and remembered.

    Parameters
    ----------
    session : Session
        Whose choices these are.
    worker : Worker
        Looks at the disk.
    """

    def __init__(self, session: Session, worker: Worker) -> None:
        super().__init__("Settings")
        self._session = session
        self.region = NarrowCombo()
        self.region.setAccessibleName("Look at")
        self.region.elide = Qt.TextElideMode.ElideRight
        self.region.set_help("What the model looks at on large planes. Small ones are seen as a whole.")
        self.region.activated.connect(self._on_region_activated)
        self.prefetch = QCheckBox("Encode ahead")
        self.prefetch.setToolTip(
            "Planes next to the one on screen are encoded while there is nothing else to do: they answer at once."
        )
        self.prefetch.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.prefetch.clicked.connect(self._on_prefetch_clicked)
        self.cache = CacheRow(worker)
        rows = QWidget()
        grid = QGridLayout(rows)
        grid.setContentsMargins(4, 0, 0, 4)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel("Look at"), 0, 0)
        grid.addWidget(self.region, 0, 1)
        grid.addWidget(self.prefetch, 1, 0, 1, 2)
        grid.addWidget(self.cache, 2, 0, 1, 2)
        self.addWidget(rows)
        self.toggled.connect(self._on_section_toggled)
        session.settings.events.region.connect(self._on_settings_changed)
        session.settings.events.prefetch.connect(self._on_settings_changed)
        self._on_settings_changed()

    def _on_settings_changed(self) -> None:
        self.region.show_rows(_REGIONS, self._session.region)
        self.prefetch.setChecked(self._session.prefetch)

    def _on_section_toggled(self, expanded: bool) -> None:
        if expanded:
            self.cache.read()

    def _on_region_activated(self, index: int) -> None:
        self._session.region = self.region.row(index).data  # type: ignore[assignment]  # a row of the table above

    def _on_prefetch_clicked(self, checked: bool) -> None:
        self._session.prefetch = checked
