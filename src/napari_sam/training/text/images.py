"""The labelled images that words are learnt by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.progress import no_progress
from napari_sam.training.data.archives import read_image_archive
from napari_sam.training.data.bbbc038 import split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.progress import Progress
    from napari_sam.training.data.pools import KindSettings


@dataclass(frozen=True, slots=True)
class TextData:
    """What there is to learn words by.

    Attributes
    ----------
    images, held_out : tuple of LabelledImage
        (H, W, 3) uint8. A tenth of each kind is held out.
    settings : dict of str to KindSettings
    cards : list of dict
        Who made the images.
    """

    images: tuple[LabelledImage, ...]
    held_out: tuple[LabelledImage, ...]
    settings: dict[str, KindSettings]
    cards: list[dict[str, Any]]

    @classmethod
    def read(cls, archives: Sequence[Path], progress: Progress = no_progress) -> TextData:
        """Read archives of labelled images; see `napari_sam.training.data.archives`."""
        read = [read_image_archive(path, progress) for path in archives]
        images, held_out = split(image for archive in read for image in archive.images if image.labels.any())
        settings = {kind: value for archive in read for kind, value in archive.settings.items()}
        return cls(tuple(images), tuple(held_out), settings, [archive.card for archive in read])
