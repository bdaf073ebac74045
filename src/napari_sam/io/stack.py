"""A stack in a file: what every reader gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.io.axes import PIXEL, arrangement, common_length, is_length
from napari_sam.io.contrast import default_limits
from napari_sam.io.formats.lazy import ArrangedArray
from napari_sam.planes.source import ArrayPlanes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from numpy.typing import DTypeLike, NDArray

    Limits = tuple[float, float]
    # Distance between neighbours along an axis, and its unit.
    Calibration = Mapping[str, tuple[float, str]]


@dataclass(frozen=True, eq=False)
class ImageStack:
    """An image of two to five axes that stays in its file; a plane is read when it is asked for.

    Reading is safe from several threads. Use it as a context manager, or call `close`.

    Parameters
    ----------
    path : Path
        File or folder that it was opened from.
    data : array-like, shape (..., H, W) or (..., H, W, 3 or 4)
        Read by NumPy indexing with integers and slices.
    axes : str
        One letter of "tczyx" per axis, without colour; "yx" come last. Axes of length 1 are left out, y and x aside.
    rgb : bool
        Whether `data` has a last axis of colour.
    spacing : tuple of float
        Distance between neighbours along each axis, in its unit; 1.0 where the file does not say.
    units : tuple of str
        "micrometer", "second", ... for each axis, "pixel" where the file does not say. All lengths have one unit.
    windows : tuple of (float, float)
        Grey values shown black and white that the file states: none, one for all, or one per channel.
    levels : tuple of array-like
        Coarser levels of a pyramid, fine to coarse, arranged as `data`.
    affine : numpy.ndarray, shape (4, 4), optional
        From indices (x, y, z, 1) to the scanner's millimetres, x to the right, y to the front, z to the head (RAS+).
    header : Any
        What the reader keeps for the writer of the same format.
    files : tuple of Path
        All files that it is read from, where they are not within `path`.
    notes : tuple of str
        What the reader decided, in words for the person.
    is_labels : bool
        Whether the file says that its values are labels.
    """

    path: Path
    data: Any
    axes: str
    rgb: bool = False
    spacing: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    windows: tuple[Limits, ...] = ()
    levels: tuple[Any, ...] = ()
    affine: NDArray[np.float64] | None = None
    header: Any = None
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    is_labels: bool = False
    closes: Callable[[], None] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; memory maps go with the last array that looks at them. Closing twice does nothing."""
        if self.closes is not None:
            self.closes()

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, without colour."""
        return tuple(int(size) for size in self.data.shape[: len(self.axes)])

    @cached_property
    def contrast_limits(self) -> Limits | None:
        """Grey values shown black and white, the same for all planes; None for colour.

        Those that the file states, else those that napari starts with for a layer of the whole stack. Made once, which
        may read the stack: all of it up to ten million values, else three planes.
        """
        if self.rgb:
            return None
        if self.windows:
            return min(low for low, _ in self.windows), max(high for _, high in self.windows)
        return self._default_limits(None)

    def planes(
        self,
        axis: int,
        index: Sequence[int | None],
        *,
        contrast_limits: Limits | None = None,
        gamma: float = 1.0,
    ) -> ArrayPlanes:
        """Give the planes that follow each other along an axis.

        Parameters
        ----------
        axis : int
            The axis to follow.
        index : sequence of (int or None)
            Per axis its index, None for the two axes of the plane. The index at `axis` does not count.
        contrast_limits : (float, float), optional
            Default: those of the channel that `index` fixes, else of the whole stack; see `contrast_limits`.
        gamma : float
            See `napari_sam.planes.plane.Plane`.

        Returns
        -------
        ArrayPlanes
            With the ratio of the plane's spacings, 1 where its axes cannot be compared (time, unknown units).

        Raises
        ------
        InputError
            If axis or index do not fit the stack.
        """
        places = self._whole_index(axis, index)
        rows, columns = (at for at, place in enumerate(places) if place is None)
        spacing = self.plane_spacing(rows, columns)
        limits = contrast_limits or self._limits_at(axis, places)
        return ArrayPlanes(self.data, axis, places, limits, gamma, spacing, self.levels)

    def plane_spacing(self, rows: int, columns: int) -> tuple[float, float]:
        """Return the spacing of a plane along its two axes; 1 where they cannot be compared (time, unknown units)."""
        comparable = self.units[rows] == self.units[columns] and (
            is_length(self.units[rows]) or {self.axes[rows], self.axes[columns]} <= set("zyx")
        )
        return (self.spacing[rows], self.spacing[columns]) if comparable else (1.0, 1.0)

    def _whole_index(self, axis: int, index: Sequence[int | None]) -> tuple[int | None, ...]:
        words = f"The axes are {self.axes}, of lengths {' x '.join(map(str, self.shape))}."
        if not 0 <= axis < len(self.axes):
            raise InputError(f"There is no axis {axis} to follow. {words}")
        if len(index) != len(self.axes):
            raise InputError(f"An index with {len(index)} numbers does not fit. {words}")
        places = [0 if at == axis and place is not None else place for at, place in enumerate(index)]
        if places.count(None) != 2 or places[axis] is None:
            raise InputError(f"Two axes make the plane, and another one is followed; got {tuple(index)}. {words}")
        for place, size in zip(places, self.shape, strict=True):
            if place is not None and not 0 <= place < size:
                raise InputError(f"Index {place} is outside. {words}")
        return tuple(places)

    def _limits_at(self, axis: int, places: Sequence[int | None]) -> Limits | None:
        """Return the limits of the channel that a row of planes lies in."""
        at = self.axes.find("c")
        if self.rgb or at in (-1, axis) or (channel := places[at]) is None:
            return self.contrast_limits
        if self.windows:
            return self.windows[channel] if len(self.windows) > 1 else self.windows[0]
        return self._default_limits(channel)

    def _default_limits(self, channel: int | None) -> Limits:
        leading = self.axes[:-2]
        return default_limits((self.data, *self.levels)[-1], [channel if axis == "c" else None for axis in leading])


def make_stack(
    path: Path,
    source: Any,
    names: str,
    calibration: Calibration,
    *,
    levels: Sequence[Any] = (),
    dtype: DTypeLike | None = None,
    **parts: Any,
) -> ImageStack:
    """Arrange an array of a file as a stack.

    Parameters
    ----------
    path : Path
    source : array-like
        As the file has it.
    names : str
        A letter of "tczyxs-" per axis of the source, see `napari_sam.io.axes.name_axes`.
    calibration : mapping of str to (float, str)
        Spacing and unit of the axes for which they are known. What is no positive number counts as unknown.
    levels : sequence of array-like
        Coarser levels, with the axes of the source.
    dtype : dtype-like, optional
        Of what the source reads, where it does not say so itself.
    **parts
        Further fields of `ImageStack`.

    Raises
    ------
    InputError
        If the array holds no real numbers, or none at all.
    """
    kind = np.dtype(source.dtype if dtype is None else dtype)
    if kind.kind not in "buif":
        raise InputError(f"{path} holds values of type {kind}; an image holds real numbers.")
    if min(source.shape, default=0) < 1:
        raise InputError(f"{path} is empty: its shape is {tuple(source.shape)}.")
    order, axes, rgb = arrangement(names, source.shape)
    known = {axis: (float(step), unit) for axis, (step, unit) in calibration.items() if np.isfinite(step) and step > 0}
    pairs = [known.get(axis, (1.0, PIXEL)) for axis in axes]
    spacing, units = common_length([step for step, _ in pairs], [unit for _, unit in pairs])
    return ImageStack(
        path=path,
        data=_arranged(source, order, path, dtype),
        axes=axes,
        rgb=rgb,
        spacing=spacing,
        units=units,
        levels=tuple(_arranged(level, order, path, dtype) for level in levels),
        **parts,
    )


def _arranged(source: Any, order: Sequence[int], path: Path, dtype: DTypeLike | None) -> Any:
    if not isinstance(source, np.ndarray):
        return ArrangedArray(source, order, path, dtype)
    dropped = [axis for axis in range(source.ndim) if axis not in order]
    # Views, where NumPy can give them: memory maps stay in their file.
    return source.transpose([*order, *dropped]).reshape([source.shape[axis] for axis in order])
