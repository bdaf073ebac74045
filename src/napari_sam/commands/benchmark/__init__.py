"""``napari-sam benchmark``: how good models are, on images with known objects, and how fast."""

import typer

from napari_sam.commands.benchmark.accuracy import accuracy
from napari_sam.commands.benchmark.propagation import propagation
from napari_sam.commands.benchmark.speed import speed

app = typer.Typer(no_args_is_help=True, help="Measure models: on images of yours, and their speed.")


@app.callback()
def _group() -> None:
    """Measure models: on images of yours, and their speed."""


app.command()(propagation)
app.command()(accuracy)
app.command()(speed)
