"""What the predictor asks of a model: frames and tensors in, tensors out.

A new architecture is one file with a module of this shape and a row in the registry. Models know nothing of numpy
planes' dtypes, of napari or of caches.
All tensors are float32 unless said otherwise; B counts objects (independent sets of prompts) on one plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from napari_sam.progress import no_progress

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.geometry import Frame
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.progress import Progress

PromptKind = Literal["point", "box", "mask", "text"]

Features: TypeAlias = "tuple[Tensor, ...]"
"""What `encode` made of one plane, batch dimension 1; only the model that made it can read it."""


@dataclass(frozen=True, slots=True)
class PromptTensors:
    """Prompts of B objects on a model's canvas.

    Attributes
    ----------
    points : Tensor, shape (B, N, 2)
        Model pixels, (x, y), pixel-centred (the model adds its own half pixel). N may be 0.
    labels : Tensor, shape (B, N), int64
        1 positive, 0 negative, -1 padding where objects have unequal numbers of points.
    boxes : Tensor, shape (B, 4), or None
        Model pixels, (x0, y0, x1, y1).
    masks : Tensor, shape (B, 1, h, w), or None
        Logits of an earlier answer, at the size that `PromptableModel.logits_shape` names.
    texts : Tensor, shape (B, width), or None
        Embeddings of a CLIP model, of length 1.
    """

    points: Tensor
    labels: Tensor
    boxes: Tensor | None = None
    masks: Tensor | None = None
    texts: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A model's answer for B objects.

    Attributes
    ----------
    logits : Tensor, shape (B, n, h, w)
        Low-resolution mask logits, positive inside; n is 3 with `multimask`, else 1.
    scores : Tensor, shape (B, n)
        Predicted IoU of each mask.
    """

    logits: Tensor
    scores: Tensor


class PromptableModel(Protocol):
    """An image encoder, run once for a plane, and a decoder, run for each set of prompts."""

    prompt_kinds: frozenset[PromptKind]
    """The kinds of prompts that the weights were trained with; the predictor refuses others with words."""

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""

    def frame(self, plane: tuple[int, int], spacing: tuple[float, float] = (1.0, 1.0)) -> Frame:
        """Choose where a plane of `plane` = (H, W) data pixels lies on the canvas.

        `spacing` is the physical pixel distance along y and x; a model shows itself square pixels.
        """

    def preprocess(self, image: NDArray[np.uint8], frame: Frame) -> Tensor:
        """Resample and normalise an (H, W, 3) uint8 image; returns (1, 3, *frame.canvas) on `device`."""

    def encode(self, pixels: Tensor, progress: Progress = no_progress) -> Features:
        """Run the image encoder; `progress` is called between blocks and may raise `Cancelled`."""

    def object_map(self, features: Features) -> Tensor:
        """Give the map, (C, h, w) over the whole canvas, that objects are compared by; part of what `encode` gave."""

    def logits_shape(self, frame: Frame) -> tuple[int, int]:
        """(h, w) of the low-resolution logits that `decode` gives, and that mask prompts must have."""

    def decode(self, features: Features, prompts: PromptTensors, frame: Frame, *, multimask: bool) -> Decoded:
        """Answer B sets of prompts."""

    def upscale(self, logits: Tensor, frame: Frame) -> Tensor:
        """Bring (B, n, h, w) low-resolution logits to the plane's own (B, n, H, W), without the padding."""


@runtime_checkable
class MaskDrawingModel(Protocol):
    """A model that draws masks on the plane in less time than all of the logits there."""

    def masks(self, logits: Tensor, frame: Frame, threshold: float) -> Tensor:
        """Tell where `upscale` of the logits would be greater than the threshold: (B, n, H, W) bool."""


@runtime_checkable
class RefiningModel(Protocol):
    """A model that can refine its answers, where a person waits for one object and not for thousands."""

    def decode_refined(self, features: Features, prompts: PromptTensors, frame: Frame, *, multimask: bool) -> Decoded:
        """Answer B sets of prompts as `decode` does, taking more time for better masks."""


@runtime_checkable
class SelectiveModel(Protocol):
    """A model that knows how good a mask will be before it draws it."""

    def decode_better(
        self, features: Features, prompts: PromptTensors, frame: Frame, least: float
    ) -> tuple[Tensor, Tensor]:
        """Answer B sets of prompts with three candidates each, and draw those that are good.

        Returns
        -------
        logits : Tensor, shape (k, h, w)
            Low-resolution logits of the k candidates whose predicted IoU is greater than `least`, object by object.
        scores : Tensor, shape (B, 3)
            Predicted IoU of all.
        """


@runtime_checkable
class TextPromptable(Protocol):
    """A model that can be taught to take words."""

    @property
    def text_space(self) -> ClipSpace | None:
        """The CLIP model whose embeddings it takes; None where the weights know none."""

    def take_words(self, space: ClipSpace) -> None:
        """Add a projection of a CLIP model's embeddings, with random weights, and the kind of prompt "text"."""


@runtime_checkable
class DenseModel(Protocol):
    """A model that also tells, for the whole plane at once, where objects are: what automatic segmentation reads."""

    most_views: int
    """How many views it can average, 1 to 4."""

    def dense_maps(self, features: Features, frame: Frame, views: int = 1, progress: Progress = no_progress) -> Tensor:
        """Read the dense maps out of what `encode` gave, on the plane's own pixels.

        With more than one view, `most_views` at most, its mirror images are encoded too, and the maps of all are
        averaged; a model whose features hold no pixels has one view.

        Returns
        -------
        Tensor, shape (3, H, W), 0 to 1
            Probability of foreground; distance to the object's centre, as a share of the farthest; nearness to its
            border, 0 where it is deepest. The last two are 1 in the background.
        """


@runtime_checkable
class HalfPrecisionModel(Protocol):
    """A model whose image encoder may compute in half precision."""

    @property
    def encoder_dtype(self) -> torch.dtype:
        """What it computes in on its device: float32, bfloat16 or float16."""


@runtime_checkable
class MagnifyingModel(Protocol):
    """A model that can enlarge a part of a plane out of what it keeps of it, without reading the plane again."""

    def magnify(
        self, features: Features, frame: Frame, part: tuple[tuple[int, int], tuple[int, int]], factor: float
    ) -> tuple[Tensor, Frame]:
        """Enlarge a part of a plane, with the grey values that the whole plane is seen with.

        Parameters
        ----------
        features : tuple of Tensor
            What `encode` gave of the plane.
        frame : Frame
            The plane's.
        part : ((int, int), (int, int))
            Upper left corner and the one beyond the lower right one, data pixels, (y, x).
        factor : float
            How many pixels each pixel of the canvas becomes, along both axes.

        Returns
        -------
        pixels : Tensor, shape (1, 3, h, w)
            What `encode` takes.
        frame : Frame
            The part as a plane of its own.
        """
