"""How far the data set of an image is: asked on the owner's thread, read from the journal on another."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from napari_sam.journal.notes.decisions import ImageIdentity, StageCounts
from napari_sam.journal.notes.stages import DataSetStages, read_stages

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image

    from napari_sam.planes.source import PlaneIndex


@dataclass(frozen=True, slots=True)
class DataSetQuestion:
    """What is asked about a data set; another one where the answer may be another.

    Attributes
    ----------
    path : Path
        The journal; it may not be there.
    image : ImageIdentity
        An image of the data set.
    planes : int
        Planes of that image.
    records : int
        Records that this session has written so far.
    """

    path: Path
    image: ImageIdentity
    planes: int
    records: int

    @classmethod
    def of(cls, image: Image, view: PlaneIndex, path: Path, records: int) -> DataSetQuestion:
        """Ask about an image, whose planes lie as the one on screen does."""
        sizes = image.level_shapes[0] if image.multiscale else image.data.shape
        planes = prod(int(size) for size, at in zip(sizes, view.index, strict=False) if at is not None)
        return cls(path, ImageIdentity(str(image.unique_id), str(image.source.path or "")), planes, records)

    def read(self) -> DataSetStages:
        """Read the answer.

        Raises
        ------
        InputError
            If the journal cannot be read.
        """
        if not self.path.is_file():
            return DataSetStages(StageCounts(), 0, {}, 0)
        return read_stages(self.path, self.image)
