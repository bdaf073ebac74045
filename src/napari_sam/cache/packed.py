"""Embeddings as they are kept: plain arrays, half as large.

A cache needs nothing more of an embedding than this, and so it needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.geometry import Frame


@dataclass(frozen=True, slots=True, eq=False)
class PackedArray:
    """One tensor of an embedding.

    Attributes
    ----------
    values : numpy.ndarray
        C-contiguous; float16 where the tensor was float32 and its values fit.
    dtype : str
        What the tensor's dtype was, such as "float32".
    order : tuple of int
        The tensor's axes in the order in which `values` has them, which is how they lay in memory. Convolutions may
        round otherwise for another order, so it is kept.
    """

    values: NDArray[Any]
    dtype: str
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PackedEmbedding:
    """What the image encoder made of one plane, ready to be kept.

    Attributes
    ----------
    key, weights, frame
        See `napari_sam.predictor.Embedding`.
    arrays : tuple of PackedArray
        Its features.
    """

    key: str
    weights: str
    frame: Frame
    arrays: tuple[PackedArray, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.values.nbytes for array in self.arrays)
