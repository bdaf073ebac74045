"""Embeddings that were computed before, found by what they are made of.

The key of an embedding is a digest of the pixels that the model saw, of the weights, of the encoder's code and of the
frame. An embedding of other pixels has another key, so a stale one cannot be returned, and nothing ever has to be
invalidated.
"""

from __future__ import annotations

from napari_sam.cache.memory import DEFAULT_CAPACITY, WORTH, EmbeddingCache

__all__ = ["DEFAULT_CAPACITY", "WORTH", "EmbeddingCache"]
