"""What an image encoder made of a plane, and how it is packed for keeping."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam.cache.packed import PackedArray, PackedEmbedding
from napari_sam.model.digest import code_digest
from napari_sam.model.protocol import HalfPrecisionModel

if TYPE_CHECKING:
    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features, PromptableModel
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress

_HALF_MOST = torch.finfo(torch.float16).max


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What the image encoder made of one plane.

    Attributes
    ----------
    key : str
        Digest of the pixels the model saw, of the model and of the frame: equal keys, equal embeddings.
    weights : str
        Digest of the weights that made it; only a predictor with the same weights can use it.
    frame : Frame
        Where the plane lies on the model's canvas.
    features : tuple of torch.Tensor
        The encoder's output, on the predictor's device.
    """

    key: str
    weights: str
    frame: Frame
    features: Features

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the plane, in data pixels."""
        return self.frame.plane

    @property
    def nbytes(self) -> int:
        """Bytes of the features."""
        return sum(f.element_size() * f.numel() for f in self.features)

    def packed(self) -> PackedEmbedding:
        """Pack it for keeping: in main memory, float32 as float16 where the values fit."""
        return PackedEmbedding(self.key, self.weights, self.frame, tuple(_pack(f) for f in self.features))

    @classmethod
    def unpack(cls, packed: PackedEmbedding, device: torch.device) -> Embedding:
        """Make a packed embedding usable on a device.

        Parameters
        ----------
        packed : PackedEmbedding
            From `packed`.
        device : torch.device
            The predictor's.
        """
        features = tuple(_unpack(array, device) for array in packed.arrays)
        return cls(packed.key, packed.weights, packed.frame, features)


def embedding_key(weights: str, frame: Frame, plane: Plane, dtype: torch.dtype = torch.float32) -> str:
    """Return the key of an embedding, which names weights, networks, frame, pixels and precision."""
    # The frame names the plane's shape, which the bytes alone do not.
    parts = f"{weights}|{code_digest()}|{frame}|{plane.digest}"
    if dtype != torch.float32:
        parts += f"|{dtype}"
    return hashlib.blake2b(parts.encode(), digest_size=20).hexdigest()


def plane_key(model: PromptableModel, weights: str, plane: Plane) -> str:
    """Return the key of the embedding that a model with these weights makes of a plane, where it is now."""
    return embedding_key(weights, model.frame(plane.shape, plane.spacing), plane, encoder_dtype(model))


def encoder_dtype(model: PromptableModel) -> torch.dtype:
    """Return what a model's image encoder computes in: float32, but for models that say otherwise."""
    return model.encoder_dtype if isinstance(model, HalfPrecisionModel) else torch.float32


def encode_plane(model: PromptableModel, plane: Plane, frame: Frame, progress: Progress) -> Features:
    """Run the image encoder on what the person sees of a plane."""
    with torch.inference_mode():
        return model.encode(model.preprocess(plane.rendered, frame), progress)


def _pack(tensor: torch.Tensor) -> PackedArray:
    # In the order of memory, so that features come back laid out as they were.
    strides = tensor.stride()
    order = tuple(sorted(range(tensor.ndim), key=lambda axis: -strides[axis]))
    values = tensor.detach().permute(order)
    # A tensor without elements has no smallest one.
    if tensor.dtype == torch.float32 and tensor.numel():
        low, high = torch.aminmax(values)
        if low >= -_HALF_MOST and high <= _HALF_MOST:  # neither holds for NaN
            values = values.half()
    return PackedArray(np.ascontiguousarray(values.cpu().numpy()), str(tensor.dtype).removeprefix("torch."), order)


def _unpack(array: PackedArray, device: torch.device) -> torch.Tensor:
    dtype = getattr(torch, array.dtype)
    values = torch.from_numpy(array.values).to(device).to(dtype)
    return values.permute(tuple(np.argsort(array.order).tolist()))
