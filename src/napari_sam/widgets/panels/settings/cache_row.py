"""Embeddings on disk: how many bytes they take, how many they may take, and how to be rid of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_sam.cache import settings
from napari_sam.cache.disk import DiskStore
from napari_sam.files import format_bytes
from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress

_LANE = "cache"
_LIMITS = tuple(gigabytes * 10**9 for gigabytes in (1, 2, 5, 10, 20, 50, 100))
_OFF = f"Off: embeddings are not kept on disk, as {settings.PLACE_VARIABLE} says."


class CacheUsage(NamedTuple):
    """What the cache holds, bytes; `chosen` is what the person allows, and None where nothing was said."""

    nbytes: int
    limit: int
    chosen: int | None


def cache_usage(_progress: Progress) -> CacheUsage | None:
    """Look at the cache on disk; None where it is switched off."""
    if (folder := settings.folder()) is None:
        return None
    store = DiskStore(folder)
    return CacheUsage(store.usage().nbytes, store.limit, settings.chosen_limit(folder))


def _allow(limit: int | None, progress: Progress) -> CacheUsage | None:
    folder = settings.required_folder()
    settings.choose_limit(folder, limit)
    DiskStore(folder).make_room()  # opened only now, to go by the new limit
    return cache_usage(progress)


def _clear(progress: Progress) -> CacheUsage | None:
    DiskStore(settings.required_folder()).clear()
    return cache_usage(progress)


class CacheRow(QWidget):
    """Draws the cache of embeddings. It is looked at on the worker's thread, when the row is shown.

    Parameters
    ----------
    worker : Worker
        Looks, and deletes.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker
        self.words = WrappedLabel()
        self.limit = NarrowCombo()
        self.limit.setAccessibleName("Most bytes of embeddings")
        self.limit.set_help("How much disk embeddings may take. Those not used for longest go first.")
        self.limit.activated.connect(self._on_limit_activated)
        self.clear = section_button(
            "Clear", "Delete all embeddings on disk: planes are encoded again when they are needed.", self._on_clear
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.words, 0, 0, 1, 2)
        grid.addWidget(QLabel("At most"), 1, 0)
        grid.addWidget(self.limit, 1, 1)
        # Beside the limit, it would be beyond the edge of a narrow dock.
        grid.addWidget(self.clear, 2, 0, 1, 2)

    def read(self) -> None:
        """Look at the cache again."""
        self._submit(cache_usage)

    def _submit(self, work: Callable[[Progress], CacheUsage | None]) -> None:
        self._worker.submit(_LANE, work, self._show, self._on_failed)

    def _show(self, usage: CacheUsage | None) -> None:
        for widget in (self.limit, self.clear):
            widget.setEnabled(usage is not None)
        if usage is None:
            self.words.show_text(_OFF)
            return
        self.words.show_text(f"Embeddings: {format_bytes(usage.nbytes)} of {format_bytes(usage.limit)} on disk.")
        self.clear.setEnabled(usage.nbytes > 0)
        sizes = sorted({*_LIMITS, *filter(None, (usage.chosen,))})
        rows = [ComboRow("Default", None, "A tenth of what is free on the disk, 10 GB at most.")]
        rows += [ComboRow(format_bytes(size), size) for size in sizes]
        self.limit.show_rows(rows, usage.chosen)

    def _on_limit_activated(self, index: int) -> None:
        limit = self.limit.row(index).data
        self._submit(partial(_allow, limit if isinstance(limit, int) else None))

    def _on_clear(self) -> None:
        self._submit(_clear)

    def _on_failed(self, error: BaseException) -> None:
        self.words.show_text(str(error))
