"""What the sizes of a compact model may be: a checkpoint states them, and a forged one states anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.model.encoders.efficientnet import SCALINGS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number from `least` to `most`, or `count` of them; `whole` ones only, or any."""

    least: float
    most: float
    count: int | None = None
    whole: bool = True

    def allow(self, value: object) -> bool:
        """Whether a value is such a number, or so many of them."""
        values = [value] if self.count is None else value
        if not isinstance(values, list | tuple) or len(values) != (self.count or 1):
            return False
        kinds = (int,) if self.whole else (int, float)
        return all(type(number) in kinds and self.least <= number <= self.most for number in values)

    def __str__(self) -> str:
        return f"{f'{self.count} numbers' if self.count else 'a number'} from {self.least:g} to {self.most:g}"


@dataclass(frozen=True, slots=True)
class Words:
    """One of several words."""

    known: frozenset[str]

    def allow(self, value: object) -> bool:
        """Whether a value is one of them."""
        return isinstance(value, str) and value in self.known

    def __str__(self) -> str:
        return f"one of {', '.join(sorted(word or 'nothing' for word in self.known))}"


BOUNDS: dict[str, Numbers | Words] = {
    "widths": Numbers(2, 1024, count=3),
    "blocks": Numbers(0, 32, count=3),
    "attention_blocks": Numbers(0, 32),
    "attention_heads": Numbers(1, 64),
    "decoder_widths": Numbers(4, 1024, count=3),
    "decoder_depth": Numbers(1, 16),
    "decoder_heads": Numbers(1, 64),
    "longest": Numbers(64, 4096),
    "shortest": Numbers(16, 4096),
    "preferred": Numbers(1, 65536, whole=False),
    "enlarge": Numbers(1, 16, whole=False),
    "window": Numbers(16, 4096),
    "box_offset": Numbers(-4, 4, whole=False),
    "ranker": Numbers(0, 256),
    "refining_blocks": Numbers(0, 16),
    "backbone": Words(frozenset({"", *SCALINGS})),
}
"""A row for every field of `CompactConfig`; twice what any model here had, and more."""


def setting_problem(settings: Mapping[str, object]) -> str | None:
    """Say which setting has a value that no model has, or return None."""
    for name, value in settings.items():
        if not BOUNDS[name].allow(value):
            return f"{name} is not {BOUNDS[name]}"
    return None


def ratio_problem(width: int, heads: int, decoder_width: int, decoder_heads: int) -> str | None:
    """Say which width cannot be shared out equally, or return None."""
    if width % heads:
        return f"{heads} attention heads cannot share {width} channels"
    if decoder_width % decoder_heads or decoder_width % 4:  # four: positions have a sine and a cosine, along x and y
        return f"{decoder_heads} decoder heads cannot share {decoder_width} channels"
    return None
