"""Archives of labelled images of many kinds, and what their makers say of them.

An archive is a zip file or a folder: ``images/KIND/NAME.png`` with ``labels/KIND/NAME.png``, as
`napari_sam.evaluation.dataset.read_dataset` reads it, and beside them, if there is one, ``index.json``::

    {"sets": [{"set": "KIND", "licence": "...", "source": "...", "attribution": "...", "complete": true, "weight": 2}]}

`complete` says that every object of the kind is labelled, so that what is unlabelled is background; `weight` how often
the kind is drawn, against the others. Both may be left out. Licence, source and attribution go into the model's card.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.evaluation.archive import Archive, Folder
from napari_sam.evaluation.dataset import LabelledImage, read_dataset
from napari_sam.files import open_plain
from napari_sam.io.formats.archives import open_archive, read_member
from napari_sam.training.bundled.export import digest
from napari_sam.training.data.pools import KindSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_sam.evaluation.archive import Files
    from napari_sam.progress import Progress

__all__ = ["KNOWN_KINDS", "ImageArchive", "read_image_archive"]

_INDEX = "index.json"
_CARD = ("set", "kind", "source", "licence", "attribution", "labels")

KNOWN_KINDS: Mapping[str, KindSettings] = {
    "photo_coco": KindSettings(weight=2.5),
    "phase_t98g": KindSettings(weight=2.0, complete=True),
    "sem_axons": KindSettings(weight=1.5),
    "ct_organs": KindSettings(weight=1.5),
    "he_nuclei_tnbc": KindSettings(complete=True),
    "sem_superalloy": KindSettings(complete=True),
    "photo_gravel": KindSettings(complete=True),
    "em_plant_chloroplast": KindSettings(complete=True),
    "fundus_vessels": KindSettings(weight=0.7),
    "sem_coating": KindSettings(weight=0.7),
    "he_oral_tumour": KindSettings(weight=0.6),
    "ultrasound_fetal_head": KindSettings(weight=0.6),
}
"""The kinds that the bundled model has learnt from, where they are not drawn like any other."""


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """What an archive holds.

    Attributes
    ----------
    images : tuple of LabelledImage
        As bytes, (H, W, 3), shown as a person would see them.
    settings : dict of str to KindSettings
        Of each kind.
    card : dict
        For the model's card: the archive's SHA-256, and who made its sets.
    """

    images: tuple[LabelledImage, ...]
    settings: dict[str, KindSettings]
    card: dict[str, Any]


def read_image_archive(path: Path, progress: Progress) -> ImageArchive:
    """Read an archive of labelled images.

    Parameters
    ----------
    path : Path
        A zip file or a folder.
    progress : Progress
        Called after every image; may raise `Cancelled`.

    Raises
    ------
    InputError
        If it cannot be read, or its index is none.
    """
    dataset = read_dataset(path, lambda share: progress(share / 2))
    images = []
    for done, item in enumerate(dataset, 1):
        images.append(LabelledImage(item.name, item.kind, item.plane.rendered, item.labels))
        progress(0.5 + done / len(dataset) / 2)
    sets = _index(dataset.files, path)
    settings = {kind: _settings(kind, sets.get(kind, {}), path) for kind in {image.kind for image in images}}
    told = [{name: sets[kind][name] for name in _CARD if name in sets[kind]} for kind in sorted(sets.keys() & settings)]
    counts = {kind: sum(image.kind == kind for image in images) for kind in sorted(settings)}
    return ImageArchive(tuple(images), settings, {"sha256": digest(path), "images": counts, "sets": told})


def _index(files: Files, path: Path) -> dict[str, dict[str, Any]]:
    """Read the index that lies beside the images, by kind; none is an empty one."""
    try:
        match files:
            case Folder():
                with open_plain(files.path / _INDEX) as file:
                    text = file.read().decode("utf-8")
            case Archive():
                with open_archive(files.path) as archive:
                    text = read_member(archive, files.top + _INDEX, files.where(_INDEX)).decode("utf-8")
            case _:
                return {}
    except (FileNotFoundError, KeyError):
        return {}
    except InputError:
        raise
    except Exception as error:  # whatever a damaged archive leads to
        raise InputError(f"{_INDEX} of {path} cannot be read ({error}).") from error
    try:
        return {str(entry["set"]): dict(entry) for entry in json.loads(text)["sets"]}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            f'{_INDEX} of {path} is not {{"sets": [{{"set": "KIND", ...}}]}}. Mend it or take it out.'
        ) from error


def _settings(kind: str, told: Mapping[str, Any], path: Path) -> KindSettings:
    usual = KNOWN_KINDS.get(kind, KindSettings())
    weight = _value(
        told, "weight", usual.weight, lambda value: isinstance(value, int | float) and 0 < value < 1000, path
    )
    complete = _value(told, "complete", usual.complete, lambda value: isinstance(value, bool), path)
    return KindSettings(float(weight), bool(complete))


def _value(told: Mapping[str, Any], name: str, usual: float, fits: Callable[[object], bool], path: Path) -> Any:
    value = told.get(name, usual)
    if not fits(value):
        raise InputError(
            f"{_INDEX} of {path}: {name} of {told['set']} is {value!r}. Give a number above 0, or true or false."
        )
    return value
