"""Adapters: what a person's images have taught a model, in a small file that says which model it was taught to.

A file of safetensors. Of each weight that changed there are either two factors, under its name with `UP` and `DOWN`,
whose product is added to it, or what is added to it, under its name alone. The metadata hold the base model's
checksum, and the card as JSON.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from safetensors import SafetensorError, safe_open

from napari_sam.errors import WeightsError
from napari_sam.files import part_path, replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from napari_sam.model.text_projection import ClipSpace

UP, DOWN = ":up", ":down"

ADAPTER = "adapter"
"""What the metadata of an adapter's file give as its architecture."""

_WORDS = "text_prompt"  # `napari_sam.model.text_projection.METADATA`, which is not imported without torch


@dataclass(frozen=True, slots=True)
class AdapterOrigin:
    """Which model an adapter belongs to.

    Attributes
    ----------
    sha256 : str
        Checksum of the base model's file, lower-case hexadecimal.
    name : str
        What it was called where it was taught.
    architecture : str
        One of `napari_sam.checkpoints.registry.ARCHITECTURES`.
    """

    sha256: str
    name: str
    architecture: str


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """What an adapter's file holds.

    Attributes
    ----------
    tensors : dict of str to Tensor
        By the names of the base model's weights; see the head of this module.
    origin : AdapterOrigin
    card : dict
        How it came to be: data, training, measures, licence.
    space : ClipSpace or None
        The CLIP model whose words were taught; None where none were.
    """

    tensors: dict[str, Tensor]
    origin: AdapterOrigin
    card: dict[str, Any]
    space: ClipSpace | None = None


def write_adapter(path: Path, adapter: Adapter) -> str:
    """Write an adapter, matrices in half precision; return the file's SHA-256.

    Raises
    ------
    WeightsError
        If it cannot be written.
    """
    # Offsets and gains are few, and sums of many small steps.
    tensors = {
        name: (tensor.half() if tensor.ndim > 1 else tensor.float()).cpu().contiguous()
        for name, tensor in adapter.tensors.items()
    }
    metadata = {
        "architecture": ADAPTER,
        "base_sha256": adapter.origin.sha256,
        "base_name": adapter.origin.name,
        "base_architecture": adapter.origin.architecture,
        "card": json.dumps(adapter.card),
    }
    if adapter.space is not None:
        metadata[_WORDS] = adapter.space.to_json()
    from safetensors.torch import save  # torch comes with it, and who only reads a card has no need of that

    contents = save(tensors, metadata)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, part_path(path)) as part:
            part.write_bytes(contents)
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror or error}. Choose another folder.") from error
    return hashlib.sha256(contents).hexdigest()


def adapter_of(path: Path, contents: object, metadata: Mapping[str, str]) -> Adapter:
    """Make an adapter of what `napari_sam.checkpoints.reading.read_checkpoint` read.

    Raises
    ------
    WeightsError
        If the file does not say which model it belongs to, or to which CLIP model its words.
    """
    fields = [metadata.get(key, "") for key in ("base_sha256", "base_name", "base_architecture")]
    if not all(text and text.isprintable() for text in fields):
        raise WeightsError(f"{path.name} does not say which model it was taught to. Ask for the file anew.")
    card: object = None
    with suppress(ValueError, RecursionError):
        card = json.loads(metadata.get("card", ""))
    return Adapter(
        {name: tensor.float() for name, tensor in cast("dict[str, Tensor]", contents).items()},
        AdapterOrigin(*fields),
        card if isinstance(card, dict) else {},
        _space(metadata.get(_WORDS)),
    )


def _space(text: str | None) -> ClipSpace | None:
    from napari_sam.model.text_projection import ClipSpace  # torch comes with it

    return None if text is None else ClipSpace.from_json(text)


def read_card(path: Path) -> dict[str, Any] | None:
    """Read the card of an adapter, without its weights; None where the file is none, or cannot be read."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError):
        return None
    if metadata.get("architecture") != ADAPTER:
        return None
    with suppress(ValueError, RecursionError):
        card = json.loads(metadata.get("card", ""))
        if isinstance(card, dict):
            return card
    return {}
