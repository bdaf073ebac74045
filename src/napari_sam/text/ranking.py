"""How well objects fit phrases.

Objects and phrases are compared as in zero-shot classification with CLIP (Radford et al. 2021, "Learning transferable
visual models from natural language supervision", section 3.1): a phrase is the mean of its vectors in several
sentences, and the probability of phrase k for object i is softmax_k(s cos(v_i, t_k)) over all phrases, with the scale s
that the model learned. An object is the mean of two views of it, as in the ranking of SAM masks of Aleem et al. 2024
("Test-time adaptation with SaLIP"), which cuts masks out; here their surroundings stay visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from napari_sam.errors import InputError
from napari_sam.progress import no_progress
from napari_sam.text.crops import CropSettings, crop_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam.masks import BoxedMask
    from napari_sam.progress import Progress
    from napari_sam.text.encoder import TextImageEncoder
    from napari_sam.text.query import TextQuery

THRESHOLD = 0.5
"""Least probability of what is found, unless somebody says otherwise: more likely than all else together."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskEmbeddings:
    """What the image tower made of objects: made once, it serves any number of queries.

    Attributes
    ----------
    vectors : numpy.ndarray, shape (n, d), float32
        Of length 1 each.
    model : str
        Name of the encoder that made them.
    """

    vectors: NDArray[np.float32]
    model: str

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """How well each object fits each phrase of a query.

    Attributes
    ----------
    query : TextQuery
    probabilities : numpy.ndarray, shape (n, k), float32
        Of each object, for each of the query's words in their order: phrases, negatives, background. Rows add up to 1.
    cosines : numpy.ndarray, shape (n, k), float32
        What they were made from, -1 to 1.
    """

    query: TextQuery
    probabilities: NDArray[np.float32]
    cosines: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def scores(self) -> NDArray[np.float32]:
        """Probabilities of the phrases alone, (n, phrases) float32."""
        return self.probabilities[:, : len(self.query.phrases)]

    @property
    def classes(self) -> NDArray[np.intp]:
        """Place of the likeliest phrase for each object, (n,)."""
        places: NDArray[np.intp] = self.scores.argmax(axis=1)
        return places

    @property
    def best(self) -> NDArray[np.float32]:
        """Probability of the likeliest phrase for each object, (n,) float32."""
        highest: NDArray[np.float32] = self.scores.max(axis=1)
        return highest

    @property
    def order(self) -> NDArray[np.intp]:
        """Places of the objects, the one that fits best first; of equals, the first."""
        return np.argsort(-self.best, kind="stable")

    def chosen(self, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
        """Tell which objects fit their likeliest phrase with at least this probability, (n,) bool."""
        return self.best >= threshold


def embed_masks(
    encoder: TextImageEncoder,
    image: NDArray[np.uint8],
    masks: Sequence[BoxedMask],
    settings: CropSettings | None = None,
    progress: Progress = no_progress,
) -> MaskEmbeddings:
    """Show a CLIP model the objects of a plane.

    Parameters
    ----------
    encoder : TextImageEncoder
    image : numpy.ndarray, shape (H, W, 3), uint8
        The plane as a person sees it (`napari_sam.planes.plane.Plane.rendered`).
    masks : sequence of BoxedMask
        Objects on it, none of them empty.
    settings : CropSettings, optional
        How they are cut out.
    progress : Progress
        Called after every batch of pictures; may raise `Cancelled`.

    Raises
    ------
    InputError
        If the image is not of that kind, or a mask is empty or of another plane.
    DeviceError
        If the device's memory runs out.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"The image is (H, W, 3) of dtype uint8; got {image.shape} of dtype {image.dtype}.")
    for mask in masks:
        if mask.plane != image.shape[:2]:
            raise InputError(f"A mask is of a plane of {mask.plane} px, the image has {image.shape[:2]} px.")
        if not mask.mask.any():
            raise InputError("A mask is empty: there is nothing to compare with words. Leave it out.")
    views = encoder.encode_images(crop_pairs(image, masks, settings or CropSettings()), 2 * len(masks), progress)
    if not masks:
        return MaskEmbeddings(np.zeros((0, 0), np.float32), encoder.name)
    return MaskEmbeddings(_unit(views[0::2] + views[1::2]), encoder.name)


def rank_embeddings(encoder: TextImageEncoder, embeddings: MaskEmbeddings, query: TextQuery) -> Ranking:
    """Compare objects that were embedded before with phrases: no picture is encoded.

    Raises
    ------
    InputError
        If another model embedded them.
    """
    if embeddings.model != encoder.name:
        raise InputError(f"The objects were embedded by {embeddings.model}, not by {encoder.name}. Embed them again.")
    sentences = query.sentences()
    if not len(embeddings):
        nothing = np.zeros((0, len(sentences)), np.float32)
        return Ranking(query, nothing, nothing)
    vectors = encoder.encode_text([sentence for group in sentences for sentence in group])
    texts = _unit(vectors.reshape(len(sentences), len(query.templates), -1).mean(axis=1))
    cosines = embeddings.vectors @ texts.T
    return Ranking(query, softmax(encoder.logit_scale * cosines, axis=1), cosines)


def rank(
    encoder: TextImageEncoder,
    image: NDArray[np.uint8],
    masks: Sequence[BoxedMask],
    query: TextQuery,
    progress: Progress = no_progress,
) -> Ranking:
    """Tell how well the objects of a plane fit phrases.

    Parameters and errors are those of `embed_masks`; whoever asks more than once about the same objects keeps what that
    gives, and calls `rank_embeddings`.
    """
    return rank_embeddings(encoder, embed_masks(encoder, image, masks, progress=progress), query)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result
