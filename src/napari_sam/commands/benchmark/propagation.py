"""``napari-sam benchmark propagation``: how well objects are carried through volumes."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from napari_sam.commands.common import getting, reported, table_console, work_bar
from napari_sam.commands.options.shared import Debug, Device
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam.evaluation.synthetic_volumes import Volume
    from napari_sam.evaluation.volumes import VolumeScore

_MEANS = ("iou", "planes", "corrections", "beyond", "missed")

_SYNTHETIC_OBJECTS = 4  # of each volume: enough to compare, in minutes


def propagation(
    image: Annotated[
        Path | None, typer.Argument(help="A stack with the axes z, y, x. Default: synthetic volumes.")
    ] = None,
    labels: Annotated[Path | None, typer.Argument(help="Its known objects: a stack of the same shape.")] = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option("--strategy", metavar="NAME", help="Repeatable. Default: the default one, and micro-sam's rule."),
    ] = None,
    clicks: Annotated[
        bool, typer.Option("--clicks/--no-clicks", help="Also click on every plane of every object.")
    ] = True,
    objects: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only N objects of each volume. Default: all, or 4 if drawn.")
    ] = None,
    volumes: Annotated[int, typer.Option(min=1, metavar="N", help="Synthetic volumes of each kind.")] = 2,
    model: Annotated[str, typer.Option(help="A model or a checkpoint.")] = "bundled",
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Write a row for each object as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Click on known objects once, carry them through their volume, and compare with the truth."""
    with reported(debug):
        from napari_sam.evaluation.synthetic_volumes import KINDS, synthetic_volumes
        from napari_sam.evaluation.volumes import CLICKS, measure_volume
        from napari_sam.inference.engine import Engine
        from napari_sam.propagation import DEFAULT_STRATEGY, STRATEGIES

        # In the order given: all others are compared with the first.
        methods = list(dict.fromkeys(strategies or [DEFAULT_STRATEGY, "projection"]))
        for name in methods:
            if name not in STRATEGIES:
                raise InputError(f"There is no strategy {name!r}. Choose one of: {', '.join(STRATEGIES)}.")
        given: Iterable[Volume] = synthetic_volumes(range(volumes)) if image is None else [_read(image, labels)]
        total = volumes * len(KINDS) if image is None else 1
        most = _SYNTHETIC_OBJECTS if image is None and objects is None else objects
        with getting(model) as progress:
            engine = Engine.load(model, device, progress)
        scores: list[VolumeScore] = []
        with work_bar("Measuring") as progress:
            wanted = [*methods, CLICKS] if clicks else methods
            for done, volume in enumerate(given, 1):
                scores += measure_volume(engine, volume, wanted, most=most)
                progress(done / total)
        if not scores:
            raise InputError("There is no object on three planes or more. Look whether the labels are right.")
        if as_json:
            typer.echo(json.dumps([asdict(score) for score in scores], indent=2))
        else:
            _print(scores, methods)


def _read(image: Path, labels: Path | None) -> "Volume":
    """Read a volume with its objects."""
    import numpy as np

    from napari_sam.evaluation.synthetic_volumes import Volume
    from napari_sam.io.stacks import open_stack

    if labels is None:
        raise InputError("Give the labels, too: a stack in which each object has a number of its own.")
    with open_stack(image) as pixels, open_stack(labels) as numbers:
        if len(pixels.axes) != 3 or pixels.rgb or pixels.shape != numbers.shape:
            raise InputError(
                f"{image} is {pixels.shape} along {pixels.axes}, {labels} {numbers.shape} along {numbers.axes}. "
                "Both must be one grey volume of the same three axes."
            )
        # Copies: both files are closed when the block ends.
        truth = np.array(numbers.data[:])
        if truth.dtype.kind not in "ui":
            raise InputError(f"{labels} is of dtype {truth.dtype}; labels are whole numbers from 0 up.")
        z, y, x = pixels.spacing
        return Volume(image.name, image.suffix, np.array(pixels.data[:]), truth, (z, y, x))


def _print(scores: "list[VolumeScore]", methods: list[str]) -> None:
    from napari_sam.evaluation.volumes import compare

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("Volumes", "Method"):
        table.add_column(title)
    for title in ("Objects", "IoU", "Planes", "To correct", "Beyond", "Missed"):
        table.add_column(title, justify="right")
    kinds = list(dict.fromkeys(score.kind for score in scores))
    for kind in [*kinds, None] if len(kinds) > 1 else [None]:
        for method in dict.fromkeys(score.method for score in scores):
            some = [score for score in scores if score.method == method and kind in (None, score.kind)]
            means = (sum(getattr(s, name) for s in some) / len(some) for name in _MEANS)
            numbers = (f"{mean:.{2 + (name == 'iou')}f}" for name, mean in zip(_MEANS, means, strict=True))
            table.add_row(kind or "all", method, str(len(some)), *numbers)
    table_console().print(table)
    for other in methods[1:]:
        found = compare(scores, methods[0], other)
        interval = found.interval
        between = "" if interval is None else f" (95 % interval {interval[0]:+.3f} to {interval[1]:+.3f})"
        typer.echo(
            f"{methods[0]} less {other}: IoU {found.difference:+.3f}{between}; "
            f"ahead on {found.better} objects, behind on {found.worse}."
        )
    typer.echo("Planes, those to correct (IoU below .8), beyond the object, and missed are means per object.")
