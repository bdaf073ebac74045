"""Encodes the planes that the person is likely to scroll to, while nothing else is to be done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.request import PlaneRequest
    from napari_sam.inference.worker import Worker
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage

_LANE = "ahead"
_IDLE_S = 0.4
"""Seconds without work before planes are encoded ahead."""
_TRAVELLING = (1, 2, 3, -1)
_RESTING = (1, -1)
"""Planes that are encoded ahead, relative to the one on screen: along the way of travel, or around it."""


class PlanePrefetch:
    """Encodes neighbours of the plane on screen, in the direction of travel.

    Nothing is shown of it, and it gives way at once: it is work ahead in the sense of `napari_sam.inference.worker`.

    Parameters
    ----------
    worker, backend
        What does it.
    active, live
        Which plane is on screen, and how it is asked for.
    settings : SessionSettings
        Whether the person wants it.
    """

    def __init__(
        self,
        worker: Worker,
        backend: InferenceBackend,
        active: ActiveImage,
        live: LivePrediction,
        settings: SessionSettings,
    ) -> None:
        self._worker = worker
        self._backend = backend
        self._active = active
        self._live = live
        self._settings = settings
        self._done: set[Hashable] = set()
        self._under_way: tuple[Hashable, ...] = ()

        settings.events.prefetch.connect(self._on_settings_prefetch)

    def _on_settings_prefetch(self, wanted: bool) -> None:
        if not wanted:
            self._worker.cancel(_LANE)
            self._under_way = ()

    def start_when_idle(self) -> None:
        """Go on, if there is something to encode and nothing else to do."""
        source = self._active.plane_source()
        # The next plane's window is not known where napari sets it by the plane that is shown.
        if not self._settings.prefetch or source is None or not self._live.is_idle or self._active.follows_contrast:
            return
        requests = [self._live.make_request(source.at(view), PromptSet()) for view in self._likely_planes(source.view)]
        missing = [request for request in requests if _plane_key(request) not in self._done]
        keys = tuple(_plane_key(request) for request in missing)
        # Submitting the same again would begin the delay anew with every event.
        if not missing or (keys == self._under_way and self._worker.busy(_LANE)):
            return
        self._under_way = keys
        self._worker.submit(_LANE, partial(self._encode_planes, missing), delay=_IDLE_S, ahead=True)

    def _likely_planes(self, view: PlaneIndex) -> list[PlaneIndex]:
        """List the planes to encode, the most wanted first."""
        axis, way = self._active.travel or (self._active.slider_axis, 0)
        # Axes may have been rolled since: the way of travel then lies within the plane.
        if axis is None or (at := view.index[axis]) is None:
            return []
        places = [at + step * (way or 1) for step in (_TRAVELLING if way else _RESTING)]
        return [view.at(axis, place) for place in places if 0 <= place < self._active.planes_along(axis)]

    def _encode_planes(self, requests: list[PlaneRequest], progress: Progress) -> None:
        """Encode planes one after the other; runs on the inference thread."""
        for request in requests:
            self._backend.prepare(request, progress)
            # Only now: what is cancelled half-way raises, and is tried again later.
            self._done.add(_plane_key(request))
        if len(self._done) > _REMEMBERED:
            self._done.clear()


_REMEMBERED = 1000
"""Planes that are known to be encoded; looking again at one more only costs the reading."""


def _plane_key(request: PlaneRequest) -> Hashable:
    """Name what is encoded for a request, as far as it does not change while the session looks away."""
    return id(request.source.data), request.context
