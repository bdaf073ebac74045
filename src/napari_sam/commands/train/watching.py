"""How a training run is watched and stopped on the command line."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from napari_sam.commands.common import INTERRUPTED
from napari_sam.errors import Cancelled
from napari_sam.progress import Progress, no_progress

if TYPE_CHECKING:
    from napari_sam.training.ranks import Ranks

_BETWEEN_LINES = 60.0  # seconds, where there is no terminal to draw a bar on


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
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
def together() -> Iterator["Ranks"]:
    """Join the other processes that ``torchrun`` started, if it did; the first one speaks for all."""
    from napari_sam.training.ranks import started_ranks

    with started_ranks() as ranks:
        try:
            yield ranks
        except Cancelled as error:
            if ranks.first:
                raise
            raise typer.Exit(INTERRUPTED) from error


@contextmanager
def watched(
    output: Path, stop: Callable[[], None], *, silent: bool = False
) -> Iterator[tuple[Progress, Callable[[str], None]]]:
    """Show how a run goes on standard error: a bar with words, or a line now and then where nobody watches.

    Parameters
    ----------
    output : Path
        Of the run.
    stop : callable
        What `stoppable` gave.
    silent : bool
        Show nothing: another process of the run does.
    """
    if silent:
        yield lambda _fraction, /: stop(), lambda _words: None
        return
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
