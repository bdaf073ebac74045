"""Cleans up the objects of a search, lot by lot, on the inference thread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam.automatic.cleaning import clean_proposal, drawn_again
from napari_sam.session.candidates.shaping import leaves_out_labels_of
from napari_sam.session.everything.search import load_and_search, read_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam.inference.request import EngineFactory
    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.masks import BoxedMask
    from napari_sam.progress import Progress
    from napari_sam.session.everything.search import SearchRequest, SearchResult

_TOGETHER = 16
"""Objects after which a click may be answered: some milliseconds each."""


def find_and_shape(engine: EngineFactory, request: SearchRequest, progress: Progress) -> Iterator[SearchResult | None]:
    """Find the objects of a request, and clean them up; as `load_and_search`."""
    for found in load_and_search(engine, request, progress):
        if found is None:
            yield None
        else:
            yield from shape_result(engine, found, request.shaping, lambda _share: progress(1.0))


def shape_result(
    engine: EngineFactory, result: SearchResult, shaping: MaskShaping, progress: Progress
) -> Iterator[SearchResult | None]:
    """Clean up what was found; the model is not asked again.

    Parameters
    ----------
    engine : callable
        Gives the engine of a model on a device; asked only where logits are drawn with another threshold.
    result : SearchResult
        What was found, cleaned up before or not.
    shaping : MaskShaping
        What is to become of the masks.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.

    Yields
    ------
    SearchResult or None
        None after each lot of objects, so that somebody else can be answered in between; at last the objects in the
        same order, of which some may be empty.
    """
    found = result.as_found
    request, table = replace(found.request, shaping=shaping), found.table
    if shaping.changes_nothing or not len(table):
        yield replace(found, request=request)
        return
    source, threshold, rest = request.source, shaping.threshold, replace(shaping, threshold=0.0)
    before = found.drawn[1] if found.drawn is not None and found.drawn[0] == threshold else ()
    drawing = engine(request.model, request.device, progress) if threshold and not before else None
    # Objects that are made anew are not in their own way.
    own = request.prompted is not None and leaves_out_labels_of(shaping, request.prompted.target)
    masks: list[BoxedMask] = []
    drawn: list[BoxedMask] = []
    for place, (proposal, label) in enumerate(zip(table.proposals, found.labels.tolist(), strict=True), 1):
        one = replace(proposal, mask=proposal.mask.shifted(request.start, source.view.shape))
        if drawing is not None:
            drawn.append(drawn_again(one, threshold, source, drawing))
        if before or drawn:
            one = replace(one, mask=before[place - 1] if before else drawn[-1])
        mask = clean_proposal(one, rest.but_label(label) if own else rest, source)
        masks.append(mask.within(request.start, request.shape))
        if place % _TOGETHER == 0:
            progress(place / len(table))
            yield None
    pixels = read_part(request, lambda _share: progress(1.0)).pixels
    kept = (threshold, tuple(drawn)) if drawn else found.drawn
    yield replace(found, request=request, table=table.with_masks(masks, pixels), given=table, drawn=kept)
