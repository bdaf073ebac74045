"""``napari-sam propagate``: one object through a stack, from clicks on one or a few of its planes."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from napari_sam import __version__
from napari_sam.commands.common import Debug, getting, limits, reported, table_console, work_bar
from napari_sam.commands.stack_options import (
    Box,
    Click,
    StackLine,
    StackPrompts,
    find_row,
    find_span,
    read_box,
    read_click,
)
from napari_sam.errors import Cancelled, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam import propagation
    from napari_sam.inference.engine import Engine
    from napari_sam.io.stacks import ImageStack
    from napari_sam.masks import BoxedMask
    from napari_sam.planes.source import ArrayPlanes
    from napari_sam.propagation.resume_log import Record

_DIRECTIONS = {1: "Up", -1: "Down"}


@dataclass
class _Found:
    """What is told at the end, and the masks of the annotated planes."""

    planes: list[dict[str, Any]] = field(default_factory=list)
    endings: list["propagation.Ending"] = field(default_factory=list)
    annotated: "dict[int, BoxedMask]" = field(default_factory=dict)


def propagate(
    stack: Annotated[Path, typer.Argument(help="A stack of planes: a file or a folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The labels file to write.")],
    points: Annotated[
        list[Click] | None,
        typer.Option(
            "--point",
            parser=read_click,
            metavar="Z,Y,X[,+|-]",
            help="A click, a coordinate per axis of the stack, from 0; + (default) on the object, - beside it. A plane "
            "with nothing but - is a stop mark. Repeatable.",
        ),
    ] = None,
    boxes: Annotated[
        list[Box] | None,
        typer.Option(
            "--box", parser=read_box, metavar="Z,Y0,X0,Y1,X1", help="A plane, and two corners on it. One per plane."
        ),
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(metavar="AXIS", help="What to go along: a name such as z or t, or a number. Default: z."),
    ] = None,
    span: Annotated[
        str | None, typer.Option("--range", metavar="A:B", help="Only planes A to B - 1 along that axis, from 0.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="How to find the object on the next plane, see the documents.")
    ] = None,
    label: Annotated[int, typer.Option(min=1, max=2**32 - 1, help="The number of the object.")] = 1,
    model: Annotated[
        str, typer.Option(help="A name of `napari-sam models list`, downloaded if need be, or a checkpoint.")
    ] = "bundled",
    device: Annotated[str, typer.Option(help='"auto", "cpu", "cuda", "cuda:1", "mps" or "xpu".')] = "auto",
    contrast_limits: Annotated[
        str | None,
        typer.Option(
            "--contrast-limits",
            "--contrast",
            metavar="LO,HI",
            help="Grey values shown black and white: those of the layer in napari. Default: what napari starts with.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a labels file that is there, and start anew.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Carry an object through a stack, from a few clicks on one or more of its planes, and write it as labels."""
    if not points and not boxes:
        raise typer.BadParameter("Give at least one --point or --box.")
    window = limits(contrast_limits)
    with reported(debug):
        from napari_sam.io.outputs import require_output
        from napari_sam.io.stacks import check_output, open_stack, write_stack_labels
        from napari_sam.propagation import DEFAULT_STRATEGY
        from napari_sam.propagation.resume_log import Record

        with open_stack(stack) as opened:
            for note in opened.notes:
                typer.echo(f"Note: {note}", err=True)
            row, said = find_row(opened, axis, points or [], boxes or [])
            within = find_span(span, opened.shape[row.axis])
            if outside := [index for index in said.prompts if index not in within]:
                raise InputError(f"There are prompts on plane {outside[0]}, which lies outside --range {span}.")
            check_output(output, opened)
            part = output.with_name(f"{output.name}.part")
            checkpoint = [Path(model)] if Path(model).exists() else []
            require_output(output, checkpoint, replace=force, folder=True)
            # Results of a run that was cut short: whose file it is, the record tells.
            require_output(part, [opened.path, *opened.files, *checkpoint], replace=True)
            planes = opened.planes(row.axis, row.index, contrast_limits=window)
            engine = _engine(model, device)
            chosen = strategy or DEFAULT_STRATEGY
            about = _about(opened, planes, row, said, within, engine, chosen)
            with Record(part, about, anew=force) as record:
                found = _carry(engine, planes, said, within, chosen, record)
                scratch = output.with_name(f".{output.name}.{os.getpid()}.scratch.npy")
                try:
                    labels = _labels(opened, row, record, label, found, scratch)
                    write_stack_labels(output, labels, opened, largest=label)
                finally:
                    scratch.unlink(missing_ok=True)
                record.remove()
        _report(output, found, opened.axes[row.axis], as_json=as_json)


