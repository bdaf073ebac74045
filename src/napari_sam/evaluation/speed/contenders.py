"""Who is measured: our models, and other packages that run the same kinds of weights."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from napari_sam.errors import InputError

EXTRA = "pip install 'napari-sam-live[benchmark]'"


@dataclass(frozen=True, slots=True)
class Contender:
    """A model in somebody's code.

    Attributes
    ----------
    name : str
        What tables call it.
    family : str
        A name of `FAMILIES`: those of one family have the same weights.
    module : str
        Module that must be there; "" for ours.
    subject : str
        The class of `napari_sam.evaluation.speed.subjects` that runs it, as ``module:class``.
    own_layout : bool
        Whether it reads weights in another layout than that of the authors, which it has to write first.
    """

    name: str
    family: str
    module: str
    subject: str
    own_layout: bool = False

    @property
    def ours(self) -> bool:
        """Whether it is this package's own code."""
        return not self.module

    @property
    def missing(self) -> bool:
        """Whether its package is not installed."""
        return bool(self.module) and find_spec(self.module) is None


FAMILIES = {
    "sam_vit_b": "SAM ViT-B, random weights",
    "mobile_sam": "MobileSAM, random weights",
    "bundled": "Bundled model",
}
"""What the families are called; ours has the name of its family."""

CONTENDERS = (
    Contender("sam_vit_b", "sam_vit_b", "", "ours:OurSam"),
    Contender("sam_vit_b, half precision", "sam_vit_b", "", "ours:OurHalfSam"),
    Contender("segment-anything", "sam_vit_b", "segment_anything", "authors:AuthorsSam"),
    Contender("transformers", "sam_vit_b", "transformers", "hugging_face:HuggingFaceSam", own_layout=True),
    Contender("mobile_sam", "mobile_sam", "", "ours:OurSam"),
    Contender("mobile_sam, half precision", "mobile_sam", "", "ours:OurHalfSam"),
    Contender("MobileSAM's own code", "mobile_sam", "mobile_sam", "authors:AuthorsSam"),
    Contender("bundled", "bundled", "", "ours:OurSam"),
)

OUR_NAMES = frozenset(one.name for one in CONTENDERS if one.ours)
"""Those that are not compared with each other."""

PACKAGES = {
    "segment_anything": "segment-anything",
    "mobile_sam": "mobilesam-mirror",
    "transformers": "transformers",
}
"""What is installed, by the module that it brings."""


def choose_families(names: list[str] | None) -> tuple[str, ...]:
    """Return the families that were asked for, each once, in the order of `FAMILIES`; all without names.

    Raises
    ------
    InputError
        If there is no such family.
    """
    for name in names or ():
        if name not in FAMILIES:
            raise InputError(f"{name!r} cannot be measured. Choose one of: {', '.join(FAMILIES)}.")
    return tuple(family for family in FAMILIES if not names or family in names)


def contenders_of(family: str) -> tuple[tuple[Contender, ...], tuple[str, ...]]:
    """Return who can be measured in a family, ours first, and a sentence about each that cannot."""
    all_of_it = [one for one in CONTENDERS if one.family == family]
    here = tuple(one for one in all_of_it if not one.missing)
    return here, tuple(
        f"{one.name} is left out, as {PACKAGES[one.module]} is not installed: {EXTRA}"
        for one in all_of_it
        if one.missing
    )
