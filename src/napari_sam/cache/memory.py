"""The cache that an engine asks: in memory first, then on disk."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cachetools import LRUCache

from napari_sam.cache import settings
from napari_sam.cache.disk import DiskStore
from napari_sam.cache.writer import Writer

if TYPE_CHECKING:
    from napari_sam.cache.packed import PackedEmbedding


DEFAULT_CAPACITY = 1 << 30
"""Bytes of embeddings kept in memory by default: 512 planes of a ViT, which takes 2 MiB each."""


WORTH = 0.1
"""Seconds that an embedding must have taken to be written to disk by default: what takes less is felt as immediate."""


class EmbeddingCache:
    """Keeps embeddings in memory up to a number of bytes, and on disk; the least recently used one goes first.

    Safe to use from several threads.

    Parameters
    ----------
    capacity : int
        Bytes to keep in memory at most. One embedding larger than this is kept until the next one comes, so that
        clicks on a huge plane stay quick.
    disk : DiskStore, optional
        Where embeddings also go, in the background, and where those that are not in memory are looked for.
    worth : float
        Seconds. What took less to compute stays in memory only.
    """

    def __init__(
        self, capacity: int = DEFAULT_CAPACITY, disk: DiskStore | None = None, *, worth: float = WORTH
    ) -> None:
        if capacity < 0:
            raise ValueError(f"capacity is a number of bytes, 0 or more; got {capacity}")
        self.disk = disk
        self._worth = worth
        # What is larger than everything that may be kept takes all of it, and goes with the next.
        most = max(1, capacity)
        self._entries: LRUCache[str, PackedEmbedding] = LRUCache(most, lambda packed: min(max(1, packed.nbytes), most))
        self._lock = threading.Lock()
        self._writer = None if disk is None else Writer(disk.put)

    @classmethod
    def default(cls) -> EmbeddingCache:
        """Make the cache that an engine has by default: with the person's folder, unless that is switched off."""
        folder = settings.folder()
        return cls(disk=None if folder is None else DiskStore(folder))

    @property
    def nbytes(self) -> int:
        """Bytes of embeddings held in memory now."""
        with self._lock:
            return sum(packed.nbytes for packed in self._entries.values())

    def __len__(self) -> int:
        """Count the embeddings in memory."""
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries or (self.disk is not None and key in self.disk)

    def get(self, key: str) -> PackedEmbedding | None:
        """Return the embedding of this key, or None, and count it as used."""
        with self._lock:
            entry = self._entries.get(key)
        if entry is not None:
            return entry
        if self.disk is not None and (entry := self.disk.get(key)) is not None:
            self._keep(entry)
        return entry

    def put(self, packed: PackedEmbedding, *, seconds: float | None = None) -> None:
        """Keep an embedding under its own key.

        Parameters
        ----------
        packed : PackedEmbedding
            The embedding.
        seconds : float, optional
            How long it took to compute; default: long.
        """
        self._keep(packed)
        if self._writer is not None and (seconds is None or seconds >= self._worth):
            self._writer.submit(packed)

    def flush(self) -> None:
        """Wait until everything that is on its way to disk is there."""
        if self._writer is not None:
            self._writer.flush()

    def clear(self) -> None:
        """Drop every embedding from memory."""
        with self._lock:
            self._entries.clear()

    def _keep(self, packed: PackedEmbedding) -> None:
        with self._lock:
            self._entries.pop(packed.key, None)  # else it would be counted twice while room is made
            self._entries[packed.key] = packed
