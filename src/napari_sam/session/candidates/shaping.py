"""The commands of a session for what becomes of masks before they are accepted."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam.inference.shaping import USUAL, LabelExclusion
from napari_sam.inference.shaping.exclusion import parse_labels
from napari_sam.inference.shaping.limits import range_inside
from napari_sam.session.labels.pixels import full_resolution

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.settings import SessionSettings


class ShapingContext(Protocol):
    """What a command is made of, as `napari_sam.session.commands` has it."""

    def command(self) -> AbstractContextManager[Image | None]:
        """Run a command on the image: changes of layers are the session's own, and what comes of it is told."""


class ShapingCommands:
    """What becomes of each mask before it is shown and accepted: clean-up and limits.

    Parameters
    ----------
    context : ShapingContext
        What each command is made of.
    live : LivePrediction
        The candidate on screen.
    settings : SessionSettings
        Where the choices are kept.
    fits : callable
        Tells whether the pixels of a Labels layer are those of the image.
    """

    def __init__(
        self,
        context: ShapingContext,
        live: LivePrediction,
        settings: SessionSettings,
        fits: Callable[[Labels, Image], bool],
    ) -> None:
        self._context = context
        self._live = live
        self._settings = settings
        self._fits = fits

    @property
    def chosen(self) -> MaskShaping:
        """What is chosen; it can also be set as a whole, as ``session.settings.shaping``."""
        return self._settings.shaping

    def choose(self, **choices: Any) -> None:
        """Choose some of the fields of `napari_sam.inference.shaping.MaskShaping`; the others stay as they are.

        Raises
        ------
        InputError
            If one is out of range; nothing is changed then.
        """
        self._settings.shaping = replace(self._settings.shaping, **choices)

    def reset(self) -> None:
        """Leave masks as the model gives them; objects with branches are corrected additively, as at first."""
        self._settings.shaping = USUAL

    def take_grey_range(self) -> None:
        """Let masks take only grey values as they are in the candidate on screen, all but the 2 % at either end."""
        answer, index = self._live.answer, self._live.selected
        if answer is None or index < 0:
            return
        # What the model saw is in memory, and the whole object is there, unlike the pixels of a plane on a disk.
        found = range_inside(answer.pictures[index].plane.pixels, answer.found[index].mask)
        if found is not None:
            self.choose(grey_range=found)

    def exclude(self, layer: Labels | None, labels: str = "all") -> None:
        """Let masks leave out the pixels that carry some labels.

        Parameters
        ----------
        layer : Labels or None
            A layer with the pixels of the image, the target or another one; None: exclude nothing.
        labels : str
            Which labels, such as "3, 7-9".

        Raises
        ------
        InputError
            If `labels` cannot be read.
        """
        which = parse_labels(labels)
        with self._context.command() as image:
            if layer is None:
                self.choose(exclusion=None)
            elif image is not None and self._fits(layer, image):
                self.choose(exclusion=LabelExclusion(layer.name, which, _LabelReader(layer)))


def leaves_out_labels_of(shaping: MaskShaping, layer: str) -> bool:
    """Tell whether masks leave out labels of a layer, by its unique id."""
    reader = None if shaping.exclusion is None else shaping.exclusion.read
    found = reader.layer() if isinstance(reader, _LabelReader) else None
    return found is not None and str(found.unique_id) == layer


class _LabelReader:
    """Reads labels of a layer, which it does not keep alive: without it, there are none. Equal for one layer."""

    def __init__(self, layer: Labels) -> None:
        self.layer = weakref.ref(layer)
        self._key = id(layer)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _LabelReader) and self.layer() is other.layer()

    def __hash__(self) -> int:
        return self._key

    def __call__(self, view: PlaneIndex, start: tuple[int, int], shape: tuple[int, int]) -> NDArray[Any]:
        layer = self.layer()
        none = np.zeros(shape, dtype=np.uint8)
        if layer is None:
            return none
        data = full_resolution(layer)
        # Another image may have come on the screen, which the labels are not of.
        axes = [int(data.shape[axis]) for axis in view.axes] if data.ndim == len(view.index) else []
        return np.asarray(data[view.slices(start, shape)]) if tuple(axes) == view.shape else none
