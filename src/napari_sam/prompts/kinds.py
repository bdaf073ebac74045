"""Points, boxes, earlier answers and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def position_of(value: ArrayLike, what: str) -> tuple[float, float]:
    """Read a position, (y, x).

    Raises
    ------
    InputError
        If it is not two finite numbers; the message calls it `what`.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except OverflowError as error:
        raise InputError(f"{what} must be two finite numbers, (y, x); one is too large.") from error
    if array.shape != (2,) or not np.isfinite(array).all():
        raise InputError(f"{what} must be two finite numbers, (y, x); got {value!r}.")
    return float(array[0]), float(array[1])


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A click.

    Parameters
    ----------
    position : (float, float)
        Data pixels, (y, x).
    positive : bool
        True: this belongs to the object. False: this does not.
    """

    position: tuple[float, float]
    positive: bool = True

    def __post_init__(self) -> None:
        # Frozen: what was checked takes its place here, once.
        object.__setattr__(self, "position", position_of(self.position, "A point"))
        object.__setattr__(self, "positive", bool(self.positive))


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A rectangle around the object, its sides along the axes.

    Parameters
    ----------
    start, stop : (float, float)
        Two opposite corners, data pixels, (y, x), in any order; they are sorted so that `start` is the upper left one.
    """

    start: tuple[float, float]
    stop: tuple[float, float]

    def __post_init__(self) -> None:
        one, two = position_of(self.start, "A corner of a box"), position_of(self.stop, "A corner of a box")
        object.__setattr__(self, "start", (min(one[0], two[0]), min(one[1], two[1])))
        object.__setattr__(self, "stop", (max(one[0], two[0]), max(one[1], two[1])))


@dataclass(frozen=True, slots=True, eq=False)
class MaskPrompt:
    """An earlier answer, to be improved on: the low-resolution logits of a `Prediction`.

    Parameters
    ----------
    logits : array_like, shape (h, w) or (1, h, w), float
        One row of ``Prediction.logits``; positive inside the object. Copied and made read-only.
    """

    logits: NDArray[np.float32]

    def __post_init__(self) -> None:
        # A copy, which nobody can change: sets of prompts are compared, hashed and kept.
        array = np.array(self.logits, dtype=np.float32)
        if array.ndim == 3 and array.shape[0] == 1:
            array = array[0]
        if array.ndim != 2 or not array.size or not np.isfinite(array).all():
            raise InputError(
                "A mask prompt is one (h, w) array of finite logits, such as prediction.logits[0]; "
                f"got shape {np.shape(self.logits)}."
            )
        array.flags.writeable = False
        object.__setattr__(self, "logits", array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskPrompt) and np.array_equal(self.logits, other.logits)

    def __hash__(self) -> int:
        return hash(self.logits.tobytes())


@dataclass(frozen=True, slots=True, eq=False)
class TextPrompt:
    """What the object is called. `napari_sam.text.prompting.text_prompt` makes one out of words.

    Parameters
    ----------
    words : str
        What the person wrote.
    embedding : array_like, shape (width,), float
        What a CLIP model made of them, or of a picture. Copied, brought to length 1, and made read-only.
    clip : str
        Name of that CLIP model. A predictor takes the embeddings of one model: see `Predictor.text_space`.
    """

    words: str
    embedding: NDArray[np.float32]
    clip: str

    def __post_init__(self) -> None:
        array = np.array(self.embedding, dtype=np.float32)
        length = float(np.linalg.norm(array.astype(np.float64))) if array.ndim == 1 else 0.0
        if not (np.isfinite(length) and length > 0):
            raise InputError(
                "The embedding of a text prompt is one row of finite numbers, not all 0, as a CLIP model gives it; "
                f"got shape {np.shape(self.embedding)}."
            )
        # What has length 1 already is kept to the last bit: a file that is read and written again stays the same.
        if abs(length - 1) > 1e-6:
            array = (array / length).astype(np.float32)
        array.flags.writeable = False
        object.__setattr__(self, "embedding", array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextPrompt) or (self.words, self.clip) != (other.words, other.clip):
            return False
        return np.array_equal(self.embedding, other.embedding)

    def __hash__(self) -> int:
        return hash((self.words, self.clip, self.embedding.tobytes()))


def is_on_plane(position: tuple[float, float], shape: tuple[int, int]) -> bool:
    """Tell whether a position, (y, x), lies on a pixel of a plane of (H, W) pixels."""
    return all(-0.5 <= at <= size - 0.5 for at, size in zip(position, shape, strict=True))


def touches_plane(box: BoxPrompt, shape: tuple[int, int]) -> bool:
    """Tell whether a box and a plane of (H, W) pixels overlap."""
    return all(high > -0.5 and low < size - 0.5 for low, high, size in zip(box.start, box.stop, shape, strict=True))
