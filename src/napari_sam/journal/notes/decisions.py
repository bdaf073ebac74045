"""What the person decided about proposals: read from the journal, with what became of them since.

A record of the kind "decided" says of a plane which proposals were accepted and which were not, with their features.
That an accepted one was corrected or deleted later, the other records of its object say, also those of a later session,
or of another layer that the saved labels were opened in.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from napari_sam.journal.reading import read_records, reading_database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

Verdict = Literal["accepted", "corrected", "rejected"]

DECIDED = "decided"
"""Kind of the records."""
PAINTED = "painted"
"""Kind of the records that say that somebody painted on an object with napari's tools."""
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
_PAINTED = """
SELECT id, target, plane, body FROM records WHERE kind = 'painted' AND undone = 0 AND target IN ({}) ORDER BY id
"""
_BEGIN = """
SELECT kind, instr(body, '"found":{"mode":"prompts"') > 0, instr(body, '"found":{') > 0,
instr(body, '"replaces":false') > 0 FROM records WHERE id = ?
"""


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
    proposed : frozenset of (int, int)
        Objects that were accepted of proposals: labels layer, as `ObjectRecords.origin` has it, and id.
    """

    planes: tuple[PlaneDecisions, ...] = ()
    counts: StageCounts = StageCounts()
    annotated: frozenset[str] = frozenset()
    proposed: frozenset[tuple[int, int]] = frozenset()


def read_decisions(path: Path, image: ImageIdentity, most: int = _MOST_PLANES) -> KnownDecisions:
    """Read what was decided about proposals in the data set of an image.

    Parameters
    ----------
    path : Path
        The database.
    image : ImageIdentity
        The image.
    most : int
        Planes that are read, the newest.

    Raises
    ------
    InputError
        As `napari_sam.journal.read_lines`.
    """
    with reading_database(path) as connection:
        images, own = data_set(connection, image)
        if not images:
            return KnownDecisions()
        targets, marks = tuple(images), ",".join("?" * len(images))
        objects = ObjectRecords(connection, images)
        planes, proposed = [], set()
        for number, target, plane in connection.execute(_DECIDED.format(marks), (*targets, most)).fetchall():
            for record in read_records(connection, "records.id = ?", (number,)).records:
                try:
                    decisions, labels = _decisions(record, (target, plane), partial(objects.since, number))
                except (KeyError, TypeError, ValueError):
                    continue  # it does not say what it should; there are others
                planes.append(decisions)
                proposed |= {objects.origin((target, label)) for label in labels}
        drawn = objects.drawn_by_hand(proposed)
    verdicts = [verdict for one in planes for verdict in one.verdicts]
    decided = {one.plane for one in planes}
    looked_at = {(images[target], plane) for target, plane in decided}
    counts = StageCounts(
        len(drawn),
        verdicts.count("accepted"),
        verdicts.count("corrected"),
        verdicts.count("rejected"),
        sum(bool({(images[target], plane) for target, plane in there} & looked_at) for there in drawn),
    )
    annotated = {plane for target, plane in objects.planes | decided if target in own}
    return KnownDecisions(tuple(planes), counts, frozenset(annotated), frozenset(proposed))


class ObjectRecords:
    """What became of the objects of some labels layers, on each of their planes.

    Labels that are saved and opened again are another layer to the journal. An object that a layer begins with is
    therefore one that an earlier layer of the same image ended with, where there is one of that id.

    Parameters
    ----------
    connection : sqlite3.Connection
        The journal.
    images : mapping from int to str
        Labels layers, and which image each belongs to.
    """

    def __init__(self, connection: sqlite3.Connection, images: Mapping[int, str]) -> None:
        self._connection = connection
        marks = ",".join("?" * len(images))
        rows = connection.execute(_OBJECTS.format(marks), tuple(images)).fetchall()
        rows += _painted(connection.execute(_PAINTED.format(marks), tuple(images)))
        self._first: dict[tuple[int, int], int] = {}
        spans: dict[int, tuple[int, int]] = {}
        for target, label, _plane, _kind, first, last in rows:
            self._first[target, label] = min(self._first.get((target, label), first), first)
            begin, end = spans.get(target, (first, last))
            spans[target] = min(begin, first), max(end, last)
        self._origins: dict[tuple[int, int], tuple[int, int]] = {}
        ordered = sorted(spans, key=lambda target: spans[target])
        for place, target in enumerate(ordered):
            before = [
                one for one in ordered[:place] if images[one] == images[target] and spans[one][1] < spans[target][0]
            ]
            for label in [label for other, label in self._first if other == target] if before else ():
                known = next((one for one in reversed(before) if (one, label) in self._first), None)
                if known is not None and self._is_changed_first((target, label)):
                    self._origins[target, label] = self.origin((known, label))
        self._last: dict[tuple[int, str, int], tuple[int, str]] = {}
        self._where: dict[tuple[int, str, int], int] = {}
        for target, label, plane, kind, _first, last in rows:
            root = self.origin((target, label))
            key = root[0], plane, root[1]
            if (last, kind) > self._last.get(key, (0, "")):
                self._last[key], self._where[key] = (last, kind), target

    @property
    def planes(self) -> set[tuple[int, str]]:
        """Planes that carry objects, by the layer that has them now."""
        return {(self._where[key], key[1]) for key, (_id, kind) in self._last.items() if kind != "erased"}

    def origin(self, key: tuple[int, int]) -> tuple[int, int]:
        """Return the layer that an object was made in, and its id there."""
        return self._origins.get(key, key)

    def since(self, record: int, plane: tuple[int, str], label: int) -> str:
        """Say what was done to an object on a plane last, after a record; "" for nothing.

        That is "accepted" where it was written again, "painted", or "erased".
        """
        target, label = self.origin((plane[0], label))
        number, kind = self._last.get((target, plane[1], label), (0, ""))
        return kind if number > record else ""

    def drawn_by_hand(self, proposed: set[tuple[int, int]]) -> list[set[tuple[int, str]]]:
        """Return the planes of each object that is there and that nothing had proposed.

        Parameters
        ----------
        proposed : set of (int, int)
            Labels layer and id of objects that were, as `origin` has them.
        """
        there: dict[tuple[int, int], set[tuple[int, str]]] = {}
        for (target, plane, label), (_id, kind) in self._last.items():
            if kind != "erased" and (target, label) not in proposed:
                there.setdefault((target, label), set()).add((target, plane))
        return [planes for key, planes in there.items() if self.made_by(key) == "hand"]

    def automatic(self, proposed: frozenset[tuple[int, int]]) -> int:
        """Count the objects that are there, were found, and were decided on by nobody one by one: those of stacks."""
        there = {(key[0], key[2]) for key, (_id, kind) in self._last.items() if kind != "erased"}
        return sum(self.made_by(key) == "search" for key in there - proposed)

    def made_by(self, key: tuple[int, int]) -> Literal["hand", "search", ""]:
        """Say what made an object: a person's prompts, or a search for all; "" where only its changes are known."""
        kind, prompted, found, _is_new = self._begin(key)
        if kind != "accepted":
            return ""
        return "search" if found and not prompted else "hand"

    def _is_changed_first(self, key: tuple[int, int]) -> bool:
        """Whether the first that is known of an object in a layer may be a change of it."""
        kind, _prompted, found, is_new = self._begin(key)
        return kind != "accepted" or not (found or is_new)

    def _begin(self, key: tuple[int, int]) -> tuple[str, bool, bool, bool]:
        """Read the first record of an object: its kind, whether it was prompted or found, and whether it is new."""
        kind, *said = self._connection.execute(_BEGIN, (self._first[key],)).fetchone()
        prompted, found, is_new = map(bool, said)
        return str(kind), prompted, found, is_new


