"""Low-rank adapters: a few numbers for each layer that learns, beside weights that stay as they are.

The change of a weight matrix is the product of a tall and a flat matrix (Hu et al. 2021, LoRA); the kernel of a
convolution is taken as a matrix of its outputs by all that each of them sees. Gains, offsets and tokens, which are few,
learn as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrize

from napari_sam.checkpoints.adapters.file import DOWN, UP

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_WEIGHT = "weight"


class LowRank(nn.Module):
    """A weight that learns by a product of two matrices; in the beginning it is what it was.

    Parameters
    ----------
    weight : Tensor, shape (outputs, inputs, ...)
    rank : int
        Columns of the tall matrix. The product is divided by its root, so that one learning rate suits all ranks
        (Kalajdzievski 2023).
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = len(weight), weight[0].numel()
        self.down = nn.Parameter(torch.randn(rank, inputs, device=weight.device) / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank, device=weight.device))
        self.scale = 1 / math.sqrt(rank)

    def forward(self, weight: Tensor) -> Tensor:
        """Add the product."""
        return weight + (self.scale * (self.up @ self.down)).view_as(weight)


@dataclass(frozen=True, slots=True)
class AdaptedParts:
    """Which parameters of a network learn.

    Attributes
    ----------
    low_rank : tuple of str
        Names of modules whose weight learns by a product.
    whole : tuple of str
        Names of parameters that learn as they are.
    """

    low_rank: tuple[str, ...]
    whole: tuple[str, ...]


def adapt(
    network: nn.Module, learns: Callable[[str], bool], rank: int, is_new: Callable[[str], bool] = lambda _name: False
) -> AdaptedParts:
    """Freeze a network, and give adapters to a part of it.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    learns : callable
        Tells of a parameter, by its name, whether it is of that part.
    rank : int
        See `LowRank`. A weight that has no more numbers than its adapter would have learns as it is.
    is_new : callable
        Tells of a parameter whether it has not learnt anything yet: then it learns as it is.
    """
    low_rank, whole = [], []
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for name, parameter in list(network.named_parameters()):
        if not learns(name):
            continue
        owner, _, last = name.rpartition(".")
        module = network.get_submodule(owner)
        numbers = rank * (len(parameter) + parameter[0].numel()) if parameter.ndim > 1 else math.inf
        if (
            last == _WEIGHT
            and isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
            and numbers < parameter.numel()
            and not is_new(name)
        ):
            parametrize.register_parametrization(module, _WEIGHT, LowRank(parameter, rank))
            low_rank.append(owner)
        else:
            parameter.requires_grad_()
            whole.append(name)
    return AdaptedParts(tuple(low_rank), tuple(whole))


def adapter_tensors(network: nn.Module, adapted: AdaptedParts, base: nn.Module) -> dict[str, Tensor]:
    """Give what has been learnt, as `napari_sam.checkpoints.adapters.file.write_adapter` writes it.

    Parameters
    ----------
    network : nn.Module
        With adapters, trained.
    adapted : AdaptedParts
        What `adapt` gave.
    base : nn.Module
        What it was before: parameters that learn as they are are given as what is added to them, and new ones as
        they are.
    """
    found: dict[str, Tensor] = {}
    for name in adapted.low_rank:
        product = network.get_submodule(f"{name}.parametrizations.{_WEIGHT}.0")
        assert isinstance(product, LowRank)
        found[f"{name}.{_WEIGHT}{UP}"] = product.scale * product.up
        found[f"{name}.{_WEIGHT}{DOWN}"] = product.down
    before, now = dict(base.named_parameters()), dict(network.named_parameters())
    for name in adapted.whole:
        found[name] = now[name] - before[name] if name in before else now[name]
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in found.items()}
