"""``napari-sam propagate``: one object through a stack, from clicks on one or a few of its planes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam import __version__
from napari_sam.commands.common import getting, reported, work_bar
from napari_sam.commands.options.shared import (
    Debug,
    Device,
    JsonTable,
    LabelsOutput,
    Model,
    PlaneSpan,
    StackContrast,
    limits,
)
from napari_sam.commands.options.stack import (
    Box,
    Click,
    StackLine,
    StackPrompts,
    find_row,
    find_span,
    read_box,
    read_click,
)
from napari_sam.commands.propagate.output import Found, label_planes, plane_row, report
from napari_sam.errors import Cancelled, InputError

if TYPE_CHECKING:
    from napari_sam import propagation
    from napari_sam.inference.engine import Engine
    from napari_sam.io.stacks import ImageStack
    from napari_sam.planes.source import ArrayPlanes
    from napari_sam.propagation.resume_log import Record


def propagate(
    stack: Annotated[Path, typer.Argument(help="A stack of planes: a file or a folder.")],
    output: LabelsOutput,
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
    span: PlaneSpan = None,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="How to find the object on the next plane, see the documents.")
    ] = None,
    label: Annotated[int, typer.Option(min=1, max=2**32 - 1, help="The number of the object.")] = 1,
    model: Model = "bundled",
    device: Device = "auto",
    contrast_limits: StackContrast = None,
    as_json: JsonTable = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a labels file that is there, and start anew.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Carry an object through a stack, from a few clicks on one or more of its planes, and write it as labels."""
    if not points and not boxes:
        raise typer.BadParameter("Give at least one --point or --box.")
    # Not within `reported`: typer tells of a mistake in an option, with the usage.
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
            # Named after the output, so that the same command finds it again.
            part = output.with_name(f"{output.name}.part")
            checkpoint = [Path(model)] if Path(model).exists() else []
            # check_output has looked at the stack; the model must not be written over either.
            require_output(output, checkpoint, replace=force, folder=True)
            # Results of a run that was cut short: whose file it is, the record tells.
            require_output(part, [opened.path, *opened.files, *checkpoint], replace=True)
            planes = opened.planes(row.axis, row.index, contrast_limits=window)
            engine = _engine(model, device)
            chosen = strategy or DEFAULT_STRATEGY
            about = _about(opened, planes, row, said, within, engine, chosen)
            with Record(part, about, anew=force) as record:
                found = _carry(engine, planes, said, within, chosen, record)
                # Named after the process as well: nobody goes on with it, and another run may be on its way.
                scratch = output.with_name(f".{output.name}.{os.getpid()}.scratch.npy")
                try:
                    labels = label_planes(opened, row, record, label, found, scratch)
                    write_stack_labels(output, labels, opened, largest=label)
                finally:
                    scratch.unlink(missing_ok=True)
                # Only now is everything in the labels.
                record.remove()
        report(output, found, opened.axes[row.axis], as_json=as_json)


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

    # Size and time tell that a file was changed, without reading all of it.
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
) -> Found:
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
        # Those that the record gave come first, and are in it already.
        for number, result in enumerate(results):
            if number >= before:
                record.add(result)
            if isinstance(result, PropagationStep):
                found.planes.append(plane_row(result.index, result.score, result.boxed, overlap=result.overlap))
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
) -> "tuple[list[propagation.Annotated], Found]":
    """Answer the prompts, plane by plane."""
    from napari_sam.inference.segmenter import segment_plane
    from napari_sam.masks import BoxedMask
    from napari_sam.prompts import PromptSet
    from napari_sam.propagation import Annotated

    annotated, found = [], Found()
    for index, prompts in sorted(said.prompts.items()):
        given = PromptSet.of(prompts)
        source = planes.source(index)
        # Best first: the one that a person would see.
        best = segment_plane(engine, source, given).candidates[0]
        if not best.area:
            raise InputError(f"The model finds no object on plane {index}. Try another point, or a box around it.")
        boxed = BoxedMask(best.origin, best.mask, source.view.shape)
        annotated.append(Annotated(index, boxed, given))
        found.annotated[index] = boxed
        found.planes.append(plane_row(index, best.score, boxed, annotated=True))
    return annotated, found
