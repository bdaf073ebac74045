"""The session's work on the inference thread: load the model, read the plane, embed it, answer.

Nothing here touches a layer: a request carries all that its work needs, an answer all that the panels show. Torch comes
in with the engine, inside the work, so a dock opens before torch is imported.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.inference import allocator
from napari_sam.inference.crop_choice import first_window, place_of, window_for
from napari_sam.inference.request import (
    Candidate,
    CropEmbedding,
    EngineFactory,
    EngineLike,
    PlaneAnswer,
    PlaneRequest,
    Stage,
)
from napari_sam.inference.search import search_object
from napari_sam.planes import bounding_box
from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.inference.search import CropCandidate, CropPrediction
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


class Segmenter:
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
        self._pictures: list[tuple[PlaneSource, CropEmbedding]] = []
        self._embedded: list[CropEmbedding] = []
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
            progress(0.0)
            # The old model goes first: two may not fit into memory.
            self._engine = self._loaded = None
            self._embedded = []
            allocator.give_back()
            self._engine = self._factory(model, device, progress)
            self._loaded = model, device
        return self._engine

    def do(self, request: PlaneRequest, progress: Progress) -> PlaneAnswer:
        """Do one request."""
        engine = self.engine(request.model, request.device, progress)
        place, prompts, earlier = place_of(engine, request.source), request.prompts, request.earlier
        if not len(prompts):
            window = first_window(place, request)
            ready = () if window is None else (self._see(engine, request.source, window, progress),)
            return PlaneAnswer(request, engine.device_text, engine.notice, ready)
        seen: dict[Crop, CropEmbedding] = {}

        def answer(window: Crop) -> CropPrediction:
            seen[window] = picture = self._see(engine, request.source, window, progress)
            self.stage = "predicting"
            progress(0.0)
            told = window.prompts(prompts)
            if earlier is not None and (earlier.window, earlier.digest) == (window, picture.digest):
                if "mask" in _kinds(engine):
                    told = PromptSet((*told, earlier.mask))
            sight: CropPrediction = engine.predict(picture.plane, told, progress=progress)
            return sight

        first, grow = window_for(place, request)
        found = search_object(place, prompts, first, answer, grow=grow)
        pictures = tuple(seen[one.window] for one in found)
        backdrops = tuple(_backdrop(picture.plane, one.mask) for picture, one in zip(pictures, found, strict=True))
        candidates = tuple(_candidate(one, place.shape) for one in found)
        return PlaneAnswer(request, engine.device_text, engine.notice, pictures, candidates, found, backdrops)

    def prepare(self, request: PlaneRequest, progress: Progress) -> None:
        """Encode a plane that may be asked for later, if the model is loaded and its data are near."""
        if self._engine is None or not self.ready_for(request) or self.reading_s > SLOW_S:
            return
        window = first_window(place_of(self._engine, request.source), request)
        if window is not None:
            progress(0.0)
            plane = self._read(request.source, window, progress)
            progress(0.0)
            self._engine.prepare(plane, progress=progress)

    def _see(self, engine: EngineLike, source: PlaneSource, window: Crop, progress: Progress) -> CropEmbedding:
        """Read a window and encode it, or take it again."""
        for before, picture in self._pictures:
            if before.key == source.key and picture.window == window:
                break
        else:
            self.stage = "encoding"
            progress(0.0)
            plane = self._read(source, window, progress)
            picture = CropEmbedding(window, plane, _digest(plane, window, source.view.shape))
            self._pictures = [(source, picture), *self._pictures][:_KEPT]
        if not any(picture is other for other in self._embedded):
            self.stage = "encoding"
            progress(0.0)
            engine.embed(picture.plane, progress=progress)
            self._embedded = [picture, *self._embedded][:_KEPT]
        return picture

    def _read(self, source: PlaneSource, window: Crop, progress: Progress) -> Plane:
        start = time.perf_counter()
        plane = source.read(window, progress)
        self.reading_s = time.perf_counter() - start
        return plane


def _digest(plane: Plane, window: Crop, shape: tuple[int, int]) -> str:
    """Digest pixels as they were read, and where."""
    pixels = np.ascontiguousarray(plane.pixels)
    part = "" if window.is_whole(shape) else f"{window}"
    digest = hashlib.blake2b(f"{pixels.dtype.str}{pixels.shape}{part}".encode(), digest_size=16)
    digest.update(pixels.data)
    return digest.hexdigest()


def _kinds(engine: EngineLike) -> frozenset[str]:
    """Return the kinds of prompts that a model takes; one that does not say takes all."""
    kinds: frozenset[str] = getattr(engine.predictor, "prompt_kinds", frozenset({"point", "box", "mask"}))
    return kinds


def _candidate(found: CropCandidate, shape: tuple[int, int]) -> Candidate:
    """Bring what was found in a window to the plane."""
    origin, mask = found.window.on_plane(found.mask, shape)
    return Candidate(found.score, int(mask.sum()), origin, mask)


def _backdrop(plane: Plane, mask: NDArray[np.bool_]) -> float:
    """Measure how bright the picture is around a mask, on some hundred of its pixels."""
    (top, left), (bottom, right) = bounding_box(mask) or ((0, 0), (0, 0))
    around = plane.rendered[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
    some = around[:: max(1, (bottom - top) // 16), :: max(1, (right - left) // 16)]
    return float(some.mean()) / 255 if some.size else 0.0
