"""Compare grid mode with segment-anything's generator of masks on SAM ViT-B: the time after encoding, in one run.

Both get the same random weights, the same embedding and the same thresholds, and their masks are compared as well. The
weights are bent until masks are smooth and small, as those of real weights are: run lengths of noise would take the
reference longer than masks do. Thresholds are such that a third of the masks passes the first filter, and half of those
the second. Rounds alternate between the two; the best of each counts. The time grows with the number of points: 32 x 32
are 16 times the 8 x 8 of the default.

    python benchmarks/grid.py [--side 8] [--rounds 2] [--threads 2]
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry

from napari_sam.automatic import GridSettings, find_proposals
from napari_sam.model.sam.sam import VIT_B, Sam
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Embedding, Predictor

if TYPE_CHECKING:
    from collections.abc import Callable

PLANE = (768, 1024)
GAIN = 2000
"""What makes logits of random weights as large as those of real ones."""


def reference_model() -> Any:
    """segment-anything's ViT-B without its image encoder's time, its decoder bent as above."""
    torch.manual_seed(0)
    model = sam_model_registry["vit_b"]().eval().requires_grad_(False)
    decoder = model.mask_decoder
    for layer in decoder.transformer.layers:
        attention = layer.cross_attn_image_to_token
        attention.k_proj.weight.copy_(4 * attention.q_proj.weight)
        attention.out_proj.weight.mul_(20)
    for convolution in (decoder.output_upscaling[0], decoder.output_upscaling[3]):
        convolution.weight.copy_(convolution.weight.mean((2, 3), keepdim=True).expand_as(convolution.weight))
    for network in decoder.output_hypernetworks_mlps:
        network.layers[-1].weight.mul_(GAIN)
        network.layers[-1].bias.mul_(GAIN)
    decoder.iou_prediction_head.layers[-1].weight.mul_(10)
    decoder.iou_prediction_head.layers[-1].bias.add_(0.5)
    return model


def our_predictor(reference: Any) -> Predictor:
    """Ours, with the same weights."""
    with torch.device("meta"):
        model = Sam(VIT_B)
    model.load_state_dict(reference.state_dict(), assign=True)
    return Predictor(model.eval().requires_grad_(False), "random")


class Generator(SamAutomaticMaskGenerator):
    """The reference, told what its encoder would say."""

    def __init__(self, model: Any, embedding: torch.Tensor, **options: Any) -> None:
        super().__init__(model, output_mode="uncompressed_rle", **options)
        self.predictor.features = embedding
        self.predictor.original_size = PLANE
        self.predictor.input_size = self.predictor.transform.get_preprocess_shape(*PLANE, 1024)
        self.predictor.is_image_set = True
        self.predictor.set_image = lambda image: None
        self.predictor.reset_image = lambda: None


def thresholds(reference: Any, embedding: torch.Tensor, side: int) -> tuple[float, float]:
    """Predicted IoU that a third of the masks exceeds, and stability that half of those have."""
    predictor = Generator(reference, embedding).predictor
    y, x = np.mgrid[1 : 2 * side : 2, 1 : 2 * side : 2].reshape(2, -1) / (2 * side)
    points = predictor.transform.apply_coords(np.stack([x, y], 1) * PLANE[::-1], PLANE)
    some = torch.from_numpy(points)[:: max(1, len(points) // 24), None]
    logits, scores, _low = predictor.predict_torch(
        some, torch.ones(some.shape[:2]), multimask_output=True, return_logits=True
    )
    least = float(scores.quantile(2 / 3))
    passed = logits[scores > least]
    high, low = ((passed > level).sum((1, 2)) for level in (1, -1))
    return least, float((high / low).nan_to_num().median())


def timed(work: Callable[[], list[Any]]) -> tuple[np.ndarray, list[Any]]:
    """Time one call: seconds on the clock and of the processors."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def compare(side: int, rounds: int) -> None:
    """Time both, and print a table."""
    reference = reference_model()
    predictor = our_predictor(reference)
    image = np.zeros((*PLANE, 3), np.uint8)
    features = F.interpolate(torch.randn(1, 256, 12, 12), (64, 64), mode="bicubic")
    embedding = Embedding("key", "random", predictor.grid(Plane(image))[0], (features,))
    least_score, least_stability = thresholds(reference, features, side)
    generator = Generator(
        reference,
        features,
        points_per_side=side,
        pred_iou_thresh=least_score,
        stability_score_thresh=least_stability,
    )
    settings = GridSettings(side, least_score=least_score, least_stability=least_stability)
    theirs, ours = [], []
    for _ in range(rounds):
        seconds, expected = timed(lambda: generator.generate(image))
        theirs.append(seconds)
        seconds, found = timed(lambda: find_proposals(predictor, embedding, settings))
        ours.append(seconds)
    points = side * side
    print(f"SAM ViT-B, {side} x {side} points on {PLANE[0]} x {PLANE[1]} pixels, {torch.get_num_threads()} threads")
    print(f"{'ms a point':28}{'segment-anything':>18}{'ours':>12}{'ratio':>8}")
    best = np.min(theirs, axis=0) / points, np.min(ours, axis=0) / points
    for name, first, second in zip(("on the clock", "of the processors"), *best, strict=True):
        print(f"{name:28}{1e3 * first:>18.1f}{1e3 * second:>12.1f}{first / second:>8.2f}")
    same = sum(
        list(np.array(one.mask.origin)[::-1]) == [int(v) for v in other["bbox"][:2]]
        for one, other in zip(found, expected, strict=False)
    )
    print(
        f"{len(found)} masks, the reference {len(expected)}; {same} of them start at the same pixel in the same order"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=8, help="points per side")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        compare(arguments.side, arguments.rounds)


if __name__ == "__main__":
    main()
