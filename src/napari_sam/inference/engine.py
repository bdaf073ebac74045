"""A predictor with a memory: one plane at a time, each embedded once.

The dock, the command line and a notebook all use this; nothing here asks whether there is a window.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.cache.memory import EmbeddingCache
from napari_sam.embedding import Embedding
from napari_sam.inference import allocator
from napari_sam.inference.logits import into_window, onto_plane
from napari_sam.inference.search import CropPlanner, search_object
from napari_sam.planes import bounding_box, fits
from napari_sam.planes.plane import Plane
from napari_sam.planes.pyramid import Level, Pyramid
from napari_sam.predictor import Prediction, load_predictor
from napari_sam.progress import no_progress
from napari_sam.prompts import MaskPrompt, PromptSet

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from napari_sam.cache.packed import PackedEmbedding
    from napari_sam.geometry import Frame
    from napari_sam.planes import Crop
    from napari_sam.predictor import Predictor
    from napari_sam.progress import Progress


_TIDY = 4 << 20
"""Bytes of embeddings after which free memory is handed back: one plane of middle size, or some small ones."""


class Engine:
    """Embeds planes once and answers prompts.

    Every embedding is packed and unpacked again before it is used, one that was just computed too. So answers are the
    same, to the last bit, wherever an embedding comes from; they may differ in the fourth digit from those of the
    predictor alone.

    Parameters
    ----------
    predictor : Predictor
        The model.
    cache : EmbeddingCache, optional
        Where embeddings are kept; may be shared between engines, because keys name the weights. Default:
        `EmbeddingCache.default`, in memory and on disk.
    """

    def __init__(self, predictor: Predictor, cache: EmbeddingCache | None = None) -> None:
        self.predictor = predictor
        self.cache = EmbeddingCache.default() if cache is None else cache
        self._untidy = 0
        self._ready: Embedding | None = None  # the last one asked for, because clicks on one plane follow each other

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
        key = self.predictor.key(plane)
        ready = self._ready
        if ready is None or ready.key != key:
            packed = self.cache.get(key) or self._compute(plane, progress)
            ready = self._ready = Embedding.unpack(packed, self.predictor.device)
        return ready

    def prepare(self, plane: Plane, progress: Progress = no_progress) -> bool:
        """See to it that a plane is in the cache, without making it the one in use.

        For planes that may be needed later: the plane that the person works on stays at hand. The arguments are those
        of `embed`.

        Returns
        -------
        bool
            Whether it had to be computed.
        """
        key = self.predictor.key(plane)
        if self.cache.get(key) is not None:
            return False
        self._compute(plane, progress)
        return True

    def _compute(self, plane: Plane, progress: Progress) -> PackedEmbedding:
        """Embed a plane and keep it."""
        start = time.perf_counter()
        packed = self.predictor.embed(plane, progress=progress).packed()
        self.cache.put(packed, seconds=time.perf_counter() - start)
        self._untidy += packed.nbytes
        if self._untidy >= _TIDY:
            self._untidy = 0
            allocator.give_back()
        return packed

    def predict(
        self,
        plane: Plane,
        prompts: PromptSet,
        *,
        multimask: bool | None = None,
        progress: Progress = no_progress,
    ) -> Prediction:
        """Answer the prompts for one object of a plane, embedding the plane first if need be.

        A plane that is much larger than the model's canvas is looked at through windows around the object, at full
        detail where the object allows (see `napari_sam.planes`); only the windows are embedded.

        The arguments are those of `embed` and of `napari_sam.predictor.Predictor.predict`. Logits, and mask prompts,
        are those of the whole plane in any case.
        """
        if fits(plane.shape, self.predictor.canvas_side, plane.spacing):
            return self.predictor.predict(self.embed(plane, progress), prompts, multimask=multimask)
        prompts.require_inside(plane.shape)
        return self._look(plane, prompts, multimask, progress)

    def _look(self, plane: Plane, prompts: PromptSet, multimask: bool | None, progress: Progress) -> Prediction:
        """Answer prompts on a large plane through windows."""
        pyramid = Pyramid((Level(lambda rows, columns: plane.pixels[rows, columns], plane.shape),))
        place = CropPlanner(plane.shape, self.predictor.canvas_side, plane.spacing, pyramid.fitted, pyramid.cost)
        frame, grid = self.predictor.grid(plane)
        earlier = prompts.mask
        known = None if earlier is None else _extent(earlier.logits, frame)

        def answer(window: Crop) -> Prediction:
            part = _part(plane, window, pyramid.read(window, progress))
            told = window.prompts(prompts)
            if earlier is not None:
                inner = into_window(earlier.logits, frame, window, *self.predictor.grid(part))
                told = PromptSet((*(prompt for prompt in told if prompt is not earlier), MaskPrompt(inner)))
            several = prompts.ambiguous if multimask is None else multimask
            return self.predictor.predict(self.embed(part, progress), told, multimask=several)

        found = search_object(place, prompts, place.window_for(prompts, known), answer)
        masks = np.zeros((len(found), *plane.shape), dtype=bool)
        logits = np.empty((len(found), *grid), dtype=np.float32)
        for index, one in enumerate(found):
            (top, left), mask = one.window.on_plane(one.mask, plane.shape)
            masks[index, top : top + mask.shape[0], left : left + mask.shape[1]] = mask
            inner_frame, _ = self.predictor.grid(_part(plane, one.window, np.zeros(one.window.picture, np.uint8)))
            logits[index] = onto_plane(one.logits, inner_frame, one.window, frame, grid)
        return Prediction(masks, np.array([one.score for one in found], dtype=np.float32), logits)


def _part(plane: Plane, window: Crop, pixels: NDArray[Any]) -> Plane:
    """Make a plane of the picture of a window, seen as the whole plane is seen."""
    limits = plane.limits if pixels.ndim == 2 else None
    if limits is not None and limits[0] >= limits[1]:
        limits = limits[0], limits[0] + 1  # a plane of one grey value is black
    spacing = plane.spacing[0] * window.steps[0], plane.spacing[1] * window.steps[1]
    return Plane(pixels, limits, plane.gamma, spacing)


def _extent(logits: NDArray[np.float32], frame: Frame) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Find the corners, data pixels, of the box in which logits are positive."""
    box = bounding_box(logits > 0)
    if box is None:
        return None
    cell = np.array(frame.canvas) / logits.shape
    low, high = (frame.to_data((np.array(edge) * cell - 0.5)[::-1]) for edge in box)
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))
