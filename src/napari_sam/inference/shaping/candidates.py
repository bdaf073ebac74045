"""The candidates of an answer, shaped: from the logits on, where the threshold is another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.inference.request import Candidate
from napari_sam.inference.shaping.limits import without_areas
from napari_sam.inference.shaping.shape import MaskChange, shape_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.search import CropCandidate
    from napari_sam.inference.shaping.settings import MaskShaping
    from napari_sam.planes.picture import CropPicture
    from napari_sam.planes.source import PlaneSource
    from napari_sam.prompts import AreaPrompt, PaintPrompt


def shape_candidate(
    engine: EngineLike,
    found: CropCandidate,
    picture: CropPicture,
    source: PlaneSource,
    shaping: MaskShaping,
    areas: Sequence[AreaPrompt] = (),
    paint: PaintPrompt | None = None,
) -> tuple[Candidate, MaskChange]:
    """Bring what was found in a crop to the plane, as it is to be shown and accepted.

    Parameters
    ----------
    engine : EngineLike
        What found it.
    found : CropCandidate
        The mask on the picture of its crop, and its logits; it stays as it is, because further prompts go on from it.
    picture : CropPicture
        That picture.
    source : PlaneSource
        The plane.
    shaping : MaskShaping
        What is to become of it.
    areas : sequence of AreaPrompt
        Areas of the plane that were drawn for the object; those that are not positive stay off it.
    paint : PaintPrompt, optional
        What is painted by hand, which goes over everything else.

    Returns
    -------
    Candidate
        On the plane.
    MaskChange
        How far that is from what the model gave.
    """
    plane = source.view.shape
    given = found.crop.boxed(found.mask, plane)
    shaped = given
    if shaping.threshold:
        shaped = found.crop.boxed(engine.masks(picture.plane, found.logits[None], shaping.threshold)[0], plane)
    if not shaping.changes_nothing:
        shaped = without_areas(shape_mask(shaped, shaping, source), areas)
    # Told apart: what the person paints is no doing of the settings.
    change = MaskChange() if shaping.changes_nothing else MaskChange.between(given, shaped)
    if paint is not None:
        shaped = paint.over(shaped)
    return Candidate(found.score, shaped.area, shaped.origin, shaped.mask), change
