"""``transformers``: SamModel, SamProcessor and the pipeline "mask-generation"."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.speed.subjects.protocol import Place, Point


class HuggingFaceSam:
    """The SAM of transformers; the shape that `SamConfig` has by default is that of ``facebook/sam-vit-base``."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._checkpoint = place.folder / f"{place.family}_transformers"
        self._torch: Any = None
        self._package: Any = None
        self._model: Any = None
        self._processor: Any = None
        self._features: Any = None
        self._sizes: Any = None
        self.untimed: Mapping[str, Callable[..., dict[str, Any]]] = {"prepare": self.prepare}

    def start(self) -> None:
        """Import the package; it imports classes when they are named."""
        self._torch = import_module("torch")
        self._package = import_module("transformers")
        for name in ("SamModel", "SamProcessor"):
            getattr(self._package, name)

    def prepare(self) -> dict[str, Any]:
        """Write the weights of the family in the layout of this package."""
        from napari_sam.model.sam.checkpoint_keys import recognise

        self.start()
        package, torch = self._package, self._torch
        weights = torch.load(self._place.weights, weights_only=True)
        model = package.SamModel(package.SamConfig())
        # The tensors are the model's own, under the names that the authors publish.
        with torch.no_grad():
            for name, tensor in recognise(model.state_dict()).state.items():
                tensor.copy_(weights[name])
        model.save_pretrained(self._checkpoint)
        package.SamProcessor(package.SamImageProcessor()).save_pretrained(self._checkpoint)
        return {}

    def load(self) -> None:
        """Read model and processor from a folder."""
        self._model = self._package.SamModel.from_pretrained(self._checkpoint).to(self._place.device).eval()
        self._processor = self._package.SamProcessor.from_pretrained(self._checkpoint)

    def embed(self, image: NDArray[np.uint8]) -> None:
        """Process the image, and encode it."""
        given = self._processor(images=Image.fromarray(image), return_tensors="pt")
        with self._torch.inference_mode():
            self._features = self._model.get_image_embeddings(given["pixel_values"].to(self._place.device))
        self._sizes = given["original_sizes"], given["reshaped_input_sizes"]

    def predict(self, point: Point) -> None:
        """Answer a point."""
        self._answer([point], several=True)

    def predict_many(self, points: Sequence[Point]) -> None:
        """Answer all points in one call."""
        self._answer(points, several=False)

    def everything(self, image: NDArray[np.uint8], side: int) -> int:
        """Generate masks."""
        generate = self._package.pipeline(
            "mask-generation",
            model=self._model,
            image_processor=self._processor.image_processor,
            device=self._place.device,
        )
        found = generate(Image.fromarray(image), points_per_crop=side, points_per_batch=64)
        return len(found["masks"])

    def answers(self, point: Point) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Answer a point, the best candidate first."""
        masks, answer = self._answer([point], several=True)
        order = answer.iou_scores[0, 0].argsort(descending=True, stable=True).cpu().numpy()
        return masks[0][order], answer.pred_masks[0, 0].cpu().numpy()[order]

    def _answer(self, points: Sequence[Point], *, several: bool) -> tuple[Any, Any]:
        original, reshaped = self._sizes
        scale = float(reshaped[0].max()) / float(original[0].max())
        # One image, an object for each point. The processor would resample the image to scale them.
        given = self._torch.tensor(np.array(points)[None, :, None, ::-1] * scale, dtype=self._torch.float32)
        with self._torch.inference_mode():
            answer = self._model(
                input_points=given.to(self._place.device),
                image_embeddings=self._features,
                multimask_output=several,
            )
            masks = self._processor.post_process_masks(answer.pred_masks, original, reshaped)[0]
        return masks.cpu().numpy(), answer
