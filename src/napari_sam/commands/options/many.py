"""Many objects of one image at once: what says where they are, and the labels that come of it."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.commands.common import getting, work_bar
from napari_sam.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.automatic.prompted import PromptedObject
    from napari_sam.automatic.proposals import Proposal
    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.planes.plane import Plane


PointTable = Annotated[
    Path | None,
    typer.Option("--points", metavar="CSV", help="An object for each row: y,x; or points that napari saved."),
]
BoxTable = Annotated[
    Path | None,
    typer.Option("--boxes", metavar="CSV", help="An object for each row: y0,x0,y1,x1; or shapes that napari saved."),
]
RoughLabels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="Labels of the image; each object is made exact and keeps its id."),
]


@dataclass(frozen=True)
class ManyPrompts:
    """Files that say where the objects of an image are, one object each.

    Attributes
    ----------
    points, boxes : Path or None
        CSV files.
    labels : Path or None
        Labels that are to become exact.
    """

    points: Path | None
    boxes: Path | None
    labels: Path | None

    @property
    def files(self) -> list[Path]:
        """The files that are given."""
        return [path for path in (self.points, self.boxes, self.labels) if path is not None]

    def require_alone(self, *, others: bool, append: bool) -> None:
        """Refuse options that do not go together; `others`: whether there are those of a single object."""
        if others:
            raise typer.BadParameter(
                "--points, --boxes and --labels are for many objects; --point, --box, --text, --prompts and --overlay "
                "for one. Give those of one kind."
            )
        if self.labels is not None and (len(self.files) > 1 or append):
            raise typer.BadParameter("--labels says already where objects are: omit --points, --boxes and --append.")


def segment_many(
    plane: "Plane",
    prompts: ManyPrompts,
    before: "NDArray[np.integer[Any]]",
    model: str,
    device: str,
    *,
    shaping: "MaskShaping",
    empty_only: bool,
) -> "tuple[NDArray[np.integer[Any]], str]":
    """Make an object of every prompt of some files.

    Parameters
    ----------
    plane : Plane
        The image.
    prompts : ManyPrompts
        The files.
    before : numpy.ndarray, shape (H, W), int
        Labels to add objects to; with `prompts.labels` it is not looked at.
    model, device : str
        What answers.
    shaping : MaskShaping
        What becomes of each mask.
    empty_only : bool
        Leave the pixels of other objects as they are.

    Returns
    -------
    labels : numpy.ndarray, shape (H, W), uint16 or uint32
    summary : str
        Words for what was done.
    """
    objects, rough = _objects(plane, prompts)
    start = time.perf_counter()
    found, device_text = _answers(plane, objects, model, device, shaping)
    proposals = [proposal for proposal in found if proposal.mask.area]
    emptied = f", clean-up leaves nothing of {len(found) - len(proposals)}" if len(proposals) < len(found) else ""
    timing = f"{emptied}, {time.perf_counter() - start:.1f} s on {device_text}"
    if rough is not None:
        labels, replaced = _replaced(rough, objects, proposals)
        kept = len(objects) - replaced
        return labels, f"{replaced} of {len(objects)} objects made exact, {kept} left as they were{timing}."
    labels, added = _added(before, proposals, empty_only=empty_only)
    if not added:
        raise InputError(f"The model finds no object at any of these prompts that has room among the labels{emptied}.")
    return labels, f"{added} objects of {len(objects)} prompts{timing}."


def _objects(
    plane: "Plane", prompts: ManyPrompts
) -> "tuple[tuple[PromptedObject, ...], NDArray[np.integer[Any]] | None]":
    """Read what is asked for, and the labels that are to become exact."""
    from napari_sam.automatic.prompted import objects_of_labels, objects_of_prompts
    from napari_sam.automatic.prompted.tables import read_boxes, read_points
    from napari_sam.io.labels import read_labels

    if prompts.labels is not None:
        rough = read_labels(prompts.labels)
        if rough.shape != plane.shape:
            raise InputError(
                f"{prompts.labels} is {rough.shape[0]} x {rough.shape[1]} px, the image {plane.shape[0]} x "
                f"{plane.shape[1]} px. Give labels of the same image."
            )
        objects = objects_of_labels(rough)
        if not objects:
            raise InputError(f"{prompts.labels} holds no object.")
        return objects, rough
    points = () if prompts.points is None else read_points(prompts.points)
    boxes = () if prompts.boxes is None else read_boxes(prompts.boxes)
    objects, _unused = objects_of_prompts(points, boxes)
    for one in objects:
        one.prompts.require_inside(plane.shape)  # before a model is downloaded or loaded
    return objects, None


def _answers(
    plane: "Plane", objects: "tuple[PromptedObject, ...]", model: str, device: str, shaping: "MaskShaping"
) -> "tuple[list[Proposal], str]":
    """Load the model, and answer; return the proposals, cleaned up, the smallest first, and words for the device."""
    from napari_sam.automatic.cleaning import clean_proposal
    from napari_sam.automatic.prompted import answer_objects
    from napari_sam.inference.engine import Engine
    from napari_sam.planes.source import PlaneSource
    from napari_sam.predictor import load_predictor

    with getting(model) as progress:
        predictor = load_predictor(model, device, progress=progress)
    for note in predictor.notes:
        typer.echo(f"Note: {note}", err=True)
    engine, source = Engine(predictor), PlaneSource.of(plane)
    found: list[tuple[int, Proposal]] = []
    with work_bar(f"Making {len(objects)} objects") as progress:
        for lot in answer_objects(engine, source, objects, progress):
            for one in lot:
                # Logits are not kept: there may be thousands, and there is nothing more to choose.
                mask = one.mask if shaping.changes_nothing else clean_proposal(one, shaping, source, engine)
                found.append((one.mask.area, replace(one, mask=mask, logits=None)))
    # The smallest first, so that none is lost under another; by what the model found, as in the window.
    return [proposal for _area, proposal in sorted(found, key=lambda pair: pair[0])], predictor.device_text


def _added(
    before: "NDArray[np.integer[Any]]", proposals: "list[Proposal]", *, empty_only: bool
) -> "tuple[NDArray[np.integer[Any]], int]":
    """Write proposals beside the labels that are there, with the next ids; return how many there are."""
    import numpy as np

    from napari_sam.automatic.laying import lay, renumbered

    taken = before != 0 if empty_only else None
    shape = (before.shape[0], before.shape[1])
    new = renumbered(lay([one.mask for one in proposals], shape, overlap=1.0, taken=taken))
    offset, count = int(before.max(initial=0)), int(new.max(initial=0))
    return _fitting(np.where(new > 0, new.astype(np.int64) + offset, before), offset + count), count


def _replaced(
    rough: "NDArray[np.integer[Any]]",
    objects: "tuple[PromptedObject, ...]",
    proposals: "list[Proposal]",
) -> "tuple[NDArray[np.integer[Any]], int]":
    """Put good proposals in place of the objects that they were made of; return how many were replaced."""
    import numpy as np

    from napari_sam.automatic.laying import lay_in_place
    from napari_sam.automatic.prompted.refining import LEAST_AGREEMENT, LEAST_SCORE

    good = [
        one
        for one in proposals
        if one.asked is not None and one.score >= LEAST_SCORE and one.agreement >= LEAST_AGREEMENT
    ]
    ids = np.array([0, *(objects[one.asked].label for one in good if one.asked is not None)], np.int64)
    laid = lay_in_place([one.mask for one in good], ids[1:].tolist(), rough)
    present = np.unique(laid[laid > 0])
    exact = np.where(np.isin(rough, ids[present]), 0, rough).astype(np.int64)
    exact[laid > 0] = ids[laid[laid > 0]]
    return _fitting(exact, int(rough.max())), len(present)


def _fitting(labels: "NDArray[np.int64]", largest: int) -> "NDArray[np.integer[Any]]":
    """Return labels in the smaller of two types that holds every id."""
    import numpy as np

    fitted: NDArray[np.integer[Any]] = labels.astype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)
    return fitted
