"""Writes what is labelled as a data set in SA-1B's form, with a card that says where its masks come from."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_sam import __version__
from napari_sam.datasets.building import build_dataset
from napari_sam.datasets.documents import write_text
from napari_sam.datasets.image_files import IMAGE_SUFFIXES, bare_name
from napari_sam.datasets.table import find_format
from napari_sam.errors import InputError
from napari_sam.io.layers import finest, read_layers
from napari_sam.teaching.stages.state import stage_rows
from napari_sam.training.material.labelled_stack import find_planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam.progress import Progress
    from napari_sam.session import Session
    from napari_sam.session.everything.deciding.data_set import DataSetQuestion
    from napari_sam.teaching.gathering import SessionLabels

CARD = "README.md"
_NAME = "sa1b"


@dataclass(frozen=True, slots=True, eq=False)
class DataSetOrder:
    """What is to be written.

    Attributes
    ----------
    name : str
        Of the data set.
    labels : SessionLabels
        What is labelled.
    image : array-like or None
        Pixels of the image that is worked on, as its file has them; None where there is none.
    path : Path or None
        Its file, if it has one.
    rgb : bool
        Whether its last axis holds colours.
    question : DataSetQuestion or None
        Who made the objects, for the card.
    done, skipped, count : int
        Images of a series: done, left out by the person, and all.
    folder : Path
        Within which a new folder is made.
    """

    name: str
    labels: SessionLabels
    image: Any
    path: Path | None
    rgb: bool
    question: DataSetQuestion | None
    done: int
    skipped: int
    count: int
    folder: Path

    @classmethod
    def of(cls, session: Session, labels: SessionLabels, folder: Path) -> DataSetOrder:
        """Take what a session has labelled."""
        image, series = session.image, session.state.series
        statuses = [status for _name, status in series.images]
        path = None if image is None or not image.source.path else Path(image.source.path)
        return cls(
            name=Path(series.folder).name if series.folder else bare_name(Path(image.name)) if image else _NAME,
            labels=labels,
            image=None if image is None else image.data[0] if image.multiscale else image.data,
            path=path,
            rgb=image is not None and bool(image.rgb),
            question=session.everything.data_set,
            done=statuses.count("done"),
            skipped=statuses.count("skipped"),
            count=len(statuses),
            folder=folder,
        )


@dataclass(frozen=True, slots=True)
class WrittenDataSet:
    """What was written: a folder, with so many images and objects."""

    folder: Path
    images: int
    objects: int


def write_data_set(order: DataSetOrder, progress: Progress) -> WrittenDataSet:
    """Write images and masks into a new folder, and the card beside them.

    A plane of a stack becomes an image of its own; planes without objects are left out.

    Raises
    ------
    InputError
        If nothing is labelled, or something cannot be read or written.
    """
    place = _free(order.folder, f"{order.name}-{_NAME}")
    with tempfile.TemporaryDirectory(prefix="napari-sam-dataset-") as scratch:
        pairs = list(_pairs(order, Path(scratch), lambda share: progress(share / 2)))
        if not pairs:
            raise InputError("No image has objects yet. Label some first.")
        images, objects = build_dataset(
            place, pairs, find_format("sa1b"), progress=lambda share: progress(0.5 + share / 2)
        )
    write_text(place / CARD, card(order, images, objects))
    return WrittenDataSet(place, images, objects)


def card(order: DataSetOrder, images: int, objects: int) -> str:
    """Say what a data set holds and how its masks were made, in Markdown."""
    lines = [
        f"# {order.name}",
        "",
        f"{images} images with {objects} masks in SA-1B's form: for each image a JSON file of its name, with masks in "
        "run-length encoding.",
        "",
    ]
    if order.count:
        lines += [
            f"Of a series of {order.count} images, {order.done} were marked as done, {order.skipped} skipped.",
            "",
        ]
    if order.question is not None:
        lines += ["| How objects were made | objects | a minute |", "|---|---|---|"]
        for row in stage_rows(order.question.read()):
            speed = "" if row.per_minute is None else f"{row.per_minute:.1f}"
            lines.append(f"| {row.name} | {row.objects} | {speed} |")
        lines += [
            "",
            "Counted in the journal of napari-sam-live over all sessions with these images; labels of other programs "
            "are not in it. Pauses of more than two minutes are left out.",
            "",
        ]
    today = datetime.now(UTC).date().isoformat()
    lines += ["Licence: not chosen yet.", "", f"Written on {today} by napari-sam-live {__version__}.", ""]
    return "\n".join(lines)


def _pairs(order: DataSetOrder, scratch: Path, progress: Progress) -> Iterator[tuple[Path, Path]]:
    """Give files of images and of their labels, one plane each; what is no such file yet is written as one."""
    layers, files = order.labels.layers, [one for one in order.labels.files if one.labels is not None]
    count, done = len(files) + (layers is not None), 0
    names: set[str] = set()
    if layers is not None and order.image is not None:
        axes = layers.axes or (-2, -1)
        yield from _planes(layers.name, order.path, order.image, layers.labels, axes, scratch, names, rgb=order.rgb)
        done += 1
    for one in files:
        progress(done / count)
        done += 1
        if one.labels is None or not one.labels.exists():
            continue
        ((image, options, _kind),) = read_layers(str(one.image))
        ((labels, label_options, _kind),) = read_layers(str(one.labels))
        pixels, rgb = finest(image, options), bool(options.get("rgb"))
        yield from _planes(
            one.image.name, one.image, pixels, finest(labels, label_options), (-2, -1), scratch, names, rgb=rgb
        )


def _planes(
    name: str,
    path: Path | None,
    image: Any,
    labels: Any,
    axes: tuple[int, int],
    scratch: Path,
    names: set[str],
    *,
    rgb: bool,
) -> Iterator[tuple[Path, Path]]:
    """Give the planes of an image that carry objects."""
    dims = len(labels.shape)
    axes = (axes[0] % dims, axes[1] % dims)
    for index, plane in find_planes(labels, axes, name, lambda _share: None):
        at = "".join(f"_{place:04d}" for place in index if place is not None)
        stem = _unique(f"{bare_name(Path(name))}{at}", names)
        marks = scratch / f"{stem}_labels.tif"
        tifffile.imwrite(marks, plane.astype(np.uint32))
        picture = scratch / f"{stem}.tif"
        whole = not at and path is not None and path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES
        if whole and path is not None:
            picture = scratch / f"{stem}{path.suffix}"
            shutil.copyfile(path, picture)
        else:
            cut = tuple(slice(None) if place is None else place for place in index)
            tifffile.imwrite(picture, np.asarray(image[cut]), photometric="rgb" if rgb else "minisblack")
        yield picture, marks


def _unique(stem: str, names: set[str]) -> str:
    """Give a name that no image has yet: two folders of a series may hold images of one name."""
    name, number = stem, 1
    while name.lower() in names:
        number += 1
        name = f"{stem}-{number}"
    names.add(name.lower())
    return name


def _free(folder: Path, stem: str) -> Path:
    """Name a folder that is not there yet."""
    place, number = folder / stem, 1
    while place.exists():
        number += 1
        place = folder / f"{stem}-{number}"
    return place
