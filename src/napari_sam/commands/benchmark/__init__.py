"""``napari-sam benchmark``: how good models are, on images with known objects."""

import typer

from napari_sam.commands.benchmark.accuracy import accuracy
from napari_sam.commands.benchmark.propagation import propagation

app = typer.Typer(no_args_is_help=True, help="Measure models on images of yours.")


@app.callback()
def _group() -> None:
    """Measure models on images of yours."""


app.command()(propagation)
app.command()(accuracy)
