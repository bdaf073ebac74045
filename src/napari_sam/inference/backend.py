"""The session's work on the inference thread: load the model, read the plane, embed it, answer.

Nothing here touches a layer: a request carries all that its work needs, an answer all that the panels show. Torch comes
in with the engine, inside the work, so a dock opens before torch is imported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference import allocator
from napari_sam.inference.crop_choice import first_crop, planner_for
from napari_sam.inference.refinement import PreviousMask
from napari_sam.inference.request import (
    Candidate,
    EngineFactory,
    EngineLike,
    PlaneAnswer,
    PlaneRequest,
    Stage,
)
from napari_sam.inference.segmenter import segment_picture, segment_plane
from napari_sam.inference.shaping.painting import with_paint
from napari_sam.inference.start_answer import see_starting, with_start
from napari_sam.planes import bounding_box
from napari_sam.planes.picture import CropPicture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.starting import StartingMask
    from napari_sam.planes import Crop
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress


_KEPT = 3
"""Pictures kept after they were read: lazy data cost time, and a picture keeps its rendering."""
SLOW_S = 1.0
"""Seconds of reading from which on planes are not read ahead: their store is far away, and others may need it."""


def load_engine(model: str, device: str, progress: Progress, /) -> EngineLike:
    """Load an engine, and torch with it."""
    from napari_sam.inference.engine import Engine

    engine: EngineLike = Engine.load(model, device, progress)
    return engine


class InferenceBackend:
    """Does requests, one at a time, on the inference thread. Keeps one engine and the last pictures.

    Parameters
    ----------
    factory : callable
        Loads an engine.
    """

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._engine: EngineLike | None = None
        self._loaded: tuple[str, str] | None = None
        self._pictures: list[tuple[PlaneSource, CropPicture]] = []
        self._embedded: list[CropPicture] = []
        self.stage: Stage = "loading"
        """What is being done; written by the inference thread in one assignment, read by any."""
        self.reading_s = 0.0
        """Seconds that the last reading took."""

    def ready_for(self, request: PlaneRequest) -> bool:
        """Whether the model that a request names is loaded."""
        return self._loaded == (request.model, request.device)

    def engine(self, model: str, device: str, progress: Progress) -> EngineLike:
        """Return the engine of a model on a device, loading it if it is not the last one."""
        if self._engine is None or self._loaded != (model, device):
            self.stage = "loading"
            # A request that is not wanted any more ends here, before the old model is given up for it.
            progress(0.0)
            # The old model goes first: two may not fit into memory.
            self._engine = self._loaded = None
            # They were embedded by the old engine: the new one has seen nothing yet.
            self._embedded = []
            allocator.give_back()
            self._engine = self._factory(model, device, progress)
            self._loaded = model, device
        return self._engine

    def do(self, request: PlaneRequest, progress: Progress) -> PlaneAnswer:
        """Do one request."""
        engine, source = self.engine(request.model, request.device, progress), request.source
        region, visible = request.region, request.visible
        reader = _KeptReader(self, engine, source, progress)
        if not request.asks:
            crop = first_crop(planner_for(engine, source), region, visible)
            ready = () if crop is None else (reader.embedded(crop),)
            return PlaneAnswer(request, engine.device_text, engine.notice, ready)
        prompts, previous, start = request.prompts, request.previous, request.start
        if start is not None and start.answers(prompts):
            return _started(request, engine, start, reader)
        if start is not None and start.helps(prompts):
            previous = previous or PreviousMask.of(*see_starting(engine, source, start, reader.see))
            prompts = with_start(engine, prompts, start)
        answer = segment_plane(
            engine,
            source,
            prompts,
            previous=previous,
            region=region,
            visible=visible,
            shaping=request.shaping,
            reader=reader,
            progress=progress,
        )
        pairs = zip(answer.pictures, answer.found, strict=True)
        backdrops = tuple(_backdrop(picture.plane, one.mask) for picture, one in pairs)
        return PlaneAnswer(
            request,
            engine.device_text,
            engine.notice,
            answer.pictures,
            answer.candidates,
            answer.found,
            backdrops,
            weights=str(getattr(engine.predictor, "weights", "")),
            changes=answer.changes,
        )

    def prepare(self, request: PlaneRequest, progress: Progress) -> None:
        """Encode a plane that may be asked for later, if the model is loaded and its data are near."""
        if self._engine is None or not self.ready_for(request) or self.reading_s > SLOW_S:
            return
        crop = first_crop(planner_for(self._engine, request.source), request.region, request.visible)
        if crop is not None:
            # Every report is a place to cancel at: reading and encoding may each take seconds.
            progress(0.0)
            plane = self._read(request.source, crop, progress)
            progress(0.0)
            self._engine.prepare(plane, progress=progress)

    def peek(self, request: PlaneRequest, progress: Progress) -> PlaneAnswer | None:
        """Answer prompts out of what is encoded already; None where that does not show them.

        No model is loaded for it, no pixels are read, and nothing is encoded.
        """
        engine, source = self._engine, request.source
        picture = self._encoded_around(request)
        if engine is None or not self.ready_for(request) or picture is None or not engine.is_cached(picture.plane):
            return None
        # Who clicked meanwhile need not wait for this.
        progress(0.0)
        answer = segment_picture(engine, source, request.prompts, picture, shaping=request.shaping, progress=progress)
        return PlaneAnswer(request, engine.device_text, engine.notice, answer.pictures, answer.candidates, answer.found)

    def _encoded_around(self, request: PlaneRequest) -> CropPicture | None:
        """Find a picture of a plane that is encoded and shows all points of a request, the newest first."""
        places = [point.position for point in request.prompts.points]
        low, high = np.min(places, axis=0), np.max(places, axis=0)
        for source, picture in self._pictures:
            encoded = any(picture is other for other in self._embedded)
            if encoded and source.key == request.source.key and picture.crop.holds(low, high, source.view.shape):
                return picture
        return None

    def picture(self, source: PlaneSource, crop: Crop, progress: Progress) -> CropPicture:
        """Read a crop, or take it again."""
        for before, picture in self._pictures:
            if before.key == source.key and picture.crop == crop:
                return picture
        self.stage = "encoding"
        progress(0.0)
        picture = CropPicture.of(self._read(source, crop, progress), crop, source.view.shape)
        self._pictures = [(source, picture), *self._pictures][:_KEPT]
        return picture

    def embed(self, engine: EngineLike, picture: CropPicture, progress: Progress) -> None:
        """Embed a picture, unless it is one of the last."""
        if not any(picture is other for other in self._embedded):
            # By identity, which is safe: the list keeps its pictures alive, so that no address is used again.
            self.stage = "encoding"
            progress(0.0)
            engine.embed(picture.plane, progress=progress)
            self._embedded = [picture, *self._embedded][:_KEPT]

    def _read(self, source: PlaneSource, crop: Crop, progress: Progress) -> Plane:
        start = time.perf_counter()
        plane = source.read(crop, progress)
        self.reading_s = time.perf_counter() - start
        return plane


@dataclass(frozen=True, slots=True)
class _KeptReader:
    """Reads crops for `segment_plane` through the pictures that the backend keeps, and says what is being done."""

    backend: InferenceBackend
    engine: EngineLike
    source: PlaneSource
    progress: Progress

    def read(self, crop: Crop, /) -> CropPicture:
        stage = self.backend.stage
        picture = self.backend.picture(self.source, crop, self.progress)
        # Read between encoding and answering, to compare it: what is waited for is the answer.
        self.backend.stage = stage
        return picture

    def embedded(self, crop: Crop) -> CropPicture:
        picture = self.backend.picture(self.source, crop, self.progress)
        self.backend.embed(self.engine, picture, self.progress)
        return picture

    def see(self, crop: Crop, /) -> CropPicture:
        picture = self.embedded(crop)
        self.backend.stage = "predicting"
        # Whoever clicked again meanwhile need not wait for this answer.
        self.progress(0.0)
        return picture


def _started(request: PlaneRequest, engine: EngineLike, start: StartingMask, reader: _KeptReader) -> PlaneAnswer:
    """Answer with the mask that the object has."""
    found, picture = see_starting(engine, request.source, start, reader.see)
    paint = request.prompts.paint
    mask = start.mask if paint is None else paint.over(start.mask)
    candidate = Candidate(1.0, mask.area, mask.origin, mask.mask)
    backdrops = (_backdrop(picture.plane, found.mask),)
    painted = with_paint(engine, found, picture, paint)
    return PlaneAnswer(request, engine.device_text, engine.notice, (picture,), (candidate,), (painted,), backdrops)


def _backdrop(plane: Plane, mask: NDArray[np.bool_]) -> float:
    """Measure how bright the picture is around a mask, on some hundred of its pixels."""
    (top, left), (bottom, right) = bounding_box(mask) or ((0, 0), (0, 0))
    around = plane.rendered[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
    some = around[:: max(1, (bottom - top) // 16), :: max(1, (right - left) // 16)]
    return float(some.mean()) / 255 if some.size else 0.0
