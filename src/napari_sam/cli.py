"""The command line, ``napari-sam``: what the dock does, without a window.

Commands live in `napari_sam.commands`, one module each; a new one is a function there and a line at the end of this
file. They import torch, napari and requests inside, so that ``napari-sam --help`` answers at once.
"""

from typing import Annotated

import typer

from napari_sam import __version__
from napari_sam.commands import (
    benchmark,
    cache,
    dataset,
    doctor,
    embed,
    everything,
    find,
    journal,
    models,
    propagate,
    segment,
    table,
    train,
)

app = typer.Typer(
    name="napari-sam",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-sam-live {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Promptable segmentation: click an object, get its mask."""
    ctx.obj = debug  # every command's own --debug looks here too


app.command()(segment.segment)
app.command()(propagate.propagate)
app.command()(everything.everything)
app.command()(find.find)
app.command()(table.table)
app.command()(embed.embed)
app.add_typer(cache.app, name="cache")
app.add_typer(journal.app, name="journal")
app.add_typer(models.app, name="models")
app.add_typer(dataset.app, name="dataset")
app.add_typer(train.app, name="train")
app.add_typer(benchmark.app, name="benchmark")
app.command()(doctor.doctor)
