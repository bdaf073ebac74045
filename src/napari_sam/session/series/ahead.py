"""Reads and encodes the next image of a series while the person works on the one before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.planes.source import PlaneIndex, PlaneSource
from napari_sam.prompts import PromptSet
from napari_sam.session.series.files import OpenedImage, open_image

if TYPE_CHECKING:
    from napari_sam.datasets.image_series import SeriesImage
    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.request import PlaneRequest
    from napari_sam.inference.worker import Worker
    from napari_sam.progress import Progress
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.viewing.active_image import ActiveImage

_LANE = "series ahead"
_IDLE_S = 0.5
"""Seconds without other work before the next image is read."""
_MOST_BYTES = 1 << 28
"""A larger image is not kept while another one is on screen."""


class NextImage:
    """Keeps one image ready. It is work ahead in the sense of `napari_sam.inference.worker`: it gives way at once.

    Parameters
    ----------
    active, live
        What is on screen, and how a plane is asked for.
    worker, backend
        What reads and encodes.
    """

    def __init__(self, active: ActiveImage, live: LivePrediction, worker: Worker, backend: InferenceBackend) -> None:
        self._active = active
        self._live = live
        self._worker = worker
        self._backend = backend
        self._wanted: SeriesImage | None = None
        self._ready: OpenedImage | None = None

    @property
    def name(self) -> str:
        """Name of the image that is ready; "" while there is none."""
        return "" if self._ready is None else self._ready.image.name

    def prepare(self, image: SeriesImage | None) -> None:
        """Get an image ready, as soon as there is nothing else to do; None: none is wanted."""
        if image is None or self._wanted is None or image.path != self._wanted.path:
            self._ready = None
        self._wanted = image
        self.go_on()

    def go_on(self) -> None:
        """Go on after other work; called whenever something is done."""
        source, image = self._active.plane_source(), self._wanted
        if image is None or self._ready is not None or source is None or self._worker.busy(_LANE):
            return
        request = self._live.make_request(source, PromptSet())
        self._worker.submit(
            _LANE, partial(self._read, image, request), self._on_read, _ignore, delay=_IDLE_S, ahead=True
        )

    def take(self, image: SeriesImage) -> OpenedImage | None:
        """Give an image away, if it is the one that is ready and nobody has changed its labels since."""
        ready, self._ready = self._ready, None
        if ready is None or ready.image.path != image.path:
            return None
        return replace(ready, image=image) if bool(ready.digest) == image.labels.exists() else None

    def forget(self) -> None:
        """Keep nothing."""
        self._worker.cancel(_LANE)
        self._wanted = self._ready = None

    def _read(self, image: SeriesImage, request: PlaneRequest, progress: Progress) -> OpenedImage:
        """Read an image and encode the plane of it that will be on screen; on the inference thread."""
        opened = open_image(image, progress)
        source = first_plane(opened, request.source.view)
        # Another window on screen is none of its business; whatever else was chosen counts.
        self._backend.prepare(replace(request, source=source, visible=None), progress)
        return opened

    def _on_read(self, opened: OpenedImage) -> None:
        held = sum(part.nbytes for part in (opened.data, opened.labels) if isinstance(part, np.ndarray))
        if self._wanted is not None and opened.image.path == self._wanted.path and held <= _MOST_BYTES:
            self._ready = opened


def first_plane(opened: OpenedImage, seen: PlaneIndex) -> PlaneSource:
    """Say which plane of an image will be on screen, and how it will be seen: the one of the same index."""
    levels = opened.data if opened.options.get("multiscale") else [opened.data]
    rgb = bool(opened.options.get("rgb"))
    shape = tuple(int(size) for size in levels[0].shape)[: -1 if rgb else None]
    axes = (len(shape) - 2, len(shape) - 1)
    index: list[int | None] = [
        min(size - 1, (seen.index[axis] or 0) if axis < len(seen.index) else 0) for axis, size in enumerate(shape)
    ]
    for axis in axes:
        index[axis] = None
    steps = opened.options.get("scale") or (1.0,) * len(shape)
    units = opened.options.get("units") or ("pixel",) * len(shape)
    spacing = (float(steps[-2]), float(steps[-1])) if units[-1] == units[-2] else (1.0, 1.0)
    view = PlaneIndex(axes, tuple(index), (shape[-2], shape[-1]), spacing)
    limits = opened.options.get("contrast_limits")
    return PlaneSource(levels[0], view, None if rgb else limits, 1.0, coarser=tuple(levels[1:]))


def _ignore(_error: BaseException) -> None:
    """Leave it to the time when the image is wanted to say what is wrong with it."""