def _engine(model: str, device: str) -> "Engine":
    from napari_sam.inference.engine import Engine

    with getting(model) as progress:
        engine = Engine.load(model, device, progress)
    for note in engine.predictor.notes:
        typer.echo(f"Note: {note}", err=True)
    return engine


def _about(
    stack: "ImageStack",
    planes: "ArrayPlanes",
    row: StackLine,
    said: StackPrompts,
    span: range,
    engine: "Engine",
    strategy: str,
) -> dict[str, Any]:
    """List all that the masks depend on: what was found for other settings is of no use for these."""
    from napari_sam.prompts import PromptSet

    found = stack.path.stat()
    return {
        "version": __version__,
        "stack": [str(stack.path.resolve()), found.st_size, found.st_mtime_ns],
        "row": [row.axis, *row.index],
        "window": planes.contrast_limits,
        "span": [span.start, span.stop],
        "prompts": {str(index): PromptSet.of(given).to_json() for index, given in sorted(said.prompts.items())},
        "marks": {str(index): marks for index, marks in sorted(said.marks.items())},
        "weights": engine.predictor.weights,
        "strategy": strategy,
    }


def _carry(
    engine: "Engine", planes: "ArrayPlanes", said: StackPrompts, span: range, strategy: str, record: "Record"
) -> _Found:
    """Answer the annotated planes, then carry the object on; each plane is on the disk before the next one."""
    from napari_sam.propagation import PropagationStep, propagate

    before = len(record)
    if before:
        typer.echo(f"Going on after {before} results of {record.path}.", err=True)
    with work_bar("Carrying the object") as progress, _kept(record):
        annotated, found = _annotated(engine, planes, said)
        results = propagate(
            engine,
            planes,
            annotated,
            strategy=strategy,
            span=span,
            marks=said.marks,
            progress=progress,
            earlier=record,
        )
        for number, result in enumerate(results):
            if number >= before:
                record.add(result)
            if isinstance(result, PropagationStep):
                found.planes.append(_row(result.index, result.score, result.boxed, overlap=result.overlap))
            else:
                found.endings.append(result)
    return found


@contextmanager
def _kept(record: "Record") -> Iterator[None]:
    """Say of Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt as error:
        kept = f"{len(record)} results are kept in {record.path}: run the same command again to go on."
        raise Cancelled(f"Cancelled. {kept if len(record) else 'Nothing was written.'}") from error


def _annotated(
    engine: "Engine", planes: "ArrayPlanes", said: StackPrompts
) -> "tuple[list[propagation.Annotated], _Found]":
    """Answer the prompts, plane by plane."""
    from napari_sam.inference.segmenter import segment_plane
    from napari_sam.masks import BoxedMask
    from napari_sam.prompts import PromptSet
    from napari_sam.propagation import Annotated

    annotated, found = [], _Found()
    for index, prompts in sorted(said.prompts.items()):
        given = PromptSet.of(prompts)
        source = planes.source(index)
        best = segment_plane(engine, source, given).candidates[0]
        if not best.area:
            raise InputError(f"The model finds no object on plane {index}. Try another point, or a box around it.")
        boxed = BoxedMask(best.origin, best.mask, source.view.shape)
        annotated.append(Annotated(index, boxed, given))
        found.annotated[index] = boxed
        found.planes.append(_row(index, best.score, boxed, annotated=True))
    return annotated, found


def _row(
    index: int, score: float, boxed: "BoxedMask", *, overlap: float | None = None, annotated: bool = False
) -> dict[str, Any]:
    from napari_sam.propagation import WEAK

    numbers = {"score": round(score, 4), "overlap": overlap if overlap is None else round(overlap, 4)}
    return {
        "plane": index,
        "annotated": annotated,
        **numbers,
        "area": boxed.area,
        "weak": not annotated and score < WEAK,
    }


def _labels(
    stack: "ImageStack", row: StackLine, record: "Record", label: int, found: _Found, scratch: Path
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
        turned = np.moveaxis(carried, 0, row.axis - len(stack.shape) + 3)
    for at in np.ndindex(*leading):
        whole = np.zeros(stack.shape[-2:], np.uint32)
        if all(at[axis] == place for axis, place in fixed.items()):
            if row.axis >= len(leading):
                whole[turned[at[row.shown[0]]]] = label
            elif (plane := boxed(at[row.axis])) is not None:
                whole[plane.box][plane.mask] = label
        yield whole


def _report(output: Path, found: _Found, axis: str, *, as_json: bool) -> None:
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
