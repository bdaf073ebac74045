"""What the bundled model is trained on, and what is kept to measure it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.progress import no_progress
from napari_sam.training.bundled.export import digest
from napari_sam.training.data.archives import read_image_archive
from napari_sam.training.data.bbbc038 import read_archive, split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.progress import Progress
    from napari_sam.training.data.pools import KindSettings


@dataclass(frozen=True, slots=True)
class BundledData:
    """What there is to train and to validate on.

    Attributes
    ----------
    nuclei, nuclei_held_out : tuple of LabelledImage
        BBBC038.
    kinds, kinds_held_out : tuple of LabelledImage
        Many kinds; of each a tenth is held out, of some all.
    settings : dict of str to KindSettings
    facts : dict
        For the card.
    """

    nuclei: tuple[LabelledImage, ...]
    nuclei_held_out: tuple[LabelledImage, ...]
    kinds: tuple[LabelledImage, ...]
    kinds_held_out: tuple[LabelledImage, ...]
    settings: dict[str, KindSettings]
    facts: dict[str, Any]


def read_data(
    bbbc038: Path, archives: Sequence[Path], held_out: Sequence[str], progress: Progress = no_progress
) -> BundledData:
    """Read everything, and keep a part for validation.

    Parameters
    ----------
    bbbc038 : Path
        In a layout that `napari_sam.training.data.bbbc038.read_archive` reads.
    archives : sequence of Path
        Of many kinds; see `napari_sam.training.data.archives`.
    held_out : sequence of str
        Kinds that are kept wholly out of training.
    progress : Progress

    Raises
    ------
    InputError
        If an archive cannot be read, two hold a kind of one name, or a kind to hold out is in none.
    """
    nuclei, nuclei_held_out = split(read_archive(bbbc038, progress))
    read = [read_image_archive(path, progress) for path in archives]
    settings: dict[str, KindSettings] = {}
    for path, archive in zip(archives, read, strict=True):
        if twice := sorted(settings.keys() & archive.settings.keys()):
            raise InputError(f"{path} has a kind that another archive has too: {', '.join(twice)}. Rename one of them.")
        settings |= archive.settings
    if missing := sorted(set(held_out) - settings.keys()):
        raise InputError(
            f"No archive has a kind {', '.join(missing)} to hold out. There are {', '.join(sorted(settings))}."
        )
    images = [image for archive in read for image in archive.images]
    # Kinds that are held out as a whole are not split.
    kinds, kinds_held_out = split(image for image in images if image.kind not in held_out)
    kinds_held_out += [image for image in images if image.kind in held_out]
    facts = {
        "bbbc038": {
            "images": len(nuclei) + len(nuclei_held_out),
            "training_images": len(nuclei),
            "sha256": digest(bbbc038),
        },
        "archives": [archive.card for archive in read],
        "kinds": {"training_images": len(kinds), "held_out": list(held_out)},
    }
    return BundledData(tuple(nuclei), tuple(nuclei_held_out), tuple(kinds), tuple(kinds_held_out), settings, facts)
