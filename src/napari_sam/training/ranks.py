"""Several processes that train one model together, as ``torchrun`` starts them.

Each draws its own parts of a batch; gradients are averaged, so that all have the same weights after every step. The
first process alone measures, writes and tells; the others wait for it, and stop where it stops.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed

from napari_sam.errors import Cancelled, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

_T = TypeVar("_T")

_PATIENCE = timedelta(days=2)
"""How long a process waits for the others: the first one measures, and may render scenes."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes of a run, as one of them sees them. Every method is called by all of them, in the same order.

    Attributes
    ----------
    rank : int
        Of this process; 0 is the first.
    count : int
        How many there are. With one, nothing is waited for.
    local : int
        Of this process among those of its machine.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that measures, writes and tells."""
        return self.rank == 0

    def device(self, chosen: str) -> str:
        """Give each process a GPU of its own, where one was chosen without a number."""
        if self.count == 1 or chosen != "cuda":
            return chosen
        return f"cuda:{self.local % max(1, torch.cuda.device_count())}"

    def alike(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes what the first one has, in place."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def average(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Return the mean of gradients over all processes."""
        if self.count == 1:
            return list(gradients)
        # One message: each has its own wait, and there are some hundred parameters.
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        return [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]

    def value(self, number: float) -> float:
        """Return what the first process has."""
        if self.count == 1:
            return number
        told = torch.tensor([number], dtype=torch.float64)
        distributed.broadcast(told, 0)
        return float(told[0])

    def any(self, here: bool) -> bool:
        """Tell whether something is so in any of the processes."""
        if self.count == 1:
            return here
        told = torch.tensor([float(here)])
        distributed.all_reduce(told)
        return bool(told[0])

    def fail_together(self, error: Exception | None) -> None:
        """Raise the error of this process; where another one had one, an error of its words.

        Raises
        ------
        Exception
            If there was one anywhere. For want of memory it is a `torch.OutOfMemoryError` in all processes but the one
            that had it.
        """
        if not self.any(error is not None):
            return
        if self.count == 1 and error is not None:
            raise error
        here = None
        if error is not None:
            here = str(error) or type(error).__name__, isinstance(error, torch.OutOfMemoryError | MemoryError)
        there: list[Any] = [None] * self.count
        distributed.all_gather_object(there, here)
        if error is not None:
            raise error
        said, of_memory = next(words for words in there if words is not None)
        raise (torch.OutOfMemoryError if of_memory else RuntimeError)(said)

    def first_alone(self, work: Callable[[], _T]) -> _T:
        """Let the first process do something, and tell the others what came of it.

        Parameters
        ----------
        work : callable
            What it gives is pickled.

        Raises
        ------
        Cancelled
            In the others, if it failed in the first one.
        """
        if self.count == 1:
            return work()
        told: list[Any] = [False, None]
        try:
            if self.first:
                told = [True, work()]
        finally:
            distributed.broadcast_object_list(told, 0, device=torch.device("cpu"))
        if not told[0]:
            raise Cancelled
        result: _T = told[1]
        return result

    def in_turn(self, work: Callable[[], _T]) -> _T:
        """Let the processes do something one after the other: what one writes, the next finds.

        Raises
        ------
        Cancelled
            If it failed in another one.
        """
        found: list[_T] = []
        for rank in range(self.count):
            error: Exception | None = None
            if rank == self.rank:
                try:
                    found.append(work())
                except Exception as raised:
                    error = raised
            if self.any(error is not None):
                raise error or Cancelled()
        return found[0]


ALONE = Ranks()
"""A run of one process."""


@contextmanager
def started_ranks() -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` has started; without it, this one is alone.

    Raises
    ------
    InputError
        If the others are not reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or not distributed.is_available():
        yield ALONE
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    # Words and flags go between processors, gradients between whatever computes them.
    backend = "gloo"
    if torch.cuda.is_available() and distributed.is_nccl_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    try:
        distributed.init_process_group(backend, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"The other processes of this run are not reached: {error}. Start it by torchrun.") from error
    try:
        yield Ranks(rank, count, local)
    finally:
        distributed.destroy_process_group()
