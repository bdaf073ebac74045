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


def next_image(name: str, doubtful: int | None, count: int, novelty: float, *, compared: int, of: int) -> str:
    """Say why an image is the next to annotate.

    Parameters
    ----------
    name : str
        The image.
    doubtful : int or None
        How many of its proposals are doubtful; None where too little was decided to say.
    count : int
        How many proposals it has.
    novelty : float
        How unlike the annotated images it looks, 0 to 1.
    compared, of : int
        How many images were compared, of those that are left.
    """
    looks = "looks unlike those that are annotated" if novelty >= 0.5 else "looks much like one that is annotated"
    why = f"{doubtful} of {count} proposals are doubtful, and it {looks}" if doubtful is not None else f"it {looks}"
    few = f" {compared} of {of} images were compared." if compared < of else ""
    return f"{name}: {why}.{few}"


def nothing_found(name: str) -> str:
    """Say that no image that is left has any proposals."""
    return f"{name}: nothing was found on the images that are left."


def progress(series: ImageSeries, index: int | None, why: tuple[int | None, str] = (None, "")) -> str:
    """Say how far a series is, such as "Image 3 of 20. 2 done, 1 skipped.", and why the image on screen is."""
    done, skipped = series.count("done"), series.count("skipped")
    where = f"{len(series)} images" if index is None else f"Image {index + 1} of {len(series)}"
    reason = f" {why[1]}" if why[0] == index and why[1] else ""
    return f"{where}. {done} done{f', {skipped} skipped' if skipped else ''}.{reason}"
