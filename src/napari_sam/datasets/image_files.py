"""Images beside the files with their masks, and how large they are."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from napari_sam.errors import InputError
from napari_sam.io.reading import reading, require_file

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
"""Endings of images that can stand in a dataset."""
_FOLDER = "images"
OWN_FORMATS = (".nii.gz", ".nii", ".mha", ".nrrd")
"""Endings of formats in which alone labels keep their place and orientation."""


def stem_of(name: str) -> str:
    """Return the name of an image without its ending; other points in it stay."""
    base = plain_name(name)
    path = Path(base)
    stem = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else base
    return stem[:-4] if stem.lower().endswith(".ome") else stem


def bare_name(path: Path) -> str:
    """Return the name of an image or a stack without the endings of its format."""
    name = path.name
    ending = next((one for one in OWN_FORMATS if name.lower().endswith(one)), "")
    return name[: -len(ending)] if ending else stem_of(name) if path.suffix.lower() != ".npy" else path.stem


def plain_name(name: str) -> str:
    """Return the last part of a name out of a file, which may come from another system, or lead elsewhere."""
    return PurePosixPath(name.replace("\\", "/")).name


def image_beside(path: Path, name: str = "") -> Path | None:
    """Find the image of a file with masks: in the same folder, in ``images`` in it, or in ``images`` beside the folder.

    Parameters
    ----------
    path : Path
        The file with the masks.
    name : str
        What it calls its image. Default: called as the file.
    """
    stem = stem_of(name) if name else path.stem
    names = ([plain_name(name)] if name else []) + [stem + suffix for suffix in IMAGE_SUFFIXES]
    for folder in (path.parent, path.parent / _FOLDER, path.parent.parent / _FOLDER):
        for one in names:
            # Labels are called as their image, and may have its ending.
            if one and (found := folder / one).is_file() and found != path:
                return found
    return None


def image_size(path: Path) -> tuple[int, int]:
    """Read the height and width of an image, but none of its pixels.

    Raises
    ------
    InputError
        If it is no image.
    """
    require_file(path)
    with reading(path):
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            with tifffile.TiffFile(path) as file:
                page = file.pages.first
                return int(page.imagelength), int(page.imagewidth)
        from PIL import Image

        with Image.open(path) as picture:
            return picture.height, picture.width


def size_beside(path: Path, name: str = "") -> tuple[int, int] | None:
    """Return the height and width of the image of a file with masks; None where there is none that can be read."""
    found = image_beside(path, name)
    try:
        return None if found is None else image_size(found)
    except InputError:
        return None
