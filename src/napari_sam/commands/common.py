"""What commands share: errors in one line, progress bars, tables."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.progress import ProgressColumn as Column

from napari_sam.errors import Cancelled, NapariSamError
from napari_sam.progress import Progress, no_progress

if TYPE_CHECKING:
    from napari_sam.text.encoder import TextImageEncoder

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_PLAIN_WIDTH = 200


@contextmanager
def reported(debug: bool) -> Iterator[None]:
    """Turn the errors that this package raises on purpose, and Ctrl-C, into one line and an exit code.

    Parameters
    ----------
    debug : bool
        Let errors through with their traceback.
    """
    try:
        yield
    except (KeyboardInterrupt, Cancelled) as error:
        if debug:
            raise
        # Where work can be taken up again, whoever raised Cancelled says so. What a KeyboardInterrupt carries is noise.
        words = str(error) if isinstance(error, Cancelled) else ""
        typer.echo(words or "Cancelled.", err=True)
        raise typer.Exit(INTERRUPTED) from error
    except NapariSamError as error:
        if debug:
            raise
        # Libraries say some things in several lines.
        typer.echo(f"Error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from error


def table_console() -> Console:
    """Console for tables on standard output; a pipe gets long lines instead of columns cut at 80 characters."""
    console = Console()
    # COLUMNS is how a person, or a test, asks for another width.
    return console if console.is_terminal or os.environ.get("COLUMNS") else Console(width=_PLAIN_WIDTH)


@contextmanager
def work_bar(what: str) -> Iterator[Progress]:
    """Show a bar on standard error, with the share done and the time left, while the block runs."""
    with _bar(what, 1.0, TextColumn("{task.percentage:>3.0f} %")) as progress:
        yield progress


@contextmanager
def transfer_bar(what: str, size: int | None) -> Iterator[Progress]:
    """Show a bar on standard error, with bytes, rate and time left, while the block runs."""
    with _bar(what, float(size or 1), DownloadColumn(), TransferSpeedColumn()) as progress:
        yield progress


def getting(model: str) -> AbstractContextManager[Progress]:
    """Show a bar if the model has to be downloaded."""
    from napari_sam.checkpoints import weights
    from napari_sam.checkpoints.registry import list_models

    spec = next((spec for spec in list_models() if spec.name == model), None)
    # A path, or a checkpoint that was imported, is never downloaded.
    if spec is None or weights.status(spec) in (weights.State.BUNDLED, weights.State.ON_DISK):
        return nullcontext(no_progress)
    return transfer_bar(f"Getting {model}", spec.approximate_size)


def text_encoder(name: str, device: str) -> "TextImageEncoder":
    """Load a text model, downloading it with a bar if it is not here."""
    from napari_sam.text.encoder import load_encoder

    with getting_text_model(name) as progress:
        return load_encoder(name, device, progress=progress)


def getting_text_model(name: str) -> AbstractContextManager[Progress]:
    """Show a bar if the text model has to be downloaded."""
    from napari_sam.checkpoints.weights import State
    from napari_sam.text import store

    model = store.lookup(name)
    if store.status(model) is not State.TO_DOWNLOAD:
        return nullcontext(no_progress)
    return transfer_bar(f"Getting {model.name}", model.approximate_size)


@contextmanager
def _bar(what: str, total: float, *columns: Column) -> Iterator[Progress]:
    """Show a bar that is gone when the work is; where nobody watches, show nothing."""
    # Standard output is for results, which may go to a file or another program.
    console = Console(stderr=True)
    if not console.is_terminal:
        yield no_progress
        return
    layout = (TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn(compact=True))
    with Bar(*layout, console=console, transient=True, speed_estimate_period=10) as bar:
        task = bar.add_task(what, total=total)

        def report(fraction: float, /) -> None:
            bar.update(task, completed=fraction * total)

        yield report
