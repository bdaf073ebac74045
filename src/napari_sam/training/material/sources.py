"""Where labels that are learnt from come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """An image, or a stack, with labels in another file.

    Attributes
    ----------
    image : Path
        What `napari_sam.io.stacks.open_stack` opens.
    labels : Path or None
        Whole numbers, 0 for background, of the shape of the image; an axis of channels may be missing. None to look for
        them: beside the image as ``NAME_labels.tif`` and the like, or under its name in a folder ``labels``.
    axes : (int, int) or None
        The axes of the labels that the objects were drawn in, in ascending order. Default: the last two.
    channel : int or None
        The channel that was looked at, where the labels have no channels; needed if the image has several.
    complete : bool
        Whether all objects are labelled, where nothing else is said.
    """

    image: Path
    labels: Path | None = None
    axes: tuple[int, int] | None = None
    channel: int | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """Images with labels of their names.

    Attributes
    ----------
    images : Path
        Folder of images; or one with ``images`` and ``labels`` in it.
    labels : Path or None
        Folder of labels. None to look for them: in the folder itself, as ``NAME_labels.tif``, ``NAME_masks.png`` and
        the like, in ``labels`` in it, or beside it. Folders in ``images`` go with those of their names in ``labels``.
    axes, channel
        See `LabelledFile`; for all images.
    """

    images: Path
    labels: Path | None = None
    axes: tuple[int, int] | None = None
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class JournalObjects:
    """All accepted objects of an image that the journal knows.

    Attributes
    ----------
    image : Path
        The image's file.
    layer : str or None
        Name or id of the labels layer. Default: the one that was worked on last, because one that was restored holds
        the objects of those before it.
    session : str or None
        Name of the last session that counts; by default all do.
    database : Path or None
        The journal. Default: the person's.
    """

    image: Path
    layer: str | None = None
    session: str | None = None
    database: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LayerArrays:
    """An image and labels that are open, as their layers show them.

    Attributes
    ----------
    name : str
        Of the image, for a person.
    image : array-like, shape (..., H, W) or (..., H, W, 3 or 4)
        At full resolution: anything that NumPy indexing reads.
    labels : array-like of int, of the shape of the image without colour
    axes : (int, int) or None
        The axes that are the plane, in ascending order. Default: the last two.
    planes : tuple of tuple of (int or None), or None
        Planes that have objects: for each axis its index, None for those of `axes`. Default: all are looked at.
    contrast_limits : (float, float) or None
        Of the layer; None for colour, and to choose them by the grey values.
    gamma : float
        Of the layer.
    spacing : (float, float)
        Distance between pixels along the two axes; only the ratio counts.
    axis_names : tuple of str
        Names of the axes; by default their numbers.
    """

    name: str
    image: Any
    labels: Any
    axes: tuple[int, int] | None = None
    planes: tuple[tuple[int | None, ...], ...] | None = None
    contrast_limits: tuple[float, float] | None = None
    gamma: float = 1.0
    spacing: tuple[float, float] = (1.0, 1.0)
    axis_names: tuple[str, ...] = ()


MaterialSource = LabelledFile | LabelledFolder | JournalObjects | LayerArrays
"""Where labels come from."""
