"""From a checkpoint file to a model that is ready to run."""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from safetensors import SafetensorError, safe_open

from napari_sam.errors import WeightsError
from napari_sam.model.compact import build_compact
from napari_sam.model.layouts import LOADABLE, recognise, require_match
from napari_sam.model.medsam import MedSam
from napari_sam.model.sam import Sam
from napari_sam.model.tiny_vit import fuse_batch_norms

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from napari_sam.model.protocol import PromptableModel

MEDSAM = "medsam_vit_b"
"""The one architecture that weights alone do not tell: they are a ViT-B's."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and where it came from.

    Attributes
    ----------
    model : PromptableModel
        In evaluation mode, its weights frozen, on the device that was asked for.
    architecture : str
        "compact", "sam_vit_b", "mobile_sam", "medsam_vit_b", "sam_hq_vit_h", ...
    digest : str
        SHA-256 of the file, in hexadecimal.
    notes : tuple of str
        What a person should know about it, in sentences.
    """

    model: PromptableModel
    architecture: str
    digest: str
    notes: tuple[str, ...] = ()


def load_checkpoint(path: Path, *, architecture: str | None = None, device: str | torch.device = "cpu") -> LoadedModel:
    """Load a model from a file. Code in the file is never run.

    Parameters
    ----------
    path : Path
        A checkpoint of PyTorch (.pth, .pt) or a .safetensors file; the contents count, not the name.
    architecture : str or None
        What the file should be; None recognises it. MedSAM has the same weights as SAM's ViT-B and another
        preprocessing, so only this argument, or "medsam" in the file's name, tells it apart.
    device : str or torch.device
        Where the model shall run.

    Raises
    ------
    WeightsError
        If there is no such file, it is damaged, it holds code, or it is not the model that was asked for.
    """
    if not path.is_file():
        raise WeightsError(f"There is no file {path}. Download the model again, or choose another file.")
    digest = _digest(path)
    contents, metadata = _read(path)
    if metadata.get("architecture") == "compact":
        if architecture not in (None, "compact"):
            raise _mismatch(path, "compact", architecture)
        return LoadedModel(_build_compact(contents, metadata, device), "compact", digest)

    found = recognise(contents)
    name, notes = found.architecture, found.notes
    if architecture is None and "medsam" in path.stem.lower():
        architecture = MEDSAM
        notes += ("Taken for MedSAM because of its file name: boxes only, and MedSAM's own preprocessing.",)
    if architecture == MEDSAM and name == "sam_vit_b":
        name = MEDSAM
    if architecture not in (None, name):
        raise _mismatch(path, name, architecture)
    with torch.device("meta"):  # no memory and no time for initial values
        model = (MedSam if name == MEDSAM else Sam)(found.config)
    require_match(found.state, model.state_dict())
    model.to_empty(device=device).load_state_dict(found.state)
    _freeze(model)
    fuse_batch_norms(model)
    return LoadedModel(model, name, digest, notes)


def _build_compact(contents: object, metadata: dict[str, str], device: str | torch.device) -> PromptableModel:
    """Build the bundled model from its tensors, half precision on disk, and its configuration."""
    model = build_compact(metadata.get("config", ""))
    weights = cast("dict[str, torch.Tensor]", contents)
    require_match(weights, model.state_dict())
    model.load_state_dict({key: value.float() for key, value in weights.items()})
    _freeze(model.to(device))
    return cast("PromptableModel", model)


def _freeze(model: nn.Module) -> None:
    model.eval().requires_grad_(requires_grad=False)


def _mismatch(path: Path, found: str, wanted: str | None) -> WeightsError:
    return WeightsError(
        f"{path.name} holds a model of architecture {found}, not {wanted}. Choose the file that belongs to the model, "
        "or import this one as a model of its own."
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> tuple[object, dict[str, str]]:
    """Read tensors, by safetensors or by PyTorch's restricted unpickler, and safetensors' metadata."""
    with path.open("rb") as file:
        head = file.read(9)
    if head.lstrip().startswith(b"<"):
        raise WeightsError(f"{path.name} is a web page, not a checkpoint. Download it again from the file's own link.")
    if head[8:] == b"{":
        return _read_safetensors(path)
    try:
        # A mapped file is read once, straight into the model; the format before PyTorch 1.6 cannot be mapped.
        contents = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    return contents, {}


def _read_safetensors(path: Path) -> tuple[object, dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _refusal(path: Path, error: Exception) -> WeightsError:
    """Tell code in a pickle from plain damage."""
    if match := re.search(r"(?:Unsupported (?:global|class)|GLOBAL)\W*(?:GLOBAL )?([\w.]+)", str(error)):
        return WeightsError(
            f"{path.name} holds Python objects ({match[1]}) beside its weights. Opening those could run any code, so "
            "it is refused. Ask for a file with the state dict alone: torch.save(model.state_dict(), ...)."
        )
    return _damaged(path, error)


def _damaged(path: Path, error: Exception) -> WeightsError:
    reason = str(error).strip().split("\n")[0][:120]
    return WeightsError(
        f"{path.name} is damaged, incomplete, or no checkpoint at all ({reason}). Download it again. "
        f"What loads: {LOADABLE}."
    )
