"""What the records of a journal come to: the objects that count in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Target:
    """A labels layer of an image, as the journal names it.

    Attributes
    ----------
    image : str
        Name of the image.
    layer : str
        Name of the labels layer.
    shape : tuple of int or None
        Length of each axis of the labels; None where the journal does not say.
    layer_id : str
        By which the layer is told from others of its name; "" where the journal does not say.
    """

    image: str
    layer: str
    shape: tuple[int, ...] | None
    layer_id: str = ""

    def words(self) -> str:
        """Name it for a person."""
        return f'"{self.layer}" of "{self.image}"'


@dataclass(frozen=True, slots=True, eq=False)
class JournalEntry:
    """An object, or its part on one plane.

    Attributes
    ----------
    number : int
        In the journal.
    time : str
        When it was written, ISO 8601, UTC.
    target : Target
        Where it was written.
    label : int
        Its id there.
    axes : (int, int)
        The axes of the plane, in ascending order.
    index : tuple of (int or None)
        For each axis the index of the plane; None for those of `axes`.
    box : tuple of int
        Top, left, bottom and right on the plane, data pixels; bottom and right are outside.
    mask : dict
        For `napari_sam.journal.decode_mask`.
    erased : bool
        Whether the object was taken off the plane, rather than written.
    score : float or None
        The model's estimate of the IoU.
    prompts : tuple of str
        The kinds of prompts that were given, such as ("point", "box").
    shaping : dict
        What became of the mask that the model gave, as `napari_sam.inference.shaping.MaskShaping.to_dict` says it.
    calibration : dict
        Names, spacing and units of the axes, where the journal has them.
    changes : tuple of (int, dict) or None
        What changed, where it is more or less than the object: ids, and the pixels that carry them since, as masks.
    exact : bool
        Whether the recorded mask is all that the plane carries of the object since. Files of releases before the
        database only say which pixels carried the id; what else became of it has to be guessed there.
    asked : dict
        What was asked of the model, for `napari_sam.journal.replaying`; empty where it was not asked.
    digest : str
        Digest of the pixels that the model saw; "" where it was not asked.
    image_shape : tuple of int
        Shape of the image, with colour, if it has any.
    id : int
        In the whole database; -1 for what is in none.
    """

    number: int
    time: str
    target: Target
    label: int
    axes: tuple[int, int]
    index: tuple[int | None, ...]
    box: tuple[int, ...]
    mask: Mapping[str, Any]
    erased: bool
    score: float | None
    prompts: tuple[str, ...]
    shaping: Mapping[str, Any]
    calibration: Mapping[str, Any]
    changes: tuple[tuple[int, Mapping[str, Any]], ...] | None = None
    exact: bool = False
    asked: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    image_shape: tuple[int, ...] = ()
    id: int = -1

    @property
    def plane(self) -> str:
        """Name the plane, such as "z = 12"; "" for an image of one plane."""
        names = self.calibration.get("axes")
        known = names if isinstance(names, list) and len(names) == len(self.index) else range(len(self.index))
        named = [
            (f"axis {name}" if isinstance(name, int) else name, at) for name, at in zip(known, self.index, strict=True)
        ]
        return ", ".join(f"{name} = {at}" for name, at in named if at is not None)


def entries(records: Iterable[Mapping[str, Any]]) -> tuple[list[JournalEntry], int]:
    """Find the objects that were not undone.

    Parameters
    ----------
    records : iterable of mapping
        Of one journal, oldest first. One of the kind "continued" says that a layer began with what others had come to,
        and carries their records under "entries".

    Returns
    -------
    found : list of JournalEntry
        Oldest first.
    strange : int
        Records that do not say what they should.
    """
    # By session, as each counts its records by itself.
    found: dict[tuple[Any, int], list[JournalEntry]] = {}
    undone: set[tuple[Any, int]] = set()
    strange = 0
    for record in records:
        kind, session, number = record["kind"], record.get("session"), record["number"]
        if kind in ("withdrawn", "restored"):
            of = record.get("of")
            numbers = {(session, one) for one in (of if isinstance(of, list) else [of]) if isinstance(one, int)}
            # An object may be withdrawn and restored several times: the last word counts.
            undone = undone | numbers if kind == "withdrawn" else undone - numbers
            continue
        found[session, number] = made = []
        for one in record.get("entries", ()) if kind == "continued" else (record,):
            if one["kind"] not in CHANGES:
                continue
            try:
                made.append(_entry(one, erased=one["kind"] == "erased"))
            except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
                strange += 1
    return [entry for key, made in found.items() if key not in undone for entry in made], strange


CHANGES = frozenset({"accepted", "erased", "split", "merged"})
"""Kinds of records that say how labels changed."""


def _entry(record: Mapping[str, Any], *, erased: bool) -> JournalEntry:
    """Read a record, and check all that is calculated with."""
    plane, said = record["plane"], record.get("prompts") or {}
    axes, index = (int(plane["axes"][0]), int(plane["axes"][1])), tuple(plane["index"])
    box, label = tuple(int(side) for side in record["box"]), int(record["label"])
    if not 0 <= axes[0] < axes[1] < len(index) or len(box) != 4 or not 0 < label < 2**32:
        raise ValueError
    # An index is missing for the two axes of the plane, and for these only.
    if any((at is None) is not (axis in axes) or not (at is None or at >= 0) for axis, at in enumerate(index)):
        raise ValueError
    mask, identity = _mask(record["mask"]), record.get("identity")
    shape = _shape(record.get("shape"), axes, index, mask)
    changes = record.get("changes")
    return JournalEntry(
        number=record["number"],
        time=str(record.get("time", "")),
        target=Target(str(record["image"]), str(record["target"]), shape, str((identity or {}).get("layer", ""))),
        label=label,
        axes=axes,
        index=index,
        box=box,
        mask=mask,
        erased=erased,
        score=None if record.get("score") is None else float(record["score"]),
        prompts=tuple(str(prompt["type"]) for prompt in said.get("prompts", ())),
        shaping=dict(record.get("shaping") or {}),
        calibration=dict(record.get("calibration") or {}),
        changes=None if changes is None else tuple(_change(change, mask) for change in changes),
        exact=identity is not None,
        asked=dict(record.get("asked") or {})
        | {"prompts": said, "model": record.get("model"), "channels": record.get("channels")},
        digest=str(plane.get("digest", "")),
        image_shape=tuple(int(side) for side in record.get("shape") or ()),
        id=int(record.get("id", -1)),
    )


def _mask(said: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(said["counts"], list):
        raise ValueError
    return {"size": said["size"], "counts": said["counts"]}


def _change(said: Mapping[str, Any], mask: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """Read pixels that carry another id since; 0 where they carry none."""
    label, pixels = int(said["label"]), _mask(said["mask"])
    if not 0 <= label < 2**32 or tuple(pixels["size"]) != tuple(mask["size"]):
        raise ValueError
    return label, pixels


def _shape(
    shape: Any, axes: tuple[int, int], index: tuple[int | None, ...], mask: Mapping[str, Any]
) -> tuple[int, ...] | None:
    """Return the shape of the labels: that of the image, less an axis of colour."""
    if shape is None:
        return None
    known = tuple(int(side) for side in shape)[: len(index)]
    plane = tuple(known[axis] for axis in axes)
    if len(known) != len(index) or plane != tuple(mask["size"]):
        raise ValueError
    if any(at is not None and at >= side for at, side in zip(index, known, strict=True)):
        raise ValueError
    return known
