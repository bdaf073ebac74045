"""Options of more than one command: the model, the device, grey values, the kind of output."""

from pathlib import Path
from typing import Annotated

import typer


def _own_or_global(ctx: typer.Context, value: bool) -> bool:
    """``--debug`` counts before and after the command's name."""
    return value or bool(ctx.obj)


Debug = Annotated[bool, typer.Option("--debug", callback=_own_or_global, help="Show the traceback of an error.")]

Model = Annotated[
    str, typer.Option("--model", help="A name of `napari-sam models list`, downloaded if need be, or a checkpoint.")
]
Device = Annotated[
    str,
    typer.Option(
        "--device", help='"auto", "cpu", "cuda", "cuda:1", "mps", "xpu", or another machine: "tcp://HOST:8786".'
    ),
]
LocalDevice = Annotated[str, typer.Option("--device", help='"auto", "cpu", "cuda", "cuda:1", "mps" or "xpu".')]
ImageContrast = Annotated[
    str | None,  # a tuple would make typer ask for two words
    typer.Option(
        "--contrast-limits",
        metavar="LO,HI",
        help="Grey values shown black and white, as in napari. Default: the range of the image.",
    ),
]
LinkAxis = Annotated[
    str | None,
    typer.Option(
        "--axis",
        metavar="AXIS",
        help="What the objects of planes are linked along: z, t, ... Default: z, else t.",
    ),
]
FixedPlaces = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="AXIS=I", help="Only index I of another axis, such as c=1. Repeatable."),
]
StackContrast = Annotated[
    str | None,  # a tuple would make typer ask for two words
    typer.Option(
        "--contrast-limits",
        "--contrast",
        metavar="LO,HI",
        help="Grey values shown black and white: those of the layer in napari. Default: what napari starts with.",
    ),
]
PlaneSpan = Annotated[
    str | None, typer.Option("--range", metavar="A:B", help="Only planes A to B - 1 along that axis, from 0.")
]
LabelsOutput = Annotated[Path, typer.Option("--output", "-o", help="The labels file to write.")]
JsonTable = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
JsonSentence = Annotated[bool, typer.Option("--json", help="Write JSON instead of a sentence.")]
MaskFormat = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="labels, coco, sa1b, geojson, imagej or yolo.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_POLARITIES = {"+": True, "-": False}


def numbers(text: str, names: str) -> list[float]:
    """Read as many numbers, with commas between, as `names` has."""
    parts = text.split(",")
    wanted = names.split(",")
    try:
        if len(parts) != len(wanted):
            raise ValueError
        return [float(part) for part in parts]
    except ValueError:
        # What float says of one part is no help.
        raise typer.BadParameter(f"{text!r} is not {names}: {len(wanted)} numbers with commas between.") from None


def limits(text: str | None) -> tuple[float, float] | None:
    """Read ``LO,HI``."""
    if text is None:
        return None
    low, high = numbers(text, "LO,HI")
    if not low < high:
        raise typer.BadParameter(f"{text!r}: LO must be less than HI.")
    return low, high


def split_polarity(text: str) -> tuple[str, bool]:
    """Take ``,+`` or ``,-`` off the end of a click: the rest, and whether the click is on the object (the default)."""
    place, _, last = text.rpartition(",")
    return (place, _POLARITIES[last.strip()]) if place and last.strip() in _POLARITIES else (text, True)
