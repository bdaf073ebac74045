"""Compare our SAM ViT-B with segment-anything's: time to encode and to predict, and memory, in one run.

Both models get the same random weights, so nothing is downloaded, and their answers are compared as well. Rounds
alternate between the two, so that whatever else the machine does falls on both; the best round of each counts.

    python benchmarks/encode.py [--rounds 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from segment_anything import SamPredictor, sam_model_registry

from napari_sam.model.protocol import PromptTensors
from napari_sam.model.sam.sam import VIT_B, Sam

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 1024
CLICK = (400.0, 300.0)  # (x, y); the canvas and the image are the same size
PREDICTIONS = 15


def reference_model() -> Any:
    """segment-anything's ViT-B, its zero tables filled so that nothing can be skipped."""
    torch.manual_seed(0)
    model = sam_model_registry["vit_b"]().eval()
    for name, weight in model.named_parameters():
        weight.requires_grad_(False)
        if "rel_pos" in name or "pos_embed" in name:
            weight.normal_(std=0.2)
    return model


def our_model(reference: Any) -> Sam:
    """Ours, with the same weights."""
    with torch.device("meta"):
        model = Sam(VIT_B)
    model.load_state_dict(reference.state_dict(), assign=True)
    return model.eval().requires_grad_(False)


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(reference: Callable[[], object], ours: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Best time of each, taken in turns."""
    times = [(seconds(reference), seconds(ours)) for _ in range(rounds)]
    return min(first for first, _ in times), min(second for _, second in times)


def compare(rounds: int) -> None:
    """Time encoding and predicting, and print a table."""
    # First, because a process counts what its parent held when it was started.
    memory = (peak_of_fresh_process("reference"), peak_of_fresh_process("ours"))
    reference = reference_model()
    ours = our_model(reference)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    predictor = SamPredictor(reference)
    frame = ours.frame((SIDE, SIDE))
    pixels = ours.preprocess(image, frame)
    encode = alternate(lambda: reference.image_encoder(pixels), lambda: ours.encode(pixels), rounds)

    predictor.set_image(image)
    features = ours.encode(pixels)
    prompts = PromptTensors(torch.tensor([[CLICK]]), torch.tensor([[1]]))

    def predict_reference() -> np.ndarray:
        click = {"point_coords": np.array([CLICK]), "point_labels": np.array([1])}
        logits: np.ndarray = predictor.predict(**click, return_logits=True)[0]
        return logits

    def predict_ours() -> np.ndarray:
        return ours.upscale(ours.decode(features, prompts, frame, multimask=True).logits, frame)[0].numpy()

    predict = alternate(predict_reference, predict_ours, PREDICTIONS)
    difference = np.abs(predict_reference() - predict_ours()).max()

    print(f"SAM ViT-B, {SIDE} x {SIDE} pixels, {torch.get_num_threads()} threads, best of {rounds} rounds")
    print(f"{'':28}{'segment-anything':>18}{'ours':>12}{'ratio':>8}")
    rows = [
        ("encode", encode, "s", 1.0),
        ("predict one click", predict, "ms", 1e3),
        ("peak memory", memory, "MiB", 2**-20),
    ]
    for name, (first, second), unit, factor in rows:
        print(f"{name:28}{first * factor:>14.4g} {unit:3}{second * factor:>8.4g} {unit:3}{first / second:>8.2f}")
    print(f"largest difference of full-resolution logits: {difference:.1e}")


def peak_of_fresh_process(which: str) -> int:
    """Peak resident memory, in bytes, of a process that loads the model and encodes."""
    command = [sys.executable, __file__, "--measure", which, "--threads", str(torch.get_num_threads())]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(which: str) -> None:
    """Encode once in this process, and print its peak resident memory."""
    reference = reference_model()
    encode = reference.image_encoder if which == "reference" else our_model(reference).encode
    encode(torch.zeros(1, 3, SIDE, SIDE))
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of encoding")
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    parser.add_argument("--measure", choices=["reference", "ours"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        if arguments.measure:
            measure(arguments.measure)
        else:
            compare(arguments.rounds)


if __name__ == "__main__":
    main()
