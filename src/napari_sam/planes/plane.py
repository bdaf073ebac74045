"""From any 2-D plane to the 8-bit RGB picture that a model looks at.

What the person sees is what the model gets: the contrast limits and the gamma of the layer are the input window. They
belong to the layer, not to the plane, so that every plane of a stack is windowed alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane of an image, with the window and the pixel spacing it is seen with.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (H, W), (H, W, 3) or (H, W, 4)
        Grey values of any real dtype, or RGB(A). NaN is shown black. Alpha is laid over black, as napari's canvas does.
    contrast_limits : (float, float), optional
        Grey values shown black and white. Default: the whole range for bool and uint8, else the smallest and the
        largest finite value of this plane, which is what napari starts with for a single image. Pass the layer's
        limits for a plane of a stack. Not used for RGB, as in napari.
    gamma : float
        Exponent on the windowed grey values, as in napari; 1 leaves them.
    spacing : (float, float)
        Physical distance between pixels along y and x, in any one unit; only the ratio counts.

    Raises
    ------
    InputError
        If the array is not a plane of real numbers, or the window is empty.
    """

    pixels: NDArray[Any]
    contrast_limits: tuple[float, float] | None = None
    gamma: float = 1.0
    spacing: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels)
        object.__setattr__(self, "pixels", pixels)
        if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
            raise InputError(
                f"An image is (H, W) grey or (H, W, 3) RGB; got shape {pixels.shape}. "
                "Choose one plane of a stack, or one channel."
            )
        if 0 in pixels.shape:
            raise InputError(f"The image is empty: its shape is {pixels.shape}.")
        if pixels.dtype.kind not in "buif":
            raise InputError(f"An image holds real numbers; this one is of dtype {pixels.dtype}. Convert it first.")
        if self.contrast_limits is not None:
            low, high = (float(v) for v in self.contrast_limits)
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise InputError(f"Contrast limits are (low, high) with low < high; got {self.contrast_limits!r}.")
            object.__setattr__(self, "contrast_limits", (low, high))
        if not (np.isfinite(self.gamma) and self.gamma > 0):
            raise InputError(f"Gamma is a positive number; got {self.gamma!r}.")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in data pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def rgb(self) -> bool:
        """Whether the plane carries colour."""
        return self.pixels.ndim == 3

    @cached_property
    def limits(self) -> tuple[float, float] | None:
        """Grey values shown black and white; None for RGB. A part of the plane looks alike with these limits."""
        return None if self.rgb else self.contrast_limits or _default_limits(self.pixels)

    @cached_property
    def rendered(self) -> NDArray[np.uint8]:
        """The plane as the model sees it: (H, W, 3) uint8, read-only, made once."""
        # Transposed planes keep their order in memory through numpy's conversions; the digest reads row after row.
        picture = np.ascontiguousarray(_render_rgb(self.pixels) if self.rgb else self._render_grey())
        picture.flags.writeable = False
        return picture

    @cached_property
    def digest(self) -> str:
        """Digest of what the model sees, without its frame: equal digests, equal pictures. Made once."""
        return hashlib.blake2b(self.rendered.data, digest_size=20).hexdigest()

    def _render_grey(self) -> NDArray[np.uint8]:
        pixels = self.pixels
        limits = self.limits or (0.0, 0.0)
        if pixels.dtype == np.uint8 and limits == (0.0, 255.0) and self.gamma == 1:
            grey = pixels.astype(np.uint8)  # exact, and the common case
        elif pixels.dtype in (np.uint8, np.uint16):
            # A table of every grey value costs far less than arithmetic on every pixel of a large plane.
            levels = np.arange(np.iinfo(pixels.dtype).max + 1, dtype=np.float32)
            grey = self._window(levels, limits)[pixels]
        else:
            # float32 would merge neighbouring values of wide integers before the window spreads them.
            work = np.float32 if pixels.dtype in (np.float16, np.float32, np.int8, np.int16, np.bool_) else np.float64
            grey = self._window(pixels.astype(work), limits)
        return np.repeat(grey[..., np.newaxis], 3, axis=2)

    def _window(self, values: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
        low, high = limits
        # Scaled in two steps, because high - low of extreme float64 limits would overflow.
        span = high / 2 - low / 2
        unit = (values / 2 - low / 2) / span if span > 0 else np.zeros_like(values)
        unit = np.clip(np.nan_to_num(unit, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
        if self.gamma != 1:
            unit = unit**self.gamma
        grey: NDArray[np.uint8] = (unit * 255 + 0.5).astype(np.uint8)
        return grey


def _default_limits(pixels: NDArray[Any]) -> tuple[float, float]:
    if pixels.dtype == np.bool_:
        return 0.0, 1.0
    if pixels.dtype == np.uint8:
        return 0.0, 255.0
    # Finite values only: with an infinite one as a limit, all others would look alike.
    values = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _render_rgb(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring RGB(A) to 8 bits by the dtype's own range (floats: 0 to 1), as napari shows it."""
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.array(pixels, dtype=np.uint8)
    top = 1.0 if pixels.dtype.kind in "bf" else float(np.iinfo(pixels.dtype).max)
    # float64: integers of 32 bits would lose digits before they are scaled.
    unit = np.clip(np.nan_to_num(pixels.astype(np.float64) / top, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    colour = unit[..., :3] * unit[..., 3:] if pixels.shape[2] == 4 else unit
    picture: NDArray[np.uint8] = (colour * 255 + 0.5).astype(np.uint8)
    return picture
