"""Samples that have to be downloaded, opened from napari's menu: the window goes on meanwhile.

napari calls the function of a sample on its own thread and wants the layers back from it. Therefore the download runs
on another thread, beneath a dialog that can be cancelled.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QMainWindow, QMessageBox, QProgressDialog

from napari_sam import samples
from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.widgets.gui_thread import GuiThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_sam.samples import LayerData

_T = TypeVar("_T")
_AT_ONCE_S = 0.3
"""Seconds within which a sample that is on the disk already has been read: no dialog flashes up for it."""


def cells_volume() -> list[LayerData]:
    """Give the volume of `napari_sam.samples.cells_volume`, without stopping the window while it is downloaded.

    Raises
    ------
    InputError
        If it cannot be downloaded; a message that stays has said so.
    Cancelled
        If the person did not want to wait.
    """
    # In a script there is no window that a download could stop.
    if QApplication.instance() is None:
        return samples.cells_volume()
    return fetch(samples.cells_volume, "Nuclei (real volume)", "Downloading the volume of nuclei, 11 MB.")


def fetch(read: Callable[[], _T], title: str, text: str) -> _T:
    """Run slow work on another thread, and return what it returns, with a dialog over the window meanwhile.

    Parameters
    ----------
    read : callable
        The work.
    title, text : str
        What the dialog says.
    """
    results: list[_T] = []
    errors: list[Exception] = []
    letters = GuiThread()
    dialog = QProgressDialog(text, "Cancel", 0, 0, _window())
    dialog.setWindowTitle(title)
    dialog.setWindowModality(Qt.WindowModality.WindowModal)

    def work() -> None:
        try:
            results.append(read())
        except Exception as error:  # raised again on the caller's thread
            errors.append(error)
        letters.post(dialog.accept)

    # It cannot be stopped; after a cancel it ends by itself, and what it got is there the next time.
    thread = threading.Thread(target=work, name="napari-sam sample", daemon=True)
    thread.start()
    thread.join(_AT_ONCE_S)
    if thread.is_alive():
        dialog.exec()
    # After a cancel the thread goes on, and the dialog is deleted.
    letters.close()
    dialog.deleteLater()
    if results:
        return results[0]
    if errors:
        _tell(title, errors[0])
        raise errors[0]
    raise Cancelled(f"{title} was not opened: the download was cancelled.")


def _tell(title: str, error: Exception) -> None:
    """Show a failure until the person has read it: napari's own notice is gone after seconds."""
    text = str(error) if isinstance(error, NapariSamError) else f"{type(error).__name__}: {error}"
    box = QMessageBox(QMessageBox.Icon.Warning, title, text, parent=_window())
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()


def _window() -> QWidget | None:
    """Find the window that the person works in, also while another application has the keyboard."""
    windows = (w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow) and w.isVisible())
    return QApplication.activeWindow() or next(windows, None)
