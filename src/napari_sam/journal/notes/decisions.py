"""What the person decided about proposals: read from the journal, with what became of them since.

A record of the kind "decided" says of a plane which proposals were accepted and which were not, with their features.
That an accepted one was corrected or deleted later, the other records of its object say.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from napari_sam.journal.reading import read_records, reading_database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

Verdict = Literal["accepted", "corrected", "rejected"]

DECIDED = "decided"
"""Kind of the records."""
_MOST_PLANES = 500
"""That are read, the newest: what somebody decided long ago counts less, and takes as long to learn from."""

_TARGETS = """
SELECT id, source, image_layer, pixels FROM targets
"""
# An index holds all of these columns, so that no record itself is read.
_DECIDED = """
SELECT id, target, plane FROM records WHERE kind = 'decided' AND undone = 0 AND target IN ({}) ORDER BY id DESC LIMIT ?
"""
_OBJECTS = """
SELECT target, label, plane, kind, MIN(id), MAX(id) FROM records
WHERE target IN ({}) AND undone = 0 AND label IS NOT NULL AND kind IN ('accepted', 'erased')
GROUP BY target, label, plane, kind
"""
_WAS_FOUND = "SELECT instr(body, '\"found\":{') > 0 FROM records WHERE id = ?"


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """An image, as far as the journal can know it again.

    Attributes
    ----------
    layer : str
        Id of its layer.
    source : str
        Its file; "" where it has none.
    """

    layer: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class PlaneDecisions:
    """What was decided about the proposals of a plane at once.

    Attributes
    ----------
    model, mode : str
        What found them, and how.
    plane : (int, str)
        Which plane it was: number of the labels layer, and index of the plane in JSON.
    names : tuple of str
        Names of the features.
    features : tuple of tuple of float
        A row for each proposal.
    verdicts : tuple of {"accepted", "corrected", "rejected"}
        What became of each by now.
    """

    model: str
    mode: str
    plane: tuple[int, str]
    names: tuple[str, ...]
    features: tuple[tuple[float, ...], ...]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class StageCounts:
    """How many objects came about at each stage of annotating.

    Attributes
    ----------
    by_hand : int
        Drawn by hand.
    accepted : int
        Proposed, and accepted as they were.
    corrected : int
        Proposed, and corrected.
    rejected : int
        Proposed, and not wanted, or deleted later.
    missed : int
        Of those drawn by hand, the ones on planes whose proposals were decided on: nothing had proposed them.
    """

    by_hand: int = 0
    accepted: int = 0
    corrected: int = 0
    rejected: int = 0
    missed: int = 0

    @property
    def decided(self) -> int:
        """Proposals that were decided on."""
        return self.accepted + self.corrected + self.rejected


@dataclass(frozen=True, slots=True)
class KnownDecisions:
    """What was decided in the data set of an image: the images of its folder, or it alone where it has no file.

    Attributes
    ----------
    planes : tuple of PlaneDecisions
        The newest first.
    counts : StageCounts
        Of all planes that were read.
    annotated : frozenset of str
        Planes of the image itself that carry objects, or whose proposals were all rejected, by their index in JSON.
    """

    planes: tuple[PlaneDecisions, ...] = ()
    counts: StageCounts = StageCounts()
    annotated: frozenset[str] = frozenset()


def read_decisions(path: Path, image: ImageIdentity) -> KnownDecisions:
    """Read what was decided about proposals in the data set of an image.

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
    with reading_database(path) as connection:
        own, targets = _targets(connection, image)
        if not targets:
            return KnownDecisions()
        marks = ",".join("?" * len(targets))
        objects = _ObjectRecords(connection.execute(_OBJECTS.format(marks), tuple(targets)).fetchall())
        planes, proposed = [], set()
        for number, target, plane in connection.execute(_DECIDED.format(marks), (*targets, _MOST_PLANES)).fetchall():
            for record in read_records(connection, "records.id = ?", (number,)).records:
                try:
                    decisions, labels = _decisions(record, (target, plane), partial(objects.since, number))
                except (KeyError, TypeError, ValueError):
                    continue  # it does not say what it should; there are others
                planes.append(decisions)
                proposed |= {(target, label) for label in labels}
        drawn = objects.drawn_by_hand(proposed, connection)
    verdicts = [verdict for one in planes for verdict in one.verdicts]
    decided = {one.plane for one in planes}
    counts = StageCounts(
        len(drawn),
        verdicts.count("accepted"),
        verdicts.count("corrected"),
        verdicts.count("rejected"),
        sum(bool(there & decided) for there in drawn),
    )
    annotated = {plane for target, plane in objects.planes | decided if target in own}
    return KnownDecisions(tuple(planes), counts, frozenset(annotated))


