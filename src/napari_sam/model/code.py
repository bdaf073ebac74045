"""Which code makes embeddings.

It is part of their key: a corrected encoder makes other embeddings out of the same pixels and weights, and those that
an older release left on disk must not be taken for its own.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

# What only finds, fetches and checks files leaves embeddings as they are.
_UNRELATED = {
    "code.py",
    "compact_bounds.py",
    "container.py",
    "files.py",
    "importing.py",
    "integrity.py",
    "pickles.py",
    "registry.py",
    "store.py",
    "weights.py",
}


@cache
def code_digest() -> str:
    """Digest of the source of every network, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=20)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name not in _UNRELATED:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
