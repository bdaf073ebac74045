"""One way for a plane: the dock, notebooks, the command line and runs through stacks all look for an object here.

Chooses the crop, reads it from the resolution that is fine enough, carries the earlier answer into it, and searches on
where the object goes on. Keeps nothing: whoever calls it may keep what was read and embedded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from napari_sam.inference.crop_choice import crop_for, planner_for
from napari_sam.inference.logits import CropGrid, resampled
from napari_sam.inference.refinement import PreviousMask
from napari_sam.inference.request import Candidate
from napari_sam.inference.search import search_object
from napari_sam.inference.shaping import UNSHAPED, MaskChange
from napari_sam.inference.shaping.candidates import shape_candidate
from napari_sam.inference.shaping.correction import added_kind, corrected, is_wanted
from napari_sam.inference.shaping.painting import painted_mask, with_paint
from napari_sam.inference.start_answer import see_starting
from napari_sam.inference.starting import StartingMask
from napari_sam.planes.picture import CropPicture, blank_plane
from napari_sam.progress import no_progress
from napari_sam.prompts import MaskPrompt, PromptSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.inference.crop_choice import Corners
    from napari_sam.inference.request import EngineLike, Region
    from napari_sam.inference.search import CropCandidate, CropPrediction
    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.planes import Crop
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress
    from napari_sam.prompts import PaintPrompt


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """What was found of an object on a plane.

    Attributes
    ----------
    candidates : tuple of Candidate
        Masks on the plane, shaped and cut to their bounding boxes, data pixels; best first.
    changes : tuple of MaskChange
        How far each was shaped.
    found : tuple of CropCandidate
        The same candidates as the model gave them, on the pictures that they were found in, with their logits, which
        are painted as the candidates are.
    pictures : tuple of CropPicture
        What the model saw, for each candidate.
    """

    candidates: tuple[Candidate, ...]
    changes: tuple[MaskChange, ...]
    found: tuple[CropCandidate, ...]
    pictures: tuple[CropPicture, ...]

    def previous(self, index: int = 0, prompts: PromptSet | None = None) -> PreviousMask:
        """Return a candidate as the earlier answer that goes with further prompts for the same object.

        With the `prompts` that it answered, further clicks can go on from its mask: see `MaskShaping.correction`.
        """
        return PreviousMask.of(self.found[index], self.pictures[index], prompts=prompts)


class CropReader(Protocol):
    """Reads crops of one plane."""

    def read(self, crop: Crop, /) -> CropPicture:
        """Read a crop."""

    def see(self, crop: Crop, /) -> CropPicture:
        """Read a crop that is about to be asked about."""


@dataclass(frozen=True, slots=True)
class PlainReader:
    """Reads crops anew each time.

    Parameters
    ----------
    source : PlaneSource
        The plane.
    progress : Progress
        Called while much is read; may raise `Cancelled`.
    """

    source: PlaneSource
    progress: Progress = no_progress

    def read(self, crop: Crop, /) -> CropPicture:
        """Read a crop."""
        return CropPicture.of(self.source.read(crop, self.progress), crop, self.source.view.shape)

    def see(self, crop: Crop, /) -> CropPicture:
        """Read a crop; the engine embeds it when it is asked."""
        return self.read(crop)


def segment_plane(
    engine: EngineLike,
    source: PlaneSource,
    prompts: PromptSet,
    *,
    previous: PreviousMask | None = None,
    region: Region = "object",
    visible: Corners | None = None,
    multimask: bool | None = None,
    shaping: MaskShaping = UNSHAPED,
    reader: CropReader | None = None,
    progress: Progress = no_progress,
) -> Segmentation:
    """Answer the prompts for one object of a plane of any size; only the crops that it takes are read and embedded.

    Parameters
    ----------
    engine : EngineLike
        Answers prompts on the picture of a crop.
    source : PlaneSource
        The plane.
    prompts : PromptSet
        Points and a box, data pixels of the plane; at least one, unless there is an earlier answer. What is painted is
        laid over the answers; alone, it is the answer, and the model is not asked. No mask: logits mean
        nothing without the crop that they were made in, and go in as `previous`.
    previous : PreviousMask, optional
        The earlier answer for the same object, as `napari_sam.inference.refinement` allows it. Its logits are on the
        canvas of `previous.crop`: there they go in unchanged, into any other crop they are resampled. They are left
        out where the pixels have changed, or the model takes no masks.
    region : {"object", "screen"}
        What to look at where the plane is not looked at as a whole.
    visible : (array, array), optional
        Corners of the part of the plane that is on the screen, data pixels, (y, x).
    multimask : bool, optional
        Three candidates or one. Default: three for a single point and nothing else.
    shaping : MaskShaping
        What becomes of the masks in the end; by default nothing.
    reader : CropReader, optional
        Reads the plane; one that keeps pictures saves time. Default: `PlainReader`.
    progress : Progress
        Called with the fraction done; may raise `Cancelled`.

    Returns
    -------
    Segmentation
        As many candidates as one answer of the model has, at most.
    """
    painted, prompts = prompts, prompts.unpainted
    crops = PlainReader(source, progress) if reader is None else reader
    if painted.paint is not None and previous is None and not len(prompts):
        return _painted_alone(engine, source, painted.paint, crops)
    planner = planner_for(engine, source)
    # With an earlier answer one object is meant, however few the clicks are.
    several = prompts.ambiguous and previous is None if multimask is None else multimask
    carry = _carrier(engine, source, previous, crops)
    takes_mask = "mask" in _kinds(engine)
    added = None if previous is None or shaping.correction == "off" else added_kind(prompts, previous.prompts)
    # Candidates may be of several crops, and each goes with the picture that it was found in.
    pictures: dict[Crop, CropPicture] = {}

    def answer(crop: Crop) -> CropPrediction:
        picture = pictures[crop] = crops.see(crop)
        earlier = carry(picture)
        given = PromptSet((*crop.prompts(prompts), *(earlier if takes_mask else ())))
        found: CropPrediction = engine.predict(picture.plane, given, multimask=several, progress=progress)
        if added is None or not earlier or not is_wanted(shaping.correction, earlier[0].logits):
            return found
        return corrected(engine, picture, found, earlier[0].logits, added)

    first, grow = crop_for(planner, prompts, previous, region, visible)
    found = search_object(planner, prompts, first, answer, grow=grow)
    return _segmentation(engine, source, found, tuple(pictures[one.crop] for one in found), shaping, painted)


def segment_picture(
    engine: EngineLike,
    source: PlaneSource,
    prompts: PromptSet,
    picture: CropPicture,
    *,
    shaping: MaskShaping = UNSHAPED,
    progress: Progress = no_progress,
) -> Segmentation:
    """Answer the prompts for one object in one picture of a plane, and look no farther.

    Parameters
    ----------
    engine, source, prompts, shaping, progress
        As `segment_plane` takes them.
    picture : CropPicture
        What was read of the plane; it holds all prompts.
    """
    asked = prompts.unpainted

    def answer(crop: Crop) -> CropPrediction:
        found: CropPrediction = engine.predict(
            picture.plane, crop.prompts(asked), multimask=asked.ambiguous, progress=progress
        )
        return found

    found = search_object(planner_for(engine, source), asked, picture.crop, answer, grow=False)
    return _segmentation(engine, source, found, (picture,) * len(found), shaping, prompts)


def _segmentation(
    engine: EngineLike,
    source: PlaneSource,
    found: tuple[CropCandidate, ...],
    pictures: tuple[CropPicture, ...],
    shaping: MaskShaping,
    prompts: PromptSet,
) -> Segmentation:
    """Bring what was found to the plane, shaped."""
    pairs, paint = list(zip(found, pictures, strict=True)), prompts.paint
    shaped = [shape_candidate(engine, one, picture, source, shaping, prompts.areas, paint) for one, picture in pairs]
    candidates, changes = tuple(one for one, _change in shaped), tuple(change for _one, change in shaped)
    # Only now: what a threshold makes of the logits is the model's.
    return Segmentation(
        candidates, changes, tuple(with_paint(engine, one, picture, paint) for one, picture in pairs), pictures
    )


def _painted_alone(engine: EngineLike, source: PlaneSource, paint: PaintPrompt, reader: CropReader) -> Segmentation:
    """Answer with what is painted, and nothing else; nothing is embedded for it."""
    mask = painted_mask(paint, source.view.shape)
    start = StartingMask(0, source.view, mask)
    found, picture = see_starting(engine, source, start, reader.read)
    candidate = Candidate(1.0, mask.area, mask.origin, mask.mask)
    return Segmentation((candidate,), (MaskChange(),), (found,), (picture,))


def crop_grid(engine: EngineLike, source: PlaneSource, crop: Crop) -> CropGrid:
    """Tell where the logits of a crop lie on the canvas of the model; nothing is read."""
    return CropGrid(crop, *engine.predictor.grid(blank_plane(crop, source.view.spacing)))


def _carrier(
    engine: EngineLike, source: PlaneSource, previous: PreviousMask | None, reader: CropReader
) -> Callable[[CropPicture], tuple[MaskPrompt, ...]]:
    """Make what gives the earlier answer, if there is one to give, as the mask prompt for a picture."""
    if previous is None or not ("mask" in _kinds(engine) or previous.prompts is not None):
        return lambda _picture: ()

    @cache  # read once, through however many crops the object is looked for
    def unchanged() -> bool:
        return previous.digest is None or reader.read(previous.crop).digest == previous.digest

    def carry(picture: CropPicture) -> tuple[MaskPrompt, ...]:
        if picture.crop == previous.crop:
            # Bit by bit as the model gave it: resampling onto the same grid would change the last digits.
            return (previous.mask,) if previous.digest in (None, picture.digest) else ()
        if not unchanged():
            return ()
        old, new = (crop_grid(engine, source, crop) for crop in (previous.crop, picture.crop))
        return (MaskPrompt(resampled(previous.mask.logits, old, new)),)

    return carry


def _kinds(engine: EngineLike) -> frozenset[str]:
    """Return the kinds of prompts that a model takes; one that does not say takes all."""
    kinds: frozenset[str] = getattr(engine.predictor, "prompt_kinds", frozenset({"point", "box", "mask"}))
    return kinds
