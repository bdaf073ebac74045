"""What ``napari-sam propagate`` writes: the labels, and what became of each plane."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from napari_sam.commands.common import table_console
from napari_sam.commands.options.stack import StackLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam import propagation
    from napari_sam.io.stacks import ImageStack
    from napari_sam.masks import BoxedMask
    from napari_sam.propagation.resume_log import Record

_DIRECTIONS = {1: "Up", -1: "Down"}


@dataclass
class Found:
    """What is told at the end, and the masks of the annotated planes."""

    planes: list[dict[str, Any]] = field(default_factory=list)
    endings: list["propagation.Ending"] = field(default_factory=list)
    annotated: "dict[int, BoxedMask]" = field(default_factory=dict)


def plane_row(
    index: int, score: float, boxed: "BoxedMask", *, overlap: float | None = None, annotated: bool = False
) -> dict[str, Any]:
    """Describe a plane of the object, for the table and for JSON."""
    from napari_sam.propagation import WEAK

    # Digits after the fourth mean nothing.
    numbers = {"score": round(score, 4), "overlap": overlap if overlap is None else round(overlap, 4)}
    return {
        "plane": index,
        "annotated": annotated,
        **numbers,
        "area": boxed.area,
        "weak": not annotated and score < WEAK,
    }


def label_planes(
    stack: "ImageStack", row: StackLine, record: "Record", label: int, found: Found, scratch: Path
) -> "Iterator[NDArray[np.uint32]]":
    """Give the planes of labels in the order of the file, one at a time."""
    import numpy as np

    def boxed(index: int) -> "BoxedMask | None":
        return found.annotated.get(index) or record.boxed(index)

    leading = stack.shape[:-2]
    fixed = {axis: place for axis, place in enumerate(row.index) if place is not None and axis != row.axis}
    if row.axis >= len(leading):
        # The planes of the file cut through those of the object: all of it is laid out on the disk, not in memory.
        shape = [stack.shape[axis] for axis in (row.axis, *row.shown)]
        carried = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.bool_, shape=tuple(shape))
        for one in found.planes:
            if (found_there := boxed(one["plane"])) is not None:
                carried[one["plane"]][found_there.box] = found_there.mask
        # The axis that was followed goes back to its place among the last three.
        turned = np.moveaxis(carried, 0, row.axis - len(stack.shape) + 3)
    for at in np.ndindex(*leading):
        whole = np.zeros(stack.shape[-2:], np.uint32)
        # Planes of other channels and times are written as well, and stay empty.
        if all(at[axis] == place for axis, place in fixed.items()):
            if row.axis >= len(leading):
                whole[turned[at[row.shown[0]]]] = label
            elif (plane := boxed(at[row.axis])) is not None:
                whole[plane.box][plane.mask] = label
        yield whole


def report(output: Path, found: Found, axis: str, *, as_json: bool) -> None:
    """Write the scores of the planes, and why each direction ended."""
    planes = sorted(found.planes, key=lambda plane: plane["plane"])
    endings = [
        {
            "plane": ending.index,
            "direction": ending.direction,
            "reason": ending.reason.value,
            "words": _ended(ending, axis),
        }
        for ending in found.endings
    ]
    if as_json:
        typer.echo(json.dumps({"output": str(output), "axis": axis, "planes": planes, "endings": endings}, indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in (f"Plane ({axis})", "Score", "Overlap", "Area, px"):
        table.add_column(title, justify="right")
    table.add_column("")
    for plane in planes:
        overlap = "" if plane["overlap"] is None else f"{plane['overlap']:.2f}"
        note = "annotated" if plane["annotated"] else "weak" if plane["weak"] else ""
        table.add_row(str(plane["plane"]), f"{plane['score']:.2f}", overlap, str(plane["area"]), note)
    table_console().print(table)
    for ending in endings:
        typer.echo(ending["words"])
    typer.echo(f"{output}: the object on {len(planes)} planes.")


def _ended(ending: "propagation.Ending", axis: str) -> str:
    return f"{_DIRECTIONS[ending.direction]}: stopped at {axis} = {ending.index}: {ending.reason.words}."
