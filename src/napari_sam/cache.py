"""Embeddings that were computed before, found by what they are made of.

The key of an embedding is a digest of the pixels that the model saw, of the weights and of the frame. An embedding of
other pixels has another key, so a
stale one cannot be returned, and nothing ever has to be invalidated.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam.predictor import Embedding

DEFAULT_CAPACITY = 1 << 30
"""Bytes of embeddings kept by default: 256 planes of a ViT, which takes 4 MiB each."""


class EmbeddingCache:
    """Keeps embeddings in memory up to a number of bytes; the least recently used one goes first.

    Safe to use from several threads.

    Parameters
    ----------
    capacity : int
        Bytes to keep at most. One embedding larger than this is kept until the next one comes, so that clicks on a
        huge plane stay quick.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 0:
            raise ValueError(f"capacity is a number of bytes, 0 or more; got {capacity}")
        self._capacity = capacity
        self._entries: OrderedDict[str, Embedding] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of embeddings held now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str) -> Embedding | None:
        """Return the embedding of this key, or None, and count it as used."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, embedding: Embedding) -> None:
        """Keep an embedding under its own key."""
        with self._lock:
            old = self._entries.pop(embedding.key, None)
            self._bytes += embedding.nbytes - (old.nbytes if old is not None else 0)
            self._entries[embedding.key] = embedding
            while self._bytes > self._capacity and len(self._entries) > 1:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.nbytes

    def clear(self) -> None:
        """Drop every embedding."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
