"""Objects as a CLIP model sees them: what stands for their names in training.

After Segment Anything (Kirillov et al. 2023, appendix D.5): a square of once to twice the object's box, with the rest
black and as it is, half of the time each. Unlike there, objects of less than 100 x 100 pixels are taken too, because
microscopy has few larger ones, and the attention of CLIP's last layer is not masked.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.errors import InputError
from napari_sam.files import part_path, replacing
from napari_sam.masks import BoxedMask
from napari_sam.model.text_projection import ClipSpace
from napari_sam.progress import no_progress
from napari_sam.text.crops import CropSettings, crop_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.progress import Progress
    from napari_sam.text.encoder import TextImageEncoder

_LARGEST_SHARE = 0.9  # of the image


@dataclass(frozen=True, slots=True)
class ObjectCrops:
    """Which objects of an image a CLIP model is shown, and how often.

    Attributes
    ----------
    least_area : int
        Image pixels; of smaller ones there is little to be seen.
    most_objects : int
        Of each image, drawn at random.
    views : int
        Squares of each object, of random size; each is seen with the rest black and as it is.
    """

    least_area: int = 256
    most_objects: int = 32
    views: int = 2


@dataclass(frozen=True, slots=True)
class ClipModelToUse:
    """A CLIP model that is loaded when an object is to be seen that it has not seen yet.

    Attributes
    ----------
    name, source : str
        See `napari_sam.text.store.identity`.
    load : callable
        Loads it.
    """

    name: str
    source: str
    load: Callable[[], TextImageEncoder]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was made of the objects of some images.

    Attributes
    ----------
    vectors : tuple of dict of int to numpy.ndarray, shape (k, width), float32
        For each image, label to embeddings of length 1.
    space : ClipSpace
        Where they lie.
    """

    vectors: tuple[dict[int, NDArray[np.float32]], ...]
    space: ClipSpace


def embed_objects(
    images: Sequence[LabelledImage],
    clip: ClipModelToUse,
    settings: ObjectCrops,
    folder: Path,
    progress: Progress = no_progress,
) -> Embedded:
    """Show the objects of images to a CLIP model; what it has seen once is read from the folder.

    Parameters
    ----------
    images : sequence of LabelledImage
        (H, W, 3) uint8.
    clip : ClipModelToUse
    settings : ObjectCrops
    folder : Path
        Gets a file for each image, named by all that its contents hang on.
    progress : Progress
        Called after every image; may raise `Cancelled`, which loses no image that is done.

    Raises
    ------
    InputError
        If no object is large enough.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder: TextImageEncoder | None = None
    found: list[dict[int, NDArray[np.float32]]] = []
    for done, item in enumerate(images, 1):
        digest = _digest(item, clip.name, settings)
        file = folder / f"{digest}.npz"
        known = _read(file)
        if known is None:
            encoder = encoder or clip.load()
            known = _seen(item, encoder, settings, np.random.default_rng(int(digest, 16)))
            _write(file, known)
        found.append(known)
        progress(done / len(images))
    widths = {vectors.shape[1] for known in found for vectors in known.values()}
    if not widths:
        raise InputError(
            f"No object covers {settings.least_area} pixels or more, so that there is nothing to learn words by. "
            "Give images with larger objects, or a smaller --least-area."
        )
    return Embedded(tuple(found), ClipSpace(clip.name, clip.source, widths.pop()))


def _seen(
    item: LabelledImage, encoder: TextImageEncoder, settings: ObjectCrops, rng: Generator
) -> dict[int, NDArray[np.float32]]:
    masks = _chosen(item.labels, settings, rng)
    if not masks:
        return {}
    count = 2 * settings.views * len(masks)
    vectors = encoder.encode_images(_pictures(item.image, list(masks.values()), settings.views, rng), count)
    return dict(zip(masks, vectors.reshape(len(masks), 2 * settings.views, -1), strict=True))


def _chosen(labels: NDArray[np.integer], settings: ObjectCrops, rng: Generator) -> dict[int, BoxedMask]:
    """Draw objects that are neither too small to be seen nor nearly the whole image."""
    areas = np.bincount(labels.ravel())
    fit = (areas >= settings.least_area) & (areas <= _LARGEST_SHARE * labels.size)
    fit[0] = False
    names = np.flatnonzero(fit)
    drawn = np.sort(rng.choice(names, min(settings.most_objects, len(names)), replace=False)) if len(names) else names
    boxes = ndimage.find_objects(labels)
    shape = (labels.shape[0], labels.shape[1])
    return {
        int(name): BoxedMask((box[0].start, box[1].start), labels[box] == name, shape)
        for name in drawn
        if (box := boxes[name - 1]) is not None
    }


def _pictures(
    image: NDArray[np.uint8], masks: Sequence[BoxedMask], views: int, rng: Generator
) -> Iterator[NDArray[np.uint8]]:
    for mask in masks:
        for _ in range(views):
            yield from crop_pairs(image, [mask], CropSettings(enlarge=rng.uniform(1, 2), dim=0))


def _digest(item: LabelledImage, clip: str, settings: ObjectCrops) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for part in (item.image, item.labels):
        digest.update(f"{part.dtype}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(json.dumps([clip, asdict(settings)]).encode())
    return digest.hexdigest()


def _read(file: Path) -> dict[int, NDArray[np.float32]] | None:
    try:
        with file.open("rb") as stream, np.load(stream) as saved:
            return dict(zip(saved["labels"].tolist(), saved["vectors"], strict=True))
    # A machine that went down may leave a file without its contents: it is made anew.
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
        return None


def _write(file: Path, known: dict[int, NDArray[np.float32]]) -> None:
    vectors = np.stack(list(known.values())) if known else np.zeros((0, 0, 0), np.float32)
    with replacing(file, part_path(file)) as part, part.open("wb") as stream:
        np.savez(stream, labels=np.array(list(known), np.int64), vectors=vectors)
