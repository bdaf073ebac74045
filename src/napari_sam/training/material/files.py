"""Images and their labels in files and folders."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam.datasets.building import pair_files
from napari_sam.datasets.image_series import PROGRESS_FILE, ImageSeries
from napari_sam.errors import InputError
from napari_sam.io.labels import read_labels
from napari_sam.io.stacks import is_stack_folder, open_stack
from napari_sam.journal.pixels import pixels_digest
from napari_sam.planes.source import PlaneIndex
from napari_sam.training.material.labelled_stack import (
    LabelledPlane,
    LabelledStack,
    chosen_window,
    find_planes,
    plane_name,
    read_labels_plane,
    require_axes,
)
from napari_sam.training.material.sources import LabelledFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.io.stack import ImageStack
    from napari_sam.progress import Progress
    from napari_sam.training.material.labelled_stack import Limits
    from napari_sam.training.material.sources import LabelledFolder

_IMAGES, _LABELS = "images", "labels"
_MASK_VALUES = (1, 255)
"""What a mask has inside, where it does not number its objects."""


def files_in(source: LabelledFolder) -> list[LabelledFile]:
    """Find the images of a folder that have labels, by their names.

    Where somebody went through the folder image by image and said which are done, only those count as complete, and
    what was skipped is left out.

    Raises
    ------
    InputError
        If there are none.
    """
    if is_stack_folder(source.images):
        return [LabelledFile(source.images, source.labels, source.axes, source.channel)]
    pairs: list[tuple[Path, Path]] = []
    fault: InputError | None = None
    for images, labels in _folders(source.images, source.labels):
        try:
            pairs += pair_files(images, labels, stacks=True)[0]
        except InputError as error:
            fault = fault or error
    if not pairs:
        raise fault or InputError(f"There is no folder {source.images}. Give a folder of images and labels.")
    said = _statuses(pairs)
    return [
        LabelledFile(image, labels, source.axes, source.channel, said.get(image, "done") == "done")
        for image, labels in pairs
        if said.get(image) != "skipped"
    ]


def _folders(images: Path, labels: Path | None) -> list[tuple[Path, Path]]:
    """Say where images and their labels stand, the likeliest first."""
    if labels is None:
        if (images / _IMAGES).is_dir() and (images / _LABELS).is_dir():
            images, labels = images / _IMAGES, images / _LABELS
        elif (images / _LABELS).is_dir():
            return [(images, images), (images, images / _LABELS)]
        elif images.name == _IMAGES and (images.parent / _LABELS).is_dir():
            return [(images, images), *_folders(images, images.parent / _LABELS)]
        else:
            return [(images, images)]
    within = sorted(path for path in images.iterdir() if path.is_dir()) if images.is_dir() else []
    return [(images, labels), *((path, labels / path.name) for path in within if (labels / path.name).is_dir())]


def _statuses(pairs: list[tuple[Path, Path]]) -> dict[Path, str]:
    """Read what a person said of the images of a folder, if they went through it."""
    said: dict[Path, str] = {}
    for images, labels in dict.fromkeys((image.parent, labels.parent) for image, labels in pairs):
        if (labels / PROGRESS_FILE).exists():
            series = ImageSeries.open(images, None if images == labels else labels)
            said |= {image.path: image.status for image in series}
    return said


def find_labels(image: Path) -> Path:
    """Find the labels of an image by its name.

    Raises
    ------
    InputError
        If there are none.
    """
    for folder in (image.parent, image.parent / _LABELS, image.parent.parent / _LABELS):
        if folder.is_dir():
            # What is wrong with other images of the folder does not matter here.
            with suppress(InputError):
                for picture, labels in pair_files(image.parent, folder, stacks=True)[0]:
                    if picture == image and labels != image:
                        return labels
    raise InputError(
        f"{image} has no labels: there is neither {image.stem}_labels.tif beside it nor a file of its name in a folder "
        "labels. Give the file of its labels, or label it in the window and take the objects out of the journal."
    )


@contextmanager
def open_file(source: LabelledFile, progress: Progress) -> Iterator[LabelledStack]:
    """Open an image with its labels.

    Labels of which all pixels inside are 1, or 255, are a mask: each of its pieces is an object.

    Yields
    ------
    LabelledStack
        To be read while it is open.

    Raises
    ------
    InputError
        If a file cannot be read, or the labels do not fit.
    """
    path = source.labels or find_labels(source.image)
    with ExitStack() as opened:
        image = opened.enter_context(open_stack(source.image))
        labels = _open_labels(path, opened)
        channel, fitting = _fit(source, image, labels.shape, path)
        axes = require_axes(source.axes or (-2, -1), len(fitting), str(path))
        found = []
        values: set[tuple[int, int]] = set()
        for index, plane in find_planes(labels, axes, str(path), progress):
            found.append(index)
            values.add((int(plane[plane > 0].min()), int(plane.max())))
        # Told by all planes: of a stack, some may have one object only.
        is_mask = len(values) == 1 and values <= {(value, value) for value in _MASK_VALUES}
        names = "".join(image.axes[axis] for axis in fitting)
        windows: dict[int | None, Callable[[], Limits | None]] = {}
        planes = []
        for index in found:
            view = _view(image, axes, index, fitting, channel)
            at = image.axes.find("c")
            which = None if at < 0 else view.index[at]
            if which not in windows:
                windows[which] = _window(image, which)
            planes.append(
                LabelledPlane(
                    plane_name(source.image.name, index, names),
                    image.data,
                    view,
                    _reader(labels, index, path, is_mask=is_mask),
                    windows[which],
                    complete=source.complete,
                )
            )
        digest = pixels_digest(image.data, len(image.axes), progress) if planes else ""
        yield LabelledStack(source.image.name, digest, planes)


def _open_labels(path: Path, opened: ExitStack) -> Any:
    """Open labels of any format, without reading those of a stack."""
    if path.name.lower().endswith("_seg.npy"):
        raise InputError(
            f"{path} holds Python objects, which may do anything when they are read. Save its masks as PNG or TIFF in "
            "Cellpose, and give that file."
        )
    if path.suffix.lower() == ".png":
        return read_labels(path)  # knows palettes, whose numbers count and whose colours do not
    stack = opened.enter_context(open_stack(path))
    if stack.rgb:
        raise InputError(
            f"{path} is in colour; labels are grey: 0 for background, and the number of its object in every other "
            "pixel. Save them as 16-bit TIFF or PNG."
        )
    return stack.data


def _fit(
    source: LabelledFile, image: ImageStack, shape: tuple[int, ...], path: Path
) -> tuple[int | None, tuple[int, ...]]:
    """Say which channel the labels are of, None if they have them all, and which axis of the image each axis is."""
    every = tuple(range(len(image.axes)))
    if tuple(shape) == image.shape:
        return None, every
    at = image.axes.find("c")
    without = tuple(axis for axis in every if axis != at)
    if at >= 0 and tuple(shape) == tuple(image.shape[axis] for axis in without):
        channels = image.shape[at]
        if source.channel is None or not 0 <= source.channel < channels:
            raise InputError(
                f"{source.image} has {channels} channels, its labels {path} have none. Say which channel the objects "
                f"were drawn on: 0 to {channels - 1}."
            )
        return source.channel, without
    sizes = [" x ".join(str(side) for side in one) for one in (shape, image.shape)]
    raise InputError(f"{path} is {sizes[0]} px, its image {source.image} {sizes[1]} px. Give labels of the same size.")


def _view(
    image: ImageStack,
    axes: tuple[int, int],
    index: tuple[int | None, ...],
    fitting: tuple[int, ...],
    channel: int | None,
) -> PlaneIndex:
    """Say where in the image a plane of its labels is."""
    rows, columns = fitting[axes[0]], fitting[axes[1]]
    known = dict(zip(fitting, index, strict=True))
    places = tuple(known.get(axis, channel) for axis in range(len(image.axes)))
    shape = image.shape[rows], image.shape[columns]
    return PlaneIndex((rows, columns), places, shape, image.plane_spacing(rows, columns))


def _window(image: ImageStack, channel: int | None) -> Callable[[], Limits | None]:
    """Choose the grey values shown black and white: those that the file states, else those that a person would set."""
    if image.windows and not image.rgb:
        stated = image.windows[channel] if channel is not None and len(image.windows) > 1 else image.contrast_limits
        return lambda: stated
    fixed = {} if channel is None else {image.axes.find("c"): channel}
    return chosen_window(image.data, len(image.axes), fixed)


def _reader(
    labels: Any, index: tuple[int | None, ...], path: Path, *, is_mask: bool
) -> Callable[[], NDArray[np.integer[Any]]]:
    def read() -> NDArray[np.integer[Any]]:
        plane = read_labels_plane(labels, index, str(path))
        # Pixels that meet at a corner are one piece.
        return np.asarray(ndimage.label(plane, np.ones((3, 3)))[0]) if is_mask else plane

    return read


def with_labels(source: LabelledFile) -> LabelledFile:
    """Look for the labels of an image, if they are not named: before any work, so that a slip shows at once."""
    return source if source.labels is not None else replace(source, labels=find_labels(source.image))
