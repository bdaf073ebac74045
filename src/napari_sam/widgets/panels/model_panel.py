"""The choice of a model, and the offer to download one that is not on this machine yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam.checkpoints.weights import State, ensure, partial_size, status
from napari_sam.widgets.controls.model_combo import IMPORT, ModelCombo, size_text
from napari_sam.widgets.download_offer import Download, DownloadOffer
from napari_sam.widgets.panels.import_panel import ImportPanel

if TYPE_CHECKING:
    from napari_sam.checkpoints.registry import ModelSpec
    from napari_sam.inference.worker import Worker
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_LANE = "download"


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
        self.combo = ModelCombo()
        self.combo.activated.connect(self._on_combo_activated)
        self._offering = DownloadOffer(worker, _LANE, "Keep the model in use")
        self._offering.arrived.connect(self._on_offering_arrived)
        self._offering.closed.connect(self._on_offering_closed)
        self.offer, self.progress = self._offering.text, self._offering.progress
        self.download_button, self.keep_button = self._offering.download_button, self._offering.keep_button
        self._offered_name = ""
        self.importing = ImportPanel(worker, self._on_importing_done)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.combo, self._offering, self.importing):
            layout.addWidget(widget)
        self.combo.show_model(session.model)

    def draw(self, state: SessionState) -> None:
        """Show the model in use, unless an offer for another is open."""
        if self._offering.offered is None and self.combo.row(self.combo.currentIndex()).data != state.model:
            self.combo.show_model(state.model)

    def close_activity(self) -> None:
        """Take the download out of napari's activity area."""
        self._offering.close_activity()
        self.importing.close_activity()

    def _on_combo_activated(self, index: int) -> None:
        name = str(self.combo.row(index).data)
        self._worker.cancel(_LANE)
        if name == IMPORT:
            self._offering.close_offer()
            self.importing.choose()
            return
        spec = self.combo.spec(name)
        if spec is None or not spec.urls or status(spec) is State.ON_DISK:
            self._offering.close_offer()
            self._session.model = name
            return
        problem = "damaged" if status(spec) is State.DAMAGED else "not on this machine"
        self._offered_name = spec.name
        self._offering.show_offer(
            Download(spec.title, size_text(spec), partial(ensure, spec)),
            f"{spec.title} is {problem}. To download: {size_text(spec)}, licence {spec.licence or 'not stated'}.",
            "Go on" if partial_size(spec) else "Download",
        )

    def _on_importing_done(self, spec: ModelSpec) -> None:
        self._offering.close_offer()
        self._session.model = spec.name
        self.combo.show_model(spec.name)

    def _on_offering_arrived(self) -> None:
        self._session.model = self._offered_name
        self.combo.show_model(self._session.model)  # the list says which models are on this machine

    def _on_offering_closed(self) -> None:
        self.combo.show_model(self._session.model)
