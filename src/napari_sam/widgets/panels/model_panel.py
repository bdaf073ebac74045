"""The choice of a model, and the offer to download one that is not on this machine yet."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.checkpoints.weights import State, ensure, partial_size, status
from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.session.state import Status
from napari_sam.widgets.activity import ActivityEntry
from napari_sam.widgets.controls.model_combo import IMPORT, ModelCombo, size_text
from napari_sam.widgets.controls.progress_row import ProgressRow
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.panels.import_panel import ImportPanel

if TYPE_CHECKING:
    from napari_sam.checkpoints.registry import ModelSpec
    from napari_sam.inference.worker import Worker
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_LANE = "download"
_log = logging.getLogger(__name__)


class ModelPanel(QWidget):
    """Draws the model in use; fetches or imports another when the person asks for it.

    Nothing is ever downloaded because of a choice in a list: the offer names the size and the licence, and waits for
    its button. Until the file is here, the session keeps the model that it has.

    Parameters
    ----------
    session : Session
        Whose model this is.
    worker : Worker
        Downloads.
    """

    def __init__(self, session: Session, worker: Worker) -> None:
        super().__init__()
        self._session = session
        self._worker = worker
        self._wanted: ModelSpec | None = None
        self.combo = ModelCombo()
        self.combo.activated.connect(self._on_combo_activated)
        self.offer = WrappedLabel()
        self.download_button = QPushButton("Download")
        self.download_button.clicked.connect(lambda: self._start())
        self.keep_button = QPushButton("Not now")
        self.keep_button.setToolTip("Keep the model in use")
        self.keep_button.clicked.connect(lambda: self._forget())
        self.progress = ProgressRow(lambda: worker.cancel(_LANE))
        self._activity = ActivityEntry(lambda: worker.cancel(_LANE))
        self.importing = ImportPanel(worker, self._on_importing_done)

        self._buttons = QWidget()
        buttons = QHBoxLayout(self._buttons)
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.setSpacing(4)
        for button in (self.download_button, self.keep_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.combo, self.offer, self._buttons, self.progress, self.importing):
            layout.addWidget(widget)
        self.combo.show_model(session.model)
        self._forget()

    def draw(self, state: SessionState) -> None:
        """Show the model in use, unless an offer for another is open."""
        if self._wanted is None and self.combo.row(self.combo.currentIndex()).data != state.model:
            self.combo.show_model(state.model)

    def close_activity(self) -> None:
        """Take the download out of napari's activity area."""
        self._activity.close()
        self.importing.close_activity()

    def _on_combo_activated(self, index: int) -> None:
        name = str(self.combo.row(index).data)
        self._worker.cancel(_LANE)
        if name == IMPORT:
            self._forget()
            self.importing.choose()
            return
        spec = self.combo.spec(name)
        if spec is None or not spec.urls or status(spec) is State.ON_DISK:
            self._forget()
            self._session.model = name
            return
        self._wanted = spec
        problem = "damaged" if status(spec) is State.DAMAGED else "not on this machine"
        self._show_offer(
            f"{spec.title} is {problem}. To download: {size_text(spec)}, licence {spec.licence or 'not stated'}.",
            "Go on" if partial_size(spec) else "Download",
        )

    def _on_importing_done(self, spec: ModelSpec) -> None:
        self._forget()
        self._session.model = spec.name
        self.combo.show_model(spec.name)

    def _start(self) -> None:
        spec = self._wanted
        if spec is None:
            return
        self.offer.show_text(f"Downloading {spec.title}, {size_text(spec)}.")
        self._buttons.hide()
        self.progress.show()
        self.progress.start()
        self._activity.show(Status("working", f"Downloading {spec.title}", None, cancellable=True))
        self._worker.submit(
            _LANE,
            lambda progress: ensure(spec, progress),
            lambda _path: self._on_worker_done(spec),
            lambda error: self._on_worker_failed(spec, error),
            lambda fraction: self._on_worker_progress(spec, fraction),
            preempt=True,
        )

    def _on_worker_progress(self, spec: ModelSpec, fraction: float) -> None:
        if self._wanted is spec:
            self.progress.show_progress(fraction)
            self._activity.show(Status("working", f"Downloading {spec.title}", fraction, cancellable=True))

    def _on_worker_done(self, spec: ModelSpec) -> None:
        # Else the person has chosen another model meanwhile.
        if self._wanted is spec:
            self._forget()
            self._session.model = spec.name
        # In any case: the list says which models are on this machine.
        self.combo.show_model(self._session.model)

    def _on_worker_failed(self, spec: ModelSpec, error: BaseException) -> None:
        if self._wanted is not spec:
            return
        self._activity.show(Status())
        if isinstance(error, Cancelled):
            self._show_offer(f"{spec.title}: the download was stopped. What has arrived is kept.", "Go on")
            return
        if not isinstance(error, NapariSamError):
            _log.error("download of %s failed", spec.name, exc_info=error)
        self._show_offer(str(error) or type(error).__name__, "Try again")

    def _show_offer(self, text: str, verb: str) -> None:
        self.offer.show_text(text)
        self.download_button.setText(verb)
        self.offer.show()
        self._buttons.show()
        self.progress.hide()

    def _forget(self) -> None:
        """Close the offer and show the model in use."""
        self._wanted = None
        self._worker.cancel(_LANE)
        self._activity.show(Status())
        for widget in (self.offer, self._buttons, self.progress):
            widget.hide()
        self.combo.show_model(self._session.model)