def data_set(connection: sqlite3.Connection, image: ImageIdentity) -> tuple[dict[int, str], set[int]]:
    """Find the labels layers of the data set of an image, with which image each belongs to, and those of the image."""
    rows = connection.execute(_TARGETS).fetchall()
    # An image without a file is known again by its pixels, if a session had the time to look at them.
    known = {pixels for _id, _source, layer, pixels in rows if layer == image.layer and pixels}
    own = {
        number
        for number, source, layer, pixels in rows
        if layer == image.layer or pixels in known or (source and source == image.source)
    }
    folder = os.path.dirname(image.source)
    names = {row[0]: "" if row[0] in own else row[1] or row[3] or row[2] for row in rows}
    others = {row[0] for row in rows if folder and os.path.dirname(row[1]) == folder}
    return {number: names[number] for number in sorted(own | others)}, own


def _painted(rows: Iterable[tuple[int, int, str, str]]) -> list[tuple[int, int, str, str, int, int]]:
    """Read what was painted on, in rows as those of other records: labels layer, id, plane, kind, record twice."""
    found: list[tuple[int, int, str, str, int, int]] = []
    for number, target, plane, body in rows:
        try:
            said = json.loads(body)
            gone = {int(label) for label in said["gone"]}
            labels = [int(label) for label in said["labels"]]
        except (ValueError, KeyError, TypeError):
            continue  # it does not say what it should; there are others
        found += [(target, one, plane, "erased" if one in gone else PAINTED, number, number) for one in labels]
    return found


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
            verdict = {"accepted": "corrected", "painted": "corrected", "erased": "rejected"}.get(
                since(plane, label), "accepted"
            )
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
