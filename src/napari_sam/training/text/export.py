"""The checkpoint of a model that has learnt words, and the card that says how."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from safetensors.torch import save as to_safetensors

from napari_sam.files import part_path, replacing
from napari_sam.model.text_projection import METADATA, PART
from napari_sam.training.text.trainable import learns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.training.networks.base import BaseModel
    from napari_sam.training.text.trainable import Trained

WEIGHTS = "words.safetensors"
CARD = "words.json"


def export_words(
    base: BaseModel,
    learnt: Mapping[str, Tensor],
    space: ClipSpace,
    trained: Trained,
    folder: Path,
    facts: Mapping[str, Any],
) -> Path:
    """Write a checkpoint that differs from the base in what has learnt, and in nothing else.

    Parameters
    ----------
    base : BaseModel
    learnt : mapping of str to Tensor
        Weights of the trained network.
    space : ClipSpace
    trained : {"projection", "decoder", "all"}
    folder : Path
        Gets `WEIGHTS`, and then `CARD`.
    facts : mapping
        More for the card: training, data, measures.

    Returns
    -------
    Path
        The checkpoint.
    """
    state = dict(base.state)
    for name, tensor in learnt.items():
        if learns(name, trained) and (PART in name or name in state):
            # As precise as in the file; a projection that is new in single precision.
            state[name] = tensor.to(state[name].dtype if name in state else tensor.dtype)
    # Copies: tensors may share their memory, or be views of a file, and safetensors writes neither.
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    contents = to_safetensors(tensors, base.metadata | {METADATA: space.to_json()})
    described = {
        "name": WEIGHTS,
        "sha256": hashlib.sha256(contents).hexdigest(),
        "bytes": len(contents),
        "started_from": f"sha256 {base.sha256}",
        "trained": trained,
        "clip": {"model": space.model, "source": space.source, "width": space.width},
    }
    _write(folder / WEIGHTS, contents)
    _write(folder / CARD, (json.dumps(described | dict(facts), indent=2) + "\n").encode())
    return folder / WEIGHTS


def _write(path: Path, contents: bytes) -> None:
    with replacing(path, part_path(path)) as part:
        part.write_bytes(contents)
