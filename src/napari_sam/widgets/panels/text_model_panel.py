"""Which text model compares objects with words, and the offer to download one that is not on this machine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam.checkpoints.weights import State
from napari_sam.text import store
from napari_sam.text.models import CLIP_MODELS, DEFAULT
from napari_sam.widgets.controls.model_combo import ModelDelegate, ModelRow, show_model_rows
from napari_sam.widgets.controls.narrow import NarrowCombo
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.download_offer import Download, DownloadOffer

if TYPE_CHECKING:
    from napari_sam.inference.worker import Worker
    from napari_sam.text.models import ClipModel

_LANE = "text model"


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
        # A folder may have come or gone since the list was last open.
        self.combo = NarrowCombo(read=self._read)
        self.combo.setAccessibleName("Model of words")
        self.combo.setItemDelegate(ModelDelegate(self.combo))
        self.combo.activated.connect(self._on_combo_activated)
        self.terms = WrappedLabel()
        self._offering = DownloadOffer(worker, _LANE, "Choose another model, or go on without words")
        self._offering.arrived.connect(self._on_offering_arrived)
        self._offering.closed.connect(self._on_offering_closed)
        self.offer = self._offering.text
        self.download, self.keep = self._offering.download_button, self._offering.keep_button
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.terms, self._offering):
            layout.addWidget(widget)
        self._model = DEFAULT
        self._read()

    @property
    def model(self) -> str:
        """Name of the model that is chosen."""
        return self._model

    def has_model(self) -> bool:
        """Tell whether the chosen model is on this machine; else offer to download it."""
        model = store.lookup(self._model)
        if store.status(model) is not State.TO_DOWNLOAD:
            return True
        self.terms.hide()
        self._offering.show_offer(
            Download(model.title, "", partial(store.ensure, model)),
            f"{model.title} is not on this machine. To download: {model.size_text or 'size not stated'}, licence "
            f"{model.licence or 'not stated'}.",
            "Go on" if store.partial_size(model) else "Download",
        )
        return False

    def close_activity(self) -> None:
        """Take the download out of napari's activity area."""
        self._offering.close_activity()

    def _read(self) -> None:
        rows = [_row(model) for model in (*CLIP_MODELS, *store.on_disk())]
        show_model_rows(self.combo, rows, self._model)
        chosen = store.lookup(self._model)
        place = str(store.status(chosen))
        size = f"{chosen.size_text} {place}" if chosen.size_text else place
        self.terms.show_text(f"Licence {chosen.licence or 'not stated'}, {size}.")

    def _on_combo_activated(self, index: int) -> None:
        self._model = str(self.combo.row(index).data)
        self._offering.close_offer()

    def _on_offering_arrived(self) -> None:
        self.arrived.emit()

    def _on_offering_closed(self) -> None:
        self.terms.show()
        self._read()


def _row(model: ClipModel) -> ModelRow:
    """Return what the list says about a model."""
    place = ", ".join(filter(None, (model.licence, model.size_text, str(store.status(model)))))
    lines = (model.use_for, model.size_text, str(store.status(model)), f"Licence: {model.licence or 'not stated'}")
    return ModelRow(model.name, model.title, model.use_for, place, "\n".join(filter(None, lines)))
