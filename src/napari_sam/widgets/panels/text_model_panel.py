"""Which text model compares objects with words, and the offer to download one that is not on this machine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam.checkpoints.weights import State
from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.session.state import Status
from napari_sam.text import store
from napari_sam.text.models import CLIP_MODELS, DEFAULT
from napari_sam.widgets.activity import ActivityEntry
from napari_sam.widgets.controls.model_combo import ModelDelegate, ModelRow, show_model_rows
from napari_sam.widgets.controls.narrow import ButtonGrid, NarrowCombo
from napari_sam.widgets.controls.progress_row import ProgressRow
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari_sam.inference.worker import Worker
    from napari_sam.text.models import ClipModel

_LANE = "text model"
_log = logging.getLogger(__name__)


class TextModelPanel(QWidget):
    """Draws what there is to say of the text model that is chosen; whoever uses it finds a place for `combo`.

    As with the other models, nothing is downloaded without its button.

    Parameters
    ----------
    worker : Worker
        Downloads.
    """

    arrived = Signal()
    """The model that was needed is on this machine now."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker
        self._wanted: ClipModel | None = None
        # A folder may have come or gone since the list was last open.
        self.combo = NarrowCombo(read=self._read)
        self.combo.setItemDelegate(ModelDelegate(self.combo))
        self.combo.activated.connect(self._on_combo_activated)
        self.terms = WrappedLabel()
        self.offer = WrappedLabel()
        self.download = section_button("Download", "Get this model, once", self._start)
        self.keep = section_button("Not now", "Choose another model, or go on without words", self._forget)
        self._buttons = ButtonGrid([self.download, self.keep])
        self.progress = ProgressRow(lambda: worker.cancel(_LANE))
        self._activity = ActivityEntry(lambda: worker.cancel(_LANE))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.terms, self.offer, self._buttons, self.progress):
            layout.addWidget(widget)
        self._model = DEFAULT
        self._read()
        self._forget()

    @property
    def model(self) -> str:
        """Name of the model that is chosen."""
        return self._model

    def has_model(self) -> bool:
        """Tell whether the chosen model is on this machine; else offer to download it."""
        model = store.lookup(self._model)
        if store.status(model) is not State.TO_DOWNLOAD:
            return True
        self._wanted = model
        self._show_offer(
            f"{model.title} is not on this machine. To download: {model.size_text or 'size not stated'}, licence "
            f"{model.licence or 'not stated'}.",
            "Go on" if store.partial_size(model) else "Download",
        )
        return False

    def close_activity(self) -> None:
        """Take the download out of napari's activity area."""
        self._activity.close()

    def _read(self) -> None:
        rows = [_row(model) for model in (*CLIP_MODELS, *store.on_disk())]
        show_model_rows(self.combo, rows, self._model)
        chosen = store.lookup(self._model)
        place = str(store.status(chosen))
        size = f"{chosen.size_text} {place}" if chosen.size_text else place
        self.terms.show_text(f"Licence {chosen.licence or 'not stated'}, {size}.")

    def _on_combo_activated(self, index: int) -> None:
        self._model = str(self.combo.row(index).data)
        self._forget()

    def _start(self) -> None:
        if (model := self._wanted) is None:
            return
        text = f"Downloading {model.title}"
        self.offer.show_text(f"{text}.")
        self._buttons.hide()
        self.progress.show()
        self.progress.start()
        self._activity.show(Status("working", text, None, cancellable=True))
        self._worker.submit(
            _LANE,
            lambda progress: store.ensure(model, progress),
            lambda _folder: self._on_worker_done(model),
            lambda error: self._on_worker_failed(model, error),
            lambda fraction: self._on_worker_progress(model, fraction),
            preempt=True,
        )

    def _on_worker_progress(self, model: ClipModel, fraction: float) -> None:
        if self._wanted is model:
            self.progress.show_progress(fraction)
            self._activity.show(Status("working", f"Downloading {model.title}", fraction, cancellable=True))

    def _on_worker_done(self, model: ClipModel) -> None:
        if self._wanted is model:
            self._forget()
            self.arrived.emit()

    def _on_worker_failed(self, model: ClipModel, error: BaseException) -> None:
        if self._wanted is not model:
            return
        self._activity.show(Status())
        if isinstance(error, Cancelled):
            self._show_offer(f"{model.title}: the download was stopped. What has arrived is kept.", "Go on")
            return
        if not isinstance(error, NapariSamError):
            _log.error("download of %s failed", model.name, exc_info=error)
        self._show_offer(str(error) or type(error).__name__, "Try again")

    def _show_offer(self, text: str, verb: str) -> None:
        self.offer.show_text(text)
        self.download.setText(verb)
        self.terms.hide()
        self.offer.show()
        self._buttons.show()
        self.progress.hide()

    def _forget(self) -> None:
        """Close the offer and show the model that is chosen."""
        self._wanted = None
        self._worker.cancel(_LANE)
        self._activity.show(Status())
        for widget in (self.offer, self._buttons, self.progress):
            widget.hide()
        self.terms.show()
        self._read()


def _row(model: ClipModel) -> ModelRow:
    """Return what the list says about a model."""
    place = ", ".join(filter(None, (model.licence, model.size_text, str(store.status(model)))))
    lines = (model.use_for, model.size_text, str(store.status(model)), f"Licence: {model.licence or 'not stated'}")
    return ModelRow(model.name, model.title, model.use_for, place, "\n".join(filter(None, lines)))
