"""Grid mode against the authors' generator, same weights: masks, boxes, scores, stability, points, crops and order."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from segment_anything import SamAutomaticMaskGenerator, SamPredictor

from fakes import BrightnessModel, blob
from napari_sam import load_predictor
from napari_sam.automatic import GridSettings, Proposal, find_proposals, grid_settings_for, segment_everything
from napari_sam.automatic.settings import ADVISED
from napari_sam.checkpoints.registry import get_model
from napari_sam.errors import Cancelled, InputError
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor
from napari_sam.prompts import PointPrompt
from sam_reference import TINY, ours_like, picture, reference_vit, tiny_sam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

SIDE = 128
IMAGE = picture(200, 300)
POINTS = 8


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tensors are tiny here: sharing out the work takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    """Random weights, bent until masks are stable and lie where the points are: else all would be much the same."""
    model = reference_vit(TINY, SIDE).requires_grad_(requires_grad=False)
    decoder, prompts = model.mask_decoder, model.prompt_encoder
    prompts.pe_layer.positional_encoding_gaussian_matrix.mul_(0.7)
    # Cells attend to the tokens whose position is like theirs; what the image adds is faint.
    for part in (model.image_encoder.neck[3].weight, model.image_encoder.neck[3].bias, prompts.no_mask_embed.weight):
        part.mul_(0.2)
    for layer in decoder.transformer.layers:
        attention = layer.cross_attn_image_to_token
        attention.k_proj.weight.copy_(4 * attention.q_proj.weight)
        attention.out_proj.weight.mul_(2)
    for network in decoder.output_hypernetworks_mlps:
        network.layers[-1].weight.mul_(20)
        network.layers[-1].bias.mul_(20).sub_(6)
    decoder.iou_prediction_head.layers[-1].bias.add_(0.6)
    return model


@pytest.fixture(scope="module")
def predictor(reference: nn.Module) -> Predictor:
    return Predictor(ours_like(reference), "random")


@pytest.fixture(scope="module")
def thresholds(reference: nn.Module) -> tuple[float, float]:
    """Score and stability that a good part of the masks of the plane pass, none of them barely."""
    predictor = SamPredictor(reference)
    predictor.set_image(IMAGE)
    y, x = np.mgrid[1 : 2 * POINTS : 2, 1 : 2 * POINTS : 2].reshape(2, -1) / (2 * POINTS)
    points = predictor.transform.apply_coords(np.stack([x, y], 1) * IMAGE.shape[1::-1], IMAGE.shape[:2])
    masks, score, _low = predictor.predict_torch(
        torch.from_numpy(points)[:, None], torch.ones(len(points), 1), multimask_output=True, return_logits=True
    )
    high, low = ((masks > level).sum((2, 3)).flatten() for level in (1, -1))
    return clear(score.flatten(), 0.4), clear(high[low > 0] / low[low > 0], 0.3)


def clear(values: torch.Tensor, share: float) -> float:
    """A bound near a quantile that no value comes near."""
    ordered = values.sort().values
    some = ordered[int((share - 0.02) * len(ordered)) : int((share + 0.02) * len(ordered))]
    gaps = some.diff()
    assert gaps.max() > 1e-4
    return float(some[gaps.argmax()] + gaps.max() / 2)


def assert_equal(found: list[Proposal], expected: list[dict[str, Any]]) -> None:
    """Whether what was found is what the reference found, one by one."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        # A logit of all but nothing may have either sign.
        assert np.count_nonzero(ours.mask.whole() != theirs["segmentation"]) <= 2
        (y, x), (height, width) = ours.mask.origin, ours.mask.mask.shape
        assert [x, y, width - 1, height - 1] == theirs["bbox"]
        assert ours.score == pytest.approx(theirs["predicted_iou"], abs=1e-5)
        assert ours.stability == pytest.approx(theirs["stability_score"], abs=1e-3)
        assert ours.point is not None
        assert ours.point[::-1] == pytest.approx(theirs["point_coords"][0])
        (top, left), (bottom, right) = ours.crop or ((0, 0), IMAGE.shape[:2])
        assert [left, top, right - left, bottom - top] == theirs["crop_box"]


