"""A model and a run that take a second."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from safetensors.torch import save_file

from napari_sam.model.compact.model import CompactConfig, CompactSam
from napari_sam.training.loop import LOG, TrainingConfig
from napari_sam.training.networks.compact import TrainableCompact
from napari_sam.training.synthetic import scene_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.training.synthetic.scene_dataset import SceneBank

TINY = CompactConfig(
    widths=(8, 12, 16),
    blocks=(1, 1, 1),
    attention_blocks=1,
    attention_heads=2,
    decoder_widths=(8, 8, 16),
    decoder_depth=1,
    decoder_heads=2,
    shortest=64,
)
tiny_model = partial(TrainableCompact, TINY)
SHORT = TrainingConfig(steps=4, images=2, objects=2, sides=(64,), warmup=1, log_every=2, save_every=1e9)


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def write_weights(path: Path) -> Path:
    """Weights of a tiny model, as they are shipped."""
    tensors = {name: tensor.half().contiguous() for name, tensor in CompactSam(TINY).state_dict().items()}
    save_file(tensors, path, {"architecture": "compact", "config": TINY.to_json()})
    return path


def rendered_bank(folder: Path, scenes: int, side: int) -> SceneBank:
    """A bank that is rendered in this process: to start others takes seconds."""
    folder.mkdir()
    for first in range(0, scenes, scene_dataset.SHARD):
        shard = scene_dataset._shard(folder, first, min(scene_dataset.SHARD, scenes - first), side, 0)
        scene_dataset._write(shard, {0: scene_dataset._render(first, shard.count, side, 0)})
    return scene_dataset.open_bank(folder, scenes, side)
