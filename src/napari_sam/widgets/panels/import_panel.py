"""Takes in a checkpoint that a person brings: chosen in a dialog, or dropped onto the dock."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.registry import CHECKPOINT_SUFFIXES
from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.session.state import Status
from napari_sam.widgets.activity import ActivityEntry
from napari_sam.widgets.controls.progress_row import ProgressRow
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.keyboard import focus_canvas

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QMimeData

    from napari_sam.checkpoints.registry import ModelSpec
    from napari_sam.inference.worker import Worker

_LANE = "import"
_log = logging.getLogger(__name__)


def dropped_checkpoint(mime: QMimeData | None) -> Path | None:
    """Return the checkpoint that is being dragged; None for anything else, and for several files at once."""
    if mime is None or len(urls := mime.urls()) != 1 or not urls[0].isLocalFile():
        return None
    path = Path(urls[0].toLocalFile())
    return path if path.suffix.lower() in CHECKPOINT_SUFFIXES else None


class ImportPanel(QWidget):
    """Asks for a file, imports it in the background, and says what came of it. Hidden until it is needed.

    Parameters
    ----------
    worker : Worker
        Reads and copies the file.
    imported : callable
        Takes the model that a file has become.
    """

    def __init__(self, worker: Worker, imported: Callable[[ModelSpec], None]) -> None:
        super().__init__()
        self._worker = worker
        self._imported = imported
        self.text = WrappedLabel()
        self.again_button = QPushButton("Other file…")
        self.again_button.clicked.connect(self.choose)
        self.again_button.setToolTip("Choose another file of weights")
        self.close_button = QPushButton("OK")
        self.close_button.setToolTip("Close this message")
        self.close_button.clicked.connect(self.hide)
        self.progress = ProgressRow(lambda: worker.cancel(_LANE))
        self._activity = ActivityEntry(lambda: worker.cancel(_LANE))

        self._buttons = QWidget()
        row = QHBoxLayout(self._buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for button in (self.again_button, self.close_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.text, self._buttons, self.progress):
            layout.addWidget(widget)
        self.hide()

    def choose(self) -> None:
        """Open a dialog for the file; the window goes on beside it."""
        patterns = " ".join(f"*{suffix}" for suffix in CHECKPOINT_SUFFIXES)
        dialog = QFileDialog(self, "Import a checkpoint", "", f"Checkpoints ({patterns});;All files (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._on_dialog_file_selected)
        dialog.finished.connect(self._on_dialog_finished)
        dialog.open()

    def start(self, path: Path) -> None:
        """Import a file; one that is being imported already is given up."""
        self._show(f"Importing {path.name}.", busy=True)
        self.progress.start()
        self._activity.show(Status("working", f"Importing {path.name}", None, cancellable=True))
        self._worker.submit(
            _LANE,
            lambda progress: import_file(path, progress=progress, after_file=True),
            partial(self._on_worker_done, path),
            partial(self._on_worker_failed, path),
            partial(self._on_worker_progress, path),
            preempt=True,  # nobody waits for the file before
        )

    def close_activity(self) -> None:
        """Take the work out of napari's activity area."""
        self._activity.close()

    def _show(self, text: str, *, busy: bool = False, again: bool = False) -> None:
        self.text.show_text(text)
        self.progress.setVisible(busy)
        self._buttons.setVisible(not busy)
        self.again_button.setVisible(again)
        self.show()

    def _on_dialog_file_selected(self, file: str) -> None:
        self.start(Path(file))

    def _on_dialog_finished(self) -> None:
        focus_canvas(self)

    def _on_worker_progress(self, path: Path, fraction: float) -> None:
        self.progress.show_progress(fraction)
        self._activity.show(Status("working", f"Importing {path.name}", fraction, cancellable=True))

    def _on_worker_done(self, path: Path, spec: ModelSpec) -> None:
        self._activity.show(Status())
        self._show(f"{path.name} is imported as {spec.title}. The file itself is no longer needed.")
        self._imported(spec)

    def _on_worker_failed(self, path: Path, error: BaseException) -> None:
        self._activity.show(Status())
        if isinstance(error, Cancelled):
            self._show(f"{path.name} was not imported: stopped.", again=True)
            return
        if not isinstance(error, NapariSamError):
            _log.error("import of %s failed", path, exc_info=error)
        self._show(str(error) or type(error).__name__, again=True)
