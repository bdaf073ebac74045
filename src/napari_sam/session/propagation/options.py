"""Which way objects are carried: the axis, the range and the strategy, and how to get to a plane along the axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.session.objects.tracked import PlaneLine
from napari_sam.session.state import StackAxis

if TYPE_CHECKING:
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage


class PropagationOptions:
    """The choices of the Stack section.

    Parameters
    ----------
    active : ActiveImage
        What is on screen.
    settings : SessionSettings
        Holds the strategy, which does not depend on the image.
    """

    def __init__(self, active: ActiveImage, settings: SessionSettings) -> None:
        self._active = active
        self._settings = settings
        self._chosen: int | None = None
        # With its axis: on another one, the same numbers mean other planes.
        self._range: tuple[int, range] | None = None

    @property
    def strategy(self) -> str:
        """How objects are carried: a name in `napari_sam.propagation.STRATEGIES`."""
        return self._settings.strategy

    # -- what there is to choose from -------------------------------------------------------------

    def axes(self) -> tuple[StackAxis, ...]:
        """List the axes with more than one plane that are not on screen."""
        image, view = self._active.image, self._active.view
        if image is None or view is None:
            return ()
        names = self._active.axis_names
        return tuple(
            StackAxis(axis, names[axis], int(image.data.shape[axis]))
            for axis, at in enumerate(view.index)
            if at is not None and image.data.shape[axis] > 1
        )

    @property
    def axis(self) -> StackAxis | None:
        """The axis that is chosen; else that of the slider moved last, or the innermost."""
        axes, travel = self.axes(), self._active.travel
        for wanted in (self._chosen, None if travel is None else travel[0]):
            for axis in axes:
                if axis.axis == wanted:
                    return axis
        return axes[-1] if axes else None

    @property
    def line(self) -> PlaneLine | None:
        """The planes along the axis; None where there is no stack."""
        axis, view = self.axis, self._active.view
        return None if axis is None or view is None else PlaneLine(view, axis.axis, axis.size)

    @property
    def span(self) -> range:
        """The planes to go through."""
        axis = self.axis
        if axis is None:
            return range(0)
        # The image may have got data with fewer planes since.
        if self._range is not None and self._range[0] == axis.axis and self._range[1].stop <= axis.size:
            return self._range[1]
        return range(axis.size)

    # -- choosing ---------------------------------------------------------------------------------

    def choose(
        self, axis: int | None = None, start: int | None = None, stop: int | None = None, strategy: str | None = None
    ) -> None:
        """Choose; what is None stays as it is.

        Raises
        ------
        InputError
            If there is no such axis, range or strategy.
        """
        if axis is not None:
            self._choose_axis(axis)
        if start is not None or stop is not None:
            self._choose_range(start, stop)
        if strategy is not None:
            self._settings.strategy = strategy

    def _choose_axis(self, axis: int) -> None:
        axes = self.axes()
        ndim = 0 if self._active.image is None else self._active.image.ndim
        number = axis + ndim if axis < 0 else axis
        if not any(one.axis == number for one in axes):
            known = ", ".join(f"{one.axis} ({one.name})" for one in axes) or "none"
            raise InputError(f"Objects cannot be carried along axis {axis} here. Choose one of: {known}.")
        self._chosen = number

    def _choose_range(self, start: int | None, stop: int | None) -> None:
        axis, now = self.axis, self.span
        if axis is None:
            return
        first, last = now.start if start is None else int(start), now.stop if stop is None else int(stop)
        if not 0 <= first < last <= axis.size:
            raise InputError(
                f"Planes {first} to {last - 1} are not a range along {axis.name}. Choose one within 0 to "
                f"{axis.size - 1}."
            )
        self._range = axis.axis, range(first, last)

    def forget(self) -> None:
        """Forget what was chosen for another image; the strategy stays."""
        self._chosen = self._range = None

    # -- going there ------------------------------------------------------------------------------

    def go_to(self, place: int) -> None:
        """Move the slider to a plane along the axis."""
        if (line := self.line) is not None:
            self._active.go_to(line.at(min(max(place, 0), line.size - 1)).index)
