"""What came of teaching: numbers before and after, and what was decided."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.training.finetune.measuring import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class FinetuneReport:
    """A run of teaching.

    Attributes
    ----------
    base : str
        Name of the model that was taught.
    minutes, steps : float, int
        How long it learnt.
    planes, objects : int
        What it learnt from.
    split : str
        How images were kept to measure by, in words.
    strength : float
        How much of what was learnt was taken: less than 1 where all of it would forget too much.
    before, after : dict of str to float
        Measures on planes that were not learnt from; see `napari_sam.training.finetune.measuring.MEASURES`.
    samples_before, samples_after : dict of str to float
        The same on the sample images of the package: what was forgotten.
    better, kept : bool
        Whether it is better on planes that were not learnt from; whether it is kept.
    verdict : str
        Why, in words.
    same_image : bool
        Whether it was measured on parts of the images that it learnt from: there was only one.
    licence : str
        Of the taught model, as the person chose it; "" where they did not.
    version : str
        Of napari-sam-live.
    """

    base: str
    minutes: float
    steps: int
    planes: int
    objects: int
    split: str
    strength: float
    before: dict[str, float]
    after: dict[str, float]
    samples_before: dict[str, float]
    samples_after: dict[str, float]
    better: bool
    kept: bool
    verdict: str
    same_image: bool = False
    licence: str = ""
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give what goes into JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FinetuneReport:
        """Read what `to_dict` gave; what a later release added is left out.

        Raises
        ------
        InputError
            If something is missing.
        """
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{name: value for name, value in data.items() if name in known})
        except TypeError as error:
            raise InputError("This is not a report of teaching. Teach the model anew.") from error

    def rows(self) -> list[tuple[str, float, float]]:
        """Give the rows of the table: a measure, before, after; those of the sample images last."""
        rows = [(name, self.before[name], self.after[name]) for name in MEASURES if name in self.before]
        return rows + [
            (f"sample images, {name}", self.samples_before[name], self.samples_after[name])
            for name in MEASURES
            if name in self.samples_before
        ]
