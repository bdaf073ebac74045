"""What tells objects of a plane apart: the model's features under them, and what a person sees of them at a glance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam.automatic.mask_features import pooled_features
from napari_sam.automatic.proposals import roundness
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.predictor import Embedding, Predictor

_LEAST_MEAN, _LEAST_SPREAD, _LEAST_GREY = 0.3, 0.1, 0.1  # as shares of the plane's own standard deviations
_LEAST_LOG_AREA, _LEAST_ROUNDNESS, _LEAST_SOLIDITY = 0.25, 0.06, 0.03
_SURROUND, _NARROWEST = 0.25, 3  # width of the frame around an object: share of its size, and pixels


@dataclass(frozen=True, slots=True, eq=False)
class Descriptors:
    """Numbers that describe objects of one plane: computed once, compared with any examples.

    Attributes
    ----------
    values : numpy.ndarray, shape (n, d), float64
        A row for each object.
    background : numpy.ndarray, shape (d,), float64
        What the plane as a whole has; NaN where only objects have it.
    least : numpy.ndarray, shape (d,), float64
        Differences smaller than this are not worth a standard deviation.
    weights : numpy.ndarray, shape (d,), float64
        By which columns are multiplied once they are standardised.
    """

    values: NDArray[np.float64]
    background: NDArray[np.float64]
    least: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        embedding: Embedding,
        pixels: NDArray[np.generic],
        masks: Sequence[BoxedMask],
        extra: NDArray[np.floating] | None = None,
    ) -> Descriptors:
        """Describe objects of a plane. The image is not encoded again.

        Parameters
        ----------
        predictor : Predictor
        embedding : Embedding
            The plane's, from the same predictor.
        pixels : numpy.ndarray, shape (H, W) or (H, W, C)
            The plane.
        masks : sequence of BoxedMask
            On the plane, none of them empty.
        extra : numpy.ndarray, shape (n, k), optional
            What else is known of each object, such as its embedding by another model.

        Raises
        ------
        InputError
            If the embedding is another model's or another plane's, a mask is empty or lies on another plane, or `extra`
            has another number of rows.
        DeviceError
            If the device's memory runs out and there is no falling back.
        """
        _require_fitting(embedding, pixels, masks, extra)
        whole = BoxedMask((0, 0), np.ones(embedding.shape, dtype=bool), embedding.shape)
        means, spreads = predictor.compute(embedding, partial(pooled_features, masks=[*masks, whole]))
        nothing = np.full(means.shape[1], np.nan)
        blocks = [
            (means[:-1], means[-1], _LEAST_MEAN * spreads[-1]),
            (spreads[:-1], nothing, _LEAST_SPREAD * spreads[-1]),
            _appearance(pixels, masks),
        ]
        if extra is not None:
            blocks.append((extra, np.full(extra.shape[1], np.nan), np.zeros(extra.shape[1])))
        # A block counts as much as another, however many columns it has.
        weights = [np.full(len(least), len(least) ** -0.5) for _values, _background, least in blocks]
        values, background, least = (
            np.concatenate(parts, axis=-1, dtype=np.float64) for parts in zip(*blocks, strict=True)
        )
        return cls(values, background, least, np.concatenate(weights))

    @classmethod
    def joined(cls, parts: Sequence[Descriptors]) -> Descriptors:
        """Put together objects of several planes, or parts of one, that one model described; at least one part."""
        return cls(
            np.concatenate([part.values for part in parts]),
            np.mean([part.background for part in parts], axis=0),
            np.mean([part.least for part in parts], axis=0),
            parts[0].weights,
        )

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: Sequence[int]) -> Descriptors:
        """Return the descriptors of some of the objects, by their places."""
        return replace(self, values=self.values[list(places)])


def _require_fitting(
    embedding: Embedding,
    pixels: NDArray[np.generic],
    masks: Sequence[BoxedMask],
    extra: NDArray[np.floating] | None,
) -> None:
    if pixels.shape[:2] != embedding.shape or any(mask.plane != embedding.shape for mask in masks):
        raise InputError("The image, its embedding and the objects are not of one plane. Embed the plane again.")
    if not all(mask.mask.any() for mask in masks):
        raise InputError("An object is empty: it has no pixels to compare. Leave it out.")
    if extra is not None and len(extra) != len(masks):
        raise InputError(f"There are {len(extra)} extra descriptions for {len(masks)} objects. Give one for each.")


def _appearance(
    pixels: NDArray[np.generic], masks: Sequence[BoxedMask]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Measure size, roundness, solidity, grey value, contrast, texture: of objects, of the plane, and least spreads."""
    grey = pixels.astype(np.float32) if pixels.ndim == 2 else pixels.mean(axis=2, dtype=np.float32)
    rows = [
        (np.log(mask.area), roundness(mask.mask), _solidity(mask.mask), *_grey_values(grey, mask)) for mask in masks
    ]
    least_grey = _LEAST_GREY * float(grey.std(dtype=np.float64))
    background = np.array([np.nan, np.nan, np.nan, float(grey.mean(dtype=np.float64)), 0.0, np.nan])
    least = np.array([_LEAST_LOG_AREA, _LEAST_ROUNDNESS, _LEAST_SOLIDITY, least_grey, least_grey, least_grey])
    return np.array(rows, dtype=np.float64).reshape(-1, len(least)), background, least


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Return the share of an object that is left by its holes."""
    return float(np.count_nonzero(mask) / np.count_nonzero(ndimage.binary_fill_holes(mask)))


def _grey_values(grey: NDArray[np.float32], mask: BoxedMask) -> tuple[float, float, float]:
    """Mean inside, how far it lies above that of the surround, and standard deviation inside."""
    width = max(_NARROWEST, round(_SURROUND * mask.area**0.5))
    rows, columns = (slice(max(0, side.start - width), side.stop + width) for side in mask.box)
    inside = grey[mask.box][mask.mask].astype(np.float64)
    around = grey[rows, columns]
    count = around.size - inside.size
    mean = float(inside.mean())
    # An object that fills the plane stands out from nothing.
    surround = (float(around.sum(dtype=np.float64)) - float(inside.sum())) / count if count else mean
    return mean, mean - surround, float(inside.std())
