"""What is asked of the model, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from napari_sam.inference.refinement import PromptRound
from napari_sam.inference.shaping import MaskShaping
from napari_sam.masks import BoxedMask
from napari_sam.planes import whole
from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.inference.refinement import PreviousMask
    from napari_sam.inference.search import CropCandidate
    from napari_sam.inference.shaping import MaskChange
    from napari_sam.inference.starting import StartingMask
    from napari_sam.planes.picture import CropPicture
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One mask that the model offers.

    Attributes
    ----------
    score : float
        The model's own estimate of its IoU.
    area : int
        Pixels inside.
    origin : (int, int)
        Upper left pixel of `mask` on the plane, data pixels, (y, x).
    mask : numpy.ndarray, shape (h, w), bool
        The mask, cut to its bounding box; (0, 0) when empty.
    """

    score: float
    area: int
    origin: tuple[int, int]
    mask: NDArray[np.bool_]


Stage = Literal["loading", "encoding", "predicting"]


Region = Literal["object", "screen"]
"""What of a plane the model looks at: a crop around the object, or what is on the screen."""


class EngineLike(Protocol):
    """What a session needs of `napari_sam.inference.engine.Engine`."""

    @property
    def predictor(self) -> Any:
        """The model: the kinds of prompts that it takes, the side of its canvas, and where a plane lies there."""

    @property
    def device_text(self) -> str:
        """Words for the device in use."""

    @property
    def notice(self) -> str:
        """What the person should know; "" when there is nothing."""

    def is_cached(self, plane: Plane) -> bool:
        """Whether a plane is embedded already."""

    def embed(self, plane: Plane, progress: Progress = ...) -> Any:
        """Embed a plane."""

    def prepare(self, plane: Plane, progress: Progress = ...) -> Any:
        """Embed a plane that may be needed later."""

    def predict(
        self, plane: Plane, prompts: PromptSet, *, multimask: bool | None = ..., progress: Progress = ...
    ) -> Any:
        """Answer prompts on a plane that the model takes as one picture; a mask prompt is on its canvas."""

    def masks(self, plane: Plane, logits: NDArray[np.float32], threshold: float = ...) -> NDArray[np.bool_]:
        """Draw low-resolution logits, (n, h, w), on the plane that they were predicted on."""


class EngineFactory(Protocol):
    """Loads a model; runs on the inference thread."""

    def __call__(self, model: str, device: str, progress: Progress, /) -> EngineLike:
        """Return the engine of a model on a device."""


# Compared by identity, as all that holds arrays here: `==` of two arrays is an array.
@dataclass(frozen=True, slots=True, eq=False)
class PlaneRequest:
    """What is asked of the inference thread.

    Attributes
    ----------
    model, device : str
        What answers.
    source : PlaneSource
        The plane.
    prompts : PromptSet
        Prompts of the person; empty: only get the plane ready.
    previous : PreviousMask or None
        Earlier answer for the same object, to go with them.
    start : StartingMask or None
        The mask that the object has already; where the prompts are those that it came of, it is the answer.
    region : {"object", "screen"}
        What to look at where the plane is not looked at as a whole.
    visible : (array, array) or None
        Corners of the part of the plane that is on the screen, data pixels, (y, x).
    shaping : MaskShaping
        What becomes of the masks.
    """

    model: str
    device: str
    source: PlaneSource
    prompts: PromptSet = field(default_factory=PromptSet)
    previous: PreviousMask | None = None
    start: StartingMask | None = None
    region: Region = "object"
    visible: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    shaping: MaskShaping = field(default_factory=MaskShaping)

    @property
    def asks(self) -> bool:
        """Whether there is an object to answer with; else only the plane is got ready."""
        return bool(len(self.prompts)) or (self.start is not None and self.start.answers(self.prompts))

    @property
    def context(self) -> Hashable:
        """What an answer belongs to: plane, window of grey values, model, and what the model looks at."""
        source = self.source
        return source.view, source.look, self.model, self.device, self.region

    @property
    def model_question(self) -> Hashable:
        """Equal for requests that the model answers alike; what becomes of its masks then may be another thing."""
        return self.prompts.unpainted, self.context

    @property
    def question(self) -> Hashable:
        """Equal for requests that have the same answer, for one object.

        How masks are shaped is no part of the `context`: what the model said before goes on to count.
        """
        return self.prompts, self.context, self.shaping


@dataclass(frozen=True, slots=True, eq=False)
class PlaneAnswer:
    """What came of a request.

    Attributes
    ----------
    request : PlaneRequest
        What was asked.
    device, notice : str
        Words for the device that did it, and what the person should know about that.
    pictures : tuple of CropPicture
        What the model saw: one for each candidate; when only the plane was asked for, the one that was encoded, if
        there was one.
    candidates : tuple of Candidate
        Best first, on the plane; empty when only the plane was asked for.
    found : tuple of CropCandidate
        The same candidates as the model gave them, on their pictures, with their logits, painted as the candidates are.
    backdrops : tuple of float
        Brightness of the picture around each candidate, 0 to 1.
    weights : str
        Digest of the weights that answered; "" where the engine does not say.
    changes : tuple of MaskChange
        How far each candidate was shaped; empty for an object that is shown as it is.
    """

    request: PlaneRequest
    device: str
    notice: str
    pictures: tuple[CropPicture, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    found: tuple[CropCandidate, ...] = ()
    backdrops: tuple[float, ...] = ()
    weights: str = ""
    changes: tuple[MaskChange, ...] = ()

    def rounds(self, choice: int) -> tuple[PromptRound, ...]:
        """Return what was asked to come to a candidate, oldest first, this request last.

        Nothing where it began with an answer of which nobody kept what it came of.
        """
        request, visible = self.request, None
        if request.visible is not None:
            # Plain numbers: rounds are compared by value, and arrays do not give one truth.
            (top, left), (bottom, right) = (corner.tolist() for corner in request.visible)
            visible = (top, left), (bottom, right)
        earlier = () if request.previous is None else request.previous.rounds
        if request.previous is not None and not earlier:
            return ()
        correction = request.shaping.correction
        return (*earlier, PromptRound(request.prompts, choice, request.region, visible, correction))

    def on_picture(self, index: int) -> Candidate:
        """Return a candidate, as it is shown on the plane, on the picture that it was found in."""
        candidate, crop = self.candidates[index], self.pictures[index].crop
        boxed = BoxedMask(candidate.origin, candidate.mask, self.request.source.view.shape)
        return candidate_of(crop.on_picture(boxed), candidate.score)

    @property
    def digest(self) -> str:
        """Digest of the pixels that the best candidate was made from; "" when none were read."""
        return self.pictures[0].digest if self.pictures else ""


def candidate_of(mask: NDArray[np.bool_], score: float) -> Candidate:
    """Cut a mask, (H, W) bool, to its bounding box."""
    # A whole plane is a crop of itself: cutting masks to their boxes is done in one place.
    origin, cut = whole((mask.shape[0], mask.shape[1])).on_plane(mask, (mask.shape[0], mask.shape[1]))
    return Candidate(score, int(cut.sum()), origin, cut)
