"""How many objects of a data set came about at each stage of annotating, and how long that took.

Time is active time, out of the times of the records: what passed since the record before in the same session is the
time of what a record tells of, unless it is more than two minutes. Then somebody paused, and neither that time nor
these objects count for the rate. Objects that are written at once, as a group, are one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from napari_sam.journal.notes.decisions import ObjectRecords, StageCounts, data_set, read_decisions
from napari_sam.journal.reading import reading_database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_sam.journal.notes.decisions import ImageIdentity

Stage = Literal["by_hand", "accepted", "corrected", "automatic"]

PAUSE_S = 120.0
"""Seconds without a record from which on somebody paused."""
_AT_ONCE_S = 2.0
"""Seconds between records of objects that were written as a group."""
_ALL_PLANES = 1 << 30

_STEPS = """
SELECT session, time, kind, target, label, undone, instr(body, '"found":{{') > 0,
instr(body, '"found":{{"mode":"prompts"') > 0
FROM records WHERE target IN ({}) AND kind IN ('accepted', 'erased', 'decided', 'painted') ORDER BY session, number
"""


@dataclass(frozen=True, slots=True)
class StagePace:
    """How fast objects came about at a stage.

    Attributes
    ----------
    objects : int
        Those of which the time is known.
    seconds : float
        Active time that they took.
    """

    objects: int = 0
    seconds: float = 0.0

    @property
    def per_minute(self) -> float | None:
        """Objects per minute of active time; None where too little is known to say."""
        return 60 * self.objects / self.seconds if self.objects and self.seconds >= 1 else None


@dataclass(frozen=True, slots=True)
class DataSetStages:
    """How far a data set is.

    Attributes
    ----------
    counts : StageCounts
        Objects at each stage, by now.
    automatic : int
        Objects of whole stacks, which were accepted without a look at each plane.
    pace : mapping of str to StagePace
        How fast they came about, by `Stage`; stages of which nothing is known are left out.
    annotated : int
        Planes of the image itself that carry objects, or whose proposals were all rejected.
    """

    counts: StageCounts
    automatic: int
    pace: Mapping[Stage, StagePace]
    annotated: int


@dataclass(frozen=True, slots=True)
class _TimedStep:
    """Records that follow each other at once: the time since the one before, and the objects of each stage."""

    seconds: float | None
    stage: Stage
    objects: frozenset[tuple[int, int]]


def read_stages(path: Path, image: ImageIdentity) -> DataSetStages:
    """Read how far the data set of an image is: of all sessions, the images of its folder, or it alone without a file.

    Parameters
    ----------
    path : Path
        The database.
    image : ImageIdentity
        The image.

    Raises
    ------
    InputError
        As `napari_sam.journal.read_lines`.
    """
    known = read_decisions(path, image, most=_ALL_PLANES)
    with reading_database(path) as connection:
        images, _own = data_set(connection, image)
        if not images:
            return DataSetStages(known.counts, 0, {}, 0)
        objects = ObjectRecords(connection, images)
        pace = _paces(list(_steps(connection, objects, known.proposed, tuple(images))))
        automatic = objects.automatic(known.proposed)
    return DataSetStages(known.counts, automatic, pace, len(known.annotated))


def _steps(
    connection: sqlite3.Connection,
    objects: ObjectRecords,
    proposed: frozenset[tuple[int, int]],
    targets: tuple[int, ...],
) -> Iterator[_TimedStep]:
    """Read what was done, one step after the other."""
    known: set[tuple[int, int]] = set()
    before: tuple[int, datetime] | None = None
    group: Stage | None = None
    counts = False
    rows = connection.execute(_STEPS.format(",".join("?" * len(targets))), targets)
    for session, time, kind, target, label, undone, found, prompted in rows:
        now = datetime.fromisoformat(time)
        passed = (now - before[1]).total_seconds() if before is not None and before[0] == session else None
        key = None if label is None else objects.origin((target, label))
        stage = _stage(kind, key, proposed, known, found=bool(found and not prompted))
        at_once = passed is not None and passed <= _AT_ONCE_S and group == stage and found
        if not at_once:
            counts = passed is not None and passed <= PAUSE_S
        written = kind == "accepted" and not undone and key is not None and counts
        yield _TimedStep(
            passed if counts else None, stage, frozenset({key}) if written and key is not None else frozenset()
        )
        if key is not None and kind == "accepted" and not undone:
            known.add(key)
        before, group = (session, now), stage if found else None


def _stage(
    kind: str,
    key: tuple[int, int] | None,
    proposed: frozenset[tuple[int, int]],
    known: set[tuple[int, int]],
    *,
    found: bool,
) -> Stage:
    """Say at which stage something was done: what is done to an object that was proposed before corrects it."""
    if kind in ("decided", "painted"):
        return "accepted" if kind == "decided" else "corrected"
    if found:
        return "accepted" if key in proposed else "automatic"
    return "corrected" if key in proposed and key in known else "by_hand"


def _paces(steps: list[_TimedStep]) -> dict[Stage, StagePace]:
    """Add up objects, each once at a stage, and time."""
    found: dict[Stage, StagePace] = {}
    for stage in ("by_hand", "accepted", "corrected", "automatic"):
        own = [step for step in steps if step.stage == stage and step.seconds is not None]
        objects = {key for step in own for key in step.objects}
        if objects:
            found[stage] = StagePace(len(objects), sum(step.seconds or 0.0 for step in own))
    return found
