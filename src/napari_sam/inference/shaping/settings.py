"""What is to become of a mask, as one value that is compared, kept, and written down."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from napari_sam.errors import InputError
from napari_sam.inference.shaping.exclusion import LabelExclusion

if TYPE_CHECKING:
    from collections.abc import Mapping

Correction = Literal["off", "on", "branches"]
"""Whether further clicks go on from the mask before them: never, always, or for objects with branches."""

MOST_THRESHOLD = 20.0
"""Logits lie between -20 and 20, but for very few."""
MOST_RADIUS = 100
"""Pixels that a mask grows, shrinks, or is smoothed by, at most."""


@dataclass(frozen=True, slots=True)
class MaskShaping:
    """What becomes of a candidate before it is shown and accepted. By default nothing.

    Sizes are in data pixels of the plane.

    Parameters
    ----------
    threshold : float
        Logit above which a pixel belongs to the mask; 0 is what the model was trained for, less gives more.
    fill_holes : bool
        Fill what a mask encloses.
    largest_hole : int
        Only holes of up to so many pixels; 0: of any size.
    largest_part : bool
        Keep only the largest of the parts that a mask consists of.
    smallest_part : int
        Leave out parts of fewer pixels.
    smooth : int
        Standard deviation of the Gaussian filter that the outline is smoothed with.
    grow : int
        Pixels that the mask grows by in all directions; less than 0: shrinks by.
    correction : {"off", "on", "branches"}
        Whether a further positive click takes nothing away of the mask before it, and a negative one adds nothing:
        never, always, or for objects with branches, such as vessels.
    grey_range : (float, float) or None
        Only pixels with values in this range, both ends included; of colours, the luma. NaN lies in no range.
    exclusion : LabelExclusion or None
        Labels whose pixels masks leave out.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    threshold: float = 0.0
    fill_holes: bool = False
    largest_hole: int = 0
    largest_part: bool = False
    smallest_part: int = 0
    smooth: int = 0
    grow: int = 0
    correction: Correction = "off"
    grey_range: tuple[float, float] | None = None
    exclusion: LabelExclusion | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__  # frozen: what was checked takes its place here, once
        set_(self, "threshold", _number("The threshold", self.threshold, -MOST_THRESHOLD, MOST_THRESHOLD))
        for name in ("fill_holes", "largest_part"):
            set_(self, name, bool(getattr(self, name)))
        for name, words, least, most in (
            ("largest_hole", "The size of holes", 0, 2**31),
            ("smallest_part", "The size of parts", 0, 2**31),
            ("smooth", "The radius of smoothing", 0, MOST_RADIUS),
            ("grow", "What a mask grows by", -MOST_RADIUS, MOST_RADIUS),
        ):
            set_(self, name, int(_number(words, getattr(self, name), least, most)))
        if self.correction not in get_args(Correction):
            raise InputError(f'Correction is "off", "on" or "branches"; got {self.correction!r}.')
        if self.grey_range is not None:
            set_(self, "grey_range", _range(self.grey_range))

    @property
    def changes_nothing(self) -> bool:
        """Whether masks stay as the model gives them; how further clicks go on is another thing."""
        return replace(self, correction="off") == UNSHAPED

    def but_label(self, label: int) -> Self:
        """Return the same with the pixels of one label allowed; see `LabelExclusion.but`."""
        return self if self.exclusion is None else replace(self, exclusion=self.exclusion.but(label))

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, for JSON; `from_dict` reads it back equal."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said = {name: value for name, value in said.items() if value != getattr(UNSHAPED, name)}
        if self.exclusion is not None:
            said["exclusion"] = self.exclusion.to_dict()
        return said

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; what a newer version knows besides is left out, and so are pixels to exclude."""
        known = {field.name for field in fields(cls)}
        said = {name: value for name, value in data.items() if name in known}
        if (excluded := said.pop("exclusion", None)) is not None:
            said["exclusion"] = LabelExclusion(str(excluded["layer"]), tuple(int(n) for n in excluded["labels"]))
        return cls(**said)

    def words(self) -> str:
        """Say in a few words what is done, such as "holes filled, grown by 2 px"; "" for nothing."""
        up_to = f" up to {self.largest_hole} px" if self.largest_hole else ""
        said = [
            f"threshold {self.threshold:+g}" if self.threshold else "",
            f"holes{up_to} filled" if self.fill_holes else "",
            "largest part only" if self.largest_part else "",
            f"parts of {self.smallest_part} px or more" if self.smallest_part else "",
            f"smoothed by {self.smooth} px" if self.smooth else "",
            {"off": "", "on": "additive", "branches": "additive for branches"}[self.correction],
            f"values {self.grey_range[0]:g} to {self.grey_range[1]:g} only" if self.grey_range else "",
            self.exclusion.words if self.exclusion else "",
            f"{'grown' if self.grow > 0 else 'shrunk'} by {abs(self.grow)} px" if self.grow else "",
        ]
        return ", ".join(filter(None, said))


def _range(value: tuple[float, float]) -> tuple[float, float]:
    """Check that a range has two ends, in order."""
    try:
        low, high = (_number("An end of the range of grey values", end, -math.inf, math.inf) for end in value)
    except (TypeError, ValueError) as error:
        raise InputError(f"A range of grey values is two numbers; got {value!r}.") from error
    if low > high:
        raise InputError(f"A range of grey values goes from the lower to the higher one; got {low:g} to {high:g}.")
    return low, high


def _number(words: str, value: float, least: float, most: float) -> float:
    """Check that a number is one, and in range."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{words} is a number; got {value!r}.") from error
    if not math.isfinite(number) or not least <= number <= most:
        raise InputError(f"{words} is {least:g} to {most:g}; got {value!r}.")
    return number


UNSHAPED = MaskShaping()
"""Leaves masks as the model gives them."""

USUAL = MaskShaping(correction="branches")
"""What a session begins with: objects with branches gain by additive correction, and others do not change by it."""
