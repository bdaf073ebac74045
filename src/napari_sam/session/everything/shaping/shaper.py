"""Follows the choice of what becomes of masks, with the objects that are shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.runner import StepRunner
from napari_sam.session.everything.search import Findings
from napari_sam.session.everything.shaping.steps import shape_result
from napari_sam.session.state import Status

if TYPE_CHECKING:
    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.session.everything.chooser import ObjectChooser
    from napari_sam.session.everything.found import FoundObjects
    from napari_sam.session.everything.search import SearchResult
    from napari_sam.session.settings import SessionSettings

_MANY = 200
"""Objects from which on it is worth to be told that they are being cleaned up."""


class ObjectShaper:
    """Cleans up the objects of a plane anew whenever another clean-up is chosen.

    The objects of a stack are shown as they were found: hundreds of planes would follow every move of a slider.

    Parameters
    ----------
    chooser : ObjectChooser
        Keeps and shows the objects.
    settings : SessionSettings
        What the person chose.
    worker, backend
        What computes.
    """

    changed = Signal()
    """It came farther."""
    ended = Signal(object)
    """Objects are shown as they are chosen to be: carries words for them where there is something new to know, else "";
    or the exception."""

    def __init__(
        self, chooser: ObjectChooser, settings: SessionSettings, *, worker: Worker, backend: InferenceBackend
    ) -> None:
        self._chooser = chooser
        self._settings = settings
        self._backend = backend
        self._runner: StepRunner[SearchResult] = StepRunner(worker, "clean-up", self._on_ended, self.changed.emit)
        self._found: FoundObjects | None = None

    @property
    def running(self) -> bool:
        """Whether the objects that are kept are about to look different."""
        return self._runner.running and self._found is self._chooser.found

    @property
    def status(self) -> Status | None:
        """Describe what goes on, where it takes long; None otherwise."""
        if not self.running or self._found is None or len(self._found) < _MANY:
            return None
        return Status("working", everything_messages.shaping(len(self._found)), self._runner.share or None)

    def follow(self) -> None:
        """Clean up anew what is shown, unless it is shown as it is chosen to be."""
        found = self._chooser.found
        if found is None or found.findings.stack is not None or self._chooser.locked:
            return
        shown = found.planes[0].result
        wanted = shown.request.shaped_for(self._settings.shaping).shaping
        if wanted == shown.request.shaping:
            self.stop()  # a choice was taken back before it was shown
            return
        self._found = found
        self._runner.start(partial(shape_result, self._backend.engine, shown, wanted))

    def stop(self) -> None:
        """Stop at once; what is shown stays."""
        self._runner.stop()
        self._found = None

    def _on_ended(self, result: SearchResult | BaseException) -> None:
        found, self._found = self._found, None
        if isinstance(result, BaseException):
            self.ended.emit(result)
        elif found is not None and found is self._chooser.found:
            before = found.planes[0].result.emptied
            self._chooser.reshape(result)
            self.ended.emit(Findings((result,)).words if result.emptied != before else "")
