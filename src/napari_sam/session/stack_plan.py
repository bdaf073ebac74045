"""What a run through a stack starts from, and which planes it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from napari_sam.planes import ArrayPlanes
from napari_sam.propagation import Annotated
from napari_sam.session import words
from napari_sam.session.stack_job import Job, Leg
from napari_sam.session.stack_object import drawn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.prompts import PromptSet
    from napari_sam.session.adapters import Reading
    from napari_sam.session.prompt_layers import PromptLayers
    from napari_sam.session.stack_object import CarriedObject, Line
    from napari_sam.session.view import PlaneSource

Marks = dict[int, tuple[tuple[float, float], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What is drawn on the planes of a line.

    Attributes
    ----------
    objects : mapping of int to PromptSet
        Planes on which it says where the object is.
    marks : mapping of int to positions
        Planes with background points alone: stop marks.
    readings : tuple of Reading
        All of these planes.
    """

    objects: Mapping[int, PromptSet]
    marks: Marks
    readings: tuple[Reading, ...]


def read_line(prompts: PromptLayers, image: Image, line: Line) -> Said:
    """Read what is drawn on the planes of a line."""
    objects: dict[int, PromptSet] = {}
    marks: Marks = {}
    readings = []
    for place, reading in prompts.read_along(image, line.view, line.axis).items():
        if words.names_nothing(reading):
            marks[place] = tuple(point.position for point in reading.prompts.points)
        elif len(reading.prompts):
            objects[place] = reading.prompts
        else:
            continue
        readings.append(reading)
    return Said(objects, marks, tuple(readings))


def annotated_planes(hand: CarriedObject, line: Line) -> list[Annotated]:
    """Read the planes of an object that a person said, as they are in its layer now: they may have been painted in."""
    found = []
    for place, record in hand.on(line):
        if record.annotated and (mask := drawn(hand.layer, line.at(place), hand.label)).any():
            found.append(Annotated(place, mask, record.prompts))
    return found


def make_job(
    source: PlaneSource,
    line: Line,
    hand: CarriedObject | None,
    said: Said,
    shown: NDArray[np.bool_] | None,
    span: range,
    *,
    model: str,
    device: str,
    strategy: str,
) -> Job:
    """Put together what a run is to do.

    An object that was carried before and corrected since goes only from the corrected planes to the next that a person
    said; any other goes through the whole range, as does one whose last run was broken off.

    Parameters
    ----------
    source : PlaneSource
        The plane on screen, as it is seen.
    line : Line
        The planes.
    hand : CarriedObject or None
        The object, if there is one yet.
    said : Said
        What is drawn.
    shown : numpy.ndarray, shape (H, W), bool, or None
        The candidate on the plane on screen, if there is one.
    span : range
        The planes to go through.
    model, device, strategy : str
        What answers, and how.
    """
    known = [] if hand is None else [one for one in annotated_planes(hand, line) if one.index not in said.objects]
    fresh = set(said.objects)
    earlier: frozenset[int] = frozenset()
    marks = dict(said.marks)
    if hand is not None:
        fresh |= {place for place in (line.find(index) for index in hand.fresh) if place is not None}
        earlier = frozenset(place for place, record in hand.on(line) if not record.annotated)
        marks = {**hand.marks_on(line), **marks}
    asked = []
    for place, prompts in said.objects.items():
        if place == line.place and shown is not None:
            known.append(Annotated(place, shown, prompts))
        else:
            asked.append((place, prompts))
    starts = sorted({one.index for one in known} | set(said.objects))
    corrected = hand is not None and hand.rest is None and earlier and fresh and not said.marks
    legs = _legs(starts, fresh, span) if corrected else (Leg((), span),)
    planes = ArrayPlanes(
        source.data, line.axis, line.view.index, source.contrast_limits, source.gamma, line.view.spacing
    )
    known.sort(key=lambda one: one.index)
    return Job(model, device, planes, span, tuple(known), tuple(asked), legs, strategy, marks, earlier)


def _legs(starts: list[int], fresh: set[int], span: range) -> tuple[Leg, ...]:
    """Go from the fresh planes to the next that a person said, on both sides."""
    legs = []
    for before, after in pairwise([None, *starts, None]):
        low = span.start if before is None else max(before, span.start)
        high = span.stop if after is None else min(after + 1, span.stop)
        from_before, from_after = before in fresh, after in fresh
        if before is not None and after is not None and from_before and from_after:
            legs.append(Leg((before, after), range(low, high)))
        elif before is not None and from_before:
            legs.append(Leg((before,), range(low, high if after is None else high - 1)))
        elif after is not None and from_after:
            legs.append(Leg((after,), range(low if before is None else low + 1, high)))
    return tuple(leg for leg in legs if len(leg.span) > 1 or not leg.starts)
