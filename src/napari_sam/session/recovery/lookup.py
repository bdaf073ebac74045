"""Looks in the journal for objects of an image; runs on the inference thread."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.errors import NapariSamError
from napari_sam.files import home
from napari_sam.journal.catalog import LayerContents, find_targets, summarize_layer
from napari_sam.journal.database import SUFFIX
from napari_sam.journal.pixels import pixels_digest
from napari_sam.masks import decode_boxed

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.journal.catalog import KnownTarget
    from napari_sam.journal.objects import JournalEntry
    from napari_sam.progress import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LookupOrder:
    """What is looked for.

    Attributes
    ----------
    data : array-like
        The image at full resolution.
    ndim : int
        Its axes, without colour.
    shape : tuple of int
        Its shape, as the journal has it: that of the layer's data.
    source : str
        Its file; "" where it has none.
    session : str
        Name of the session that asks: what it wrote itself is not lost.
    """

    data: Any
    ndim: int
    shape: tuple[int, ...]
    source: str
    session: str


@dataclass(frozen=True, slots=True, eq=False)
class LookupResult:
    """What was found.

    Attributes
    ----------
    pixels : str
        Digest of the pixels of the image; "" where they cannot be read.
    target : KnownTarget or None
        The labels layer that was worked on last; None where the journal knows none.
    contents : LayerContents or None
        What it held.
    samples : tuple of (tuple of int, int)
        A pixel of each of the objects that were written last, oldest first, and the id that it carried.
    """

    pixels: str
    target: KnownTarget | None = None
    contents: LayerContents | None = None
    samples: tuple[tuple[tuple[int, ...], int], ...] = ()


def database() -> Path:
    """Return where the person's journal is, or would be."""
    return home() / "journal" / f"journal{SUFFIX}"


def look_up(order: LookupOrder, progress: Progress) -> LookupResult:
    """Find what the journal knows of an image."""
    try:
        pixels = pixels_digest(order.data, order.ndim, progress)
    except NapariSamError:
        raise
    # Whatever the image's store raises: without its pixels, its file tells which image it is.
    except Exception:
        _log.warning("the pixels of an image could not be read for the journal", exc_info=True)
        pixels = ""
    path = database()
    if not path.is_file():
        return LookupResult(pixels)
    for target in find_targets(path, pixels, order.source, order.shape):
        # Another session of this process, or this one: its layers are in a window that is open.
        if target.session == order.session or target.process == os.getpid():
            return LookupResult(pixels)
        contents = summarize_layer(path, target.layer_id)
        # A layer in which all was undone hides none that was worked on before.
        if contents.objects:
            samples = tuple(sample for entry in contents.newest if (sample := _sample(entry)) is not None)
            return LookupResult(pixels, target, contents, samples)
    return LookupResult(pixels)


def _sample(entry: JournalEntry) -> tuple[tuple[int, ...], int] | None:
    """Choose a pixel of an object."""
    try:
        mask = decode_boxed(entry.mask)
    except NapariSamError:
        return None
    if not mask.area:
        return None
    rows, columns = mask.mask.nonzero()
    middle = len(rows) // 2
    place = [0 if at is None else at for at in entry.index]
    for axis, at in zip(entry.axes, (mask.origin[0] + rows[middle], mask.origin[1] + columns[middle]), strict=True):
        place[axis] = int(at)
    return tuple(place), entry.label
