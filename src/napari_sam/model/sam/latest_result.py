"""Something that was made of a tensor, kept for the next time."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

T = TypeVar("T")


class LatestResult(Generic[T]):
    """Remembers what was made of the latest tensor, as long as that is there and what it was made with is the same.

    A copy, which comes with a copy of the model, is empty.
    """

    def __init__(self) -> None:
        self._source: weakref.ref[Tensor] | None = None
        self._tools: list[tuple[Tensor, int]] = []
        self._made: T | None = None

    def __reduce__(self) -> tuple[type[LatestResult[T]], tuple[()]]:
        return LatestResult, ()

    def get(self, source: Tensor, tools: Sequence[Tensor], make: Callable[[], T]) -> T:
        """Give what was kept, or make and keep it; with gradients, which have to flow through it, make it each time.

        Parameters
        ----------
        source : Tensor
            What it is made of. Another tensor with the same numbers is another source.
        tools : sequence of Tensor
            What it is made with: weights. Views that are made anew each time are the same if what they show is.
        make : callable
            Makes it.
        """
        if torch.is_grad_enabled():
            return make()
        if self._made is None or self._source is None or self._source() is not source or not self._has(tools):
            self._made = make()
            # Held here, the memory of none of them can have become that of another.
            self._tools = [(tool, _version(tool)) for tool in tools]
            self._source = weakref.ref(source, self._forget)
        return self._made

    def _has(self, tools: Sequence[Tensor]) -> bool:
        return len(tools) == len(self._tools) and all(
            one.data_ptr() == other.data_ptr() and _version(one) == version
            for one, (other, version) in zip(tools, self._tools, strict=True)
        )

    def _forget(self, source: weakref.ref[Tensor]) -> None:
        if source is self._source:
            self._source = self._made = None


def _version(tensor: Tensor) -> int:
    """Count changes in place; in inference mode torch does not, and nobody changes what was made there."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001  # torch has no other name for it
