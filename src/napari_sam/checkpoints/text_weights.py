"""The text projection in a checkpoint, and the CLIP model that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.model.text_projection import METADATA, PART, ClipSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def without_unusable_words(
    state: Mapping[str, Tensor], metadata: Mapping[str, str], *, boxes_only: bool = False
) -> tuple[dict[str, Tensor], ClipSpace | None, tuple[str, ...]]:
    """Tell whether a checkpoint takes words, and leave out a projection that cannot be used.

    Parameters
    ----------
    state : mapping of str to Tensor
        Weights.
    metadata : mapping of str to str
        Of the file.
    boxes_only : bool
        Whether the model takes no other prompts than boxes.

    Returns
    -------
    state : dict of str to Tensor
        All of it, where the projection can be used or there is none.
    space : ClipSpace or None
        The CLIP model whose embeddings it takes; None without a projection that can be used.
    notes : tuple of str
        Why one that is in the file cannot.

    Raises
    ------
    WeightsError
        If what the file says of the CLIP model cannot be read.
    """
    if not any(f".{PART}" in key for key in state):
        return dict(state), None, ()
    if not boxes_only and METADATA in metadata:
        return dict(state), ClipSpace.from_json(metadata[METADATA]), ()
    reason = "MedSAM takes boxes only" if boxes_only else "it is not said which CLIP model it was trained against"
    note = f"A text projection is in the file but not used: {reason}."
    return {key: value for key, value in state.items() if f".{PART}" not in key}, None, (note,)
