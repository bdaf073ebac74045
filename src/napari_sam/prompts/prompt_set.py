"""All that is said about one object on one plane."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.prompts.documents import SHOWN, from_entry, to_entry
from napari_sam.prompts.drawn import AreaPrompt, ScribblePrompt
from napari_sam.prompts.kinds import BoxPrompt, MaskPrompt, PointPrompt, TextPrompt, is_on_plane, touches_plane
from napari_sam.prompts.paint import PaintPrompt
from napari_sam.prompts.union import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FORMAT = "napari-sam-prompts"
_VERSION = 1

MOST_POINTS = 1000
"""Points that one object may have: the time of an answer grows with them, and nobody clicks so often."""


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All that is said about one object on one plane. Order is kept; equality is by value.

    Parameters
    ----------
    prompts : iterable of Prompt
        At most one box, one mask, one text and one paint; points, scribbles and areas add up. More than `MOST_POINTS`
        points are not answered.
    """

    prompts: tuple[Prompt, ...] = field(default=())

    def __post_init__(self) -> None:
        prompts = tuple(self.prompts)
        for prompt in prompts:
            if not isinstance(prompt, Prompt):
                raise InputError(
                    "A prompt is a PointPrompt, BoxPrompt, ScribblePrompt, AreaPrompt, PaintPrompt, MaskPrompt "
                    "or TextPrompt; "
                    f"got {type(prompt).__name__}."
                )
        object.__setattr__(self, "prompts", prompts)
        once = ((BoxPrompt, "box"), (MaskPrompt, "mask"), (TextPrompt, "text"), (PaintPrompt, "paint"))
        for kind, word in once:
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
    def scribbles(self) -> tuple[ScribblePrompt, ...]:
        """The scribbles, in the order they were given."""
        return tuple(p for p in self.prompts if isinstance(p, ScribblePrompt))

    @property
    def areas(self) -> tuple[AreaPrompt, ...]:
        """The areas, in the order they were given."""
        return tuple(p for p in self.prompts if isinstance(p, AreaPrompt))

    @property
    def paint(self) -> PaintPrompt | None:
        """What is painted and erased by hand, if anything is."""
        return next((p for p in self.prompts if isinstance(p, PaintPrompt)), None)

    @property
    def unpainted(self) -> PromptSet:
        """The prompts that a model is asked; what is painted is laid over its answer."""
        if self.paint is None:
            return self
        return PromptSet(tuple(p for p in self.prompts if not isinstance(p, PaintPrompt)))

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
        """Whether several objects fit equally well: a single point and nothing else but paint.

        Section 3 of Kirillov et al. 2023, "Segment Anything".
        """
        asked = self.unpainted.prompts
        return len(asked) == 1 and isinstance(asked[0], PointPrompt)

    @property
    def is_background_only(self) -> bool:
        """Whether there are prompts, but none that says where the object is, or what."""
        return bool(self.prompts) and self.text is None and not self.is_placed

    @property
    def is_placed(self) -> bool:
        """Whether a box, a point, a scribble, an area or paint says where the object is."""
        drawn: list[PointPrompt | ScribblePrompt | AreaPrompt] = [*self.points, *self.scribbles, *self.areas]
        painted = self.paint is not None and self.paint.adds
        return self.box is not None or painted or any(prompt.positive for prompt in drawn)

    def corners(self, *, positive: bool = False) -> list[tuple[float, float]]:
        """List places that span what the prompts lie on: points, vertices, and the corners of boxes.

        Parameters
        ----------
        positive : bool
            Whether to leave out what does not belong to the object.

        Returns
        -------
        list of (float, float)
            Data pixels, (y, x); empty where nothing has a place.
        """
        found: list[tuple[float, float]] = []
        for prompt in self.prompts:
            if positive and isinstance(prompt, PointPrompt | ScribblePrompt | AreaPrompt) and not prompt.positive:
                continue
            match prompt:
                case PointPrompt(position=position):
                    found.append(position)
                case ScribblePrompt(path=path):
                    found += path
                case BoxPrompt(start=start, stop=stop) | AreaPrompt(box=BoxPrompt(start=start, stop=stop)):
                    found += [start, stop]
                case PaintPrompt() if prompt.adds or not positive:
                    box = prompt.box(positive=positive)
                    found += [box.start, box.stop]
                case PaintPrompt() | MaskPrompt() | TextPrompt():
                    pass
        return found

    def places(self, *, positive: bool) -> list[tuple[float, float]]:
        """List places, data pixels, (y, x), that certainly belong to the object, or certainly do not.

        They are the points of one polarity, some along scribbles, and the deepest pixels of areas and paint.
        """
        found: list[tuple[float, float]] = []
        for prompt in self.prompts:
            match prompt:
                case PointPrompt(position=position) if prompt.positive == positive:
                    found.append(position)
                case ScribblePrompt() if prompt.positive == positive:
                    found += [(float(y), float(x)) for y, x in prompt.sampled()]
                case AreaPrompt() if prompt.positive == positive:
                    found.append(prompt.deepest)
                case PaintPrompt():
                    found += [at for at in [prompt.deepest(positive=positive)] if at is not None]
                case _:
                    pass
        return found

    def require_inside(self, shape: tuple[int, int]) -> None:
        """Check that every prompt touches a plane, and that there are not too many.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the plane, in data pixels.

        Raises
        ------
        InputError
            If a point lies outside, or anything else lies outside altogether, or a box has no area, or there are more
            than `MOST_POINTS` points. What reaches past the border is fine.
        """
        if (count := len(self.points)) > MOST_POINTS:
            raise InputError(
                f"One object takes {MOST_POINTS} points at most; here are {count}. "
                "Give fewer, or give each object its own prompts."
            )
        where = f"outside the image of {shape[0]} x {shape[1]} pixels. Move or delete it."
        for prompt in self.prompts:
            match prompt:
                case PointPrompt(position=(y, x)):
                    if not is_on_plane((y, x), shape):
                        raise InputError(f"The point at y={y:g}, x={x:g} lies {where}")
                case ScribblePrompt(path=path):
                    if not any(is_on_plane(vertex, shape) for vertex in path):
                        raise InputError(f"The scribble lies {where}")
                case AreaPrompt():
                    if not prompt.on_plane(shape).mask.any():
                        raise InputError(f"The area lies {where}")
                case PaintPrompt():
                    if not any(boxed.mask.any() for boxed in prompt.on_plane(shape)):
                        raise InputError(f"What is painted lies {where}")
                case BoxPrompt(start=(y0, x0), stop=(y1, x1)):
                    if not touches_plane(prompt, shape):
                        raise InputError(f"The box lies {where}")
                    if not (y1 > y0 and x1 > x0):
                        raise InputError("The box has no area. Draw it around the object, from corner to corner.")
                case MaskPrompt() | TextPrompt():
                    pass

    def to_json(self) -> str:
        """Write the set as JSON; `from_json` reads it back equal."""
        return json.dumps(
            {"format": _FORMAT, "version": _VERSION, "prompts": [to_entry(p) for p in self.prompts]}, indent=2
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
            raise InputError(f"The prompts are not valid JSON: {str(error)[:SHOWN]}.") from error
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise InputError(f'The prompts must be a JSON object with "format": "{_FORMAT}".')
        if data.get("version") != _VERSION:
            raise InputError(
                f"These prompts are of version {str(data.get('version'))[:SHOWN]}; "
                f"this napari-sam-live reads version {_VERSION}. Update it."
            )
        entries = data.get("prompts", [])
        if not isinstance(entries, list):
            raise InputError('"prompts" must be a list of prompts, each a JSON object with a "type".')
        return cls(tuple(from_entry(entry) for entry in entries))
