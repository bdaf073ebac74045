"""The CLIP model whose words are taught."""

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam.commands.common import text_encoder
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.training.text.embeddings import ClipModelToUse


def clip_model(name: str, device: str) -> "ClipModelToUse":
    """Name a CLIP model, which is loaded, and downloaded if it is not here, when there is something to show it."""
    from napari_sam.text import store
    from napari_sam.training.text.embeddings import ClipModelToUse

    return ClipModelToUse(*store.identity(store.lookup(name)), lambda: text_encoder(name, device))


def clip_elsewhere(name: str) -> str:
    """Name a CLIP model so that another machine knows it, and finds or downloads it there.

    Raises
    ------
    InputError
        If it is a folder of this computer.
    """
    from napari_sam.text import store

    model = store.lookup(name)
    if not model.source and Path(model.name).is_dir():
        raise InputError(
            f"{name} is a folder of this computer, which the other machine does not see. Give the CLIP model of --clip "
            "by a name of `napari-sam models list`."
        )
    return name
