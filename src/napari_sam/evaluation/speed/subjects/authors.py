"""``segment_anything``, and ``mobile_sam``, which has the same interface."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.speed.subjects.protocol import Place, Point

_VARIANTS = {"sam_vit_b": "vit_b", "mobile_sam": "vit_t"}


class AuthorsSam:
    """A SAM in the code of its authors, by way of their ``SamPredictor`` and ``SamAutomaticMaskGenerator``."""

    untimed: Mapping[str, Callable[..., dict[str, Any]]] = {}

    def __init__(self, place: Place) -> None:
        self._place = place
        self._package: Any = None
        self._predictor: Any = None

    def start(self) -> None:
        """Import the package."""
        self._package = import_module(self._place.module)

    def load(self) -> None:
        """Read the weights as the README of the package says."""
        build = self._package.sam_model_registry[_VARIANTS[self._place.family]]
        self._predictor = self._package.SamPredictor(build(checkpoint=str(self._place.weights)).to(self._place.device))

    def embed(self, image: NDArray[np.uint8]) -> None:
        """Set the image."""
        self._predictor.set_image(image)

    def predict(self, point: Point) -> None:
        """Answer a point."""
        self._answer(point)

    def predict_many(self, points: Sequence[Point]) -> None:
        """Answer all points in one call."""
        predictor = self._predictor
        positions = predictor.transform.apply_coords(np.array(points)[:, ::-1], predictor.original_size)
        torch = import_module("torch")
        given = torch.as_tensor(positions, dtype=torch.float, device=self._place.device)[:, None]
        labels = torch.ones(given.shape[:2], dtype=torch.int, device=self._place.device)
        masks, _scores, _logits = predictor.predict_torch(given, labels, multimask_output=False)
        masks.cpu().numpy()

    def everything(self, image: NDArray[np.uint8], side: int) -> int:
        """Generate masks."""
        generator = self._package.SamAutomaticMaskGenerator(self._predictor.model, points_per_side=side)
        return len(generator.generate(image))

    def answers(self, point: Point) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Answer a point, the best candidate first."""
        masks, scores, logits = self._answer(point)
        order = np.argsort(-scores, kind="stable")
        return masks[order], logits[order]

    def _answer(self, point: Point) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
        masks, scores, logits = self._predictor.predict(np.array([point[::-1]]), np.array([1]))
        return masks, scores, logits
