"""The offer to download a model that is not on this machine: what it is, a button, and how far the download is."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]  # qtpy renames it, which mypy cannot see
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.session.state import Status
from napari_sam.widgets.activity import ActivityEntry
from napari_sam.widgets.controls.narrow import ButtonGrid
from napari_sam.widgets.controls.progress_row import ProgressRow
from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Download:
    """Something to download.

    Attributes
    ----------
    title : str
        What it is called.
    size : str
        Words for its size; "" where that is not known.
    fetch : callable
        Downloads it; runs on the worker's thread.
    """

    title: str
    size: str
    fetch: Callable[[Progress], object]


class DownloadOffer(QWidget):
    """Offers a download, which begins by its button only, and shows how it goes.

    Parameters
    ----------
    worker : Worker
        Downloads.
    lane : str
        In which of its lanes.
    keep_help : str
        Tooltip of the button that declines.
    """

    arrived = Signal(object)
    """What was offered, the `Download`, is on this machine."""
    closed = Signal()
    """There is nothing on offer any more."""

    def __init__(self, worker: Worker, lane: str, keep_help: str) -> None:
        super().__init__()
        self._worker = worker
        self._lane = lane
        self._offered: Download | None = None
        self.text = WrappedLabel()
        self.download_button, self.keep_button = QPushButton("Download"), QPushButton("Not now")
        self.download_button.setToolTip("Get this model, once")
        self.keep_button.setToolTip(keep_help)
        self.download_button.clicked.connect(self._on_download_clicked)
        self.keep_button.clicked.connect(self._on_keep_clicked)
        for button in (self.download_button, self.keep_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._buttons = ButtonGrid([self.download_button, self.keep_button])
        self.progress = ProgressRow(lambda: worker.cancel(lane))
        self._activity = ActivityEntry(lambda: worker.cancel(lane))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.text, self._buttons, self.progress):
            layout.addWidget(widget)
        self.hide()

    @property
    def offered(self) -> Download | None:
        """What is on offer, or being downloaded; None when nothing is."""
        return self._offered

    def show_offer(self, download: Download, text: str, verb: str) -> None:
        """Offer a download, in the words `text`, by a button that says `verb`."""
        self._offered = download
        self._show(text, verb)

    def close_offer(self) -> None:
        """Stop a download under way, and offer nothing."""
        self._offered = None
        self._worker.cancel(self._lane)
        self._activity.show(Status())
        self.hide()
        self.closed.emit()

    def close_activity(self) -> None:
        """Take the download out of napari's activity area."""
        self._activity.close()

    def _show(self, text: str, verb: str) -> None:
        self.text.show_text(text)
        self.download_button.setText(verb)
        self._buttons.show()
        self.progress.hide()
        self.show()

    def _on_keep_clicked(self) -> None:
        self.close_offer()

    def _on_download_clicked(self) -> None:
        if (download := self._offered) is None:
            return
        working = f"Downloading {download.title}"
        self.text.show_text(f"{', '.join(filter(None, (working, download.size)))}.")
        self._buttons.hide()
        self.progress.show()
        self.progress.start()
        self._activity.show(Status("working", working, None, cancellable=True))
        self._worker.submit(
            self._lane,
            download.fetch,
            lambda _place: self._on_worker_done(download),
            lambda error: self._on_worker_failed(download, error),
            lambda fraction: self._on_worker_progress(download, fraction),
            preempt=True,
        )

    def _on_worker_progress(self, download: Download, fraction: float) -> None:
        # Else the person has chosen another model meanwhile; so below.
        if self._offered is download:
            self.progress.show_progress(fraction)
            self._activity.show(Status("working", f"Downloading {download.title}", fraction, cancellable=True))

    def _on_worker_done(self, download: Download) -> None:
        if self._offered is download:
            self.close_offer()
            self.arrived.emit(download)

    def _on_worker_failed(self, download: Download, error: BaseException) -> None:
        if self._offered is not download:
            return
        self._activity.show(Status())
        if isinstance(error, Cancelled):
            self._show(f"{download.title}: the download was stopped. What has arrived is kept.", "Go on")
            return
        if not isinstance(error, NapariSamError):
            _log.error("download of %s failed", download.title, exc_info=error)
        self._show(str(error) or type(error).__name__, "Try again")
