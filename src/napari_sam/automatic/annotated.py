"""Proposals as the objects of an image, for the formats of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.datasets.records import AnnotatedImage, MaskObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.automatic.proposals import Proposal


def annotate(
    name: str,
    proposals: Sequence[Proposal],
    shape: tuple[int, int],
    *,
    plane: int = 0,
    categories: Sequence[str | None] | None = None,
) -> AnnotatedImage:
    """Keep proposals as they are, overlaps too, with what the model said of them.

    Parameters
    ----------
    name : str
        Name of the image's file.
    proposals : sequence of Proposal
        In the order in which they are written; they are numbered from 1.
    shape : (int, int)
        Height and width of the plane, data pixels.
    plane : int
        Of a stack, from 0.
    categories : sequence of str or None, optional
        Of each proposal.
    """
    named = categories or [None] * len(proposals)
    objects = [
        MaskObject(one.mask, number, category, one.score, one.stability, one.point, one.crop)
        for number, (one, category) in enumerate(zip(proposals, named, strict=True), 1)
    ]
    return AnnotatedImage(name, shape, tuple(objects), plane)
