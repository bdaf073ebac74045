"""Answers many prompts at once, on the inference thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from napari_sam.automatic.prompted import answer_objects
from napari_sam.automatic.prompted.refining import LEAST_AGREEMENT, LEAST_SCORE
from napari_sam.automatic.proposals import ProposalFilter, ProposalTable
from napari_sam.planes.crop import Crop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam.automatic.prompted.objects import PromptedObject
    from napari_sam.automatic.proposals import Proposal
    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.shaping.levels import Level
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress
    from napari_sam.session.everything.prompted.source import PromptSource

PROMPTED = ProposalFilter(area=(1, inf), overlap=1.0)
"""What is wanted of objects that were pointed at: all, since somebody asked for each."""
REFINED = ProposalFilter(area=(1, inf), overlap=1.0, score=LEAST_SCORE, agreement=LEAST_AGREEMENT)
"""What is wanted of objects that were rough: those that the model is sure of, and that are still the same object."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptedResult:
    """What came of many prompts.

    Attributes
    ----------
    table : ProposalTable
        The objects, on the pixels of the part of the plane that is looked at.
    chosen : ProposalFilter
        Which of them are good.
    objects : tuple of PromptedObject
        What was asked for.
    """

    table: ProposalTable
    chosen: ProposalFilter
    objects: tuple[PromptedObject, ...]


def answer_prompts(
    engine: EngineLike,
    source: PlaneSource,
    prompted: PromptSource,
    start: tuple[int, int],
    shape: tuple[int, int],
    progress: Progress,
    level: Level = "best",
) -> Iterator[PromptedResult | None]:
    """Answer the prompts for many objects.

    Parameters
    ----------
    engine : EngineLike
        What answers.
    source : PlaneSource
        The plane.
    prompted : PromptSource
        The prompts.
    start, shape : (int, int)
        The part of the plane that is looked at: its upper left data pixel, and its height and width.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    level : {"best", "whole", "part", "subpart"}
        Which candidate an object of a single point is.

    Yields
    ------
    PromptedResult or None
        None after each lot, so that somebody else can be answered in between; at last what was found.
    """
    objects = prompted.objects(start, source.view.shape)
    found: list[Proposal] = []
    for some in answer_objects(engine, source, objects, progress, level=level):
        found += (one for one in (_within(proposal, start, shape) for proposal in some) if one is not None)
        yield None
    corner = float(start[0]), float(start[1])
    pixels = source.read(Crop(corner, shape), lambda _share: progress(1.0)).pixels
    table = ProposalTable.of(found, pixels, smallest_first=True)
    yield PromptedResult(table, REFINED if prompted.replaces else PROMPTED, objects)


def _within(proposal: Proposal, start: tuple[int, int], shape: tuple[int, int]) -> Proposal | None:
    """Bring a proposal from the plane to the part that is looked at; None where nothing of it lies there."""
    inside = proposal.mask.within(start, shape)
    return replace(proposal, mask=inside) if inside.area else None
