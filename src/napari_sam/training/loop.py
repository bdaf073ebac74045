"""The training loop of a promptable model: a budget of steps or seconds, checkpoints, checks, and a log of JSON lines.

Everything that is random in a step is drawn from generators seeded with the run's seed and the step's number, so that a
run that was cut goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import torch

from napari_sam.errors import Cancelled
from napari_sam.files import part_path, replacing
from napari_sam.progress import no_progress
from napari_sam.training.best_checkpoint import Best
from napari_sam.training.config import TrainingConfig
from napari_sam.training.data.loader import BatchPart, draw_part, prefetched
from napari_sam.training.objective import objective
from napari_sam.training.optimizer import Optimizers
from napari_sam.training.ranks import ALONE, Ranks
from napari_sam.training.trainable import NetworkT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from napari_sam.progress import Progress
    from napari_sam.training.data.batches import BatchSource
    from napari_sam.training.trainable import Trainable

__all__ = ["CHECKPOINT", "LOG", "SCORE", "Trainer", "TrainingConfig"]

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
SCORE = "score"
"""The number of a check by which the best averaged model is chosen."""


class Trainer(Generic[NetworkT]):
    """A run: model, averaged model, optimiser, and how far they are.

    Parameters
    ----------
    build : callable
        Makes the model, and the averaged one.
    config : TrainingConfig
    source : BatchSource
        Where batches come from.
    folder : Path
        Holds the checkpoint and the log; a checkpoint that is there is taken up again.
    device : str
        A torch device.
    start : mapping of str to Tensor, optional
        Weights to begin with, where there is no checkpoint to go on from.
    origin : dict, optional
        Where data and code are from, for the model card: goes into the checkpoint. What torch can load without running
        code: numbers, words, lists and dicts.
    ranks : Ranks
        The processes that train together. Each has its own parts of every batch; the first one writes.
    """

    def __init__(
        self,
        build: Callable[[], Trainable[NetworkT]],
        config: TrainingConfig,
        source: BatchSource,
        folder: Path,
        device: str = "cpu",
        *,
        start: Mapping[str, Tensor] | None = None,
        origin: dict[str, Any] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        torch.manual_seed(config.seed)
        self.ranks = ranks
        self.origin = origin or {}
        self.config, self.source, self.folder = config, source, folder
        self.device = torch.device(device)
        self._trainable = build()
        self.model: NetworkT = self._trainable.network.to(self.device)
        if start is not None:
            self.model.load_state_dict(start)
        self.average: NetworkT = build().network.to(self.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        groups = _parameter_groups(self._trainable, config)
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.optimizer = Optimizers(groups, config.learning_rate, config.optimizer, fused=self._fused)
        self.step, self.seconds, self.crops = 0, 0.0, 0
        folder.mkdir(parents=True, exist_ok=True)
        self.best = Best(folder)
        if ranks.value(float((folder / CHECKPOINT).exists())):
            self._load()
        elif ranks.first:
            self.best.forget()
        ranks.alike(self.parameters)

    def run(
        self,
        progress: Progress = no_progress,
        check: Callable[[NetworkT], dict[str, float]] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> NetworkT:
        """Train to the end of the budget and return the averaged model.

        Parameters
        ----------
        progress : Progress
            Called after every step; may raise `Cancelled`, upon which a checkpoint is written, and all processes stop.
        check : callable, optional
            Measures the averaged model now and then; its numbers go to the log. One called `SCORE` says how good
            the model is: the best is kept in a file of its own.
        tell : callable, optional
            Called after every step with words on how it goes.
        """
        before, started = self.seconds, time.monotonic()
        saved = checked = started
        totals: dict[str, list[float]] = defaultdict(list)
        with _threads_kept(), self._threads() as pool:
            feed = self._prefetched() if self.config.workers else None
            while self._goes_on():
                for measured in self._train_step(pool, feed):
                    for name, value in measured.items():
                        totals[name].append(value)
                self.step += 1
                # Of the first process: by it the rate falls, and the run ends.
                self.seconds = self.ranks.value(before + time.monotonic() - started)
                if tell is not None:
                    loss = totals["first"][-1] + totals["last"][-1]
                    tell(f"step {self.step} of {self.config.steps}, loss {loss:.2f}")
                if self.step % self.config.log_every == 0:
                    self._log({name: float(np.mean(values)) for name, values in totals.items()})
                    totals.clear()
                cancelled: Cancelled | None = None
                try:
                    if time.monotonic() - saved > self.config.save_every:
                        self.save()
                        saved = time.monotonic()
                    if time.monotonic() - checked > self.config.check_every:
                        self._check(check)
                        checked = time.monotonic()
                    progress(min(1.0, self.share))
                except Cancelled as error:
                    cancelled = error
                if self.ranks.any(cancelled is not None):
                    self.save()
                    raise cancelled or Cancelled()
        self.save()
        return self.average

    def _threads(self) -> ThreadPoolExecutor:
        # A single part has all of the processor.
        return ThreadPoolExecutor(self.config.threads, initializer=_one_thread if self.config.threads > 1 else None)

    def _goes_on(self) -> bool:
        """Tell whether there is another step: the first process has made the checks."""
        return self.ranks.value(float(self.share < 1 and not self.exhausted)) > 0

    def _prefetched(self) -> Iterator[list[BatchPart]]:
        return prefetched(self.source, self.config, self.step, self.device, first_part=self._first_part)

    @property
    def _first_part(self) -> int:
        """Number of the first part of a batch that is this process's."""
        return self.ranks.rank * self.config.threads

    def _check(self, check: Callable[[NetworkT], dict[str, float]] | None) -> None:
        if check is None or not self.ranks.first:
            return
        numbers = check(self.average)
        self._log({f"check {name}": value for name, value in numbers.items()})
        if SCORE in numbers:
            self.best.offer(numbers[SCORE], self._weights())

    @property
    def exhausted(self) -> bool:
        """Whether the patience is."""
        return self.config.patience is not None and self.best.checks_since >= self.config.patience

    @property
    def share(self) -> float:
        """How much of the budget is used, from 0 to 1."""
        by_steps = self.step / self.config.steps
        return by_steps if self.config.max_seconds is None else max(by_steps, self.seconds / self.config.max_seconds)

    def _train_step(self, pool: ThreadPoolExecutor, feed: Iterator[list[BatchPart]] | None) -> list[dict[str, float]]:
        rate = self.config.learning_rate * min(1.0, (self.step + 1) / self.config.warmup)
        rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.share)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        began = time.monotonic()
        drawn = next(feed) if feed is not None else [None] * self.config.threads
        waited = {"wait": time.monotonic() - began} if feed is not None else {}
        parts, error = [], None
        try:
            parts = list(pool.map(self._gradients, range(self.config.threads), drawn))
        except Exception as raised:
            # The others would wait for gradients that do not come.
            error = raised
        self.ranks.fail_together(error)
        self.crops += self.ranks.count * sum(crops for _, _, crops in parts)
        gradients = [
            torch.stack(each).mean(0) if len(each) > 1 else each[0]
            for each in zip(*(gradients for gradients, _, _ in parts), strict=True)
        ]
        for parameter, gradient in zip(self.parameters, self.ranks.average(gradients), strict=True):
            # The fused optimiser wants gradients laid out in memory as their parameters are.
            parameter.grad = torch.empty_like(parameter).copy_(gradient) if self._fused else gradient
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        return [*(measured for _, measured, _ in parts), {"norm": float(norm), "rate": rate} | waited]

    def _gradients(self, part: int, drawn: BatchPart | None) -> tuple[tuple[Tensor, ...], dict[str, float], int]:
        """Draw one part of this step's batch, unless it is there; return gradients, what to log, and how many crops."""
        if drawn is None:
            drawn = draw_part(self.source, self.config, self.step, self._first_part + part)
        generator = torch.Generator().manual_seed(drawn.seed)
        batch = drawn.batch.to(self.device)
        # Autocast keeps each weight that it has cast, with its history or without: what is answered with gradient has
        # to come before what is answered without, and in `objective` it does. All threads share what it keeps, and
        # the first to end drops it: with several, the rounding would hang on their timing.
        alone = self.config.threads == 1
        enabled = self.config.bfloat16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=enabled, cache_enabled=alone):
            loss, measured = objective(self._trainable, batch, drawn.extra_rounds, self.config.dense_weight, generator)
        # A batch without boxes, say, leaves the weights of their corners aside.
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        return gradients, measured, len(batch.images)

    def _log(self, values: dict[str, float]) -> None:
        if not self.ranks.first:
            return
        rounded = {name: float(f"{value:.5g}") for name, value in values.items()}
        line = {"step": self.step, "seconds": round(self.seconds, 1)} | rounded
        with (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    @property
    def _fused(self) -> bool:
        """Whether the optimiser is one kernel: on a GPU a step has some hundred parameters to walk through."""
        return self.device.type == "cuda"

    def _weights(self) -> dict[str, Any]:
        """Gather what a model that is shipped is made of."""
        return {
            "average": self._kept(self.average),
            "step": self.step,
            "seconds": self.seconds,
            "crops": self.crops,
            "model_config": self._trainable.description,
            "config": asdict(self.config),
            "origin": self.origin,
        }

    def _kept(self, network: NetworkT) -> dict[str, Tensor]:
        """Give the weights that a checkpoint holds."""
        state: dict[str, Tensor] = network.state_dict()
        if self._trainable.saves_whole:
            return state
        learning = {name for name, tensor in self.model.named_parameters() if tensor.requires_grad}
        return {name: tensor for name, tensor in state.items() if name in learning}

    def save(self) -> None:
        """Write the checkpoint; the one before stands until the new one is whole."""
        if not self.ranks.first:
            return
        state = self._weights() | {"model": self._kept(self.model), "optimizer": self.optimizer.state_dict()}
        with replacing(self.folder / CHECKPOINT, part_path(self.folder / CHECKPOINT)) as part:
            torch.save(state, part)

    def _load(self) -> None:
        state: dict[str, Any] = torch.load(self.folder / CHECKPOINT, map_location=self.device, weights_only=True)
        whole = self._trainable.saves_whole
        self.model.load_state_dict(state["model"], strict=whole)
        self.average.load_state_dict(state["average"], strict=whole)
        self.optimizer.load_state_dict(state["optimizer"], fused=self._fused)
        self.step, self.seconds = state["step"], state["seconds"]
        self.crops = state.get("crops", self.step * self.config.images * self.config.threads)
        self.origin = state.get("origin", {}) | self.origin


def _parameter_groups(model: Trainable[nn.Module], config: TrainingConfig) -> list[dict[str, Any]]:
    """Sort parameters that learn by what they may: weights decay, biases and gains do not; a trunk learns slowly."""
    groups = []
    for trunk in (False, True):
        for decays in (True, False):
            chosen = [
                parameter
                for name, parameter in model.network.named_parameters()
                if parameter.requires_grad and model.is_pretrained(name) == trunk and (parameter.ndim > 1) == decays
            ]
            decay = config.weight_decay if decays else 0.0
            share = config.backbone_share if trunk else 1.0
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "share": share})
    return groups


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Put the number of threads back: what `_one_thread` sets holds for every thread that is started later."""
    count = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(count)


def _one_thread() -> None:
    """Let each part of the batch use one thread: two small parts side by side are faster than one on two threads."""
    torch.set_num_threads(1)
