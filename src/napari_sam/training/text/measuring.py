"""How well a model finds the object that it is told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.evaluation.simulated_user import next_click
from napari_sam.masks import iou
from napari_sam.predictor import Predictor
from napari_sam.progress import no_progress
from napari_sam.prompts import MaskPrompt, PromptSet, TextPrompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.progress import Progress
    from napari_sam.training.networks.base import Network


def measure_words(
    network: Network,
    space: ClipSpace,
    images: Sequence[LabelledImage],
    vectors: Sequence[Mapping[int, NDArray[np.float32]]],
    most_objects: int,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Ask for objects by what CLIP makes of them, which is what the model has learnt words by.

    Parameters
    ----------
    network : CompactSam or Sam
    space : ClipSpace
    images : sequence of LabelledImage
    vectors : sequence of mapping of int to numpy.ndarray
        Of each image, as `napari_sam.training.text.embeddings.embed_objects` gives them.
    most_objects : int
        Of each image.
    progress : Progress

    Returns
    -------
    dict of str to float
        "objects", how many were asked for; mean IoU with "words" alone, and after "words and a click" where that was
        wrong. Empty without objects.
    """
    # No falling back on the processor when memory runs out: that would move the model away from its training.
    predictor = Predictor(network, "unsaved", fall_back=False)
    found: list[tuple[float, float]] = []
    for done, (item, known) in enumerate(zip(images, vectors, strict=True), 1):
        embedding = predictor.embed(item.plane)
        for label in list(known)[:most_objects]:
            words = TextPrompt("object", known[label].mean(0), space.model)
            truth = item.labels == label
            told = predictor.predict(embedding, [words])
            more = (words, next_click(truth, told.masks[0]), MaskPrompt(told.logits[0]))
            corrected = predictor.predict(embedding, PromptSet(more))
            found.append((iou(told.masks[0], truth), iou(corrected.masks[0], truth)))
        progress(done / len(images))
    if not found:
        return {}
    words_alone, with_click = np.mean(found, 0).tolist()
    return {"objects": float(len(found)), "words": words_alone, "words and a click": with_click}
