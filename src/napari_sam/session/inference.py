"""The session's work on the inference thread: load the model, read the plane, embed it, answer.

Nothing here touches a layer: a request carries all that its work needs, an answer all that the panels show. Torch comes
in with the engine, inside the work, so a dock opens before torch is imported.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from napari_sam import allocator
from napari_sam.prompts import PromptSet
from napari_sam.session.looking import first_window, place_of, window_for
from napari_sam.session.state import Candidate
from napari_sam.windows import bounding_box, whole
from napari_sam.windows.focus import look

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from napari_sam.image import Plane
    from napari_sam.progress import Progress
    from napari_sam.session.refinement import Earlier
    from napari_sam.session.view import PlaneSource
    from napari_sam.windows import Window
    from napari_sam.windows.focus import Found, Sight

Stage = Literal["loading", "encoding", "predicting"]
Region = Literal["object", "screen"]
"""What of a plane the model looks at: a window around the object, or what is on the screen."""

_KEPT = 3
"""Pictures kept after they were read: lazy data cost time, and a picture keeps its rendering."""
SLOW_S = 1.0
"""Seconds of reading from which on planes are not read ahead: their store is far away, and others may need it."""


class EngineLike(Protocol):
    """What a session needs of `napari_sam.engine.Engine`."""

    @property
    def predictor(self) -> Any:
        """The model; its `prompt_kinds` names the kinds of prompts that it takes."""

    @property
    def device_text(self) -> str:
        """Words for the device in use."""

    @property
    def notice(self) -> str:
        """What the person should know; "" when there is nothing."""

    def embed(self, plane: Plane, progress: Progress = ...) -> Any:
        """Embed a plane."""

    def prepare(self, plane: Plane, progress: Progress = ...) -> Any:
        """Embed a plane that may be needed later."""

    def predict(self, plane: Plane, prompts: PromptSet, *, progress: Progress = ...) -> Any:
        """Answer prompts."""


class EngineFactory(Protocol):
    """Loads a model; runs on the inference thread."""

    def __call__(self, model: str, device: str, progress: Progress, /) -> EngineLike:
        """Return the engine of a model on a device."""


def load_engine(model: str, device: str, progress: Progress, /) -> EngineLike:
    """Load an engine, and torch with it."""
    from napari_sam.engine import Engine

    engine: EngineLike = Engine.load(model, device, progress)
    return engine


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is asked of the inference thread.

    Attributes
    ----------
    model, device : str
        What answers.
    source : PlaneSource
        The plane.
    said : PromptSet
        Prompts of the person; empty: only get the plane ready.
    earlier : Earlier or None
        Earlier answer for the same object, to go with them.
    region : {"object", "screen"}
        What to look at where the plane is not looked at as a whole.
    visible : (array, array) or None
        Corners of the part of the plane that is on the screen, data pixels, (y, x).
    """

    model: str
    device: str
    source: PlaneSource
    said: PromptSet = field(default_factory=PromptSet)
    earlier: Earlier | None = None
    region: Region = "object"
    visible: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    @property
    def context(self) -> Hashable:
        """What an answer belongs to: plane, window of grey values, model, and what the model looks at."""
        source = self.source
        return source.view, source.contrast_limits, source.gamma, self.model, self.device, self.region


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What the model saw.

    Attributes
    ----------
    window : Window
        Where on the plane it lies.
    plane : Plane
        Its pixels.
    digest : str
        Digest of these pixels, before they were windowed.
    """

    window: Window
    plane: Plane
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of a request.

    Attributes
    ----------
    request : Request
        What was asked.
    device, notice : str
        Words for the device that did it, and what the person should know about that.
    pictures : tuple of Picture
        What the model saw: one for each candidate; when only the plane was asked for, the one that was encoded, if
        there was one.
    candidates : tuple of Candidate
        Best first, on the plane; empty when only the plane was asked for.
    found : tuple of Found
        The same candidates on their pictures, with their logits.
    backdrops : tuple of float
        Brightness of the picture around each candidate, 0 to 1.
    """

    request: Request
    device: str
    notice: str
    pictures: tuple[Picture, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    found: tuple[Found, ...] = ()
    backdrops: tuple[float, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the pixels that the best candidate was made from; "" when none were read."""
        return self.pictures[0].digest if self.pictures else ""


class Backend:
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
        self._pictures: list[tuple[PlaneSource, Picture]] = []
        self._embedded: list[Picture] = []
        self.stage: Stage = "loading"
        """What is being done; written by the inference thread in one assignment, read by any."""
        self.reading_s = 0.0
        """Seconds that the last reading took."""

    def ready_for(self, request: Request) -> bool:
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

    def do(self, request: Request, progress: Progress) -> Answer:
        """Do one request."""
        engine = self.engine(request.model, request.device, progress)
        place, said, earlier = place_of(engine, request.source), request.said, request.earlier
        if not len(said):
            window = first_window(place, request)
            ready = () if window is None else (self._see(engine, request.source, window, progress),)
            return Answer(request, engine.device_text, engine.notice, ready)
        seen: dict[Window, Picture] = {}

        def answer(window: Window) -> Sight:
            seen[window] = picture = self._see(engine, request.source, window, progress)
            self.stage = "predicting"
            progress(0.0)
            told = window.prompts(said)
            if earlier is not None and (earlier.window, earlier.digest) == (window, picture.digest):
                if "mask" in _kinds(engine):
                    told = PromptSet((*told, earlier.mask))
            sight: Sight = engine.predict(picture.plane, told, progress=progress)
            return sight

        first, grow = window_for(place, request)
        found = look(place, said, first, answer, grow=grow)
        pictures = tuple(seen[one.window] for one in found)
        backdrops = tuple(_backdrop(picture.plane, one.mask) for picture, one in zip(pictures, found, strict=True))
        candidates = tuple(_candidate(one, place.shape) for one in found)
        return Answer(request, engine.device_text, engine.notice, pictures, candidates, found, backdrops)

    def prepare(self, request: Request, progress: Progress) -> None:
        """Encode a plane that may be asked for later, if the model is loaded and its data are near."""
        if self._engine is None or not self.ready_for(request) or self.reading_s > SLOW_S:
            return
        window = first_window(place_of(self._engine, request.source), request)
        if window is not None:
            progress(0.0)
            plane = self._read(request.source, window, progress)
            progress(0.0)
            self._engine.prepare(plane, progress=progress)

    def _see(self, engine: EngineLike, source: PlaneSource, window: Window, progress: Progress) -> Picture:
        """Read a window and encode it, or take it again."""
        for before, picture in self._pictures:
            if before.key == source.key and picture.window == window:
                break
        else:
            self.stage = "encoding"
            progress(0.0)
            plane = self._read(source, window, progress)
            picture = Picture(window, plane, _digest(plane, window, source.view.shape))
            self._pictures = [(source, picture), *self._pictures][:_KEPT]
        if not any(picture is other for other in self._embedded):
            self.stage = "encoding"
            progress(0.0)
            engine.embed(picture.plane, progress=progress)
            self._embedded = [picture, *self._embedded][:_KEPT]
        return picture

    def _read(self, source: PlaneSource, window: Window, progress: Progress) -> Plane:
        start = time.perf_counter()
        plane = source.read(window, progress)
        self.reading_s = time.perf_counter() - start
        return plane


def _digest(plane: Plane, window: Window, shape: tuple[int, int]) -> str:
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


def _candidate(found: Found, shape: tuple[int, int]) -> Candidate:
    """Bring what was found in a window to the plane."""
    origin, mask = found.window.on_plane(found.mask, shape)
    return Candidate(found.score, int(mask.sum()), origin, mask)


def candidate_of(mask: NDArray[np.bool_], score: float) -> Candidate:
    """Cut a mask, (H, W) bool, to its bounding box."""
    origin, cut = whole((mask.shape[0], mask.shape[1])).on_plane(mask, (mask.shape[0], mask.shape[1]))
    return Candidate(score, int(cut.sum()), origin, cut)


def _backdrop(plane: Plane, mask: NDArray[np.bool_]) -> float:
    """Measure how bright the picture is around a mask, on some hundred of its pixels."""
    (top, left), (bottom, right) = bounding_box(mask) or ((0, 0), (0, 0))
    around = plane.rendered[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
    some = around[:: max(1, (bottom - top) // 16), :: max(1, (right - left) // 16)]
    return float(some.mean()) / 255 if some.size else 0.0
