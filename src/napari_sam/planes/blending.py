"""Several images of one place as the one picture that a screen shows: channels, coloured and laid over each other.

A `BlendedImage` is indexed like an array of 8-bit RGB, so that whatever reads planes, crops and stacks reads it, too:
only what is indexed is read, from every channel at the resolution that is fine enough, and blended.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sam.planes.pyramid import level_factors

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

BlendMode = Literal["opaque", "translucent", "additive", "minimum", "multiplicative"]
"""How a channel is laid over those below it.

With s its colour, a its opacity and d what lies below: s; a s + (1 - a) d; a s + d; the smaller one of s and d; s d.
"""

_SHADES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One image, and how it is shown.

    Attributes
    ----------
    name : str
        For a person.
    levels : tuple of array-like
        The image at full resolution, and in lower ones, finest first; RGB(A), if it is that, is the last axis.
    axes : int
        Data axes, without colour: at most as many as the blended image has. They are its last ones; along the others,
        the channel is the same everywhere.
    contrast_limits : (float, float) or None
        Grey values with the first and the last colour; None for RGB.
    gamma : float
        Exponent of the windowed grey values.
    colours : numpy.ndarray, shape (256, 4), float32
        RGBA from 0 to 1, for grey values from the first to the last; not used for RGB.
    opacity : float
        From 0 to 1.
    blend : str
        A `BlendMode`.
    steps, offsets : tuple of float
        For each axis: pixel i of the blended image is pixel ``steps * i + offsets`` of the channel, both at full
        resolution.
    """

    name: str
    levels: tuple[Any, ...]
    axes: int
    contrast_limits: tuple[float, float] | None
    gamma: float
    colours: NDArray[np.float32]
    opacity: float
    blend: BlendMode
    steps: tuple[float, ...]
    offsets: tuple[float, ...]

    @property
    def look(self) -> Hashable:
        """Equal for channels that look alike, as long as their data are alive."""
        colours = b"" if self.contrast_limits is None else hashlib.blake2b(self.colours.tobytes()).digest()
        shown = self.contrast_limits, self.gamma, colours, self.opacity, self.blend
        return tuple(map(id, self.levels)), shown, self.steps, self.offsets

    def colour(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Colour values of the channel: (..., 4) float32, RGBA from 0 to 1, opacity included; NaN is the first colour.

        Parameters
        ----------
        values : numpy.ndarray, shape (...) or (..., 3 or 4)
            Grey values, or RGB(A).
        """
        if self.contrast_limits is None:
            painted = _unit_rgba(values)
        else:
            painted = self._shades(values)
        painted[..., 3] *= self.opacity
        return painted

    def _shades(self, values: NDArray[Any]) -> NDArray[np.float32]:
        low, high = self.contrast_limits or (0.0, 1.0)
        if values.dtype in (np.uint8, np.uint16):
            # A table of every grey value costs far less than arithmetic on every pixel.
            table = self._shades(np.arange(np.iinfo(values.dtype).max + 1, dtype=np.float64))
            return np.take(table, values, axis=0)
        span = high / 2 - low / 2  # in halves, as high - low of extreme limits would overflow
        unit = (values.astype(np.float64) / 2 - low / 2) / span if span > 0 else np.zeros(values.shape)
        unit = np.clip(np.nan_to_num(unit, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) ** self.gamma
        shades: NDArray[np.float32] = self.colours[np.rint(unit * (_SHADES - 1)).astype(np.intp)]
        return shades


class BlendedImage:
    """Channels laid over each other, indexed like an array of shape (..., 3), uint8.

    Parameters
    ----------
    shape : tuple of int
        Length of each data axis, without colour: of the image whose pixels these are, in this resolution.
    full : tuple of int
        The same at full resolution.
    channels : tuple of Channel
        Lowest first. The lowest one lies on black.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], full: tuple[int, ...], channels: tuple[Channel, ...]) -> None:
        self.shape = (*shape, 3)
        self.ndim = len(self.shape)
        self.channels = channels
        factors = level_factors(full, shape)
        self._sheets = [_Sheet.of(channel, factors[len(factors) - channel.axes :]) for channel in channels]

    @property
    def look(self) -> Hashable:
        """Equal for images that look alike, as long as their data are alive."""
        return self.shape, tuple(channel.look for channel in self.channels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels, lowest first."""
        return tuple(channel.name for channel in self.channels)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Read a part: integers and slices of step 1, as many as there are data axes; colour comes whole."""
        places = _places(index, self.shape[:-1])
        sides = tuple(len(place) for place in places if isinstance(place, range))
        picture = np.zeros((*sides, 3), dtype=np.float32)
        # On nothing there is nothing to darken, or to take the smaller one of.
        lowest = True
        for sheet in self._sheets:
            painted = sheet.read(places[len(places) - sheet.channel.axes :], sides)
            if painted is not None:
                _lay_over(picture, painted, _on_black(sheet.channel.blend) if lowest else sheet.channel.blend)
                lowest = False
        return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """A channel at the resolution that is fine enough for a blended image.

    Attributes
    ----------
    channel : Channel
        How it is shown.
    data : array-like
        The level that is read.
    steps, offsets : tuple of float
        As those of the channel, between the pixels of both levels.
    """

    channel: Channel
    data: Any
    steps: tuple[float, ...]
    offsets: tuple[float, ...] = field(default=())

    @classmethod
    def of(cls, channel: Channel, factors: tuple[float, ...]) -> _Sheet:
        """Choose the coarsest level that is as fine as pixels of the blended image, `factors` full ones long."""
        full = tuple(int(size) for size in channel.levels[0].shape[: channel.axes])
        wanted = [abs(step) * factor for step, factor in zip(channel.steps, factors, strict=True)]
        data, sizes = channel.levels[0], (1.0,) * channel.axes
        for level in channel.levels[1:]:
            here = level_factors(full, tuple(int(size) for size in level.shape[: channel.axes]))
            if all(size <= 1.01 * most for size, most in zip(here, wanted, strict=True)):
                data, sizes = level, here
        # A pixel lies in the middle of the full ones that it covers: (i + 1/2) f - 1/2, there and back.
        steps = tuple(step * f / s for step, f, s in zip(channel.steps, factors, sizes, strict=True))
        offsets = tuple(
            (step * (f - 1) / 2 + offset + 0.5) / s - 0.5
            for step, offset, f, s in zip(channel.steps, channel.offsets, factors, sizes, strict=True)
        )
        return cls(channel, data, steps, offsets)

    def read(self, places: tuple[int | range, ...], sides: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Read and colour a part of the blended image, (h, w, 4); None where the channel has nothing there.

        Parameters
        ----------
        places : tuple of int or range
            Pixels along the axes that the channel has.
        sides : tuple of int
            Lengths of the ranges; of the first ones only, if the channel lacks their axes.
        """
        index: list[int | slice] = []
        inside: list[NDArray[np.bool_]] = []
        nearest: list[NDArray[np.intp]] = []
        for place, step, offset, size in zip(places, self.steps, self.offsets, self.data.shape, strict=False):
            wanted = np.atleast_1d(np.asarray(place, dtype=np.float64)) * step + offset
            # Halves go up, as for whoever draws pixels: rounding to even would take every second one twice.
            found = np.floor(wanted + 0.5).astype(np.intp)
            there = (found >= 0) & (found < size)
            if not there.any():
                return None
            if isinstance(place, int):
                index.append(int(found[0]))
                continue
            low, high = int(found[there].min()), int(found[there].max()) + 1
            index.append(slice(low, high))
            inside.append(there)
            nearest.append(np.clip(found, low, high - 1) - low)
        pixels = np.asarray(self.data[tuple(index)])
        for axis, rows in enumerate(nearest):
            if len(rows) != pixels.shape[axis] or (np.diff(rows) != 1).any():
                pixels = np.take(pixels, rows, axis=axis)
        painted = self.channel.colour(pixels)
        for axis, there in enumerate(inside):
            painted[(slice(None),) * axis + (~there,)] = 0
        return np.broadcast_to(painted, (*sides, 4)) if painted.shape[:-1] != sides else painted


def _places(index: Any, shape: tuple[int, ...]) -> tuple[int | range, ...]:
    """Spell an index out: for each axis a number, or the range of numbers that a slice stands for."""
    given = index if isinstance(index, tuple) else (index,)
    given = tuple(place for place in given if place is not Ellipsis)
    found: list[int | range] = []
    for axis, size in enumerate(shape):
        place = given[axis] if axis < len(given) else slice(None)
        if isinstance(place, slice):
            found.append(range(size)[place])
        else:
            found.append(range(size)[int(place)])
    return tuple(found)


def _on_black(blend: BlendMode) -> BlendMode:
    """Say how the lowest channel is laid on black: to add to it is to show it as it is, and so is the smaller one."""
    return "opaque" if blend == "minimum" else "translucent"


def _lay_over(picture: NDArray[np.float32], painted: NDArray[np.float32], blend: BlendMode) -> None:
    """Lay a channel, (h, w, 4), over what is there, (h, w, 3)."""
    colour, opacity = painted[..., :3], painted[..., 3:]
    match blend:
        case "opaque":
            picture[...] = np.where(opacity > 0, colour, picture)
        case "translucent":
            picture *= 1 - opacity
            picture += colour * opacity
        case "additive":
            # The screen holds no more than full brightness, whatever comes later.
            np.minimum(picture + colour * opacity, 1, out=picture)
        case "minimum":
            picture[...] = np.where(opacity > 0, np.minimum(picture, colour), picture)
        case "multiplicative":
            picture[...] = np.where(opacity > 0, picture * colour, picture)


def _unit_rgba(values: NDArray[Any]) -> NDArray[np.float32]:
    """Bring RGB(A) to numbers from 0 to 1 by the dtype's own range (floats: as they are), with an opacity."""
    top = 1.0 if values.dtype.kind in "bf" else float(np.iinfo(values.dtype).max)
    painted = np.ones((*values.shape[:-1], 4), dtype=np.float32)
    painted[..., : values.shape[-1]] = np.clip(np.nan_to_num(values.astype(np.float64) / top, nan=0.0), 0, 1)
    return painted
