"""From what a person asks for to a whole run: the rest is usual for the device, or as it was in the run so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import InputError
from napari_sam.model.compact.model import CompactConfig, CompactSam
from napari_sam.training.bundled.backbone import read_backbone
from napari_sam.training.bundled.export import digest, load_average
from napari_sam.training.bundled.growing import grown
from napari_sam.training.bundled.matching import Matching
from napari_sam.training.bundled.train import BundledConfig
from napari_sam.training.config import TrainingConfig, available_cores, usual, with_wishes
from napari_sam.training.loop import CHECKPOINT

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from napari_sam.training.optimizer import Algorithm

_ATTENTION_BLOCKS = 2  # over a trunk, which sees far itself


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked for; None leaves it to the device, or to the run that is gone on with.

    Attributes
    ----------
    steps : int or None
    hours : float or None
        Of training, all parts of a run together.
    scenes : int or None
        Synthetic scenes.
    workers : int or None
        Processes that render scenes and, on a GPU, draw batches.
    batch : int or None
        Images in a step, all threads together.
    threads : int or None
    bfloat16 : bool or None
    patience : int or None
    start_from : Path or None
        Weights, or a checkpoint of another run.
    backbone : Path or None
        Published ImageNet weights: the run begins with a new encoder on them, that first learns to give the features
        of `start_from`.
    learning_rate, backbone_share : float or None
        The trunk's as a share of it.
    optimizer : {"adamw", "muon"} or None
    refining_blocks : int or None
        To add to the encoder of `start_from`, at strides 8 and 4 each.
    held_out : tuple of str or None
        Kinds to keep out of training.
    """

    steps: int | None = None
    hours: float | None = None
    scenes: int | None = None
    workers: int | None = None
    batch: int | None = None
    threads: int | None = None
    bfloat16: bool | None = None
    patience: int | None = None
    start_from: Path | None = None
    backbone: Path | None = None
    learning_rate: float | None = None
    backbone_share: float | None = None
    optimizer: Algorithm | None = None
    refining_blocks: int | None = None
    held_out: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What `train_bundled` needs.

    Attributes
    ----------
    config : BundledConfig
    start : dict, Matching or None
        Weights to begin with, or what a new encoder begins with.
    origin : dict
        For the card.
    done : int
        Steps that the run has made already.
    """

    config: BundledConfig
    start: dict[str, Tensor] | Matching | None
    origin: dict[str, Any]
    done: int = 0


def plan(wishes: Wishes, folder: Path, device_type: str) -> Plan:
    """Work out a run.

    Parameters
    ----------
    wishes : Wishes
    folder : Path
        Of the run. If it holds a checkpoint, whatever is not asked for anew stays as it was.
    device_type : str
        "cpu", "cuda", ...

    Raises
    ------
    InputError
        If the checkpoint, or what to start from, cannot be read.
    """
    base, origin = BundledConfig(training=usual(device_type)), {"device": device_type}
    start: dict[str, Tensor] | Matching | None = None
    done = 0
    if (folder / CHECKPOINT).exists():
        _average, state = load_average(folder / CHECKPOINT)
        before = state.get("origin", {}).get("bundled", {})
        model = CompactConfig.from_json(state["model_config"])
        base = replace(base, model=model, training=TrainingConfig.restored(state["config"]), **before)
        done = state["step"]
        if wishes.optimizer not in (None, base.training.optimizer):
            raise InputError(
                f"The run in {folder} learns by {base.training.optimizer}, and what that knows of the weights is of no "
                "use to another optimizer: leave out --optimizer, or begin a run elsewhere with --start-from."
            )
    elif wishes.backbone is not None:
        model, start = _on_backbone(wishes, origin)
        base = replace(base, model=model)
    elif wishes.start_from is None and wishes.refining_blocks is not None:
        raise InputError("Refining blocks are added to trained weights: give them with --start-from.")
    elif wishes.start_from is not None:
        model, start = read_start(wishes.start_from)
        if wishes.refining_blocks is not None:
            model, start = grown(model, start, wishes.refining_blocks)
        base = replace(base, model=model)
        # By digest: a name may stand for another file tomorrow.
        origin["started_from"] = f"sha256 {digest(wishes.start_from)}"
    # How many processes help changes nothing but the speed, so that it is the machine's business, not the run's.
    # One core is left for the process that drives the GPU.
    processes = wishes.workers or max(1, available_cores() - (device_type != "cpu"))
    training = _training(base.training, wishes, processes if device_type != "cpu" else 0)
    scenes = base.scenes if wishes.scenes is None else wishes.scenes
    held_out = base.held_out if wishes.held_out is None else wishes.held_out
    config = replace(base, training=training, scenes=scenes, workers=processes, held_out=tuple(held_out))
    return Plan(config, start, origin, done)


def _on_backbone(wishes: Wishes, origin: dict[str, Any]) -> tuple[CompactConfig, Matching]:
    """Put a new encoder under the decoder of a trained model."""
    if wishes.start_from is None or wishes.backbone is None:
        raise InputError("A backbone goes under a trained decoder: give its weights with --start-from.")
    before, state = read_start(wishes.start_from)
    name, trunk = read_backbone(wishes.backbone)
    teacher = CompactSam(before)
    teacher.load_state_dict(state)
    origin["started_from"] = f"sha256 {digest(wishes.start_from)}, trunk sha256 {digest(wishes.backbone)}"
    model = replace(before, backbone=name, attention_blocks=_ATTENTION_BLOCKS)
    return model, Matching(teacher.eval().requires_grad_(requires_grad=False), trunk)


def _training(base: TrainingConfig, wishes: Wishes, workers: int) -> TrainingConfig:
    asked = with_wishes(
        base,
        steps=wishes.steps,
        hours=wishes.hours,
        batch=wishes.batch,
        threads=wishes.threads,
        learning_rate=wishes.learning_rate,
    )
    return replace(
        asked,
        bfloat16=base.bfloat16 if wishes.bfloat16 is None else wishes.bfloat16,
        patience=wishes.patience or base.patience,
        backbone_share=base.backbone_share if wishes.backbone_share is None else wishes.backbone_share,
        optimizer=wishes.optimizer or base.optimizer,
        workers=workers,
    )


def read_start(path: Path) -> tuple[CompactConfig, dict[str, Tensor]]:
    """Read the weights that a run begins with.

    Parameters
    ----------
    path : Path
        Weights of a compact model (.safetensors), or a checkpoint of a run, of which the averaged model is taken.

    Raises
    ------
    InputError
        If it is neither.
    """
    if not path.is_file():
        raise InputError(
            f"There is no file {path} to start from. Give weights (.safetensors) or a run's checkpoint.pt."
        )
    # torch writes its checkpoints as zip archives.
    with path.open("rb") as stream:
        is_archive = stream.read(2) == b"PK"
    if is_archive:
        model, _state = load_average(path)
    else:
        loaded = load_checkpoint(path).model
        if not isinstance(loaded, CompactSam):
            raise InputError(f"{path} holds another model than the bundled one. Start from weights of a compact model.")
        model = loaded
    # What orders candidates is fitted to the decoder, and will be fitted anew.
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("ranker.")}
    return replace(model.config, ranker=0), state
