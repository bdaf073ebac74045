"""Our own package, by way of `napari_sam.load_predictor`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.evaluation.speed.subjects.protocol import Place, Point
    from napari_sam.predictor import Embedding, Predictor

_STACK_CACHE = 1 << 24  # bytes: so little that a stack cannot hide in it


class OurSam:
    """A model of ours: the bundled one, or one with the random weights of its family."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._predictor: Predictor | None = None
        self._embedding: Embedding | None = None
        self.untimed: Mapping[str, Callable[..., dict[str, Any]]] = {"count": self.count}

    @property
    def predictor(self) -> Predictor:
        """The model; only after `load`."""
        assert self._predictor is not None
        return self._predictor

    @property
    def embedding(self) -> Embedding:
        """Of the latest image."""
        assert self._embedding is not None
        return self._embedding

    def start(self) -> None:
        """Import what loads a model."""
        import napari_sam.checkpoints.loading
        import napari_sam.predictor  # noqa: F401

    def load(self) -> None:
        """Read the weights."""
        from napari_sam.predictor import load_predictor

        bundled = self._place.family == "bundled"
        self._predictor = load_predictor("bundled" if bundled else self._place.weights, self._place.device)

    def embed(self, image: NDArray[np.uint8]) -> None:
        """Embed the image."""
        self._embedding = self.predictor.embed(image)

    def predict(self, point: Point) -> None:
        """Answer a point."""
        self.answers(point)

    def predict_many(self, points: Sequence[Point]) -> None:
        """Answer all points, as many at a time as the predictor takes."""
        from napari_sam.prompts import PointPrompt

        list(self.predictor.predict_many(self.embedding, [[PointPrompt(point)] for point in points]))

    def everything(self, image: NDArray[np.uint8], side: int) -> int:
        """Find what may be an object, in grid mode."""
        from napari_sam.automatic import find_proposals, grid_settings_for

        settings = replace(grid_settings_for(self._place.family), points_per_side=side)
        return len(find_proposals(self.predictor, self.predictor.embed(image), settings))

    def answers(self, point: Point) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Answer a point, the best candidate first."""
        from napari_sam.prompts import PointPrompt

        found = self.predictor.predict(self.embedding, [PointPrompt(point)])
        return found.masks, found.logits

    def walk(self, planes: int, image: NDArray[np.uint8]) -> None:
        """Embed and click on each plane of a stack that repeats an image, each time shifted farther."""
        import numpy as np

        from napari_sam.cache.memory import EmbeddingCache
        from napari_sam.inference.engine import Engine
        from napari_sam.planes.plane import Plane
        from napari_sam.prompts import PointPrompt

        grey = image[..., 0]
        limits = float(grey.min()), float(grey.max())
        middle = [PointPrompt((grey.shape[0] / 2, grey.shape[1] / 2))]
        engine = Engine(self.predictor, EmbeddingCache(_STACK_CACHE))
        for number in range(planes):
            plane = Plane(np.roll(grey, number, axis=1), limits)
            self.predictor.predict(engine.embed(plane), middle)

    def count(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        """Count what an embedding of the image computes: floating-point operations, two for each multiply-add."""
        from napari_sam.evaluation.speed.subjects.arithmetic import counted, counted_for

        if self._place.family == "bundled":
            return {"flops": counted(lambda: self.embed(image))}
        return {"flops": counted_for(self._place.family)}


class OurHalfSam(OurSam):
    """The same, with an image encoder that computes in half precision."""

    def load(self) -> None:
        """Read the weights, and see to it that the encoder does."""
        import torch

        from napari_sam.embedding import encoder_dtype
        from napari_sam.errors import InputError
        from napari_sam.model.precision import VARIABLE

        os.environ[VARIABLE] = "half"
        super().load()
        if self.predictor.run(encoder_dtype) == torch.float32:
            raise InputError("half precision would take no less time on this device")
