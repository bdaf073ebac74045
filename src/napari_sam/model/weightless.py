"""Models without memory for their weights, to learn the names and shapes of these."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


_FILLING = (torch.Tensor.normal_, torch.Tensor.uniform_, nn.init.normal_, nn.init.uniform_)


@contextmanager
def weightless() -> Iterator[None]:
    """Put every tensor that is made in the block on the device "meta", where it has a shape and no values."""
    with torch.device("meta"), _NoValues():
        yield


class _NoValues(TorchFunctionMode):
    """Leaves out initial values: to draw none of them, PyTorch imports its compiler, which takes a second."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in _FILLING:
            return args[0] if args else given["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **given)
