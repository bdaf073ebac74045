"""Labels of images as files: in the formats of stacks, with spacing and units, or in those of other programs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.batch.tracks import is_time_series, require_time_series, tracks_path, write_tracks
from napari_sam.datasets.building import save_masks
from napari_sam.datasets.image_files import stem_of
from napari_sam.datasets.records import from_labels
from napari_sam.errors import InputError
from napari_sam.io.outputs import require_output
from napari_sam.io.stacks import check_output, open_stack, write_stack_labels
from napari_sam.io.writing import replacing_result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.automatic.tiles import MergedObject
    from napari_sam.batch.plan import PlannedImage
    from napari_sam.batch.results import ImageLabels
    from napari_sam.datasets.records import AnnotatedImage, MaskObject
    from napari_sam.datasets.table import DatasetFormat

_OWN_FORMATS = (".ome.tif", ".nii.gz", ".nii", ".mha", ".nrrd", ".zarr", ".npy")
"""Labels of such an image are written in its own format, those of others as .tif."""
_OTHER_FILES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".json", ".geojson", ".zip", ".txt", ".csv")
"""Nobody means a folder by such a name."""
_FILES = (".tif", ".tiff", ".npy", ".zarr", ".nii", ".nii.gz", ".mha", ".nrrd")


def is_file_name(output: Path, kind: DatasetFormat) -> bool:
    """Tell whether a name is that of a file in a format of masks; any other is that of a folder."""
    endings = _FILES if kind.name == "labels" else (kind.suffix,)
    return output.name.lower().endswith(endings)


def require_place(
    output: Path,
    images: Sequence[PlannedImage],
    kind: DatasetFormat,
    *,
    replacing: bool,
    others: Sequence[Path] = (),
    tracks: bool = False,
) -> None:
    """Refuse before the work what cannot be written after it.

    Parameters
    ----------
    output : Path
        A file for one image, else a folder.
    images : sequence of PlannedImage
    kind : DatasetFormat
    replacing : bool
        Whether the person agrees that what is there is replaced.
    others : sequence of Path
        What else is read, and must not be written over.
    tracks : bool
        Whether tracks are to be written, too.

    Raises
    ------
    InputError
        If images would be written over, there is no such folder, the output is taken or no place for so many, or there
        are no tracks.
    """
    if tracks:
        require_time_series(images)
    paths = [*(image.path for image in images), *(path.resolve() for path in others)]
    require_output(output, paths, replace=replacing, folder=True)
    if inside := [path for path in paths if output.resolve() in path.parents]:
        raise InputError(f"{inside[0]} is in {output}, which would be replaced. Choose another output.")
    if not is_file_name(output, kind):
        if output.name.lower().endswith(_OTHER_FILES) and not output.is_dir():
            are = "are" if kind.title.endswith("s") else "is"
            raise InputError(f"{output.name}: {kind.title} {are} written as {kind.suffix}, or into a folder.")
        if output.is_file():
            raise InputError(f"{output} is a file, and results are written into a folder. Choose another output.")
        names = [_file_name(image, kind).lower() for image in images]
        if twice := [image for image, name in zip(images, names, strict=True) if names.count(name) > 1]:
            raise InputError(f"{twice[0].path} and {twice[1].path} would share one name. Rename one, or do them apart.")
        return
    if tracks:
        require_output(tracks_path(output.parent, output.name), paths, replace=replacing)
    if len(images) > 1:
        raise InputError(f"{len(images)} images are written into a folder, and {output.name} is a file's name.")
    if kind.name == "labels":
        with open_stack(images[0].path) as stack:
            check_output(output, stack)
    elif not kind.several and len(images[0].planes) > 1:
        raise InputError(f"{kind.title} holds one plane a file: {output.name} has no place for a stack. Name a folder.")


def write(output: Path, results: Sequence[ImageLabels], kind: DatasetFormat, *, tracks: bool = False) -> None:
    """Write the labels of all images; the output takes its name when it is whole.

    Parameters
    ----------
    output : Path
        As `require_place` found it good.
    results : sequence of ImageLabels
    kind : DatasetFormat
    tracks : bool
        Whether to write the tracks of time series beside them; see `napari_sam.batch.tracks`.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    if is_file_name(output, kind):
        if kind.name == "labels":
            _write_labels(output, results[0])
        else:
            kind.write(output, list(_annotated(results[0])))
        if tracks:
            write_tracks(tracks_path(output.parent, output.name), results[0])
        return
    with replacing_result(output) as folder:
        folder.mkdir()
        if kind.name == "labels":
            for result in results:
                _write_labels(folder / _file_name(result.image, kind), result)
        else:
            save_masks(folder, (one for result in results for one in _annotated(result)), kind)
        for result in results if tracks else ():
            if is_time_series(result.image):
                write_tracks(tracks_path(folder, result.image.path.name), result)


def _write_labels(path: Path, result: ImageLabels) -> None:
    with open_stack(result.image.path) as stack:
        write_stack_labels(path, _Narrowed(result.labels, result.objects), stack, largest=result.objects)


class _Narrowed:
    """Labels in the smallest type that holds them, of which a plane is never there in a wider one."""

    def __init__(self, labels: Any, largest: int) -> None:
        self._labels = labels
        self.shape: tuple[int, ...] = tuple(labels.shape)
        self.dtype = np.min_scalar_type(largest)

    def __getitem__(self, index: tuple[int, ...], /) -> NDArray[Any]:
        plane = np.empty(self.shape[-2:], self.dtype)
        rows = self._labels.chunks[-2]
        for top in range(0, len(plane), rows):
            plane[top : top + rows] = self._labels[(*index, slice(top, top + rows))]
        return plane


def _file_name(image: PlannedImage, kind: DatasetFormat) -> str:
    name = image.path.name
    own = next((ending for ending in _OWN_FORMATS if name.lower().endswith(ending)), "")
    if kind.name != "labels":
        return stem_of(name)
    return name if own else f"{stem_of(name)}.tif"


def _annotated(result: ImageLabels) -> Iterator[AnnotatedImage]:
    """Take the objects out of the labels, plane by plane."""
    places = {index: place for place, index in enumerate(np.ndindex(*result.image.shape[:-2]))}
    for plane in result.image.planes:
        labels = np.asarray(result.labels[plane.index])
        found = from_labels(result.image.path.name, labels, plane=places[plane.index])
        known = result.known[plane.index]
        matching = result.matching
        categories = {} if matching is None else {one.number: one.category for one in matching.objects}
        objects = (replace(one, category=categories.get(one.number or 0)) for one in found.objects)
        yield replace(found, objects=tuple(_told(one, known.get(one.number or 0)) for one in objects))


def _told(one: MaskObject, known: MergedObject | None) -> MaskObject:
    """Add what a model said; of an object that was filled in between two planes it said nothing."""
    if known is None:
        return one
    return replace(one, score=known.score, stability=known.stability, point=known.point, crop=known.crop)
