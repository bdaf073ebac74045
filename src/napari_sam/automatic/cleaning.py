"""What becomes of the masks of many objects before they are shown and written: clean-up and limits, as of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.inference.shaping.candidates import cleaned

if TYPE_CHECKING:
    from napari_sam.automatic.proposals import Proposal
    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.masks import BoxedMask
    from napari_sam.planes.source import PlaneSource


def clean_proposal(
    proposal: Proposal, shaping: MaskShaping, source: PlaneSource, engine: EngineLike | None = None
) -> BoxedMask:
    """Clean up the mask of a proposal, within its limits.

    Parameters
    ----------
    proposal : Proposal
        What was found, on the plane.
    shaping : MaskShaping
        What is to become of it. The threshold is for proposals whose logits are kept.
    source : PlaneSource
        The plane.
    engine : EngineLike, optional
        What found it; needed for another threshold alone.

    Returns
    -------
    BoxedMask
        On the plane; maybe empty.
    """

    def draw(threshold: float) -> BoxedMask:
        return proposal.mask if engine is None else drawn_again(proposal, threshold, source, engine)

    return cleaned(proposal.mask, draw, shaping, source)


def drawn_again(proposal: Proposal, threshold: float, source: PlaneSource, engine: EngineLike) -> BoxedMask:
    """Draw the mask of a proposal with another threshold, on the plane; where logits are not kept, it stays."""
    return proposal.mask if proposal.logits is None else proposal.logits.drawn(engine, source, threshold)
