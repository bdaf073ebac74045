"""``napari-sam train``: make the bundled model anew, teach a model images or words, and look at how a run goes."""

from pathlib import Path
from typing import Annotated

import typer

from napari_sam.commands.common import reported
from napari_sam.commands.options.shared import Debug
from napari_sam.commands.train.bundled import bundled
from napari_sam.commands.train.finetune import finetune
from napari_sam.commands.train.text import text

app = typer.Typer(
    no_args_is_help=True,
    help="Train the bundled model, teach a model your own images, or words, draw the log of a run.",
)

app.command()(bundled)
app.command()(finetune)
app.command()(text)


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
