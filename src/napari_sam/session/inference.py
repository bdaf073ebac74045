"""The session's work on the inference thread: load the model, read the plane, embed it, answer.

Nothing here touches a layer: a request carries all that its work needs, an answer all that the panels show. Torch comes
in with the engine, inside the work, so a dock opens before torch is imported.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from napari_sam.prompts import PromptSet
from napari_sam.session.state import Candidate

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from napari_sam.image import Plane
    from napari_sam.progress import Progress
    from napari_sam.session.refinement import Earlier
    from napari_sam.session.view import PlaneSource

Stage = Literal["loading", "encoding", "predicting"]


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
    """

    model: str
    device: str
    source: PlaneSource
    said: PromptSet = field(default_factory=PromptSet)
    earlier: Earlier | None = None

    @property
    def context(self) -> Hashable:
        """What an answer belongs to: plane, window and model."""
        source = self.source
        return source.view, source.contrast_limits, source.gamma, self.model, self.device


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of a request.

    Attributes
    ----------
    request : Request
        What was asked.
    plane : Plane
        The plane that was read.
    device, notice : str
        Words for the device that did it, and what the person should know about that.
    digest : str
        Digest of the plane's pixels.
    candidates : tuple of Candidate
        Best first; empty when only the plane was asked for.
    logits : numpy.ndarray, shape (n, h, w), float32, or None
        Low-resolution logits of the candidates.
    backdrops : tuple of float
        Brightness of the picture around each candidate, 0 to 1.
    """

    request: Request
    plane: Plane
    device: str
    notice: str
    digest: str
    candidates: tuple[Candidate, ...] = ()
    logits: NDArray[np.float32] | None = None
    backdrops: tuple[float, ...] = ()


class Backend:
    """Does requests, one at a time, on the inference thread. Keeps one engine and the last plane.

    Parameters
    ----------
    factory : callable
        Loads an engine.
    """

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._engine: EngineLike | None = None
        self._loaded: tuple[str, str] | None = None
        self._plane: tuple[PlaneSource, Plane, str] | None = None
        self._embedded: Plane | None = None
        self.stage: Stage = "loading"
        """What is being done; written by the inference thread in one assignment, read by any."""

    def ready_for(self, request: Request) -> bool:
        """Whether the model that a request names is loaded."""
        return self._loaded == (request.model, request.device)

    def do(self, request: Request, progress: Progress) -> Answer:
        """Do one request."""
        engine = self._load(request, progress)
        plane, digest = self._read(request.source, progress)
        if plane is not self._embedded:
            self.stage = "encoding"
            progress(0.0)
            engine.embed(plane, progress=progress)
            self._embedded = plane
        if not len(request.said):
            return Answer(request, plane, engine.device_text, engine.notice, digest)
        self.stage = "predicting"
        progress(0.0)
        earlier, said = request.earlier, request.said
        if earlier is not None and earlier.digest == digest and "mask" in _kinds(engine):
            said = PromptSet((*said, earlier.mask))
        prediction = engine.predict(plane, said, progress=progress)
        candidates = tuple(
            candidate_of(mask, float(score)) for mask, score in zip(prediction.masks, prediction.scores, strict=True)
        )
        backdrops = tuple(_backdrop(plane, candidate) for candidate in candidates)
        return Answer(
            request, plane, engine.device_text, engine.notice, digest, candidates, prediction.logits, backdrops
        )

    def _load(self, request: Request, progress: Progress) -> EngineLike:
        if self._engine is None or not self.ready_for(request):
            self.stage = "loading"
            progress(0.0)
            # The old model goes first: two may not fit into memory.
            self._engine = self._loaded = self._embedded = None
            self._engine = self._factory(request.model, request.device, progress)
            self._loaded = request.model, request.device
        return self._engine

    def _read(self, source: PlaneSource, progress: Progress) -> tuple[Plane, str]:
        """Read a plane, or take the last one again: lazy data cost time, and the plane keeps its rendering."""
        if self._plane is None or self._plane[0].key != source.key:
            self.stage = "encoding"
            progress(0.0)
            plane = source.read()
            pixels = np.ascontiguousarray(plane.pixels)
            digest = hashlib.blake2b(f"{pixels.dtype.str}{pixels.shape}".encode(), digest_size=16)
            digest.update(pixels.data)
            self._plane = source, plane, digest.hexdigest()
        return self._plane[1], self._plane[2]


def _kinds(engine: EngineLike) -> frozenset[str]:
    """Return the kinds of prompts that a model takes; one that does not say takes all."""
    kinds: frozenset[str] = getattr(engine.predictor, "prompt_kinds", frozenset({"point", "box", "mask"}))
    return kinds


def candidate_of(mask: NDArray[np.bool_], score: float) -> Candidate:
    """Cut a mask, (H, W) bool, to its bounding box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Candidate(score, 0, (0, 0), np.zeros((0, 0), dtype=bool))
    top, left = int(rows[0]), int(columns[0])
    cut = np.array(mask[top : rows[-1] + 1, left : columns[-1] + 1], dtype=bool)
    return Candidate(score, int(cut.sum()), (top, left), cut)


def _backdrop(plane: Plane, candidate: Candidate) -> float:
    """Measure how bright the picture is around a mask, on some hundred of its pixels."""
    (top, left), (height, width) = candidate.origin, candidate.mask.shape
    around = plane.rendered[max(0, top - 2) : top + height + 2, max(0, left - 2) : left + width + 2]
    some = around[:: max(1, height // 16), :: max(1, width // 16)]
    return float(some.mean()) / 255 if some.size else 0.0
