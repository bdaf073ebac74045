"""What a step of teaching costs: seconds, seconds for each prompt that is answered, and peak memory.

On a processor that is busy with other things, the processor time tells more: two cores at work for a second are two.

The bundled model learns from crops; SAM's ViT-B from planes that were encoded before, with its decoder alone, with the
last blocks of its image encoder, and with micro-sam's decoder of instances. The ViT-B has random weights, which cost
the same time as trained ones, so that nothing has to be downloaded. Each row is a process of its own, because a process
counts its peak.

    python benchmarks/teaching.py [--steps 8] [--threads 2] [--device cpu]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_sam.checkpoints.weights import resolve
from napari_sam.model.sam.instance_decoder import DenseSam
from napari_sam.model.sam.sam import VIT_B, Sam
from napari_sam.training.finetune.learning import FinetuneConfig, batch_source, training_config
from napari_sam.training.finetune.measuring import sample_images
from napari_sam.training.finetune.trainable import TrainableAdapter
from napari_sam.training.loop import Trainer
from napari_sam.training.material import TaughtPlane
from napari_sam.training.networks.base import BaseModel, read_base

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam.model.protocol import Features, PromptTensors

# name, encoder blocks that learn
ROWS = {
    "bundled": ("bundled model", 0),
    "vit_b": ("ViT-B, decoder", 0),
    "instances": ("ViT-B with micro-sam's decoder", 0),
    "blocks": ("ViT-B, decoder and 2 encoder blocks", 2),
}
MOST_PROMPT_S, MOST_GB = 0.25, 3.0
"""What teaching a ViT-B from kept embeddings may cost, on two cores."""

WARM_UP = 2  # steps that are not counted


class Counting(TrainableAdapter):
    """Counts the prompts that are answered."""

    answered = 0

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts."""
        Counting.answered += len(objects)
        return super().respond(features, objects, prompts)


def base_model(row: str) -> BaseModel:
    """Load or make the model that is taught."""
    if row == "bundled":
        return read_base(resolve("bundled")[0])
    torch.manual_seed(0)
    network = DenseSam(VIT_B, ()) if row == "instances" else Sam(VIT_B)
    return BaseModel(network.eval().requires_grad_(requires_grad=False), {}, {}, "0" * 64, "sam_vit_b")


def planes() -> tuple[TaughtPlane, ...]:
    """Take the labelled sample images of the package for a person's planes."""
    return tuple(
        TaughtPlane(image.name, image.name, image.plane.rendered, image.labels, complete=True)
        for image in sample_images()
    )


def measure(row: str, steps: int, device: str) -> None:
    """Teach for some steps in this process, and print what it took."""
    base, taught = base_model(row), planes()
    base.network.to(device)
    config = FinetuneConfig(minutes=1e6, encoder_blocks=ROWS[row][1])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # No turned planes: how long one takes to encode is told by those that there are.
        source, spent = batch_source(config, base, taught, folder, seconds=0.0)
        training = training_config(config, base.network, torch.device(device).type)
        build = partial(Counting, base, config.rank, config.encoder_blocks)
        trainer = Trainer(build, replace(training, steps=WARM_UP + steps), source, folder, device)
        began: list[tuple[float, float, int]] = []

        def after_step(_words: str) -> None:
            if trainer.step == WARM_UP:
                began.append((time.perf_counter(), time.process_time(), Counting.answered))

        trainer.run(tell=after_step)
        start, worked, before = began[0]
        seconds, work = time.perf_counter() - start, time.process_time() - worked
    answered = Counting.answered - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if device != "cpu":
        peak = torch.cuda.max_memory_allocated()
    print(
        json.dumps(
            {
                "plane": spent / len(taught),
                "step": seconds / steps,
                "prompts": answered / steps,
                "prompt": seconds / answered,
                "work": work / answered,
                "peak": peak / 1e9,
            }
        )
    )


def main() -> None:
    """Read the command line, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8, help="steps that are timed")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--device", default="cpu", help="a device of torch")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="what to measure")
    parser.add_argument("--measure", choices=list(ROWS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measure:
        measure(arguments.measure, arguments.steps, arguments.device)
        return
    print(f"{arguments.device}, {arguments.threads} threads, {arguments.steps} steps each\n")
    print("| | a plane is encoded in | step | prompts in it | each prompt | of processor time | peak memory |")
    print("|---|---|---|---|---|---|---|")
    failed = False
    for row in arguments.rows:
        command = [sys.executable, __file__, "--measure", row, "--device", arguments.device]
        command += ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        ahead = "-" if row == "bundled" else f"{found['plane']:.1f} s"
        print(
            f"| {ROWS[row][0]} | {ahead} | {found['step']:.2f} s | {found['prompts']:.0f} | {found['prompt']:.3f} s "
            f"| {found['work']:.3f} s | {found['peak']:.2f} GB |",
            flush=True,
        )
        failed |= row == "vit_b" and (found["prompt"] > MOST_PROMPT_S or found["peak"] > MOST_GB)
    if failed:
        sys.exit(f"ViT-B: more than {MOST_PROMPT_S} s for a prompt, or {MOST_GB} GB.")


if __name__ == "__main__":
    main()
