"""All formats of masks: what the command line and napari's dialogs offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from napari_sam.datasets.documents import read_json
from napari_sam.datasets.formats.coco import is_coco, read_coco, write_coco
from napari_sam.datasets.formats.geojson import is_geojson, read_geojson, write_geojson
from napari_sam.datasets.formats.imagej import is_roi_archive, read_rois, write_rois
from napari_sam.datasets.formats.label_files import read_label_file, write_label_file
from napari_sam.datasets.formats.sa1b import is_sa1b, read_sa1b, write_sa1b
from napari_sam.datasets.formats.yolo import CLASSES, read_yolo, write_yolo
from napari_sam.errors import InputError
from napari_sam.io.labels import LABEL_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.datasets.records import AnnotatedImage


class Writes(Protocol):
    """Writes a file in one step."""

    def __call__(self, path: Path, images: Sequence[AnnotatedImage], /) -> None:
        """Raise `InputError` if it cannot be written."""


class Reads(Protocol):
    """Reads what a file holds."""

    def __call__(self, path: Path, faults: list[str] | None = None, /) -> list[AnnotatedImage]:
        """Raise `InputError` over the first fault, or gather them; see `napari_sam.datasets.documents.Intake`."""


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """A format of masks.

    Attributes
    ----------
    name : str
        What the command line calls it.
    title : str
        What a person calls it.
    suffix : str
        Of its files.
    several : bool
        Whether a file holds many images, or planes of a stack; else it is written with one.
    exact : bool
        Whether every mask comes back pixel by pixel, under others too.
    write : Writes
    read : Reads
    """

    name: str
    title: str
    suffix: str
    several: bool
    exact: bool
    write: Writes
    read: Reads


FORMATS = (
    DatasetFormat("labels", "labels", ".tif", False, False, write_label_file, read_label_file),
    DatasetFormat("coco", "COCO JSON", ".json", True, True, write_coco, read_coco),
    DatasetFormat("sa1b", "SA-1B JSON", ".json", False, True, write_sa1b, read_sa1b),
    DatasetFormat("geojson", "GeoJSON", ".geojson", True, True, write_geojson, read_geojson),
    DatasetFormat("imagej", "ImageJ ROIs", ".zip", True, True, write_rois, read_rois),
    DatasetFormat("yolo", "YOLO polygons", ".txt", False, False, write_yolo, read_yolo),
)


def find_format(name: str) -> DatasetFormat:
    """Return the format of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    for one in FORMATS:
        if one.name == name:
            return one
    raise InputError(f"{name!r} is not a format of masks. Choose one of {', '.join(one.name for one in FORMATS)}.")


def recognise(path: Path) -> DatasetFormat | None:
    """Tell the format of a file by its name and what is in it; None where it holds no masks.

    Labels and YOLO's polygons are files as any other, and are told by the name of their folder, "labels".

    Raises
    ------
    InputError
        If it is JSON that cannot be read.
    """
    suffix, in_labels = path.suffix.lower(), path.parent.name.lower() == "labels"
    if suffix in (".json", ".geojson"):
        document = read_json(path)
        kinds = {"sa1b": is_sa1b, "coco": is_coco, "geojson": is_geojson}
        name = next((name for name, is_kind in kinds.items() if is_kind(document)), "")
    elif suffix == ".zip":
        name = "imagej" if is_roi_archive(path) else ""
    elif suffix == ".txt":
        name = "yolo" if in_labels and path.name != CLASSES else ""
    else:
        name = "labels" if in_labels and suffix in LABEL_SUFFIXES else ""
    return find_format(name) if name else None
