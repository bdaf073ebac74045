"""A loopback server that misbehaves on request, and files and rows of the registry to fetch from it."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from loopback import answers as answers
from loopback import no_proxy as no_proxy
from loopback import server as server
from napari_sam.checkpoints import registry
from napari_sam.checkpoints.registry import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable


def checkpoint(seed: int = 0, size: int = 2000) -> bytes:
    """A small file with the outer form of what `torch.save` writes: a zip archive with sums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", random.Random(seed).randbytes(size))
    return buffer.getvalue()


@pytest.fixture
def make_checkpoint() -> Callable[..., bytes]:
    return checkpoint


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelSpec]:
    """Put a row into the registry, in front of the real ones."""

    def add(name: str = "demo", *urls: str, body: bytes | None = None, **known: Any) -> ModelSpec:
        if body is not None:
            known = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), **known}
        spec = ModelSpec(name, name, "sam_vit_b", urls or ("http://127.0.0.1:9/never.pth",), **known)
        monkeypatch.setattr(registry, "MODELS", (*registry.MODELS, spec))
        return spec

    return add
