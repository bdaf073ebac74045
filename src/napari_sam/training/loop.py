"""The training loop of the compact model: a budget of steps or seconds, checkpoints, and a log of JSON lines.

Everything that is random in a step is drawn from generators seeded with the run's seed and the step's number, so that a
run that was cut goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sam.model.compact import CompactConfig, CompactSam, normalise
from napari_sam.progress import no_progress
from napari_sam.training.losses import answer_loss, dense_loss
from napari_sam.training.simulate import correct, first_prompts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from napari_sam.progress import Progress
    from napari_sam.training.data import Batch, Source

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Attributes
    ----------
    steps : int
        Length of the schedule.
    max_seconds : float or None
        Ends the schedule earlier: the learning rate follows whichever of steps and time is further on. Time counts
        over all parts of a run that was cut.
    images, objects : int
        Crops in a step, on each thread; objects of each crop.
    threads : int
        Parts of a batch that are worked on side by side, each by one thread of the processor. On a GPU, 1.
    sides : tuple of int
        Side of the crops, pixels, drawn anew for each step; one that stands here twice is drawn twice as often.
    extra_rounds : int
        At most so many rounds without gradient between the first and the last.
    learning_rate, weight_decay, warmup, clip, ema, dense_weight : float
        AdamW's, steps until the full rate, norm of the gradient, decay of the averaged weights, the dense head's loss.
    bfloat16 : bool
        Matrix products in bfloat16: faster on a GPU and on a few processors.
    seed : int
    save_every : float
        Seconds between checkpoints.
    log_every : int
        Steps between lines of the log.
    """

    steps: int = 20_000
    max_seconds: float | None = None
    images: int = 4
    objects: int = 4
    threads: int = 1
    sides: tuple[int, ...] = (192, 192, 192, 256)
    extra_rounds: int = 2
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    warmup: int = 150
    clip: float = 1.0
    ema: float = 0.998
    dense_weight: float = 0.5
    bfloat16: bool = False
    seed: int = 0
    save_every: float = 300.0
    log_every: int = 20


