"""What a person says about an object: frozen prompts, and sets of them.

Coordinates are data pixels of one plane, (y, x), pixel-centred. A new kind of prompt is a frozen dataclass here and a
member of `Prompt`; mypy then names every ``match`` that has to learn it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

_FORMAT = "napari-sam-prompts"
_VERSION = 1

MOST_POINTS = 1000
"""Points that one object may have: the time of an answer grows with them, and nobody clicks so often."""

_SHOWN = 120  # characters of what cannot be read that a message repeats


def _position(value: ArrayLike, what: str) -> tuple[float, float]:
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
        object.__setattr__(self, "position", _position(self.position, "A point"))
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
        one, two = _position(self.start, "A corner of a box"), _position(self.stop, "A corner of a box")
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
        length = np.linalg.norm(array.astype(np.float64)) if array.ndim == 1 else 0.0
        if not (np.isfinite(length) and length > 0):
            raise InputError(
                "The embedding of a text prompt is one row of finite numbers, not all 0, as a CLIP model gives it; "
                f"got shape {np.shape(self.embedding)}."
            )
        array = (array / length).astype(np.float32)
        array.flags.writeable = False
        object.__setattr__(self, "embedding", array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextPrompt) or (self.words, self.clip) != (other.words, other.clip):
            return False
        return np.array_equal(self.embedding, other.embedding)

    def __hash__(self) -> int:
        return hash((self.words, self.clip, self.embedding.tobytes()))


Prompt = PointPrompt | BoxPrompt | MaskPrompt | TextPrompt


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All that is said about one object on one plane. Order is kept; equality is by value.

    Parameters
    ----------
    prompts : iterable of Prompt
        At most one box, one mask and one text. More than `MOST_POINTS` points are not answered.
    """

    prompts: tuple[Prompt, ...] = field(default=())

    def __post_init__(self) -> None:
        prompts = tuple(self.prompts)
        for prompt in prompts:
            if not isinstance(prompt, Prompt):
                raise InputError(
                    "A prompt is a PointPrompt, a BoxPrompt, a MaskPrompt or a TextPrompt; "
                    f"got {type(prompt).__name__}."
                )
        object.__setattr__(self, "prompts", prompts)
        for kind, word in ((BoxPrompt, "box"), (MaskPrompt, "mask"), (TextPrompt, "text")):
            count = sum(isinstance(p, kind) for p in prompts)
            if count > 1:
                raise InputError(f"One object takes one {word}, not {count}. Give each object its own prompts.")

    @classmethod
    def of(cls, prompts: PromptSet | Iterable[Prompt]) -> PromptSet:
        """Return `prompts` as a set; a set passes through."""
        return prompts if isinstance(prompts, PromptSet) else cls(tuple(prompts))

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def points(self) -> tuple[PointPrompt, ...]:
        """The points, in the order they were given."""
        return tuple(p for p in self.prompts if isinstance(p, PointPrompt))

    @property
    def box(self) -> BoxPrompt | None:
        """The box, if there is one."""
        return next((p for p in self.prompts if isinstance(p, BoxPrompt)), None)

    @property
    def mask(self) -> MaskPrompt | None:
        """The mask, if there is one."""
        return next((p for p in self.prompts if isinstance(p, MaskPrompt)), None)

    @property
    def text(self) -> TextPrompt | None:
        """The words, if there are any."""
        return next((p for p in self.prompts if isinstance(p, TextPrompt)), None)

    @property
    def ambiguous(self) -> bool:
        """Whether several objects fit equally well: a single point and nothing else.

        Section 3 of Kirillov et al. 2023, "Segment Anything".
        """
        return len(self.prompts) == 1 and isinstance(self.prompts[0], PointPrompt)

    @property
    def is_background_only(self) -> bool:
        """Whether there are prompts, but none that says where the object is, or what."""
        return bool(self.prompts) and self.text is None and not self.is_placed

    @property
    def is_placed(self) -> bool:
        """Whether a box or a point says where the object is."""
        return self.box is not None or any(point.positive for point in self.points)

    def require_inside(self, shape: tuple[int, int]) -> None:
        """Check that every prompt touches a plane, and that there are not too many.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the plane, in data pixels.

        Raises
        ------
        InputError
            If a point lies outside, or a box lies outside altogether or has no area, or there are more than
            `MOST_POINTS` points. A box that reaches past the border is fine.
        """
        if (count := len(self.points)) > MOST_POINTS:
            raise InputError(
                f"One object takes {MOST_POINTS} points at most; here are {count}. "
                "Give fewer, or give each object its own prompts."
            )
        bottom, right = shape[0] - 0.5, shape[1] - 0.5
        where = f"outside the image of {shape[0]} x {shape[1]} pixels. Move or delete it."
        for prompt in self.prompts:
            match prompt:
                case PointPrompt(position=(y, x)):
                    if not (-0.5 <= y <= bottom and -0.5 <= x <= right):
                        raise InputError(f"The point at y={y:g}, x={x:g} lies {where}")
                case BoxPrompt(start=(y0, x0), stop=(y1, x1)):
                    if y1 <= -0.5 or x1 <= -0.5 or y0 >= bottom or x0 >= right:
                        raise InputError(f"The box lies {where}")
                    if not (y1 > y0 and x1 > x0):
                        raise InputError("The box has no area. Draw it around the object, from corner to corner.")
                case MaskPrompt() | TextPrompt():
                    pass

    def to_json(self) -> str:
        """Write the set as JSON; `from_json` reads it back equal."""
        return json.dumps(
            {"format": _FORMAT, "version": _VERSION, "prompts": [_to_dict(p) for p in self.prompts]}, indent=2
        )

    @classmethod
    def from_json(cls, text: str) -> PromptSet:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            If the text is not JSON, not of this format, or of a newer version, or a prompt cannot be read.
        """
        try:
            data = json.loads(text)
        # A ValueError that is no JSONDecodeError: a number of more digits than Python reads.
        except (ValueError, RecursionError) as error:
            raise InputError(f"The prompts are not valid JSON: {str(error)[:_SHOWN]}.") from error
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise InputError(f'The prompts must be a JSON object with "format": "{_FORMAT}".')
        if data.get("version") != _VERSION:
            raise InputError(
                f"These prompts are of version {str(data.get('version'))[:_SHOWN]}; "
                f"this napari-sam-live reads version {_VERSION}. Update it."
            )
        entries = data.get("prompts", [])
        if not isinstance(entries, list):
            raise InputError('"prompts" must be a list of prompts, each a JSON object with a "type".')
        return cls(tuple(_from_dict(entry) for entry in entries))


def _to_dict(prompt: Prompt) -> dict[str, Any]:
    match prompt:
        case PointPrompt():
            return {"type": "point", "position": list(prompt.position), "positive": prompt.positive}
        case BoxPrompt():
            return {"type": "box", "start": list(prompt.start), "stop": list(prompt.stop)}
        case MaskPrompt():
            return {"type": "mask", "shape": list(prompt.logits.shape), "logits": _pack(prompt.logits)}
        case TextPrompt():
            return {"type": "text", "words": prompt.words, "clip": prompt.clip, "embedding": _pack(prompt.embedding)}


def _pack(numbers: NDArray[np.float32]) -> str:
    # Little-endian, whichever machine writes and reads it.
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def _unpack(packed: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(packed), dtype="<f4")


def _from_dict(entry: Any) -> Prompt:
    try:
        match entry["type"]:
            case "point":
                positive = entry.get("positive", True)
                if not isinstance(positive, bool):  # "false" in quotes would count as true
                    raise InputError(f'"positive" is true or false; got {str(positive)[:_SHOWN]!r}.')
                return PointPrompt(entry["position"], positive)
            case "box":
                return BoxPrompt(entry["start"], entry["stop"])
            case "mask":
                return MaskPrompt(_unpack(entry["logits"]).reshape(entry["shape"]))
            case "text":
                return TextPrompt(str(entry["words"]), _unpack(entry["embedding"]), str(entry["clip"]))
            case other:
                raise InputError(f'Unknown prompt type {str(other)[:_SHOWN]!r}. Known: "point", "box", "mask", "text".')
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"This prompt cannot be read: {str(entry)[:_SHOWN]} ({str(error)[:_SHOWN]}).") from error