def connected_components(mask: np.ndarray, _connectivity: int) -> tuple[int, np.ndarray, np.ndarray, None]:
    """Stand in for OpenCV, of which the reference needs one function: labels, and sizes in the last column."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    return count + 1, labels, np.bincount(labels.ravel(), minlength=count + 1)[:, None], None


def generate(reference: nn.Module, thresholds: tuple[float, float], **options: Any) -> list[dict[str, Any]]:
    score, stability = thresholds
    return SamAutomaticMaskGenerator(
        reference,
        points_per_side=POINTS,
        pred_iou_thresh=score,
        stability_score_thresh=stability,
        box_nms_thresh=0.95,
        crop_nms_thresh=0.9,
        **options,
    ).generate(IMAGE)


def ours(thresholds: tuple[float, float], **options: Any) -> GridSettings:
    score, stability = thresholds
    return GridSettings(
        POINTS, least_score=score, least_stability=stability, most_box_iou=0.95, most_crop_iou=0.9, **options
    )


def test_the_masks_of_a_plane(reference, predictor, thresholds):
    expected = generate(reference, thresholds)
    assert len(expected) > 8
    assert_equal(find_proposals(predictor, predictor.embed(IMAGE), ours(thresholds)), expected)


def test_the_masks_of_crops(reference, predictor):
    low = 0.2, 0.3
    expected = generate(reference, low, crop_n_layers=1)
    assert len({tuple(one["crop_box"]) for one in expected}) >= 4
    plane = Plane(IMAGE)
    assert_equal(find_proposals(predictor, predictor.embed(plane), ours(low, crop_layers=1), plane=plane), expected)


def test_masks_without_small_regions(reference, predictor, thresholds, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(connectedComponentsWithStats=connected_components))
    expected = generate(reference, thresholds, min_mask_region_area=6)
    found = find_proposals(predictor, predictor.embed(IMAGE), ours(thresholds, least_region=6))
    assert_equal(found, expected)
    before = find_proposals(predictor, predictor.embed(IMAGE), ours(thresholds))
    assert [one.score for one in found] != [one.score for one in before]


def test_how_many_points_are_asked_at_a_time_changes_nothing(predictor, thresholds):
    embedding = predictor.embed(IMAGE)
    one, other = (find_proposals(predictor, embedding, ours(thresholds, points_per_batch=size)) for size in (5, 64))
    assert [found.point for found in one] == [found.point for found in other]
    assert len(one) > 8


def test_objects_that_are_too_small_are_left_out(predictor, thresholds):
    embedding = predictor.embed(IMAGE)
    everything = find_proposals(predictor, embedding, ours(thresholds))
    middle = int(np.median([found.mask.area for found in everything]))
    larger = find_proposals(predictor, embedding, ours(thresholds, least_area=middle))
    assert [found.point for found in larger] == [found.point for found in everything if found.mask.area >= middle]
    assert 0 < len(larger) < len(everything)


def test_the_plane_s_window_is_that_of_its_crops(predictor):
    """A dark corner must not be stretched to full contrast for being looked at alone."""
    seen = []

    class Watching(Predictor):
        def embed(self, image, **options):
            seen.append(image.rendered)
            return super().embed(image, **options)

    watching = Watching(predictor._model, "random")
    plane = Plane(np.linspace(0, 5000, 60 * 80).reshape(60, 80))
    embedding = watching.embed(plane)
    find_proposals(watching, embedding, GridSettings(1, crop_layers=1, crop_overlap=0.0), plane=plane)
    assert len(seen) == 5
    assert np.array_equal(seen[1], plane.rendered[:30, :40])


def test_labels(predictor, thresholds):
    labels = segment_everything(predictor, predictor.embed(IMAGE), ours(thresholds))
    assert labels.shape == IMAGE.shape[:2]
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    assert labels.max() > 1


def test_nothing_good_gives_nothing(predictor):
    embedding = predictor.embed(IMAGE)
    assert find_proposals(predictor, embedding, GridSettings(3, least_score=1.0)) == []
    cautious = GridSettings(3, least_score=1.0, crop_layers=1, least_region=10)
    assert find_proposals(predictor, embedding, cautious, plane=Plane(IMAGE)) == []
    assert not segment_everything(predictor, embedding, GridSettings(3, least_stability=1.0)).any()


@pytest.mark.parametrize("kind", [{}, {"high_quality": True}, {"mobile": True}])
def test_relatives_of_sam_answer_as_they_do_for_one_point(kind):
    predictor = Predictor(tiny_sam(**kind), "tiny")
    embedding = predictor.embed(IMAGE)
    anything = GridSettings(2, least_score=0.0, least_stability=0.0, most_box_iou=1.0)
    found = find_proposals(predictor, embedding, anything)
    point = 50.0, 225.0
    expected = predictor.predict(embedding, [PointPrompt(point)])
    there = [one for one in found if one.point == point]
    assert [one.score for one in there] == pytest.approx(expected.scores, abs=1e-5)
    for one, mask in zip(there, expected.masks, strict=True):
        assert np.count_nonzero(one.mask.whole() != mask) < 20


def test_the_bundled_model_finds_a_disc():
    y, x = np.ogrid[:96, :130]
    disc = np.hypot(y - 40, x - 70) < 20
    predictor = load_predictor("bundled", device="cpu")
    image = np.where(disc, 200, 30).astype(np.uint8)
    labels = segment_everything(
        predictor, predictor.embed(image), GridSettings(4, least_score=0.6, least_stability=0.6)
    )
    inside = labels == labels[40, 70]
    assert labels[40, 70] > 0
    assert np.count_nonzero(inside & disc) > 0.9 * np.count_nonzero(inside | disc)


def test_a_model_for_boxes_is_refused():
    predictor = Predictor(BrightnessModel(frozenset({"box"})), "fake", name="MedSAM")
    with pytest.raises(InputError, match="MedSAM was not trained for point prompts"):
        find_proposals(predictor, predictor.embed(blob()), GridSettings())


def test_crops_need_the_plane_that_was_embedded(predictor):
    embedding, settings = predictor.embed(IMAGE), GridSettings(2, crop_layers=1)
    with pytest.raises(InputError, match="give the plane"):
        find_proposals(predictor, embedding, settings)
    with pytest.raises(InputError, match="not of this plane"):
        find_proposals(predictor, embedding, settings, plane=Plane(IMAGE[:, ::-1]))


def test_progress_rises_to_one_and_may_cancel(predictor):
    seen: list[float] = []
    plane = Plane(IMAGE)
    embedding, settings = predictor.embed(plane), GridSettings(4, crop_layers=1, points_per_batch=8)
    find_proposals(predictor, embedding, settings, seen.append, plane=plane)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert len(seen) > 20

    def stop(share: float) -> None:
        if share > 0.15:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        find_proposals(predictor, embedding, settings, stop, plane=plane)


@pytest.mark.parametrize(
    "wrong",
    [
        {"points_per_side": 0},
        {"points_per_batch": 0},
        {"least_score": 1.5},
        {"least_stability": float("nan")},
        {"stability_offset": 0.0},
        {"most_box_iou": -0.1},
        {"crop_layers": -1},
        {"crop_overlap": 2.0},
        {"crop_downscale": 0},
        {"most_crop_iou": 7.0},
        {"least_region": -1},
        {"least_area": 0},
        {"most_common": 1.1},
        {"crop_downscale": 8, "crop_layers": 2},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        GridSettings(**wrong)


def test_settings_of_models():
    assert grid_settings_for("sam_vit_h") == grid_settings_for("folder/mine.pt") == GridSettings()
    assert grid_settings_for("vit_b_lm").least_stability == 0.7
    assert all(get_model(name) for name in ADVISED)
