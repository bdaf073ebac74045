"""Tensors out of a checkpoint file: by safetensors, or by PyTorch's restricted unpickler, which runs no code."""

from __future__ import annotations

import io
import pickle
import re
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open

from napari_sam.checkpoints.container import Form, FormError, outer_form, pickle_of
from napari_sam.checkpoints.pickles import PickleError, check_pickle
from napari_sam.errors import WeightsError
from napari_sam.files import open_plain, printable
from napari_sam.model.sam.checkpoint_keys import LOADABLE

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = 0x1950A86A20F9469CFC6C  # what files of torch.save begin with before PyTorch 1.6
_OLD_PICKLES = 5  # in such a file: the magic number, a version, the machine, the weights, their order
_MOST_PICKLED = 1 << 23  # bytes that these take, the numbers themselves aside


def read_checkpoint(path: Path) -> tuple[object, dict[str, str]]:
    """Read a checkpoint, whatever its form and its name.

    Parameters
    ----------
    path : Path
        A plain file.

    Returns
    -------
    contents : object
        What was saved: tensors by name, perhaps wrapped. Of an archive they are views of the file.
    metadata : dict of str to str
        That of a safetensors file.

    Raises
    ------
    WeightsError
        If it is damaged, no checkpoint, or holds code.
    OSError
        If it cannot be read.
    """
    try:
        form = outer_form(path)
        if form is Form.SAFETENSORS:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}
        _check_pickles(path, form)
        # A mapped file is read once, straight into the model; the format before PyTorch 1.6 cannot be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=form is Form.ARCHIVE), {}
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from error
    except Exception as error:  # whoever forges a file chooses which: of a KeyError here, nobody can make anything
        raise _damaged(path, error) from error


def _check_pickles(path: Path, form: Form) -> None:
    if form is Form.ARCHIVE:
        check_pickle(io.BytesIO(pickle_of(path)))
        return
    with open_plain(path) as file:
        start = io.BytesIO(file.read(_MOST_PICKLED))
    if check_pickle(start) == _MAGIC:  # else PyTorch opens that one pickle, and no other
        for _ in range(_OLD_PICKLES - 1):
            check_pickle(start)


def _refusal(path: Path, error: Exception) -> WeightsError:
    """Tell code in a pickle from plain damage."""
    if match := re.search(r"(?:Unsupported (?:global|class)|GLOBAL)\W*(?:GLOBAL )?([\w.]+)", str(error)):
        return WeightsError(
            f"{path.name} holds Python objects ({printable(match[1])}) beside its weights. Opening those could run any "
            "code, so it is refused. Ask for a file with the state dict alone: torch.save(model.state_dict(), ...)."
        )
    return _damaged(path, error)


def _damaged(path: Path, error: Exception) -> WeightsError:
    ours = isinstance(error, FormError | PickleError)
    reason = str(error) if ours else printable(str(error).strip().split("\n")[0], 120)
    return WeightsError(
        f"{path.name} is damaged, incomplete, or no checkpoint at all ({reason or type(error).__name__}). "
        f"Download it again. What loads: {LOADABLE}."
    )
