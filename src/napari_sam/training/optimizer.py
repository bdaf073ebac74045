"""The optimisers of the training loop: AdamW, or Muon for weight matrices with AdamW for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

Algorithm = Literal["adamw", "muon"]

_BETAS = (0.9, 0.99)
_LEAST_SIDE = 16
"""Rows and columns of a matrix that is worth Muon's work: of a thinner one, few directions are there to balance."""


class Optimizers:
    """Two optimisers that share a learning rate: Muon for weight matrices, AdamW for the rest, or AdamW for all.

    Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) replaces the momentum of a matrix by the
    nearest one with orthogonal rows or columns, so that all directions of it learn alike. The step is scaled to the
    root mean square of AdamW's (Liu et al. 2025, arXiv 2502.16982, section 2.2), so that one rate does for both.
    Convolutions are matrices of output channels by the rest; depthwise ones are not, nor are vectors.

    Parameters
    ----------
    groups : sequence of dict
        As torch's optimisers take them. What else is in a group stays there.
    rate : float
        Learning rate, until one is set in `param_groups`.
    algorithm : {"adamw", "muon"}
    fused : bool
        Whether AdamW is one kernel, on a GPU.

    Raises
    ------
    InputError
        If this PyTorch is without Muon.
    """

    def __init__(
        self, groups: Sequence[dict[str, Any]], rate: float, algorithm: Algorithm = "adamw", *, fused: bool = False
    ) -> None:
        self._views: list[tuple[nn.Parameter, nn.Parameter]] = []
        matrices, others = self._divided(groups) if algorithm == "muon" else ([], list(groups))
        self._optimizers: list[torch.optim.Optimizer] = []
        if others:
            self._optimizers.append(torch.optim.AdamW(others, lr=rate, betas=_BETAS, fused=fused or None))
        if matrices:
            self._optimizers.append(_muon()(matrices, lr=rate, adjust_lr_fn="match_rms_adamw"))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all optimisers, to set rates in."""
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        """Change the parameters by their gradients."""
        for matrix, parameter in self._views:
            gradient = parameter.grad
            # As the parameter lies in memory, so that both are flattened alike.
            matrix.grad = None if gradient is None else _flat(torch.empty_like(parameter).copy_(gradient))
        for optimizer in self._optimizers:
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state: dict[str, Any], *, fused: bool = False) -> None:
        """Take up what a checkpoint holds.

        Parameters
        ----------
        state : dict
            As `state_dict` returned it, or the AdamW's alone, of an earlier release. Its tensors are used as they are.
        fused : bool
            As for the constructor: a run may change from a processor to a GPU, and back.
        """
        for optimizer, own in zip(self._optimizers, state.get("optimizers", [state]), strict=True):
            for group in own["param_groups"]:
                if isinstance(optimizer, torch.optim.AdamW):
                    group["fused"] = fused or None
                group.setdefault("share", 1.0)  # of a run from before there were trunks
            optimizer.load_state_dict(own)

    def _divided(self, groups: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Part each group into its matrices, as seen by Muon, and the rest."""
        matrices, others = [], []
        for group in groups:
            chosen = [parameter for parameter in group["params"] if is_matrix(parameter)]
            rest = [parameter for parameter in group["params"] if not is_matrix(parameter)]
            views = [nn.Parameter(_flat(parameter.data)) for parameter in chosen]
            self._views += zip(views, chosen, strict=True)
            matrices += [{**group, "params": views}] if views else []
            others += [{**group, "params": rest}] if rest else []
        return matrices, others


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter is a matrix with directions to balance; of convolutions, those that see many channels."""
    if parameter.ndim < 2 or parameter.shape[1] == 1:  # a depthwise convolution has a kernel for each channel
        return False
    return min(parameter.shape[0], parameter[0].numel()) >= _LEAST_SIDE


def _flat(weights: Tensor) -> Tensor:
    """View weights as a matrix, in the same memory; in which order its columns are makes no difference to Muon."""
    if weights.ndim == 4 and not weights.is_contiguous():
        weights = weights.permute(0, 2, 3, 1)  # channels last
    return weights.view(len(weights), -1)


def _muon() -> Any:
    try:
        return torch.optim.Muon
    except AttributeError:
        raise InputError(
            f"PyTorch {torch.__version__} is without the Muon optimiser. Update it to 2.9 or later, or train with "
            "--optimizer adamw."
        ) from None
