"""Planes that need not be encoded: those that a person has looked at with the model, and those of this run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.cache.memory import EmbeddingCache
from napari_sam.embedding import Embedding, plane_key
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.cache.disk import DiskStore
    from napari_sam.cache.packed import PackedEmbedding
    from napari_sam.model.protocol import Features, PromptableModel
    from napari_sam.progress import Progress

_CAPACITY = 1 << 28  # bytes: 128 planes of a ViT


class KnownEmbeddings:
    """Embeddings by the image encoder of one model.

    Parameters
    ----------
    weights : str
        Digest of the model.
    disk : DiskStore, optional
        The person's own: it is read, and nothing is written to it. What a run encodes is of no use elsewhere.
    """

    def __init__(self, weights: str, disk: DiskStore | None = None) -> None:
        self.weights = weights
        self._disk, self._memory = disk, EmbeddingCache(_CAPACITY)

    def get(self, key: str) -> PackedEmbedding | None:
        """Return the embedding of this key; None if nobody has made it."""
        found = self._memory.get(key)
        return found if found is not None or self._disk is None else self._disk.get(key)

    def put(self, packed: PackedEmbedding) -> None:
        """Keep an embedding in memory."""
        self._memory.put(packed)

    def features(self, model: PromptableModel, image: NDArray[np.uint8]) -> Features | None:
        """Return what the encoder made of a picture, (H, W, 3), where it is known."""
        plane = Plane(image)
        packed = self.get(plane_key(model, self.weights, plane))
        return None if packed is None else Embedding.unpack(packed, model.device).features


class KnowingPredictor(Predictor):
    """A predictor that encodes no plane twice, nor one that is known.

    Parameters
    ----------
    model : PromptableModel
        Its image encoder is that of `known`, whatever else of it has learnt.
    known : KnownEmbeddings
    """

    def __init__(self, model: PromptableModel, known: KnownEmbeddings) -> None:
        # No falling back on the processor when memory runs out: that would move the model away from its training.
        super().__init__(model, known.weights, fall_back=False)
        self._known = known

    def embed(
        self,
        image: NDArray[np.generic] | Plane,
        *,
        contrast_limits: tuple[float, float] | None = None,
        gamma: float = 1.0,
        spacing: tuple[float, float] = (1.0, 1.0),
        progress: Progress = no_progress,
    ) -> Embedding:
        """Encode a plane, or find what was made of it; see `Predictor.embed`."""
        plane = image if isinstance(image, Plane) else Plane(image, contrast_limits, gamma, spacing)
        packed = self._known.get(self.key(plane))
        if packed is None:
            packed = super().embed(plane, progress=progress).packed()
            self._known.put(packed)
        # Also where it is new: before and after are measured on the same numbers.
        return Embedding.unpack(packed, self.device)
