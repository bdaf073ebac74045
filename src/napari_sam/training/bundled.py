"""The bundled model from data to file: train it, measure it on images it has not seen, write weights and model card."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as to_safetensors

from napari_sam.errors import InputError
from napari_sam.evaluation.clicks import evaluate, summarise
from napari_sam.model.compact import CompactConfig, CompactSam
from napari_sam.predictor import Predictor
from napari_sam.progress import no_progress
from napari_sam.training.bank import open_bank
from napari_sam.training.bbbc038 import read_archive, split
from napari_sam.training.data import Source
from napari_sam.training.loop import CHECKPOINT, Trainer, TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.progress import Progress

WEIGHTS = "bundled.safetensors"
CARD = "bundled.json"

_DATA = (
    {
        "name": "BBBC038v1 (2018 Data Science Bowl), stage 1",
        "licence": "CC0-1.0",
        "source": "https://bbbc.broadinstitute.org/BBBC038",
        "reference": "Caicedo et al., Nature Methods 16, 1247-1253 (2019)",
    },
    {"name": "synthetic scenes", "licence": "BSD-3-Clause", "source": "napari_sam.training.scenes"},
)
_LIMITS = (
    "Trained on 462 images of nuclei and on synthetic scenes, with no tomograms, electron micrographs or photographs: "
    "on those it goes by edges and texture, needs more clicks, and a box is the better prompt.",
    "Objects that span more than about 250 pixels on its canvas are larger than anything it was trained on.",
    "Objects of fewer than about 6 pixels across are blurred by its output grid of 4 canvas pixels.",
    "One image plane at a time; it knows nothing of neighbouring slices.",
)


@dataclass(frozen=True, slots=True)
class BundledConfig:
    """A whole run.

    Attributes
    ----------
    model : CompactConfig
    training : TrainingConfig
    scenes : int
        Synthetic scenes in the bank; 0 trains on real images alone.
    real_share : float
        Share of BBBC038 in a batch.
    workers : int
        Processes that render scenes.
    checked_objects : int
        Objects of each validation image in the card's metrics.
    """

    model: CompactConfig = field(default_factory=CompactConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    scenes: int = 6000
    real_share: float = 0.5
    workers: int = 2
    checked_objects: int = 12


def train_bundled(
    config: BundledConfig, archive: Path, folder: Path, *, device: str = "cpu", progress: Progress = no_progress
) -> Path:
    """Train the bundled model, or go on with a run that was cut, and export it.

    Parameters
    ----------
    config : BundledConfig
    archive : Path
        BBBC038 as a zip of images/ and labels/.
    folder : Path
        Gets the bank of scenes, the checkpoint, the log, and in the end the weights and their card.
    device : str
        A torch device.
    progress : Progress
        Called after every step; may raise `Cancelled`. What was done up to the last checkpoint is kept.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    InputError
        If the archive cannot be read.
    """
    real, held_out = split(read_archive(archive))
    bank = None
    if config.scenes:
        bank = open_bank(folder / "bank", config.scenes, seed=config.training.seed, workers=config.workers)
    trainer = Trainer(config.model, config.training, Source(real, bank, config.real_share), folder, device)
    model = trainer.run(progress, check=lambda average: measure(average, held_out[::4], 3)["all"])
    metrics = measure(model, held_out, config.checked_objects)
    return export(folder / CHECKPOINT, folder / WEIGHTS, folder / CARD, metrics)


def measure(model: CompactSam, images: list[Any], objects: int) -> dict[str, dict[str, float]]:
    """Measure clicks and boxes on some objects of each image; see `napari_sam.evaluation.clicks`."""
    return summarise(evaluate(Predictor(model, "unsaved"), images, most_objects=objects))


def load_average(checkpoint: Path, model: CompactConfig | None = None) -> tuple[CompactSam, dict[str, Any]]:
    """Load a run's averaged model, as it will be shipped: rounded to half precision.

    Parameters
    ----------
    checkpoint : Path
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
        If there is no checkpoint.
    """
    if not checkpoint.is_file():
        raise InputError(f"There is no checkpoint {checkpoint}. Train first, or give the folder of another run.")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    average = CompactSam(model or CompactConfig.from_json(state["model_config"]))
    average.load_state_dict({name: tensor.half().float() for name, tensor in state["average"].items()})
    return average.eval().requires_grad_(requires_grad=False), state


def export(
    checkpoint: Path,
    weights: Path,
    card: Path,
    metrics: dict[str, dict[str, float]],
    model: CompactConfig | None = None,
) -> Path:
    """Write the averaged weights of a checkpoint, float16, and the card that describes them.

    Parameters
    ----------
    checkpoint : Path
        Of a `Trainer`.
    weights, card : Path
        A safetensors file whose metadata name the architecture and its configuration, and a JSON file. The card is
        written last: it is never newer than weights that are not there.
    metrics : dict
        What `measure` found on the validation split.
    model : CompactConfig, optional
        See `load_average`.

    Returns
    -------
    Path
        `weights`.
    """
    average, state = load_average(checkpoint, model)
    tensors = {name: tensor.half().contiguous() for name, tensor in average.state_dict().items()}
    contents = to_safetensors(tensors, {"architecture": "compact", "config": average.config.to_json()})
    training = state["config"]
    crops = state["step"] * training["images"] * training["threads"]
    described = {
        "name": "bundled",
        "architecture": "compact",
        "config": asdict(average.config),
        "sha256": hashlib.sha256(contents).hexdigest(),
        "bytes": len(contents),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "licence": "BSD-3-Clause",
        "data": _DATA,
        "training": {
            "steps": state["step"],
            "hours": round(state["seconds"] / 3600, 2),
            "crops": crops,
            "objects": crops * training["objects"],
            "config": training,
        },
        "validation": {
            "images": "BBBC038, a tenth of each type of image, as napari_sam.training.bbbc038.split draws it",
            "metrics": metrics,
        },
        "limits": _LIMITS,
    }
    _write(weights, contents)
    _write(card, (json.dumps(described, indent=2) + "\n").encode())
    return weights


def _write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(contents)
    os.replace(part, path)
