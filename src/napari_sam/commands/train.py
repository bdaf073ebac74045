"""``napari-sam train``: make the bundled model anew, and look at how a run goes."""

import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from napari_sam.commands.common import reported, table_console, transfer_bar
from napari_sam.commands.options.shared import Debug, Device
from napari_sam.errors import Cancelled, InputError
from napari_sam.progress import Progress, no_progress

app = typer.Typer(no_args_is_help=True, help="Train the bundled model, and draw the log of a run.")

_DOWNLOAD = "download"
_COLUMNS = ("1 click", "3 clicks", "5 clicks", "box")
_BETWEEN_LINES = 60.0  # seconds, where there is no terminal to draw a bar on


@app.command()
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
    device: Device = "auto",
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
        bool | None, typer.Option("--bfloat16/--no-bfloat16", help="Compute in bfloat16. Default: on CUDA only.")
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
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0, help="Highest rate; a trunk learns at a tenth of it. Default: 0.0005, on a GPU 0.001."),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many checks that brought nothing better. Default: never.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Train the bundled model from data to file; Ctrl-C keeps what was done, and the same command goes on."""
    with reported(debug), _stoppable() as stop:
        from napari_sam.device import choose_device
        from napari_sam.training.bundled.dataset import read_data
        from napari_sam.training.bundled.options import Wishes, plan
        from napari_sam.training.bundled.train import CARD, train_bundled

        chosen = choose_device(device)
        wishes = Wishes(steps, hours, scenes, workers, batch, threads, bfloat16, patience, start_from)
        wishes = replace(
            wishes,
            backbone=backbone,
            learning_rate=learning_rate,
            held_out=None if hold_out is None else tuple(hold_out),
        )
        planned = plan(wishes, output, chosen.type)
        archive = _archive(bbbc038, stop)
        typer.echo(f"{'Going on' if planned.done else 'Training'} in {output}, on {chosen}.", err=True)
        with _watched(output, stop) as (progress, tell):
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
            )
        _report(weights, output / CARD)


@app.command()
def plot(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, or its log.jsonl.")],
    debug: Debug = False,
) -> None:
    """Draw the log of a run, also one that is still going on, as log.png beside it."""
    with reported(debug):
        from napari_sam.training.log_plot import draw_log
        from napari_sam.training.loop import LOG

        typer.echo(draw_log(folder / LOG if folder.is_dir() else folder))


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


@contextmanager
def _stoppable() -> Iterator[Callable[[], None]]:
    """Let the first Ctrl-C wait until a step is whole: what is given raises `Cancelled` after one.

    A second Ctrl-C interrupts at once. The same goes for SIGTERM, with which batch systems announce the end.
    """
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        os.write(2, b"\nStopping after this step. Ctrl-C again stops at once.\n")  # safe in a handler, as echo is not

    def stop() -> None:
        if asked:
            raise Cancelled

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        # What calls this may go on afterwards, as tests do.
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watched(output: Path, stop: Callable[[], None]) -> Iterator[tuple[Progress, Callable[[str], None]]]:
    """Show how a run goes on standard error: a bar with words, or a line now and then where nobody watches."""
    latest = ""
    with _shown() as (show_words, show_share):

        def tell(words: str) -> None:
            nonlocal latest
            latest = words
            show_words(words)

        def progress(fraction: float, /) -> None:
            stop()
            show_share(fraction)

        try:
            yield progress, tell
        except Cancelled as error:
            where = f"Stopped ({latest}). " if latest else "Stopped. "
            raise Cancelled(f"{where}Everything is kept in {output}: run the same command again to go on.") from error


@contextmanager
def _shown() -> Iterator[tuple[Callable[[str], None], Progress]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        # Lines of text, as for a log.
        yield _Lines(), no_progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Bar(*columns, TimeElapsedColumn(), TimeRemainingColumn(compact=True), console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield (
            lambda words: bar.update(task, description=words),
            lambda fraction, /: bar.update(task, completed=fraction),
        )


class _Lines:
    """Writes every new stage, and a step now and then."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        # Steps come many times a minute; other words tell of a new stage.
        if not words.startswith("step ") or now >= self._next:
            typer.echo(words, err=True)
            self._next = now + _BETWEEN_LINES


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
