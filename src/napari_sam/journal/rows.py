"""A record as a row of the database: what is looked up by stands in columns of its own, all of it in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record.

    Attributes
    ----------
    number : int
        In its session.
    kind, time : str
        What happened, and when, ISO 8601, UTC.
    body : str
        All of the record, a JSON object.
    target : tuple of str or None
        Which labels layer of which image it is about: name, file and pixels of the image, its layer, the shape, and
        name and id of the labels layer; None where it is about none.
    label : int or None
        The id of the object.
    plane : str
        The index of the plane, as JSON.
    of : tuple of int
        Numbers of the records that it withdraws or restores.
    id : int or None
        In the database, for one that was in another before; None: the next one.
    """

    number: int
    kind: str
    time: str
    body: str
    target: tuple[str, ...] | None
    label: int | None
    plane: str
    of: tuple[int, ...]
    id: int | None = None

    @classmethod
    def of_record(cls, record: dict[str, Any], session: str, pixels: dict[str, str]) -> RecordRow:
        """Make the row of a record.

        Parameters
        ----------
        record : dict
            The record.
        session : str
            Name of its session.
        pixels : dict of str to str
            Digests of the pixels of images, by the ids of their layers.

        Raises
        ------
        TypeError
            If JSON does not hold it.
        """
        body = json.dumps(record, separators=(",", ":"))
        of, label, plane = record.get("of"), record.get("label"), record.get("plane")
        numbers = of if isinstance(of, list | tuple) else [of]
        index = plane.get("index") if isinstance(plane, dict) else None
        return cls(
            number=record["number"],
            kind=record["kind"],
            time=record["time"],
            body=body,
            target=_target(record, session, pixels),
            label=label if isinstance(label, int) and abs(label) < 2**63 else None,
            plane="" if index is None else json.dumps(list(index)),
            of=tuple(one for one in numbers if isinstance(one, int)),
        )


def _target(record: dict[str, Any], session: str, pixels: dict[str, str]) -> tuple[str, ...] | None:
    """Name the labels layer that a record is about, and its image."""
    if "target" not in record or "image" not in record:
        return None
    said = record.get("identity") or {}
    image_layer = str(said.get("image", ""))
    # Without the id of the layer, only the records of one session are sure to be about the same one.
    layer = str(said.get("layer") or f"{session}/{record['target']}")
    shape = json.dumps(record.get("shape"))
    return (
        str(record["image"]),
        str(said.get("source", "")),
        pixels.get(image_layer, ""),
        image_layer,
        shape,
        str(record["target"]),
        layer,
    )
