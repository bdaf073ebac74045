"""What the status says about a series of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session.messages import key

if TYPE_CHECKING:
    from napari_sam.datasets.image_series import ImageSeries

UNACCEPTED = (
    f"What is prompted here is not accepted yet. {key('accept')} accepts it; "
    "the same key or button once more goes on without it."
)
AT_END = "This is the last image of the series."
AT_BEGINNING = "This is the first image of the series."
ALL_DONE = "All images are done or skipped."
NO_SERIES = "Choose a folder of images first."


def opening(name: str) -> str:
    """Say that an image is read."""
    return f'Opening "{name}".'


def saving(name: str) -> str:
    """Say that labels are written."""
    return f'Saving the labels of "{name}".'


def progress(series: ImageSeries, index: int | None) -> str:
    """Say how far a series is, such as "Image 3 of 20. 2 done, 1 skipped."."""
    done, skipped = series.count("done"), series.count("skipped")
    where = f"{len(series)} images" if index is None else f"Image {index + 1} of {len(series)}"
    return f"{where}. {done} done{f', {skipped} skipped' if skipped else ''}."