class _ObjectRecords:
    """What became of the objects of some labels layers, on each of their planes.

    Parameters
    ----------
    rows : sequence of tuple
        Labels layer, id, plane, kind, and first and last record of that kind.
    """

    def __init__(self, rows: Sequence[tuple[int, int, str, str, int, int]]) -> None:
        self._last: dict[tuple[int, str, int], tuple[int, str]] = {}
        self._first: dict[tuple[int, int], int] = {}
        for target, label, plane, kind, first, last in rows:
            key = target, plane, label
            self._last[key] = max(self._last.get(key, (0, "")), (last, kind))
            self._first[target, label] = min(self._first.get((target, label), first), first)

    @property
    def planes(self) -> set[tuple[int, str]]:
        """Planes that carry objects."""
        return {(target, plane) for (target, plane, _label), (_id, kind) in self._last.items() if kind == "accepted"}

    def since(self, record: int, plane: tuple[int, str], label: int) -> str:
        """Say what was done to an object on a plane after a record: "accepted" again, "erased", or "" for nothing."""
        number, kind = self._last.get((*plane, label), (0, ""))
        return kind if number > record else ""

    def drawn_by_hand(
        self, proposed: set[tuple[int, int]], connection: sqlite3.Connection
    ) -> list[set[tuple[int, str]]]:
        """Return the planes of each object that is there and that nothing had proposed.

        Parameters
        ----------
        proposed : set of (int, int)
            Labels layer and id of objects that were.
        connection : sqlite3.Connection
            Tells of others whether they were found in a stack, or made of prompts by the many.
        """
        there: dict[tuple[int, int], set[tuple[int, str]]] = {}
        for (target, plane, label), (_id, kind) in self._last.items():
            if kind == "accepted" and (target, label) not in proposed:
                there.setdefault((target, label), set()).add((target, plane))
        return [
            planes
            for key, planes in there.items()
            if connection.execute(_WAS_FOUND, (self._first[key],)).fetchone() == (0,)
        ]


def _targets(connection: sqlite3.Connection, image: ImageIdentity) -> tuple[set[int], set[int]]:
    """Find the labels layers of an image, and those of all images of its data set."""
    rows = connection.execute(_TARGETS).fetchall()
    # An image without a file is known again by its pixels, if a session had the time to look at them.
    known = {pixels for _id, _source, layer, pixels in rows if layer == image.layer and pixels}
    own = {
        number
        for number, source, layer, pixels in rows
        if layer == image.layer or pixels in known or (source and source == image.source)
    }
    folder = os.path.dirname(image.source)
    return own, own | {row[0] for row in rows if folder and os.path.dirname(row[1]) == folder}


def _decisions(
    record: dict[str, Any], plane: tuple[int, str], since: Callable[[tuple[int, str], int], str]
) -> tuple[PlaneDecisions, list[int]]:
    """Read a record; return the ids of the objects that were accepted, too.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it does not say what it should.
    """
    names = tuple(str(name) for name in record.get("features", ()))
    features, verdicts, labels = [], [], []
    for said in record.get("proposals", ()):
        label, verdict = said["label"], "rejected"
        if label:
            labels.append(label)
            verdict = {"accepted": "corrected", "erased": "rejected"}.get(since(plane, label), "accepted")
        row = tuple(float(value) for value in said["features"])
        if len(row) != len(names) or not all(map(isfinite, row)):
            raise ValueError
        features.append(row)
        verdicts.append(verdict)
    return (
        PlaneDecisions(
            str(record.get("model", "")),
            str(record.get("mode", "")),
            plane,
            names,
            tuple(features),
            tuple(verdicts),  # type: ignore[arg-type]  # of the three
        ),
        labels,
    )


def decided_fields(
    names: Sequence[str], proposals: Sequence[tuple[int, Sequence[float]]], index: Sequence[int | None]
) -> dict[str, Any]:
    """Say what a record of the kind "decided" has of its own.

    Parameters
    ----------
    names : sequence of str
        Names of the features.
    proposals : sequence of (int, sequence of float)
        For each that was decided on the id that it was accepted with, 0 where it was not, and its features.
    index : sequence of (int or None)
        For each axis of the image the index of the plane; None for those of the plane.
    """
    return {
        "plane": {"index": list(index)},
        "features": list(names),
        "proposals": [
            {"label": label, "features": [round(float(value), 4) for value in values]} for label, values in proposals
        ],
    }
