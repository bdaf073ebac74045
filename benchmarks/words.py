"""What words cost: the first query on a plane's objects, and every one after it, with the default CLIP model.

The weights are random, which costs the same time as trained ones, so that nothing has to be downloaded.

    python benchmarks/words.py [--objects 100] [--side 1024] [--device auto]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import open_clip

from napari_sam.device import choose_device
from napari_sam.masks import BoxedMask
from napari_sam.text.crops import CropSettings, crop_pairs
from napari_sam.text.encoder import TextImageEncoder
from napari_sam.text.models import CLIP_MODELS
from napari_sam.text.query import TextQuery
from napari_sam.text.ranking import embed_masks, rank_embeddings


def random_encoder(device: str) -> TextImageEncoder:
    """Make the default model with random weights."""
    place = choose_device(device)
    name = CLIP_MODELS[0].source.partition(":")[0]
    model, _, preprocess = open_clip.create_model_and_transforms(name, device=place)
    return TextImageEncoder(model.eval(), open_clip.get_tokenizer(name), preprocess, place, name)


def discs(count: int, side: int) -> list[BoxedMask]:
    """Lay discs of about 40 px anywhere on a plane."""
    rng = np.random.default_rng(0)
    masks = []
    for _ in range(count):
        radius = int(rng.integers(12, 30))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        row, column = rng.integers(0, side - 2 * radius - 1, 2)
        masks.append(BoxedMask((int(row), int(column)), np.hypot(y, x) <= radius, (side, side)))
    return masks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What words cost.")
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    encoder = random_encoder(options.device)
    image = np.random.default_rng(1).integers(0, 255, (options.side, options.side, 3), dtype=np.uint8)
    masks = discs(options.objects, options.side)
    encoder.encode_images([image[:64, :64]] * 2)  # the first call of a network is slow

    start = time.perf_counter()
    pictures = list(crop_pairs(image, masks, CropSettings()))
    cut = time.perf_counter() - start
    start = time.perf_counter()
    embeddings = embed_masks(encoder, image, masks)
    embedded = time.perf_counter() - start
    start = time.perf_counter()
    rank_embeddings(encoder, embeddings, TextQuery(("round nucleus", "long nucleus"), ("debris",)))
    first = time.perf_counter() - start
    start = time.perf_counter()
    ranking = rank_embeddings(encoder, embeddings, TextQuery(("round nucleus",), ("debris",)))
    known = time.perf_counter() - start
    start = time.perf_counter()
    ranking.chosen(0.3)
    threshold = time.perf_counter() - start

    print(f"{encoder.name} on {encoder.device_text}, {len(masks)} objects, {len(pictures)} pictures")
    for what, seconds in (
        ("cut pictures out", cut),
        ("embed the objects (cutting included)", embedded),
        ("compare with 5 words that are new", first),
        ("compare with words that are known", known),
        ("another threshold", threshold),
    ):
        print(f"{what:40}{1e3 * seconds:10.2f} ms{seconds / embedded:12.5f} of embedding")


if __name__ == "__main__":
    main()
