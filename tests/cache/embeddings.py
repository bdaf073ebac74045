"""Packed embeddings that are quick to make, and a process that uses a folder of them hard. Nothing here needs torch."""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

import numpy as np

from napari_sam.cache.disk import DiskStore
from napari_sam.cache.packed import PackedArray, PackedEmbedding
from napari_sam.geometry import Frame


def key_of(number: int) -> str:
    return hashlib.blake2b(str(number).encode(), digest_size=20).hexdigest()


def packed(number: int, nbytes: int = 4096) -> PackedEmbedding:
    """An embedding whose values follow from its number."""
    values = np.random.default_rng(number).integers(0, 256, (2, nbytes // 2), dtype=np.uint8)
    pixels = np.full((1, 2, 3), number, np.float16)
    arrays = (PackedArray(values, "uint8", (0, 1)), PackedArray(pixels, "float32", (2, 0, 1)))
    return PackedEmbedding(key_of(number), "weights", Frame((5, 7), (10, 14), (16, 16), 0.5), arrays)


def same(one: PackedEmbedding | None, other: PackedEmbedding) -> bool:
    """Whether two embeddings are equal to the last bit."""
    return (
        one is not None
        and (one.key, one.weights, one.frame) == (other.key, other.weights, other.frame)
        and [(a.dtype, a.order, a.values.dtype, a.values.shape, a.values.tobytes()) for a in one.arrays]
        == [(a.dtype, a.order, a.values.dtype, a.values.shape, a.values.tobytes()) for a in other.arrays]
    )


def churn(folder: Path, limit: int, seed: int, rounds: int) -> None:
    """Put and get embeddings in a folder that others use too; fail on the first wrong answer."""
    store, chance, hits = DiskStore(folder, limit), random.Random(seed), 0
    for _ in range(rounds):
        assert store.put(packed(chance.randrange(40))), store.problem
        number = chance.randrange(40)
        found = store.get(key_of(number))
        assert found is None or same(found, packed(number))
        hits += found is not None
    assert hits


if __name__ == "__main__":
    churn(Path(sys.argv[1]), *map(int, sys.argv[2:]))
