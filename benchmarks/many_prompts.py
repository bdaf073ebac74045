"""Compare many prompts in batched calls of the decoder with as many single calls: the time after encoding, in one run.

The plane is encoded once, before the clock starts. Rounds alternate between the two; the best of each counts, and the
masks are compared as well.

    python benchmarks/many_prompts.py [--count 64] [--rounds 3] [--threads 2] [--model bundled] [--device cpu]
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam import load_predictor
from napari_sam.automatic.prompted import answer_objects, objects_of_labels, objects_of_prompts
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.inference.engine import Engine
from napari_sam.masks import BoxedMask
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet
from napari_sam.samples import fluorescence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.automatic.prompted import PromptedObject


def scenes(shape: tuple[int, int], count: int) -> dict[str, Sequence[PromptedObject]]:
    """Points, boxes and rough masks at random places, a seed for all."""
    generator = np.random.default_rng(0)
    places = (generator.uniform(0.05, 0.95, (count, 2)) * shape).round()
    points = [PointPrompt((y, x)) for y, x in places.tolist()]
    boxes = [BoxPrompt((y - 14, x - 14), (y + 14, x + 14)) for y, x in places.tolist()]
    labels = np.zeros(shape, np.int32)
    for number, (y, x) in enumerate(places.astype(int).tolist(), 1):
        labels[y - 8 : y + 9, x - 8 : x + 9] = number
    return {
        "points": objects_of_prompts(points)[0],
        "boxes": objects_of_prompts((), boxes)[0],
        "rough masks": objects_of_labels(labels),
    }


def single(engine: Engine, source: PlaneSource, objects: Sequence[PromptedObject]) -> list[BoxedMask]:
    """Ask for one object after the other, as clicks do."""
    found = []
    for one in objects:
        if one.rough is not None:
            [[proposal]] = answer_objects(engine, source, [one])
            found.append(proposal.mask)
        else:
            best = engine.segment(source, PromptSet(one.prompts.prompts)).candidates[0]
            found.append(BoxedMask(best.origin, best.mask, source.view.shape))
    return found


def together(engine: Engine, source: PlaneSource, objects: Sequence[PromptedObject]) -> list[BoxedMask]:
    """Ask for all of them in batches."""
    proposals = [proposal for lot in answer_objects(engine, source, objects) for proposal in lot]
    return [proposal.mask for proposal in sorted(proposals, key=lambda proposal: proposal.asked or 0)]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    engine = Engine(load_predictor(options.model, options.device), EmbeddingCache(1 << 28))
    [(pixels, layer, _kind)] = fluorescence()
    plane = Plane(pixels, layer["contrast_limits"])
    source = PlaneSource.of(plane)
    engine.embed(source.read())
    print(f"{options.model} on {engine.device_text}, {plane.shape[0]} x {plane.shape[1]} px, {options.count} objects")
    for name, objects in scenes(plane.shape, options.count).items():
        seconds: dict[str, list[float]] = {"single": [], "together": []}
        masks = {}
        for _round in range(options.rounds):
            for way in (single, together):
                start = time.perf_counter()
                masks[way.__name__] = way(engine, source, objects)
                seconds[way.__name__].append(time.perf_counter() - start)
        one, many = (min(seconds[way]) for way in ("single", "together"))
        alike = np.mean([first.iou(second) for first, second in zip(masks["single"], masks["together"], strict=True)])
        print(
            f"{name:12}  single {1e3 * one / len(objects):6.1f} ms an object   together "
            f"{1e3 * many / len(objects):6.1f} ms   {one / many:4.1f} times as quick   IoU of both {alike:.4f}"
        )


if __name__ == "__main__":
    main()
