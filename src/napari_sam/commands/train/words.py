"""The CLIP model whose words are taught."""

from typing import TYPE_CHECKING

from napari_sam.commands.common import text_encoder

if TYPE_CHECKING:
    from napari_sam.training.text.embeddings import ClipModelToUse


def clip_model(name: str, device: str) -> "ClipModelToUse":
    """Name a CLIP model, which is loaded, and downloaded if it is not here, when there is something to show it."""
    from napari_sam.text import store
    from napari_sam.training.text.embeddings import ClipModelToUse

    return ClipModelToUse(*store.identity(store.lookup(name)), lambda: text_encoder(name, device))
