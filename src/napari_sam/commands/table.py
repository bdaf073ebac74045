"""``napari-sam table``: what can be told of the objects of a labels file, as a table."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.commands.common import reported, work_bar
from napari_sam.commands.options.shared import Debug
from napari_sam.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.io.stack import ImageStack
    from napari_sam.regions import RegionTable

_SYMBOLS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm", "meter": "m"}
_PART = 2**24  # pixels that are read at a time
_NOTES = ("class", "reviewed")


def table(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Labels of whole numbers, 0 for background.")],
    image: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE]", help="Their image: the table has mean intensities, then.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.csv", help="Default: the table is printed.")
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(
            "--notes",
            metavar="FILE.csv",
            help='Classes by "id" or "index". Default: the CSV file of the name of LABELS.',
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there; never an input.")] = False,
    debug: Debug = False,
) -> None:
    """Measure the objects of labels: area in units, box, planes, centre, mean intensity, and classes where known."""
    with reported(debug):
        import numpy as np

        from napari_sam.files import write_whole
        from napari_sam.io.outputs import require_output
        from napari_sam.io.stacks import open_stack
        from napari_sam.journal.notes.files import notes_path

        beside = notes_path(labels)
        known = notes or (beside if beside.is_file() and (output is None or beside != output) else None)
        if output is not None:
            require_output(output, [one for one in (labels, image, known) if one is not None], replace=force)
        said = {} if known is None else _read_notes(known)
        with open_stack(labels) as stack:
            if stack.rgb or not np.issubdtype(stack.data.dtype, np.integer):
                raise InputError(f"{labels} holds no labels: they are whole numbers, one for each pixel.")
            if image is None:
                regions, means = _measure(stack, None)
            else:
                with open_stack(image) as pixels:
                    regions, means = _measure(stack, pixels)
            file = io.StringIO()
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(_lines(stack, regions, means, said))
        if output is None:
            typer.echo(file.getvalue(), nl=False)
            return
        write_whole(output, file.getvalue())
        typer.echo(f"{output}: {len(regions)} object{'' if len(regions) == 1 else 's'} of {labels.name}.")


def _read_notes(path: Path) -> dict[int, dict[str, str]]:
    """Read classes and marks by id, from what `journal restore`, the dock or a table of features wrote."""
    from napari_sam.io.reading import reading

    found: dict[int, dict[str, str]] = {}
    with reading(path), path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            label = str(row.get("id") or row.get("index") or "").strip()
            if label.isdecimal():
                found[int(label)] = {name: row[name] for name in _NOTES if row.get(name)}
    return found


def _measure(labels: "ImageStack", image: "ImageStack | None") -> "tuple[RegionTable, NDArray[np.float64] | None]":
    """Measure the objects, and how bright they are; of a large file, one part is in memory at a time."""
    import numpy as np

    from napari_sam.regions import RegionTable, combine, measure
    from napari_sam.regions.intensities import MeanIntensities

    blocks = list(_blocks(labels.shape))
    at, channels = (-1, 1) if image is None else _channels(labels, image)
    regions = RegionTable.empty(len(labels.shape))
    with work_bar("Measuring") as progress:
        rounds = len(blocks) * (1 if image is None else 2)
        for number, block in enumerate(blocks, 1):
            part = measure(np.asarray(labels.data[block]), [side.start for side in block])
            regions = combine([regions, part], regions.ndim)
            progress(number / rounds)
        if image is None:
            return regions, None
        # Once more: which objects there are is known only now.
        means = MeanIntensities(regions.labels, channels)
        for number, block in enumerate(blocks, len(blocks) + 1):
            where = block if at < 0 else (*block[:at], slice(None), *block[at:])
            pixels = np.asarray(image.data[where])
            means.add(np.asarray(labels.data[block]), pixels[None] if at < 0 else np.moveaxis(pixels, at, 0))
            progress(number / rounds)
    return regions, means.means


def _channels(labels: "ImageStack", image: "ImageStack") -> tuple[int, int]:
    """Find the axis of an image that its labels lack, -1 for none, and its length; refuse an image of another size."""
    shape = tuple(int(side) for side in image.data.shape)
    if shape == labels.shape:
        return -1, 1
    axes = [len(shape) - 1] if image.rgb else [at for at, name in enumerate(image.axes) if name == "c"]
    for at in axes:
        if shape[:at] + shape[at + 1 :] == labels.shape:
            return at, shape[at]
    sizes = [" x ".join(map(str, one)) for one in (shape, labels.shape)]
    raise InputError(
        f"{image.path} has {sizes[0]} pixels, and {labels.path} {sizes[1]}. Give the image of these labels."
    )


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Cut labels into planes, and large planes into rows."""
    from itertools import product

    *deep, height, width = shape
    rows = max(1, _PART // max(1, width))
    for index in product(*(range(side) for side in deep)):
        for top in range(0, height, rows):
            yield (*(slice(at, at + 1) for at in index), slice(top, min(top + rows, height)), slice(0, width))


def _pixel(stack: "ImageStack") -> tuple[float, str]:
    """Return the area or volume of a pixel, and its unit; 0 and "" where the file does not say."""
    from napari_sam.io.axes import is_length

    steps = [
        (step, unit)
        for name, step, unit in zip(stack.axes, stack.spacing, stack.units, strict=False)
        if name in "zyx" and is_length(unit)
    ]
    power = {2: "²", 3: "³"}.get(len(steps))
    if power is None or len(steps) < sum(name in "zyx" for name in stack.axes):
        return 0.0, ""
    size = 1.0
    for step, _unit in steps:
        size *= abs(step)
    unit = steps[-1][1]
    return size, f"{_SYMBOLS.get(unit, unit)}{power}"


def _lines(
    stack: "ImageStack",
    regions: "RegionTable",
    means: "NDArray[np.float64] | None",
    said: dict[int, dict[str, str]],
) -> Iterator[list[Any]]:
    """Lay out the table, the heading first; its columns are named as those that the dock exports."""
    size, unit = _pixel(stack)
    noted = [name for name in _NOTES if any(name in one for one in said.values())]
    sizes = [f"{'volume' if unit.endswith('³') else 'area'} [{unit}]"] if unit else []
    channels = 0 if means is None else means.shape[1]
    yield [
        "id",
        *noted,
        "area [px]",
        *sizes,
        *(f"{end} {axis}" for axis in stack.axes for end in ("first", "last")),
        *(f"center {axis} [px]" for axis in stack.axes),
        *(["mean"] if channels == 1 else [f"mean {channel}" for channel in range(channels)]),
    ]
    for row, label in enumerate(regions.labels.tolist()):
        area = int(regions.area[row])
        about = said.get(label, {})
        ends = zip(regions.low[row].tolist(), (regions.high[row] - 1).tolist(), strict=True)
        yield [
            label,
            *(about.get(name, "") for name in noted),
            area,
            *([f"{area * size:.6g}"] if unit else []),
            *(end for both in ends for end in both),
            *(f"{value:.3f}" for value in regions.center[row]),
            *([] if means is None else [f"{value:.6g}" for value in means[row]]),
        ]
