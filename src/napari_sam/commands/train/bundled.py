"""``napari-sam train bundled``: make the bundled model anew."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import reported, table_console, transfer_bar
from napari_sam.commands.options.shared import Debug, LocalDevice
from napari_sam.commands.train.watching import stoppable, together, watched
from napari_sam.errors import Cancelled, InputError

_DOWNLOAD = "download"
_COLUMNS = ("1 click", "3 clicks", "5 clicks", "box")


def bundled(
    bbbc038: Annotated[
        str,
        typer.Option(
            "--bbbc038",
            metavar="PATH|download",
            help="BBBC038's stage1_train.zip or the folder unpacked from it, or `download` to fetch it (80 MB).",
        ),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images",
            metavar="ARCHIVE",
            help="Labelled images of other kinds: a zip file or folder with images/KIND and labels/KIND. Any number.",
        ),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option("--hold-out", metavar="KIND", help="A kind to keep out of training, for validation. Any number."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the run; one that holds a run that was cut goes on with it."),
    ] = Path("bundled-model"),
    device: LocalDevice = "auto",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Length of the schedule. Default: 20000, on a GPU 30000.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, help="End the schedule after so many hours of training.")
    ] = None,
    scenes: Annotated[int | None, typer.Option(min=0, help="Synthetic scenes to train on. Default: 6000.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that render scenes, and on a GPU draw batches. Default: the cores there are."
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images in a step. Default: 8, on a GPU 96.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Parts of a step that a processor works on side by side. On a GPU, 1.")
    ] = None,
    bfloat16: Annotated[
        bool | None,
        typer.Option(
            "--bfloat16/--no-bfloat16", help="Compute in bfloat16. Default: on CUDA only; worth it on few processors."
        ),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            "--start-from", help="Begin with these weights (.safetensors, or a checkpoint.pt), on a new schedule."
        ),
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(
            "--backbone",
            help="ImageNet weights (efficientnet-liteN-*.pth) for a new encoder under the decoder of --start-from.",
        ),
    ] = None,
    refining_blocks: Annotated[
        int | None,
        typer.Option(
            min=0, max=16, help="Add blocks to the encoder of --start-from, until its finest features have so many."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Highest rate. Default: 0.0005, on a GPU 0.001.")
    ] = None,
    backbone_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="A trunk learns at this share of the rate. Default: 0.1."),
    ] = None,
    optimizer: Annotated[
        Literal["adamw", "muon"] | None,
        typer.Option(
            help="muon changes weight matrices evenly in all directions, and takes a tenth longer. Default: adamw."
        ),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many checks that brought nothing better. Default: never.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Train the bundled model from data to file; Ctrl-C keeps what was done, and the same command goes on."""
    with reported(debug), stoppable() as stop, together() as ranks:
        from napari_sam.device import choose_device
        from napari_sam.training.bundled.dataset import read_data
        from napari_sam.training.bundled.options import Wishes, plan
        from napari_sam.training.bundled.train import CARD, train_bundled

        chosen = choose_device(ranks.device(str(choose_device(device))))
        wishes = Wishes(steps, hours, scenes, workers, batch, threads, bfloat16, patience, start_from)
        wishes = replace(
            wishes,
            backbone=backbone,
            learning_rate=learning_rate,
            backbone_share=backbone_share,
            optimizer=optimizer,
            refining_blocks=refining_blocks,
            held_out=None if hold_out is None else tuple(hold_out),
        )
        planned = plan(wishes, output, chosen.type)
        archive = ranks.first_alone(lambda: _archive(bbbc038, stop))
        if ranks.first:
            typer.echo(f"{'Going on' if planned.done else 'Training'} in {output}, on {chosen}.", err=True)
        with watched(output, stop, silent=not ranks.first) as (progress, tell):
            tell("Reading images")
            data = read_data(archive, images or (), planned.config.held_out, progress)
            weights = train_bundled(
                planned.config,
                data,
                output,
                device=str(chosen),
                progress=progress,
                tell=tell,
                start=planned.start,
                origin=planned.origin,
                ranks=ranks,
            )
        if ranks.first:
            _report(weights, output / CARD)


def _archive(wanted: str, stop: Callable[[], None]) -> Path:
    """Return the archive or folder of BBBC038, downloaded if that is what was asked for."""
    from napari_sam.training.data import bbbc038

    if wanted != _DOWNLOAD:
        path = Path(wanted)
        if not path.exists():
            raise InputError(f"There is no {path}. Give BBBC038's archive or folder, or `--bbbc038 download`.")
        return path
    with transfer_bar("BBBC038", bbbc038.SIZE) as progress:
        # Not in the middle of a write: Ctrl-C waits for the next report.
        def report(fraction: float, /) -> None:
            stop()
            progress(fraction)

        try:
            return bbbc038.download_archive(report)
        except Cancelled as error:
            raise Cancelled("Cancelled. What has arrived is kept: run the same command again to go on.") from error


def _report(weights: Path, card: Path) -> None:
    """Say where everything is, how good it is, and how to use it."""
    validation = json.loads(card.read_text(encoding="utf-8"))["validation"]
    parts = {part: validation.get(part, {}).get("metrics", {}) for part in ("kinds", "unseen")}
    measured = validation["metrics"] | {
        f"{part}: all" if kind == "all" else kind: numbers
        for part, metrics in parts.items()
        for kind, numbers in metrics.items()
    }
    table = Table("Images", "Objects", *_COLUMNS, title="Mean IoU on validation images", box=None, title_justify="left")
    for kind, numbers in measured.items():
        cells = (f"{numbers[name]:.3f}" for name in _COLUMNS)
        table.add_row(escape(kind), f"{numbers['objects']:.0f}", *cells)
    table_console().print(table)
    typer.echo(f"Weights: {weights}")
    typer.echo(f"Card:    {card}")
    typer.echo(f"Use it:  napari-sam segment IMAGE -o labels.tif --point Y,X --model {shlex.quote(str(weights))}")
