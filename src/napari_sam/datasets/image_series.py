"""Images that are annotated one after the other: their order, where their labels are, and what is done.

What is done is kept in a small file beside the labels, so that the work goes on another day, or on another machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from napari_sam.datasets.image_files import OWN_FORMATS, bare_name
from napari_sam.errors import InputError
from napari_sam.files import read_small, replacing
from napari_sam.io.outputs import reason, remedy, same_place
from napari_sam.io.stacks import images_in, is_stack_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ImageStatus = Literal["untouched", "started", "done", "skipped"]
"""How far an image is: without labels, with some, finished, or left out by the person."""

PROGRESS_FILE = "napari-sam-series.json"
"""Name of the file that says what is done."""

_FORMAT, _VERSION = "napari-sam-series", 1
_ENDING = "_labels"
_MOST = 1 << 24  # bytes of a progress file: some hundred thousand images
_KNOWN = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".png", ".npy", ".nii.gz", ".nii", ".mha", ".nrrd", ".zarr")


@dataclass(frozen=True, slots=True)
class SeriesImage:
    """One image of a series.

    Attributes
    ----------
    path : Path
        The image.
    labels : Path
        Where its labels are, or will be.
    status : str
        An `ImageStatus`.
    """

    path: Path
    labels: Path
    status: ImageStatus = "untouched"

    @property
    def name(self) -> str:
        """Name for a person."""
        return self.path.name


class ImageSeries:
    """A row of images, and how far each is.

    Parameters
    ----------
    images : iterable of SeriesImage
        In their order.
    folder : Path
        Where the progress file is.

    Raises
    ------
    InputError
        If the progress file is there and cannot be read.
    """

    def __init__(self, images: Sequence[SeriesImage], folder: Path) -> None:
        self.folder = folder
        self._said = _read_progress(folder / PROGRESS_FILE)
        self._images = [replace(image, status=self._status(image)) for image in images]

    @classmethod
    def open(cls, source: Path | Sequence[Path], labels: Path | None = None) -> ImageSeries:
        """Make a series of a folder, or of a list of images.

        Parameters
        ----------
        source : Path or sequence of Path
            A folder of images, which are taken in natural order, its labels left out; or images in their order.
        labels : Path, optional
            Folder for the labels; made if it is not there. Default: beside each image.

        Raises
        ------
        InputError
            If there are no images, one is not there, or the folder for labels cannot be made.
        """
        given = [source] if isinstance(source, Path) else [Path(one) for one in source]
        if len(given) == 1 and given[0].is_dir() and not is_stack_folder(given[0]):
            paths = [path for path in images_in(given[0]) if not _is_labels(path)]
            if not paths:
                raise InputError(f"There are no images in {given[0]}. Choose a folder of TIFF, PNG or other images.")
        else:
            paths = given
            for path in paths:
                if not path.exists():
                    raise InputError(f"There is no image {path}.")
        if not paths:
            raise InputError("A series has at least one image.")
        if labels is not None:
            try:
                labels.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{labels} cannot be made: {reason(error)}. {remedy(error)}") from error
            if any(same_place(labels, path) for path in paths):
                raise InputError(f"{labels} is one of the images. Choose another folder for labels.")
        return cls(
            [SeriesImage(path, where) for path, where in _label_places(paths, labels)], labels or paths[0].parent
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> SeriesImage:
        return self._images[index]

    def __iter__(self) -> Iterator[SeriesImage]:
        return iter(self._images)

    def count(self, status: ImageStatus) -> int:
        """Count the images of a status."""
        return sum(image.status == status for image in self._images)

    def next_open(self, index: int, step: int = 1, *, around: bool = False) -> int | None:
        """Find the nearest image that is neither done nor skipped, going on from one; None where there is none.

        Parameters
        ----------
        index : int
            Where to go on from; -1 or the number of images to begin at an end.
        step : {1, -1}
            Which way.
        around : bool
            Go on at the other end, up to the image itself.
        """
        places = [*range(index + 1, len(self))] if step > 0 else [*range(index - 1, -1, -1)]
        if around:
            places += [*range(index)] if step > 0 else [*range(len(self) - 1, index, -1)]
        return next((at for at in places if self._images[at].status not in ("done", "skipped")), None)

    def mark(self, index: int, status: ImageStatus) -> None:
        """Say how far an image is, and write that down.

        Raises
        ------
        InputError
            If it cannot be written; the status counts all the same until the end of the program.
        """
        image = self._images[index]
        if image.status == status:
            return
        self._images[index] = replace(image, status=status)
        # Whether there are labels is seen from the files.
        if status in ("done", "skipped"):
            self._said[image.name] = status
        elif self._said.pop(image.name, None) is None:
            return
        self._write()

    def _status(self, image: SeriesImage) -> ImageStatus:
        if (said := self._said.get(image.name)) is not None:
            return said
        return "started" if image.labels.exists() else "untouched"

    def _write(self) -> None:
        path = self.folder / PROGRESS_FILE
        text = json.dumps({"format": _FORMAT, "version": _VERSION, "images": self._said}, indent=1, ensure_ascii=False)
        try:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from error


def _read_progress(path: Path) -> dict[str, ImageStatus]:
    """Read what is done, by the names of images; nothing where there is no file."""
    if not path.exists():
        return {}
    try:
        data = json.loads(read_small(path, _MOST))
        if data["format"] != _FORMAT or data["version"] != _VERSION:
            raise ValueError
        return {str(name): status for name, status in data["images"].items() if status in get_args(ImageStatus)}
    # Whatever is wrong with it, it is the person's, and not written over.
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} says which images are done, and cannot be read. Delete it to begin anew, or bring back a copy."
        ) from error


def _is_labels(path: Path) -> bool:
    """Tell whether a file holds the labels of an image, by its name."""
    return bare_name(path).endswith(_ENDING)


def _label_places(paths: Sequence[Path], folder: Path | None) -> Iterator[tuple[Path, Path]]:
    """Say where the labels of each image are: those that are there, under any known ending, or else a new file."""
    stems = [bare_name(path) for path in paths]
    for path, stem in zip(paths, stems, strict=True):
        # Of cell.png and cell.tif, each has labels of its own.
        name = stem if stems.count(stem) == 1 else path.name
        place = path.parent if folder is None else folder
        own = next((one for one in OWN_FORMATS if path.name.lower().endswith(one)), ".tif")
        found = (place / f"{name}{_ENDING}{ending}" for ending in _KNOWN)
        yield path, next((one for one in found if one.exists()), place / f"{name}{_ENDING}{own}")
