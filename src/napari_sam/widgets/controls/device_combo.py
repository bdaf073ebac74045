"""The choice of a device. Which ones there are is found off the GUI thread, because that imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see

from napari_sam.remote.addresses import is_address, known_addresses, remember_address
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo

if TYPE_CHECKING:
    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_LANE = "devices"
_CPU = ("cpu", "CPU")  # always there, so it need not be looked for
MACHINE = "+machine"
"""Data of the last row, which is no device."""
_MACHINE_USE = "Planes are encoded there, and clicks are answered on this computer."


def find_devices(_progress: Progress) -> tuple[tuple[str, str], ...]:
    """Return (name, words) of the devices of this machine, the best first. Imports torch."""
    from napari_sam.device import available_devices, choose_device, describe_device

    return tuple((name, describe_device(choose_device(name))) for name in available_devices())


class DeviceCombo(NarrowCombo):
    """Chooses where the model runs.

    Devices are looked for when the model has been loaded, as torch is there by then, or when the list is opened. Other
    machines are those that the person named once; the last row asks for one more.

    Parameters
    ----------
    session : Session
        Whose model this is.
    worker : Worker
        Looks for devices.
    """

    elide = Qt.TextElideMode.ElideRight

    machine_wanted = Signal()
    """The person wants to name another machine."""

    def __init__(self, session: Session, worker: Worker) -> None:
        super().__init__()
        self._session = session
        self._worker = worker
        self._found: tuple[tuple[str, str], ...] = (_CPU,)
        self._machines = known_addresses()
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

    def use_machine(self, address: str) -> None:
        """Have another machine encode, and keep its address for the next time."""
        remember_address(address)
        self._machines = known_addresses()
        self._session.device = address
        self.draw(self._session.state)

    def showPopup(self) -> None:
        """Look for devices, if nobody has yet."""
        self._ask()
        super().showPopup()

    def list_closed(self) -> None:
        """Show what was found while the list was open."""
        super().list_closed()
        self._show(self._session.state)

    def _show(self, state: SessionState) -> None:
        chosen = self._session.device
        auto = f"Auto: {state.device}" if state.device and chosen == "auto" else "Auto"
        rows = [ComboRow(auto, "auto"), *(ComboRow(words, name) for name, words in self._found)]
        machines = dict.fromkeys([*([chosen] if is_address(chosen) else []), *self._machines])
        # The address is a part of the words for the machine, once those are known.
        rows += [ComboRow(state.device if name in state.device else name, name, _MACHINE_USE) for name in machines]
        self.show_rows([*rows, ComboRow("Another machine…", MACHINE, _MACHINE_USE)], chosen)

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self._worker.submit(_LANE, find_devices, self._on_worker_done)

    def _on_worker_done(self, found: tuple[tuple[str, str], ...]) -> None:
        self._found = found
        self.draw(self._session.state)

    def _on_activated(self, index: int) -> None:
        name = str(self.row(index).data)
        if name == MACHINE:
            # Until an address is there, the device in use stays.
            self._show(self._session.state)
            self.machine_wanted.emit()
        else:
            self._session.device = name
