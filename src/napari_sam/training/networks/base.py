"""The model that a training begins with: what it was, weight by weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.checkpoints.reading import read_checkpoint
from napari_sam.errors import InputError
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.encoders.tiny_vit import TinyViT
from napari_sam.model.sam.checkpoint_keys import recognise
from napari_sam.model.sam.sam import Sam

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

Network: TypeAlias = CompactSam | Sam


@dataclass(frozen=True, slots=True, eq=False)
class BaseModel:
    """A model that is to learn, and its checkpoint.

    Attributes
    ----------
    network : CompactSam or Sam
        In evaluation mode, its weights frozen.
    state : dict of str to Tensor
        What the file holds, under the published names and as precise as there.
    metadata : dict of str to str
        What a file of its kind has to say of itself.
    sha256 : str
        Of the file.
    architecture : str
        One of `napari_sam.checkpoints.registry.ARCHITECTURES`.
    """

    network: Network
    state: dict[str, Tensor]
    metadata: dict[str, str]
    sha256: str
    architecture: str = ""

    @property
    def can_train_encoder(self) -> bool:
        """Whether a trained image encoder can be written under the names that it had."""
        # What is folded for speed when TinyViT is loaded cannot be unfolded.
        return not (isinstance(self.network, Sam) and isinstance(self.network.image_encoder, TinyViT))


def read_base(path: Path, architecture: str | None = None) -> BaseModel:
    """Read a model that is to learn.

    Parameters
    ----------
    path : Path
        A checkpoint that `napari_sam.checkpoints.loading.load_checkpoint` takes.
    architecture : str, optional
        What it should be.

    Raises
    ------
    WeightsError
        If it cannot be loaded.
    InputError
        If it takes boxes only.
    """
    loaded = load_checkpoint(path, architecture=architecture)
    if not loaded.model.prompt_kinds >= {"point", "mask"}:
        raise InputError(f"{path.name} takes boxes only, and could not be corrected by clicks. Teach another model.")
    contents, metadata = read_checkpoint(path)
    compact = isinstance(loaded.model, CompactSam)
    state = dict(cast("dict[str, Tensor]", contents)) if compact else recognise(contents).state
    kept = {name: value for name, value in metadata.items() if name in ("architecture", "config")}
    return BaseModel(cast("Network", loaded.model), state, kept, loaded.digest, loaded.architecture)
