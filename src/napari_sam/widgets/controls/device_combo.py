"""The choice of a device. Which ones there are is found off the GUI thread, because that imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt

from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo

if TYPE_CHECKING:
    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_LANE = "devices"
_CPU = ("cpu", "CPU")  # always there, so it need not be looked for


def find_devices(_progress: Progress) -> tuple[tuple[str, str], ...]:
    """Return (name, words) of the devices of this machine, the best first. Imports torch."""
    from napari_sam.device import available_devices, choose_device, describe_device

    return tuple((name, describe_device(choose_device(name))) for name in available_devices())


class DeviceCombo(NarrowCombo):
    """Chooses where the model runs.

    Devices are looked for when the model has been loaded, as torch is there by then, or when the list is opened.

    Parameters
    ----------
    session : Session
        Whose model this is.
    worker : Worker
        Looks for devices.
    """

    elide = Qt.TextElideMode.ElideRight

    def __init__(self, session: Session, worker: Worker) -> None:
        super().__init__()
        self._session = session
        self._worker = worker
        self._found: tuple[tuple[str, str], ...] = (_CPU,)
        self._asked = False
        self.set_help("Where the model runs. Auto takes the fastest device there is.")
        self.activated.connect(self._on_activated)

    def draw(self, state: SessionState) -> None:
        """Show the device in use."""
        if state.device:
            self._ask()
        view = self.view()
        if view is None or not view.isVisible():  # a list that is open keeps its rows
            self._show(state)

    def showPopup(self) -> None:
        """Look for devices, if nobody has yet."""
        self._ask()
        super().showPopup()

    def list_closed(self) -> None:
        """Show what was found while the list was open."""
        super().list_closed()
        self._show(self._session.state)

    def _show(self, state: SessionState) -> None:
        auto = f"Auto: {state.device}" if state.device and self._session.device == "auto" else "Auto"
        self.show_rows(
            [ComboRow(auto, "auto"), *(ComboRow(words, name) for name, words in self._found)], self._session.device
        )

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self._worker.submit(_LANE, find_devices, self._on_worker_done)

    def _on_worker_done(self, found: tuple[tuple[str, str], ...]) -> None:
        self._found = found
        self.draw(self._session.state)

    def _on_activated(self, index: int) -> None:
        self._session.device = str(self.row(index).data)
