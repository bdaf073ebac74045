"""``napari-sam train text``: teach a model to take words."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from napari_sam.commands.common import getting, reported
from napari_sam.commands.options.shared import Debug, LocalDevice
from napari_sam.commands.train.watching import stoppable, watched
from napari_sam.commands.train.words import clip_model
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.training.config import TrainingConfig
    from napari_sam.training.networks.base import BaseModel


def text(
    model: Annotated[
        str, typer.Argument(help="What is to learn: a name of `napari-sam models list`, or a checkpoint. Not changed.")
    ],
    images: Annotated[
        list[Path],
        typer.Option(
            "--images",
            metavar="ARCHIVE",
            help="Labelled images: a zip file or folder with images/KIND and labels/KIND. Any number. No words needed.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the run; one that holds a run that was cut goes on with it."),
    ],
    clip: Annotated[
        str,
        typer.Option(
            "--clip", help="The clip model that reads the words: one of `napari-sam models list`, or a folder."
        ),
    ] = "clip-datacomp",
    train: Annotated[
        Literal["projection", "decoder", "all"],
        typer.Option(
            "--train", help="What learns: the projection of words alone (seldom enough), the decoder too, or all."
        ),
    ] = "decoder",
    device: LocalDevice = "auto",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Length of the schedule. Default: 2000, on a GPU 10000.")
    ] = None,
    hours: Annotated[float | None, typer.Option(min=0, help="End the schedule after so many hours.")] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Images in a step. Default: 8; of a SAM one for each core."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0, help="Of the projection; all else learns at a tenth. Default: 0.001."),
    ] = None,
    least_area: Annotated[
        int, typer.Option(min=1, help="Pixels of the smallest object that is shown to the clip model.")
    ] = 256,
    objects: Annotated[int, typer.Option(min=1, help="Objects of each image that are shown to it, at most.")] = 32,
    debug: Debug = False,
) -> None:
    """Teach a model words: a projection of CLIP embeddings. Ctrl-C keeps what was done, the same command goes on."""
    with reported(debug), stoppable() as stop:
        from napari_sam.device import choose_device
        from napari_sam.training.config import with_wishes
        from napari_sam.training.text.embeddings import ObjectCrops
        from napari_sam.training.text.images import TextData
        from napari_sam.training.text.train import TextConfig, train_text

        for archive in images:
            if not archive.exists():
                raise InputError(f"There is no {archive}. Give a zip file or a folder with images/ and labels/.")
        chosen = choose_device(device)
        base = _base(model)
        training, resuming = _training(output, chosen.type, base)
        training = with_wishes(training, steps=steps, hours=hours, batch=batch, learning_rate=learning_rate)
        config = TextConfig(train, training, ObjectCrops(least_area, objects))
        typer.echo(f"{'Going on' if resuming else 'Training'} in {output}, on {chosen}.", err=True)
        with watched(output, stop) as (progress, tell):
            tell("Reading images")
            data = TextData.read(images, progress)
            weights = train_text(
                config, base, data, clip_model(clip, device), output, device=str(chosen), progress=progress, tell=tell
            )
        _report(weights)


def _base(model: str) -> "BaseModel":
    """Read the model, downloading it first if it is not here."""
    from napari_sam.checkpoints.weights import resolve
    from napari_sam.training.networks.base import read_base

    with getting(model) as progress:
        path, spec = resolve(model, progress)
    return read_base(path, spec.architecture if spec is not None else None)


def _training(output: Path, device_type: str, base: "BaseModel") -> "tuple[TrainingConfig, bool]":
    """Return the settings of the run in a folder, else usual ones, and whether there is a run."""
    from napari_sam.training.text.train import resumed, usual_training

    before = resumed(output)
    return (usual_training(device_type, base.network), False) if before is None else (before, True)


def _report(weights: Path) -> None:
    """Say where everything is, how good it is, and how to use it."""
    from napari_sam.training.text.export import CARD

    card = weights.with_name(CARD)
    measured = json.loads(card.read_text(encoding="utf-8"))["validation"]["metrics"]
    if measured:
        typer.echo(
            f"Mean IoU on {measured['objects']:.0f} objects that were held out: {measured['words']:.3f} "
            f"told what it is, {measured['words and a click']:.3f} with a click after that."
        )
    typer.echo(f"Weights: {weights}")
    typer.echo(f"Card:    {card}")
    typer.echo(f"Use it:  napari-sam segment IMAGE -o labels.tif --text WORDS --model {shlex.quote(str(weights))}")
