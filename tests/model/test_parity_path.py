"""From a uint8 image to full-resolution logits: ours against SamPredictor, same weights, same prompts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor

from napari_sam.model.sam.sam import VIT_B
from sam_reference import (
    TOLERANCE,
    Prompted,
    largest_difference,
    ours_like,
    picture,
    predict_ours,
    reference_mobile,
    reference_vit,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features
    from napari_sam.model.sam.sam import Sam

SIZES = {"landscape": (333, 500), "portrait": (1207, 640)}
EARLIER = np.random.default_rng(1).normal(0, 4, (256, 256)).astype(np.float32)

PROMPTS = {
    "a point": Prompted(((100, 200),), (1,)),
    "points": Prompted(((100, 200), (30.5, 40.25), (290, 410)), (1, 0, 1)),
    "a box": Prompted(box=(40, 60, 200, 310)),
    "a box and points": Prompted(((100, 200), (50, 70)), (1, 0), box=(40, 60, 200, 310)),
    "a mask": Prompted(mask=EARLIER),
    "a mask and a point": Prompted(((100, 200),), (1,), mask=EARLIER),
    "everything": Prompted(((100, 200), (50, 70)), (1, 0), (40, 60, 200, 310), EARLIER),
}


@dataclasses.dataclass
class Scene:
    """One image, encoded by both."""

    predictor: Any
    ours: Sam
    frame: Frame
    features: Features


@pytest.fixture(scope="module", params=["vit", "mobile"])
def models(request: pytest.FixtureRequest) -> tuple[Any, Sam]:
    # A ViT on a quarter of its canvas: `test_parity_encoder` has the whole, and MobileSAM knows no other.
    reference = reference_vit(shortened(VIT_B.encoder), side=512) if request.param == "vit" else reference_mobile()
    return reference, ours_like(reference)


@pytest.fixture(scope="module", params=SIZES)
def scene(request: pytest.FixtureRequest, models: tuple[Any, Sam]) -> Iterator[Scene]:
    reference, ours = models
    image = picture(*SIZES[request.param])
    predictor = SamPredictor(reference)
    predictor.set_image(image)
    frame = ours.frame(image.shape[:2])
    yield Scene(predictor, ours, frame, ours.encode(ours.preprocess(image, frame)))


def test_the_pixels_that_the_encoder_sees_are_the_same(scene: Scene) -> None:
    image = picture(*scene.frame.plane)
    resized = torch.as_tensor(scene.predictor.transform.apply_image(image)).permute(2, 0, 1)[None]
    expected = scene.predictor.model.preprocess(resized)
    assert torch.equal(scene.ours.preprocess(image, scene.frame), expected)


def test_embeddings_are_the_same(scene: Scene) -> None:
    assert largest_difference(scene.predictor.get_image_embedding(), scene.features[0]) <= TOLERANCE


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("prompted", PROMPTS.values(), ids=PROMPTS)
def test_full_resolution_logits_and_scores_are_the_same(scene: Scene, prompted: Prompted, multimask: bool) -> None:
    if prompted.mask is not None:
        cells = scene.ours.config.side // 4
        prompted = dataclasses.replace(prompted, mask=EARLIER[:cells, :cells])
    expected = scene.predictor.predict(**prompted.for_reference(), multimask_output=multimask, return_logits=True)
    found = predict_ours(scene.ours, scene.features, scene.frame, prompted, multimask=multimask)
    differences = [np.abs(a - b).max() for a, b in zip(expected, found, strict=True)]
    assert max(differences) <= TOLERANCE
    assert expected[0].std() > 0.5, "the comparison shows nothing: the reference's logits are almost constant"
    assert found[0].shape == (3 if multimask else 1, *scene.frame.plane)
