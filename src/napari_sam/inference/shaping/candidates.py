"""The candidates of an answer, shaped: from the logits on, where the threshold is another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.inference.request import Candidate
from napari_sam.inference.shaping.limits import without_areas
from napari_sam.inference.shaping.shape import MaskChange, shape_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sam.inference.request import EngineLike
    from napari_sam.inference.search import CropCandidate
    from napari_sam.inference.shaping.settings import MaskShaping
    from napari_sam.masks import BoxedMask
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

    def draw(threshold: float) -> BoxedMask:
        return found.crop.boxed(engine.masks(picture.plane, found.logits[None], threshold)[0], plane)

    shaped = without_areas(cleaned(given, draw, shaping, source), areas) if not shaping.changes_nothing else given
    # Told apart: what the person paints is no doing of the settings.
    change = MaskChange() if shaping.changes_nothing else MaskChange.between(given, shaped)
    if paint is not None:
        shaped = paint.over(shaped)
    return Candidate(found.score, shaped.area, shaped.origin, shaped.mask), change


def cleaned(
    given: BoxedMask, draw: Callable[[float], BoxedMask], shaping: MaskShaping, source: PlaneSource
) -> BoxedMask:
    """Clean up a mask of a plane: from its logits on, where the threshold is another one.

    Parameters
    ----------
    given : BoxedMask
        As the model gives it.
    draw : callable
        Takes another threshold than 0; draws the logits of the mask again, on the plane.
    shaping : MaskShaping
        What is to become of it.
    source : PlaneSource
        The plane.
    """
    return shape_mask(draw(shaping.threshold) if shaping.threshold else given, shaping, source)
