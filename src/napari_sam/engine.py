"""A predictor with a memory: one plane at a time, each embedded once.

The dock, the command line and a notebook all use this; nothing here asks whether there is a window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.cache import EmbeddingCache
from napari_sam.predictor import load_predictor
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from os import PathLike

    from napari_sam.image import Plane
    from napari_sam.predictor import Embedding, Prediction, Predictor
    from napari_sam.progress import Progress
    from napari_sam.prompts import PromptSet


class Engine:
    """Embeds planes once and answers prompts.

    Parameters
    ----------
    predictor : Predictor
        The model.
    cache : EmbeddingCache, optional
        Where embeddings are kept; may be shared between engines, because keys name the weights.
    """

    def __init__(self, predictor: Predictor, cache: EmbeddingCache | None = None) -> None:
        self.predictor = predictor
        self.cache = EmbeddingCache() if cache is None else cache

    @classmethod
    def load(
        cls,
        model: str | PathLike[str] = "bundled",
        device: str = "auto",
        progress: Progress = no_progress,
        *,
        cache: EmbeddingCache | None = None,
    ) -> Engine:
        """Load a model; the arguments are those of `napari_sam.load_predictor`."""
        return cls(load_predictor(model, device, progress=progress), cache)

    @property
    def device_text(self) -> str:
        """Words for the device in use, such as "CPU (2 threads)"."""
        return self.predictor.device_text

    @property
    def notice(self) -> str:
        """What the person should know, such as a fall-back to the CPU; "" when there is nothing."""
        return self.predictor.notice

    def is_cached(self, plane: Plane) -> bool:
        """Whether this plane is embedded already."""
        return self.predictor.key(plane) in self.cache

    def embed(self, plane: Plane, progress: Progress = no_progress) -> Embedding:
        """Return the embedding of a plane, computing it if it is not in the cache.

        Parameters
        ----------
        plane : Plane
            The pixels with their window and spacing.
        progress : Progress
            Called with the fraction done; may raise `Cancelled`.
        """
        embedding = self.cache.get(self.predictor.key(plane))
        if embedding is None:
            embedding = self.predictor.embed(plane, progress=progress)
            self.cache.put(embedding)
        return embedding

    def predict(
        self,
        plane: Plane,
        prompts: PromptSet,
        *,
        multimask: bool | None = None,
        progress: Progress = no_progress,
    ) -> Prediction:
        """Answer the prompts for one object of a plane, embedding the plane first if need be.

        The arguments are those of `embed` and of `napari_sam.predictor.Predictor.predict`.
        """
        return self.predictor.predict(self.embed(plane, progress), prompts, multimask=multimask)
