"""BBBC038 (Data Science Bowl 2018, CC0): getting it, reading it, and a validation split of a tenth of each image type.

Source: Broad Bioimage Benchmark Collection, accession BBBC038v1; Caicedo et al., Nature Methods 2019. Two layouts are
read, each as a zip archive or as a folder: ``images/ID.png`` with ``labels/ID.png``, and the original one of
``stage1_train.zip``, ``ID/images/ID.png`` with one file for each nucleus in ``ID/masks/``.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_sam.checkpoints import download
from napari_sam.errors import InputError, NapariSamError, WeightsError
from napari_sam.evaluation.dataset import LabelledImage, image_kind
from napari_sam.files import home, open_plain
from napari_sam.io.formats.archives import archive_problem, open_archive, read_member
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.progress import Progress

URL = "https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip"
EXPECTED = 670
"""Images in the archive at `URL`."""
SIZE = 82_000_000
"""Its bytes, nearly."""
MOST = 2 * SIZE
"""Bytes after which what a server sends cannot be the archive."""

_SHARE = 10  # one image in ten of a type is kept for validation
_NAME = 12  # characters of an ID that tell it from the others

_IMAGE = re.compile(r"(?P<root>(?:.*/)?)images/(?P<name>[^/]+)\.png")


@dataclass(frozen=True, slots=True)
class _ArchiveImage:
    """An image of an archive: its name, its file, and the file of its labels or those of its masks."""

    name: str
    image: str
    labels: str | None = None
    masks: tuple[str, ...] = ()


def archive_path() -> Path:
    """Where `download_archive` puts the archive: the folder of everything that is kept for the person."""
    return home() / "data" / "BBBC038" / PurePosixPath(URL).name


def download_archive(progress: Progress = no_progress, url: str = URL, expected: int = EXPECTED) -> Path:
    """Download the original archive, unless it is here.

    Parameters
    ----------
    progress : Progress
        May raise `Cancelled`; what has arrived is kept, and the next call goes on from it.
    url : str
        Where it is.
    expected : int
        Images that it must hold. No checksum is published; that the archive is whole is seen from its own sums.

    Returns
    -------
    Path

    Raises
    ------
    WeightsError
        If it cannot be downloaded.
    InputError
        If what is there is another archive.
    """
    target = archive_path()
    source = download.DownloadSource("BBBC038", (url,), most=MOST, check=archive_problem)
    try:
        download.download(source, target, progress)
    except WeightsError as error:
        advice = f"Or fetch {url} on another machine and give the file with --bbbc038 FILE."
        raise WeightsError(str(error).replace(download.by_hand(source), advice)) from error
    with _readable(target), _opened(target) as (names, _read):
        found = len(_find(names))
    if found != expected:
        raise InputError(
            f"{target} holds {found} images with masks instead of {expected}. Delete it and try again, or give another "
            "copy of the archive with --bbbc038 FILE."
        )
    return target


def read_archive(path: Path, progress: Progress = no_progress) -> list[LabelledImage]:
    """Read every image of an archive or a folder, in either layout, sorted by name.

    In the original layout, a pixel that two masks share stays with the first, in the order of the files' names, and
    an image is called by the first 12 characters of its ID, so that the validation split of either layout is drawn
    from the same names.

    Parameters
    ----------
    path : Path
    progress : Progress
        Called after every image; may raise `Cancelled`.

    Raises
    ------
    InputError
        If it cannot be read, or holds no images with labels or masks.
    """
    images = []
    with _readable(path), _opened(path) as (names, read):
        found = _find(names)
        for done, entry in enumerate(found, 1):
            image = _colours(_decode(read(entry.image)))
            labels = _labels(entry, read, image.shape[:2])
            images.append(LabelledImage(entry.name, image_kind(image), image, labels))
            progress(done / len(found))
    if not images:
        raise InputError(
            f"{path} holds no images/*.png with labels/*.png, and no ID/images/*.png with ID/masks/*.png. "
            "Give the BBBC038 archive (stage1_train.zip), or the folder that was unpacked from it."
        )
    return images


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say what to do when an archive or one of its pictures is damaged."""
    try:
        yield
    except NapariSamError:
        raise
    # What Pillow and the reader of archives raise upon damaged files: SyntaxError, struct.error, zlib.error, ...
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as a zip archive or a folder of BBBC038 ({error}). Give the archive, "
            "stage1_train.zip or one with images/ and labels/, or the folder that was unpacked from it."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Names of the files of an archive or a folder, with slashes, and what reads one of them."""
    if path.is_dir():
        names = [file.relative_to(path).as_posix() for file in path.rglob("*.png")]
        yield names, lambda name: _contents(path / name)
    else:
        with open_archive(path) as archive:
            yield archive.namelist(), lambda name: read_member(archive, name, f"{path}/{name}")


def _contents(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read()


def _find(names: Iterable[str]) -> list[_ArchiveImage]:
    """Pair images with what says where their objects are; sorted by name."""
    # What macOS adds to archives looks like more images.
    kept = {name for name in names if "__MACOSX/" not in name and not PurePosixPath(name).name.startswith(".")}
    masks: dict[str, list[str]] = defaultdict(list)
    for name in kept:
        folder, slash, file = name.rpartition("masks/")
        if slash and file.endswith(".png") and "/" not in file:
            masks[folder].append(name)
    found = []
    for name in kept:
        if match := _IMAGE.fullmatch(name):
            labels = f"{match['root']}labels/{match['name']}.png"
            if labels in kept:
                found.append(_ArchiveImage(match["name"], name, labels=labels))
            elif match["root"] in masks:
                found.append(_ArchiveImage(match["name"][:_NAME], name, masks=tuple(sorted(masks[match["root"]]))))
    return sorted(found, key=lambda entry: entry.name)


def _decode(contents: bytes) -> NDArray[np.generic]:
    with Image.open(io.BytesIO(contents)) as picture:
        return np.asarray(picture)


def _colours(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Make (H, W, 3) of grey, with or without opacity, and of RGB and RGBA."""
    if image.dtype != np.uint8:
        raise InputError(f"An image is of {image.dtype}, not of bytes. Give the archive as it was published.")
    image = image[..., None] if image.ndim == 2 else image
    image = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, 2)
    return np.ascontiguousarray(image, np.uint8)


