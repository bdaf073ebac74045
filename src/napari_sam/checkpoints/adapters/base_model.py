"""The model that an adapter was taught to: where it is, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from napari_sam.checkpoints.adapters.file import DOWN, UP
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.receipts import read_receipt
from napari_sam.checkpoints.registry import list_models
from napari_sam.checkpoints.weights import find, imported
from napari_sam.errors import WeightsError
from napari_sam.files import printable
from napari_sam.model.protocol import TextPromptable
from napari_sam.model.text_projection import PART

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from napari_sam.checkpoints.adapters.file import AdapterOrigin
    from napari_sam.checkpoints.registry import ModelSpec
    from napari_sam.model.text_projection import ClipSpace


def find_base(origin: AdapterOrigin) -> tuple[ModelSpec, Path]:
    """Find the model that an adapter belongs to on this machine.

    Raises
    ------
    WeightsError
        If it is not here; the message says how to get it.
    """
    rows = (*list_models(), *imported())
    # The receipt says what the file was when it was put there: nothing is read where it can be told without.
    likely = [row for row in rows if row.name == origin.name or origin.sha256 in (row.sha256, _recorded(row))]
    for row in likely:
        path = find(row)
        if path is not None and file_digests(path, ["sha256"])["sha256"] == origin.sha256:
            return row, path
    known = next((row for row in likely if row.urls), None)
    name = printable(origin.name)
    if known is not None:
        raise WeightsError(
            f"This model was taught to {name}, which is not on this machine. Get it with `napari-sam models download "
            f"{known.name}`."
        )
    if any(row.bundled for row in likely):
        raise WeightsError(
            "This model was taught to the bundled model of another release of napari-sam-live. Teach it anew with this "
            "one, or install the release that it was made with."
        )
    raise WeightsError(
        f"This model was taught to {name} (sha256 {printable(origin.sha256[:12])}...), which is not on this machine. "
        "Import that model first, then this one."
    )


def _recorded(row: ModelSpec) -> str | None:
    receipt = read_receipt(row.name)
    return None if receipt is None else receipt.sha256


def apply_adapter(
    path: Path,
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    strength: float = 1.0,
    space: ClipSpace | None = None,
) -> None:
    """Add what an adapter has learnt to a model's weights, in place.

    Parameters
    ----------
    path : Path
        The adapter's file, for messages.
    model : nn.Module
        Of the architecture that it belongs to.
    tensors : mapping of str to Tensor
        See the head of this module.
    strength : float
        1 for all of it; less keeps more of what the model was. How it takes words that it did not take before is
        always taken whole.
    space : ClipSpace, optional
        The CLIP model whose words it has learnt.

    Raises
    ------
    WeightsError
        If they do not fit.
    """
    new = _take_words(model, space)
    weights = dict(model.named_parameters())
    try:
        # All of them before the first is changed.
        changes = [
            (weights[name], 1.0 if name in new else strength, _change(name, tensors, weights[name]))
            for name in _changed(tensors, weights)
        ]
    except ValueError as error:
        raise WeightsError(
            f"{path.name} does not fit the model that it names ({printable(str(error), 120)}). Teach it anew."
        ) from error
    with torch.no_grad():
        for weight, share, change in changes:
            weight.add_(share * change.view_as(weight).to(weight))


def _take_words(model: nn.Module, space: ClipSpace | None) -> frozenset[str]:
    """Add a projection of words where there is none, all of it 0; name its weights."""
    if space is None or not isinstance(model, TextPromptable) or model.text_space is not None:
        return frozenset()
    model.take_words(space)
    new = [(name, weight) for name, weight in model.named_parameters() if PART in name]
    for _name, weight in new:
        torch.nn.init.zeros_(weight.requires_grad_(False))
    return frozenset(name for name, _weight in new)


def _changed(tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """Name the weights that change."""
    names = dict.fromkeys(name.removesuffix(UP).removesuffix(DOWN) for name in tensors)
    if unknown := sorted(names.keys() - weights.keys()):
        raise ValueError(f"there is no weight {unknown[0]}")
    return list(names)


def _change(name: str, tensors: Mapping[str, Tensor], weight: Tensor) -> Tensor:
    """Give what is added to a weight; of a convolution's as a matrix of its outputs by all that each sees."""
    change = tensors.get(name)
    if change is None:
        up, down = tensors.get(name + UP), tensors.get(name + DOWN)
        # Shapes first: the product of two small factors can fill any memory.
        fits = (
            up is not None
            and down is not None
            and up.ndim == down.ndim == 2
            and (len(up), up.shape[1], down.shape[1]) == (len(weight), len(down), weight[0].numel())
        )
        if not fits:
            raise ValueError(f"the factors of {name} have other shapes")
        change = cast("Tensor", up) @ cast("Tensor", down)
    elif change.shape != weight.shape:
        raise ValueError(f"{name} has another shape")
    if not change.isfinite().all():
        raise ValueError(f"{name} is not all finite numbers")
    return change
