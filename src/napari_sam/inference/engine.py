"""A predictor with a memory: one plane at a time, each embedded once.

The dock, the command line and a notebook all use this; nothing here asks whether there is a window.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.cache.memory import EmbeddingCache
from napari_sam.embedding import Embedding
from napari_sam.inference import allocator
from napari_sam.inference.logits import resampled
from napari_sam.inference.refinement import PreviousMask
from napari_sam.inference.segmenter import crop_grid, segment_plane
from napari_sam.inference.shaping import UNSHAPED
from napari_sam.planes import bounding_box, fits, whole
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.predictor import Prediction, draw_masks, load_predictor
from napari_sam.progress import no_progress
from napari_sam.prompt_tensors import require_answerable
from napari_sam.prompts import PromptSet

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from napari_sam.cache.packed import PackedEmbedding
    from napari_sam.geometry import Frame
    from napari_sam.inference.segmenter import Segmentation
    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.predictor import Predictor
    from napari_sam.progress import Progress
    from napari_sam.prompts import MaskPrompt


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
        key = self.predictor.key(plane)
        # The one in use stays at hand when the cache lets it go.
        return (self._ready is not None and self._ready.key == key) or key in self.cache

    def embed(self, plane: Plane, progress: Progress = no_progress) -> Embedding:
        """Return the embedding of a plane, computing it if it is not in the cache.

        Parameters
        ----------
        plane : Plane
            The pixels with their contrast and spacing.
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
        # Timed, because the cache writes to disk only what took long enough to be worth it.
        self.cache.put(packed, seconds=time.perf_counter() - start)
        self._untidy += packed.nbytes
        # Not after every plane: it takes some ten milliseconds.
        if self._untidy >= _TIDY:
            self._untidy = 0
            allocator.give_back()
        return packed

    def predict(
        self,
        plane: Plane | PlaneSource,
        prompts: PromptSet,
        *,
        multimask: bool | None = None,
        shaping: MaskShaping = UNSHAPED,
        progress: Progress = no_progress,
    ) -> Prediction:
        """Answer the prompts for one object of a plane, embedding the plane first if need be.

        A plane that is much larger than the model's canvas is looked at through crops around the object, at full
        detail where the object allows (see `napari_sam.inference.segmenter`); only the crops are embedded, and of a
        `PlaneSource` read.

        What becomes of the masks in the end is `shaping`; logits stay as they are.

        The other arguments are those of `embed` and of `napari_sam.predictor.Predictor.predict`. Logits, and mask
        prompts, are those of the whole plane in any case; on a large plane they are coarse, and `segment` gives finer
        ones.
        """
        side = self.predictor.canvas_side
        if isinstance(plane, PlaneSource) and fits(plane.view.shape, side, plane.view.spacing):
            # As a whole, so that its embedding has the same key as that of the plane in memory.
            plane = plane.read(progress=progress)
        if isinstance(plane, Plane) and fits(plane.shape, side, plane.spacing) and shaping.changes_nothing:
            return self.predictor.predict(self.embed(plane, progress), prompts, multimask=multimask)
        source = plane if isinstance(plane, PlaneSource) else PlaneSource.of(plane)
        # Decided here: without the mask, which is taken out below, a single click would look ambiguous.
        several = prompts.ambiguous if multimask is None else multimask
        others = PromptSet(tuple(prompt for prompt in prompts if prompt is not prompts.mask))
        previous = None if prompts.mask is None else self._on_plane(source, prompts.mask)
        found = self.segment(source, others, previous=previous, multimask=several, shaping=shaping, progress=progress)
        return self._whole(source, found)

    def masks(self, plane: Plane, logits: NDArray[np.float32], threshold: float = 0.0) -> NDArray[np.bool_]:
        """Draw low-resolution logits, (n, h, w), on their plane again; see `napari_sam.predictor.draw_masks`."""
        return draw_masks(self.predictor, plane, logits, threshold)

    def segment(
        self,
        plane: Plane | PlaneSource,
        prompts: PromptSet,
        *,
        previous: PreviousMask | None = None,
        multimask: bool | None = None,
        shaping: MaskShaping = UNSHAPED,
        progress: Progress = no_progress,
    ) -> Segmentation:
        """Answer the prompts for one object of a plane, as the dock does: with masks cut to their boxes.

        Parameters
        ----------
        plane : Plane or PlaneSource
            In memory, or to be read in part.
        prompts : PromptSet
            Points and a box, data pixels of the plane.
        previous : PreviousMask, optional
            An earlier answer for the same object on the same plane: ``segmentation.previous(index)``.
        multimask, shaping, progress
            As for `predict`.

        Raises
        ------
        InputError, DeviceError
            As `napari_sam.predictor.Predictor.predict`.
        """
        source = plane if isinstance(plane, PlaneSource) else PlaneSource.of(plane)
        prompts.require_inside(source.view.shape)
        if previous is not None:
            self.predictor.require_kind("mask")
        return segment_plane(
            self, source, prompts, previous=previous, multimask=multimask, shaping=shaping, progress=progress
        )

    def _on_plane(self, source: PlaneSource, mask: MaskPrompt) -> PreviousMask:
        """Say where the object is that logits of a whole large plane show."""
        grid = crop_grid(self, source, whole(source.view.shape))
        model = self.predictor
        require_answerable(PromptSet((mask,)), grid.frame, model.prompt_kinds, grid.shape, model.name)
        # No digest: whoever gives the mask vouches for it being of these pixels.
        return PreviousMask(mask, grid.crop, box=_extent(mask.logits, grid.frame))

    def _whole(self, source: PlaneSource, found: Segmentation) -> Prediction:
        """Lay what was found in crops on the whole plane."""
        shape, count = source.view.shape, len(found.candidates)
        plane = crop_grid(self, source, whole(shape))
        masks = np.zeros((count, *shape), dtype=bool)
        logits = np.empty((count, *plane.shape), dtype=np.float32)
        for index, (candidate, one) in enumerate(zip(found.candidates, found.found, strict=True)):
            (top, left), (height, width) = candidate.origin, candidate.mask.shape
            masks[index, top : top + height, left : left + width] = candidate.mask
            logits[index] = resampled(one.logits, crop_grid(self, source, one.crop), plane)
        scores = np.array([candidate.score for candidate in found.candidates], dtype=np.float32)
        return Prediction(masks, scores, logits)


def _extent(logits: NDArray[np.float32], frame: Frame) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Find the corners, data pixels, of the box in which logits are positive."""
    box = bounding_box(logits > 0)
    if box is None:
        return None
    # Logits cover the canvas in equal cells, and the box ends at the outer edges of its cells.
    cell = np.array(frame.canvas) / logits.shape
    low, high = (frame.to_data((np.array(edge) * cell - 0.5)[::-1]) for edge in box)
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))