def _labels(entry: _ArchiveImage, read: Callable[[str], bytes], shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Read the one label image, or number masks, each of which takes only what is free."""
    if entry.labels is not None:
        return _fitting(_decode(read(entry.labels)), shape, entry.labels).astype(np.uint16)
    labels = np.zeros(shape, np.uint16)
    label = 0
    for file in entry.masks:
        mask = _fitting(_decode(read(file)), shape, file)
        free = ((mask if mask.ndim == 2 else mask[..., 0]) != 0) & (labels == 0)
        if free.any():
            label += 1
            labels[free] = label
    return labels


def _fitting(labels: NDArray[np.generic], shape: tuple[int, ...], name: str) -> NDArray[np.generic]:
    if labels.shape[:2] != shape:
        raise InputError(f"{name} and its image differ in size. Give the archive as it was published.")
    return labels


def split(images: Iterable[LabelledImage]) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Divide images into training and validation, the same way on every run.

    A tenth of each type, rounded, is kept for validation: the first when names are sorted by their SHA-256.

    Returns
    -------
    training, validation : list of LabelledImage
    """
    kinds: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        kinds[image.kind].append(image)
    training, validation = [], []
    for kind in sorted(kinds):
        members = sorted(kinds[kind], key=lambda member: hashlib.sha256(member.name.encode()).hexdigest())
        kept = round(len(members) / _SHARE)
        validation += members[:kept]
        training += members[kept:]
    return training, validation