class Trainer:
    """A run: model, averaged model, optimiser, and how far they are.

    Parameters
    ----------
    model_config : CompactConfig
    config : TrainingConfig
    source : Source
        Where batches come from.
    folder : Path
        Holds the checkpoint and the log; a checkpoint that is there is taken up again.
    device : str
        A torch device.
    """

    def __init__(
        self, model_config: CompactConfig, config: TrainingConfig, source: Source, folder: Path, device: str = "cpu"
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.source, self.folder = config, source, folder
        self.device = torch.device(device)
        self.model = CompactSam(model_config).to(self.device)
        self.average = CompactSam(model_config).to(self.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
        )
        self.parameters = decayed + plain
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).exists():
            self._load()

    def run(
        self, progress: Progress = no_progress, check: Callable[[CompactSam], dict[str, float]] | None = None
    ) -> CompactSam:
        """Train to the end of the budget and return the averaged model.

        Parameters
        ----------
        progress : Progress
            Called after every step; may raise `Cancelled`, after which the last checkpoint stands.
        check : callable, optional
            Measures the averaged model at every checkpoint; its numbers go to the log.
        """
        started, before = time.monotonic(), self.seconds
        saved = started
        totals: dict[str, list[float]] = {}
        with ThreadPoolExecutor(self.config.threads, initializer=_one_thread) as pool:
            while self.share < 1:
                for measured in self._train_step(pool):
                    for name, value in measured.items():
                        totals.setdefault(name, []).append(value)
                self.step += 1
                self.seconds = before + time.monotonic() - started
                if self.step % self.config.log_every == 0:
                    self._log({name: float(np.mean(values)) for name, values in totals.items()})
                    totals = {}
                if time.monotonic() - saved > self.config.save_every:
                    self.save()
                    if check is not None:
                        self._log({f"check {name}": value for name, value in check(self.average).items()})
                    saved = time.monotonic()
                progress(min(1.0, self.share))
        self.save()
        return self.average

    @property
    def share(self) -> float:
        """How much of the budget is used, from 0 to 1."""
        by_steps = self.step / self.config.steps
        return by_steps if self.config.max_seconds is None else max(by_steps, self.seconds / self.config.max_seconds)

    def _train_step(self, pool: ThreadPoolExecutor) -> list[dict[str, float]]:
        rate = self.config.learning_rate * min(1.0, (self.step + 1) / self.config.warmup)
        rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.share)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        parts = list(pool.map(self._gradients, range(self.config.threads)))
        for parameter, *gradients in zip(self.parameters, *(gradient for gradient, _ in parts), strict=True):
            parameter.grad = torch.stack(gradients).mean(0) if len(gradients) > 1 else gradients[0]
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        return [*(measured for _, measured in parts), {"norm": float(norm), "rate": rate}]

    def _gradients(self, part: int) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        """Draw one part of this step's batch; return gradients and what is worth logging."""
        shared = np.random.default_rng((self.config.seed, self.step))
        side = int(shared.choice(self.config.sides))
        rng = np.random.default_rng((self.config.seed, self.step, part))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        batch = self.source.draw(rng, self.config.images, self.config.objects, side).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            loss, measured = objective(
                self.model, batch, int(rng.integers(self.config.extra_rounds + 1)), self.config.dense_weight, generator
            )
        return torch.autograd.grad(loss, self.parameters), measured

    def _log(self, values: dict[str, float]) -> None:
        line = {"step": self.step, "seconds": round(self.seconds, 1)} | {k: round(v, 5) for k, v in values.items()}
        with (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write the checkpoint; the one before stands until the new one is whole."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "model_config": self.model.config.to_json(),
            "config": asdict(self.config),
        }
        part = self.folder / (CHECKPOINT + ".part")
        torch.save(state, part)
        os.replace(part, self.folder / CHECKPOINT)

    def _load(self) -> None:
        state: dict[str, Any] = torch.load(self.folder / CHECKPOINT, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def _one_thread() -> None:
    """Let each part of the batch use one thread: two small parts side by side are faster than one on two threads."""
    torch.set_num_threads(1)


def objective(
    model: CompactSam, batch: Batch, extra_rounds: int, dense_weight: float, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch: the first answer, and the last of some rounds of correction; between them without gradient.

    Returns
    -------
    loss : Tensor, scalar
    measured : dict of str to float
        Losses, and mean IoU of the single mask after a click, after a box and at the end, for the log.
    """
    features = model.encode(normalise(batch.images))
    truth = torch.nn.functional.avg_pool2d(batch.masks, 2)
    prompts = first_prompts(truth, generator)
    boxed = torch.zeros_like(prompts.labels[:, 0], dtype=torch.bool)
    if prompts.boxes is not None:
        boxed = torch.isfinite(prompts.boxes).all(1)
    ambiguous = (prompts.labels[:, 0] == 1) & ~boxed
    logits, scores = model.respond(features, batch.objects, prompts)
    first, first_iou = answer_loss(logits, scores, truth, ambiguous)
    answer = _chosen(logits, scores, ambiguous)
    for _ in range(extra_rounds):
        prompts = correct(prompts, answer, truth, generator)
        with torch.no_grad():
            answer = model.respond(features, batch.objects, prompts)[0][:, :1]
    prompts = correct(prompts, answer, truth, generator)
    logits, scores = model.respond(features, batch.objects, prompts)
    last, last_iou = answer_loss(logits, scores, truth, torch.zeros_like(ambiguous))
    dense = dense_loss(features[4], batch.dense)
    measured = {"first": first.item(), "last": last.item(), "dense": dense.item()}
    shown = {"click": first_iou[ambiguous, 0], "box": first_iou[boxed, 0], "corrected": last_iou[:, 0]}
    measured |= {name: iou.mean().item() for name, iou in shown.items() if len(iou)}
    return first + last + dense_weight * dense, measured


def _chosen(logits: Tensor, scores: Tensor, ambiguous: Tensor) -> Tensor:
    """Take the answer that a person would go on from: the best of three after one click, else the single mask."""
    best = 1 + scores[:, 1:].argmax(1)
    index = torch.where(ambiguous, best, torch.zeros_like(best))
    return logits[torch.arange(len(logits), device=logits.device), index].detach()[:, None]
