"""Datasets as folders: images and the files with their masks, laid out as each format is used.

SA-1B's files stand beside their images, COCO's one file above a folder ``images``; the others have a folder ``labels``
beside ``images``, with the same names.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from napari_sam.datasets.documents import write_text
from napari_sam.datasets.formats.coco import write_coco
from napari_sam.datasets.formats.label_files import read_label_file
from napari_sam.datasets.formats.yolo import class_names
from napari_sam.datasets.image_files import IMAGE_SUFFIXES, bare_name, image_size, stem_of
from napari_sam.errors import InputError
from napari_sam.io.labels import LABEL_SUFFIXES
from napari_sam.io.stacks import images_in
from napari_sam.io.writing import replacing_result
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_sam.datasets.records import AnnotatedImage
    from napari_sam.datasets.table import DatasetFormat
    from napari_sam.progress import Progress

_IMAGES, _LABELS, _COCO_FILE = "images", "labels", "annotations.json"
_LABELLED = re.compile(r"[-_. ](labels?|(?:cp_)?masks?|seg|segmentation)$", re.IGNORECASE)
# JPEG and its like invent labels along every border; Cellpose's _seg.npy holds Python objects.
_NO_LABELS = (".jpg", ".jpeg", ".webp", ".jp2", "_seg.npy")


def images_folder(folder: Path, kind: DatasetFormat) -> Path:
    """Return where the images of a dataset stand."""
    return folder if kind.name == "sa1b" else folder / _IMAGES


def save_masks(folder: Path, images: Iterable[AnnotatedImage], kind: DatasetFormat) -> list[Path]:
    """Write the masks of images into a folder, laid out as the format is used.

    Parameters
    ----------
    folder : Path
        Made where it is not there. Files of the same names are replaced.
    images : iterable of AnnotatedImage
        Planes of one stack one after the other. Only those of one image are in memory at a time.
    kind : DatasetFormat

    Returns
    -------
    list of Path
        The files with masks.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    place = folder if kind.name in ("sa1b", "coco") else folder / _LABELS
    place.mkdir(parents=True, exist_ok=True)
    if kind.name == "coco":
        write_coco(place / _COCO_FILE, images)
        return [place / _COCO_FILE]
    written = []
    for name, planes in groupby(images, key=lambda image: image.name):
        together = list(planes)
        parts = [together] if kind.several else [[plane] for plane in together]
        for part in parts:
            which = f"_{part[0].plane:04d}" if len(parts) > 1 else ""
            written.append(place / f"{stem_of(name)}{which}{kind.suffix}")
            kind.write(written[-1], part)
    if kind.name == "yolo":
        _write_yolo_settings(folder)
    return written


def _write_yolo_settings(folder: Path) -> None:
    """Write what training programs read: where images are, and the names of the classes."""
    # Texts of JSON are texts of YAML, too.
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(class_names(folder / _LABELS)))
    write_text(folder / "data.yaml", f"path: .\ntrain: {_IMAGES}\nval: {_IMAGES}\nnames:\n{names}")


def pair_files(images: Path, labels: Path, *, stacks: bool = False) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Match images and labels by their names; labels may be called ``a_labels.tif`` or ``a_mask.png``, too.

    Parameters
    ----------
    images, labels : Path
        Two folders, which may be one; or two files.
    stacks : bool
        Whether files of all kinds that `napari_sam.io.stacks.open_stack` reads count, and not PNG, TIFF and JPEG alone.

    Returns
    -------
    pairs : list of (Path, Path)
        By name.
    notes : list of str
        Which have no partner.

    Raises
    ------
    InputError
        If there is no pair, or two images share a name.
    """
    if images.is_file() and labels.is_file():
        return [(images, labels)], []
    for folder in (images, labels):
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}. Give a folder of images and one of labels, or two files.")
    masks = {
        _LABELLED.sub("", stem): path
        for stem, path in _stems(labels, LABEL_SUFFIXES, stacks)
        if (images != labels or _LABELLED.search(stem)) and not path.name.lower().endswith(_NO_LABELS)
    }
    pictures: dict[str, Path] = {}
    for stem, path in _stems(images, IMAGE_SUFFIXES, stacks):
        if path in masks.values() or (images == labels and _LABELLED.search(stem)):
            continue
        # Of cell.png and cell.tif in a series of images, each has labels of its own.
        key = path.name if path.name in masks else stem
        if key in pictures:
            raise InputError(f"{pictures[key]} and {path} share one name. Rename one of them.")
        pictures[key] = path
    both = sorted(pictures.keys() & masks.keys())
    if not both:
        raise InputError(
            f"No image of {images} has labels of its name in {labels} ({len(pictures)} images, {len(masks)} labels). "
            "Call the labels of a.tif a.tif, a.png or a_labels.tif."
        )
    notes = [
        _without("Images without labels, left out", pictures.keys() - masks.keys()),
        _without("Labels without an image, left out", masks.keys() - pictures.keys()),
    ]
    return [(pictures[stem], masks[stem]) for stem in both], [note for note in notes if note]


def _stems(folder: Path, suffixes: tuple[str, ...], stacks: bool) -> list[tuple[str, Path]]:
    if stacks:
        return [(bare_name(path), path) for path in images_in(folder)]
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes and path.is_file()]
    return [(stem_of(path.name), path) for path in found]


def _without(words: str, names: set[str]) -> str:
    shown = sorted(names)
    return f"{words} ({len(shown)}): {', '.join(shown[:5])}{' and others' if len(shown) > 5 else ''}." if shown else ""


def build_dataset(
    folder: Path,
    pairs: Sequence[tuple[Path, Path]],
    kind: DatasetFormat,
    *,
    category: str | None = None,
    progress: Progress = no_progress,
) -> tuple[int, int]:
    """Make a dataset of images and labels; it takes its name when it is whole.

    Parameters
    ----------
    folder : Path
        What is there is replaced.
    pairs : sequence of (Path, Path)
        Images, which are copied as they are, and their labels.
    kind : DatasetFormat
    category : str, optional
        Of all objects.
    progress : Progress
        Called after every image.

    Returns
    -------
    images, objects : int
        How many there are in it.

    Raises
    ------
    InputError
        If labels cannot be read or do not fit, or the folder cannot be written.
    """
    count = 0

    def annotated(place: Path) -> Iterator[AnnotatedImage]:
        nonlocal count
        for done, (picture, labels) in enumerate(pairs, 1):
            (image,) = read_label_file(labels)
            if (size := image_size(picture)) != image.shape:
                raise InputError(
                    f"{labels} is {image.shape[0]} x {image.shape[1]} px, its image {size[0]} x {size[1]} px. Give "
                    "labels of the same size."
                )
            shutil.copyfile(picture, images_folder(place, kind) / picture.name)
            count += len(image.objects)
            yield replace(image, name=picture.name, objects=tuple(replace(o, category=category) for o in image.objects))
            progress(done / len(pairs))

    with replacing_result(folder) as place:
        images_folder(place, kind).mkdir(parents=True)
        save_masks(place, annotated(place), kind)
    return len(pairs), count
