"""What is segmented, and with what: image, channels, model and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_sam.widgets.channels_button import ChannelsButton
from napari_sam.widgets.controls.device_combo import DeviceCombo
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo
from napari_sam.widgets.machine_address import MachineAddress
from napari_sam.widgets.panels.model_panel import ModelPanel

if TYPE_CHECKING:
    from napari_sam.inference.worker import Worker
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState


class SourcePanel(QWidget):
    """Draws the choice of image, channels, model and device.

    Parameters
    ----------
    session : Session
        Whose choices these are.
    worker : Worker
        Looks for devices and downloads models.
    """

    def __init__(self, session: Session, worker: Worker) -> None:
        super().__init__()
        self._session = session
        self.image = NarrowCombo("No image is open", self.read_layers)
        self.image.set_help("The image to segment. It follows the selected layer until you pick one here.")
        self.image.activated.connect(self._on_image_activated)
        self.channels = ChannelsButton(session)
        self.model = ModelPanel(session, worker)
        self.device = DeviceCombo(session, worker)
        self.machine = MachineAddress()
        self.device.machine_wanted.connect(self.machine.ask)
        self.machine.chosen.connect(self.device.use_machine)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        rows: tuple[tuple[str, QWidget], ...] = (
            ("Image", self.image),
            ("Channels", self.channels),
            ("Model", self.model),
            ("Device", self.device),
        )
        for i, (text, widget) in enumerate(rows):
            label = QLabel(text)
            label.setMinimumHeight(self.image.sizeHint().height())
            if widget is self.channels:
                self._channels_label = label
            (self.model.combo if widget is self.model else widget).setAccessibleName(text)
            grid.addWidget(label, i, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(widget, i, 1)
        grid.addWidget(self.machine, len(rows), 1)

    def read_layers(self) -> None:
        """Offer the images that there are now."""
        rows = [ComboRow(layer.name, layer) for layer in self._session.image_choices()]
        self.image.show_rows(rows, self._session.image)
        self.image.setEnabled(bool(rows))
        # Most people have one image: a row that offers nothing would only be in their way.
        for widget in (self.channels, self._channels_label):
            widget.setVisible(self.channels.has_choice)

    def draw(self, state: SessionState) -> None:
        """Show what the model sees, the model and the device in use."""
        self.channels.draw(state)
        self.model.draw(state)
        self.device.draw(state)

    def _on_image_activated(self, index: int) -> None:
        self._session.image = self.image.row(index).data
