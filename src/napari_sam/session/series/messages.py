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
COMPARING = "Comparing images, to find the one that is best annotated next."
NONE_LEFT = "No other image is left to annotate: all are done or skipped."
NO_SERIES = "Choose a folder of images first."


def opening(name: str) -> str:
    """Say that an image is read."""
    return f'Opening "{name}".'


def saving(name: str) -> str:
    """Say that labels are written."""
    return f'Saving the labels of "{name}".'


def nothing_found(name: str) -> str:
    """Say that no image that is left has any proposals."""
    return f"{name}: nothing was found on the images that are left."


def progress(series: ImageSeries, index: int | None, why: tuple[int | None, str] = (None, "")) -> str:
    """Say how far a series is, such as "Image 3 of 20. 2 done, 1 skipped.", and why the image on screen is."""
    done, skipped = series.count("done"), series.count("skipped")
    where = f"{len(series)} images" if index is None else f"Image {index + 1} of {len(series)}"
    reason = f" {why[1]}" if why[0] == index and why[1] else ""
    return f"{where}. {done} done{f', {skipped} skipped' if skipped else ''}.{reason}"
