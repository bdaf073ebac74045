"""What a run through a stack starts from, and which planes it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.planes.source import ArrayPlanes
from napari_sam.propagation import Annotated
from napari_sam.propagation.job import PropagationJob, RunLeg
from napari_sam.session.labels.pixels import label_mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneSource
    from napari_sam.prompts import PromptSet
    from napari_sam.session.objects.tracked import PlaneLine, TrackedObject
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.prompts.reader import PromptReading

Marks = dict[int, tuple[tuple[float, float], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class PromptedPlanes:
    """What is drawn on the planes of a line.

    Attributes
    ----------
    objects : mapping of int to PromptSet
        Planes on which it says where the object is.
    marks : mapping of int to positions
        Planes with background points alone: stop marks.
    readings : tuple of PromptReading
        All of these planes.
    """

    objects: Mapping[int, PromptSet]
    marks: Marks
    readings: tuple[PromptReading, ...]


def read_line(prompts: PromptEditor, image: Image, line: PlaneLine) -> PromptedPlanes:
    """Read what is drawn on the planes of a line."""
    objects: dict[int, PromptSet] = {}
    marks: Marks = {}
    readings = []
    for place, reading in prompts.read_along(image, line.view, line.axis).items():
        if reading.prompts.is_background_only:
            marks[place] = tuple(reading.prompts.places(positive=False))
        elif len(reading.prompts):
            objects[place] = reading.prompts
        else:
            continue  # nothing that can be used, such as a line
        readings.append(reading)
    return PromptedPlanes(objects, marks, tuple(readings))


def annotated_planes(current: TrackedObject, line: PlaneLine) -> list[Annotated]:
    """Read the planes of an object that a person annotated, as they are now: they may have been painted in since."""
    found = []
    for place, record in current.on(line):
        if record.annotated and (mask := label_mask(current.layer, line.at(place), current.label)).any():
            found.append(Annotated(place, mask, record.prompts))
    return found


def make_job(
    source: PlaneSource,
    line: PlaneLine,
    current: TrackedObject | None,
    prompted: PromptedPlanes,
    shown: NDArray[np.bool_] | None,
    span: range,
    *,
    model: str,
    device: str,
    strategy: str,
) -> PropagationJob:
    """Put together what a run is to do.

    An object that was carried before and corrected since goes only from the corrected planes to the next that a person
    annotated; any other goes through the whole range, as does one whose last run was broken off.

    Parameters
    ----------
    source : PlaneSource
        The plane on screen, as it is seen.
    line : PlaneLine
        The planes.
    current : TrackedObject or None
        The object, if there is one yet.
    prompted : PromptedPlanes
        What is drawn.
    shown : numpy.ndarray, shape (H, W), bool, or None
        The candidate on the plane on screen, if there is one.
    span : range
        The planes to go through.
    model, device, strategy : str
        What answers, and how.
    """
    known = (
        # What is drawn now counts, instead of what was accepted on the same plane.
        [] if current is None else [one for one in annotated_planes(current, line) if one.index not in prompted.objects]
    )
    fresh = set(prompted.objects)
    earlier: frozenset[int] = frozenset()
    marks = dict(prompted.marks)
    if current is not None:
        fresh |= {place for place in (line.find(index) for index in current.fresh) if place is not None}
        earlier = frozenset(place for place, record in current.on(line) if not record.annotated)
        # A new mark goes before one that the object keeps.
        marks = {**current.marks_on(line), **marks}
    asked = []
    for place, shown_prompts in prompted.objects.items():
        if place == line.place and shown is not None:
            known.append(Annotated(place, shown, shown_prompts))
        else:
            asked.append((place, shown_prompts))
    starts = sorted({one.index for one in known} | set(prompted.objects))
    # A new stop mark can take the object off planes that no correction comes to: all are gone through.
    corrected = current is not None and current.remainder is None and earlier and fresh and not prompted.marks
    legs = _legs(starts, fresh, span) if corrected else (RunLeg((), span),)
    planes = ArrayPlanes(
        source.data,
        line.axis,
        line.view.index,
        source.contrast_limits,
        source.gamma,
        line.view.spacing,
        source.coarser,
    )
    known.sort(key=lambda one: one.index)
    return PropagationJob(model, device, planes, span, tuple(known), tuple(asked), legs, strategy, marks, earlier)


def resumed_job(current: TrackedObject, line: PlaneLine, new: PropagationJob) -> PropagationJob | None:
    """Return what the last run of an object has left to do; None where a run has to start again.

    Parameters
    ----------
    current : TrackedObject
        The object.
    line : PlaneLine
        The planes.
    new : PropagationJob
        What a run would do that starts again.
    """
    left = None if current.remainder is None else current.remainder.job_for(new)
    return left if left is not None and _is_untouched(current, line, left.known) else None


def _is_untouched(current: TrackedObject, line: PlaneLine, known: tuple[Annotated, ...]) -> bool:
    """Tell whether what a person annotated is what the run started from, and is in the labels as it was written."""
    annotated = {place: record for place, record in current.on(line) if record.annotated}
    return annotated.keys() == {one.index for one in known} and all(
        annotated[one.index].prompts is one.prompts
        and np.array_equal(
            label_mask(current.layer, line.at(one.index), current.label), annotated[one.index].whole(line.view.shape)
        )
        for one in known
    )


def _legs(starts: list[int], fresh: set[int], span: range) -> tuple[RunLeg, ...]:
    """Go from the fresh planes to the next that a person annotated, on both sides."""
    legs = []
    for before, after in pairwise([None, *starts, None]):
        low = span.start if before is None else max(before, span.start)
        high = span.stop if after is None else min(after + 1, span.stop)
        from_before, from_after = before in fresh, after in fresh
        if before is not None and after is not None and from_before and from_after:
            legs.append(RunLeg((before, after), range(low, high)))
        elif before is not None and from_before:
            legs.append(RunLeg((before,), range(low, high if after is None else high - 1)))
        elif after is not None and from_after:
            legs.append(RunLeg((after,), range(low if before is None else low + 1, high)))
    # A leg without a plane besides its start goes nowhere.
    return tuple(leg for leg in legs if len(leg.span) > 1 or not leg.starts)
