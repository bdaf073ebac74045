"""The commands of a session for a series of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_sam.datasets.image_series import ImageSeries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from napari.layers import Image

    from napari_sam.datasets.image_series import ImageStatus, SeriesImage
    from napari_sam.session.series.advisor import ImageAdvisor
    from napari_sam.session.series.controller import SeriesController


class SeriesContext(Protocol):
    """What a command is made of, as `napari_sam.session.commands` has it."""

    def command(self) -> AbstractContextManager[Image | None]:
        """Run a command: changes of layers are the session's own, and what comes of it is told."""

    def say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""


class SeriesCommands:
    """Images one after the other: `open` a folder, then `next`, `previous`, `done`.

    Parameters
    ----------
    context : SeriesContext
        What each command is made of.
    controller : SeriesController
        Opens, saves and leaves images.
    advisor : ImageAdvisor
        Knows which image to annotate next.
    """

    def __init__(self, context: SeriesContext, controller: SeriesController, advisor: ImageAdvisor) -> None:
        self._context = context
        self._advisor = advisor
        self._controller = controller
        self.skip_done = True
        """Whether `next` and `previous` pass over images that are done or skipped."""

    @property
    def images(self) -> tuple[SeriesImage, ...]:
        """The images of the series, and where their labels are; none where there is no series."""
        return tuple(self._controller.series or ())

    def open(self, source: str | Path | Sequence[str | Path], labels: str | Path | None = None) -> None:
        """Go through a folder of images, or a list of them, from the first that is not done.

        Labels that are there are loaded with their image, and saved again when it is left, and a little after every
        change. What cannot be opened is told by the status.

        Parameters
        ----------
        source : path or sequence of paths
            A folder, or images in their order.
        labels : path, optional
            Folder for the labels. Default: beside each image, as ``NAME_labels.tif``.
        """
        with self._context.command():
            paths = Path(source) if isinstance(source, str | Path) else [Path(one) for one in source]
            series = ImageSeries.open(paths, None if labels is None else Path(labels))
            self._context.say(self._controller.begin(series))

    def next(self) -> None:
        """Save the labels, and open the next image."""
        self._step(1)

    def previous(self) -> None:
        """Save the labels, and open the image before."""
        self._step(-1)

    def go_to(self, index: int) -> None:
        """Save the labels, and open an image by its place in the series."""
        with self._context.command():
            self._context.say(self._controller.go_to(index))

    def done(self) -> None:
        """Mark the image as done, and open the next one that is not; after the last, one that was passed over."""
        self._mark_and_go("done")

    def skip(self) -> None:
        """Mark the image as skipped, and open the next one that is not done; after the last, one passed over before."""
        self._mark_and_go("skipped")

    def next_to_annotate(self) -> None:
        """Save the labels, and open the image that is best annotated next; `Session.cancel` stops the search for it.

        That is one without labels on which many proposals are doubtful, by what was accepted and dropped so far, and
        that looks unlike those that are annotated. Images are looked at until 20 without labels are known, spread over
        the series.
        """
        with self._context.command():
            self._context.say(self._advisor.start())

    def mark(self, status: ImageStatus | None) -> None:
        """Say how far the image on screen is: "done", "skipped", or None for neither."""
        with self._context.command():
            self._controller.mark(status)

    def close(self) -> None:
        """Save the labels, and end the series; the image on screen stays."""
        with self._context.command():
            self._context.say(self._controller.close())

    def _step(self, step: int) -> None:
        with self._context.command():
            self._context.say(self._controller.step(step, skip_done=self.skip_done))

    def _mark_and_go(self, status: ImageStatus) -> None:
        with self._context.command():
            self._controller.mark(status)
            self._context.say(self._controller.step(1, skip_done=True, around=True))
