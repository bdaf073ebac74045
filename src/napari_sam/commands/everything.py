"""``napari-sam everything``: every object of images, stacks and large planes, on one machine or many."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import getting, reported, table_console, work_bar
from napari_sam.commands.options.shared import (
    Debug,
    Device,
    FixedPlaces,
    JsonTable,
    LinkAxis,
    MaskFormat,
    Model,
    StackContrast,
    limits,
)
from napari_sam.commands.options.stack import read_place

if TYPE_CHECKING:
    from napari_sam.batch.local import Executor
    from napari_sam.batch.plan import PlannedImage
    from napari_sam.batch.run import BatchResult

_MODES = ("auto", "dense", "grid")


def everything(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="Images, stacks, and folders of images."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="For one image a file, labels.tif say; else a folder."),
    ],
    model: Model = "bundled",
    mode: Annotated[
        str,
        typer.Option(
            metavar="MODE", help="How objects are found: dense (the model's maps), grid (of points), or auto."
        ),
    ] = "auto",
    device: Device = "auto",
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Work on Dask: threads, processes, or a scheduler, tcp://HOST:8786."),
    ] = None,
    kind: MaskFormat = "labels",
    axis: LinkAxis = None,
    fixed: FixedPlaces = None,
    tile: Annotated[
        int | None,
        typer.Option(min=16, metavar="N", help="Pixels along a side of a tile. Default: 1024, for planes over 1280."),
    ] = None,
    halo: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Half of what tiles have in common, pixels. Default: an eighth of one."),
    ] = None,
    contrast_limits: StackContrast = None,
    tracks: Annotated[
        bool, typer.Option("--tracks", help="Along time, write a table of tracks and divisions beside the labels.")
    ] = False,
    as_json: JsonTable = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there, and start anew.")] = False,
    debug: Debug = False,
) -> None:
    """Find every object of images, stacks and large planes, and write them as labels or in other formats."""
    # Not within `reported`: typer tells of a mistake in an option, with the usage.
    window = limits(contrast_limits)
    if mode not in _MODES:
        raise typer.BadParameter(f"--mode is {', '.join(_MODES[:-1])} or {_MODES[-1]}, not {mode!r}.")
    places = dict(read_place(text) for text in fixed or ())
    with reported(debug):
        from napari_sam.batch.finding import ModelFinder
        from napari_sam.batch.output import require_place
        from napari_sam.batch.plan import PlanOptions, find_images, plan_images
        from napari_sam.batch.run import run_batch, run_folder
        from napari_sam.datasets.table import find_format
        from napari_sam.files import part_path

        wanted = find_format(kind)
        output = output.resolve()
        part = part_path(output)
        # Only now, because a name of the registry is no path.
        chosen = str(Path(model).resolve()) if Path(model).exists() else model
        options = PlanOptions(axis, tile, halo, window, places)
        images = plan_images(find_images(inputs, axis), options, part)
        require_place(output, images, wanted, replacing=force, tracks=tracks)
        finder = ModelFinder(chosen, device, mode)  # type: ignore[arg-type]  # it is one of _MODES
        with run_folder(part, anew=force) as folder, _executor(scheduler, folder, chosen) as executor:
            about = executor.describe(finder, folder)
            for note in (*(note for image in images for note in image.notes), *about.notes):
                typer.echo(f"Note: {note}", err=True)
            with work_bar(_work(images)) as progress:
                result = run_batch(
                    images, finder, executor, folder, output, wanted, progress, description=about, tracks=tracks
                )
        _report(output, result, as_json=as_json)


def _executor(scheduler: str | None, folder: Path, model: str) -> "AbstractContextManager[Executor]":
    """Choose who does the work; a model that is missing is fetched first, unless other machines are to use it."""
    from napari_sam.batch.dask import on_dask
    from napari_sam.batch.local import LocalExecutor
    from napari_sam.checkpoints.weights import resolve

    if scheduler is None or "://" not in scheduler:
        with getting(model) as progress:
            resolve(model, progress)
    return nullcontext(LocalExecutor()) if scheduler is None else on_dask(scheduler, folder)


def _work(images: "list[PlannedImage]") -> str:
    planes = sum(len(image.planes) for image in images)
    what = f"{len(images)} images" if len(images) > 1 else images[0].path.name
    return f"Looking at {what}" + (f", {planes} planes" if planes > len(images) else "")


def _report(output: Path, result: "BatchResult", *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {
            "image": str(one.image.path),
            "axes": one.image.axes,
            "planes": len(one.image.planes),
            "tiles": len(one.image.planes) * len(one.image.tiles.tiles),
            "objects": one.objects,
            "linked_along": None if one.image.axis is None else one.image.axes[one.image.axis],
            **({"parents": one.parents} if one.parents else {}),
        }
        for one in result.images
    ]
    objects, planes = (sum(row[what] for row in rows) for what in ("objects", "planes"))
    if as_json:
        summary = {
            "output": str(output),
            "objects": objects,
            "planes": planes,
            "tiles": result.tiles,
            "resumed": result.resumed,
            "seconds": round(result.seconds, 2),
        }
        typer.echo(json.dumps({**summary, "images": rows}, indent=2))
        return
    if len(rows) > 1:
        table_console().print(_table(rows))
    before = f" {result.resumed} of {result.tiles} tiles were there before." if result.resumed else ""
    on = f" on {planes} planes" if planes > len(rows) else ""
    of = f" of {len(rows)} images" if len(rows) > 1 else ""
    typer.echo(f"{output}: {_counted(objects, 'object')}{of}{on}, in {result.seconds:.1f} s.{before}")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Image")
    for title in ("Planes", "Objects"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(escape(Path(row["image"]).name), f"{row['planes']:,}", f"{row['objects']:,}")
    return table
