"""How well objects of one kind are found by examples: precision and recall at the default threshold, bundled model.

Scenes with objects of two kinds, whose masks are known:

* coins: large and small ones (the photograph of scikit-image);
* axons and the myelin around them, in electron micrographs (folder of kinds);
* nuclei of one fluorescence image pasted, with their brightness adjusted, between those of another one (BBBC038);
* objects, and masks that the model draws at random places and that are no objects (both).

Of each group every other scene was used to choose how objects are described and compared; the others are reported.
Each kind is looked for with 1, 2 or 4 positive examples drawn at random, and as many negative ones or none; examples
do not count in the results. "AP" is the average precision of the ranking. "one kind" has twelve objects of the kind for
each other one. "next image" looks for axons or myelin on another image of the same specimen.

    python benchmarks/similarity.py --bbbc038 FOLDER --kinds FOLDER [--half report|choose]

Both folders hold ``images`` and ``labels``, those of kinds with a folder for each set.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import data, filters, measure, morphology, segmentation

import napari_sam
from napari_sam.automatic.descriptors import Descriptors
from napari_sam.automatic.similarity import SIMILAR, ExampleQuery, similarities
from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]

EXAMPLES = ((1, 0), (2, 0), (4, 0), (1, 1), (2, 2), (4, 4))
DRAWS = 8
FULLY_LABELLED = {"he_nuclei_tnbc": 5, "phase_t98g": 4, "photo_gravel": 3, "em_plant_chloroplast": 4}


@dataclass(frozen=True)
class Scene:
    """An image, masks on it, and the kind of each, 0 or 1; of objects and other masks, only kind 1 is looked for."""

    group: str
    image: Array
    masks: list[BoxedMask]
    kinds: Array
    targets: tuple[int, ...] = (0, 1)


def read(path: Path) -> Array:
    """Read a picture, without its opacity."""
    pixels = np.asarray(Image.open(path))
    return pixels if pixels.ndim == 2 else pixels[..., :3]


def boxed(labels: Array, least: int = 25) -> list[tuple[int, BoxedMask]]:
    """Cut objects out of labels."""
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is not None and np.count_nonzero(labels[box] == label) >= least:
            found.append((label, BoxedMask((box[0].start, box[1].start), labels[box] == label, labels.shape)))
    return found


def coins() -> Scene:
    """Divide coins into large and small ones."""
    image = data.coins()
    smooth = filters.gaussian(image, 1)
    above = smooth > filters.threshold_local(smooth, 151, offset=-0.03)
    solid = ndimage.binary_fill_holes(morphology.opening(above, morphology.disk(4)))
    masks = [mask for _, mask in boxed(measure.label(segmentation.clear_border(solid)), least=300)]
    areas = np.array([mask.area for mask in masks])
    return Scene("coins", image, masks, (areas > filters.threshold_otsu(areas)).astype(int))


def axons(kinds: Path) -> Iterator[Scene]:
    """Tell axons from myelin by the hole that a ring has."""
    for path in sorted((kinds / "labels" / "sem_axons").glob("*.png")):
        labels = segmentation.clear_border(read(path)[:500, :500].astype(int))
        found = [mask for _, mask in boxed(labels, least=60)]
        holes = np.array([1 - mask.area / np.count_nonzero(ndimage.binary_fill_holes(mask.mask)) for mask in found])
        clear = (holes < 0.03) | (holes > 0.25)
        image = read(kinds / "images" / "sem_axons" / path.name)[:500, :500]
        scene = Scene("axons", image, [m for m, ok in zip(found, clear, strict=True) if ok], (holes > 0.25)[clear] * 1)
        if np.bincount(scene.kinds, minlength=2).min() >= 10:
            yield scene


def dark_ground(pixels: Array) -> bool:
    """Tell grey images with bright objects from stained tissue and from brightfield."""
    grey = pixels if pixels.ndim == 2 else pixels.mean(2)
    return (pixels.ndim == 2 or np.ptp(pixels.astype(int), axis=2).mean() <= 1) and np.median(grey) < 100


def fluorescence(bbbc: Path) -> list[tuple[Array, Array]]:
    """Read grey images with bright nuclei: pixels, labels."""
    found = []
    for path in sorted((bbbc / "labels").glob("*.png")):
        pixels, labels = read(bbbc / "images" / path.name), read(path).astype(int)
        if not dark_ground(pixels):
            continue
        grey = pixels.astype(float) if pixels.ndim == 2 else pixels.mean(2)
        areas = np.bincount(labels.ravel())[1:]
        if np.count_nonzero(areas) >= 15:
            found.append((grey[:520, :520], labels[:520, :520]))
    return found


def pasted(bbbc: Path, count: int, rng: np.random.Generator) -> Iterator[Scene]:
    """Paste nuclei of one image between those of another one."""
    images = fluorescence(bbbc)
    for _ in range(count):
        ground, source = (images[index] for index in rng.choice(len(images), 2, replace=False))
        image, labels = ground[0].copy(), ground[1].copy()
        dark, others_dark = (float(np.median(pixels[known == 0])) for pixels, known in (ground, source))
        bright, others_bright = (np.percentile(pixels[known > 0], 80) for pixels, known in (ground, source))
        first = labels.max() + 1
        taken = ndimage.binary_dilation(labels > 0, iterations=2)
        for _label, nucleus in boxed(source[1], least=30)[:40]:
            mask = np.pad(nucleus.mask, 3)
            rows, columns = (
                slice(start - 3, start - 3 + n) for start, n in zip(nucleus.origin, mask.shape, strict=True)
            )
            patch = source[0][max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop]
            if patch.shape != mask.shape or (np.array(mask.shape) >= image.shape).any():
                continue
            soft = filters.gaussian(ndimage.binary_dilation(mask).astype(float), 1)
            shown = (patch - others_dark) * (bright - dark) / max(1, others_bright - others_dark) + dark
            for y, x in rng.integers(0, np.array(image.shape) - mask.shape, (60, 2)):
                place = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
                if not (taken[place] & mask).any():
                    image[place] = image[place] * (1 - soft) + soft * np.clip(shown, 0, 255)
                    labels[place][mask] = labels.max() + 1
                    taken[place] |= ndimage.binary_dilation(mask, iterations=2)
                    break
        found = boxed(labels)
        kinds = np.array([int(label >= first) for label, _ in found])
        if np.bincount(kinds, minlength=2).min() >= 8:
            yield Scene("pasted nuclei", image.clip(0, 255).astype(np.uint8), [mask for _, mask in found], kinds)


def with_others(predictor: napari_sam.Predictor, image: Array, labels: Array, rng: np.random.Generator) -> Scene | None:
    """Add masks that the model draws around random points and that are no objects."""
    masks = [mask for _, mask in boxed(labels)]
    places = rng.uniform(0, np.array(labels.shape) - 1, (60, 2))
    points = [[napari_sam.PointPrompt((float(y), float(x)))] for y, x in places]
    others: list[BoxedMask] = []
    for answer in predictor.predict_many(predictor.embed(image), points, multimask=True, most=2):
        for mask in map(BoxedMask.of, answer.masks):
            apart = mask.area >= 25 and all(mask.iou(other) < 0.7 for other in others)
            if apart and all(mask.iou(known) < 0.3 for known in masks):
                others.append(mask)
    if min(len(masks), len(others)) < 8:
        return None
    return Scene("objects among others", image, masks + others, np.repeat([1, 0], [len(masks), len(others)]), (1,))


def objects_among_others(
    predictor: napari_sam.Predictor, bbbc: Path, kinds: Path, rng: np.random.Generator
) -> Iterator[Scene]:
    """Read images all of whose objects are labelled."""
    tissue = [path for path in sorted((bbbc / "images").glob("*.png")) if not dark_ground(read(path))]
    paths = [(path, bbbc / "labels" / path.name) for path in rng.permutation(tissue)[:7]]
    for name, count in FULLY_LABELLED.items():
        some = rng.permutation(sorted((kinds / "images" / name).glob("*.png")))[:count]
        paths += [(path, kinds / "labels" / name / path.name) for path in some]
    for image, labels in paths:
        scene = with_others(predictor, read(image)[:512, :512], read(labels)[:512, :512].astype(int), rng)
        if scene is not None:
            yield scene


def found_with(
    described: Descriptors, scene: Scene, target: int, counts: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float, float] | None:
    """Precision and recall at the default threshold, and average precision, of what is no example."""
    wanted = scene.kinds == target
    if wanted.sum() <= counts[0] + 1 or (~wanted).sum() <= counts[1]:
        return None
    likes, unlikes = drawn(wanted, counts, rng)
    query = ExampleQuery.of(described, described.take(likes), described.take(unlikes))
    rest = np.setdiff1d(np.arange(len(wanted)), np.concatenate([likes, unlikes]))
    return measures(similarities(query, described)[rest], wanted[rest])


def drawn(wanted: Array, counts: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw positive and negative examples."""
    return (
        rng.choice(np.flatnonzero(wanted), counts[0], replace=False),
        rng.choice(np.flatnonzero(~wanted), counts[1], replace=False),
    )


def measures(scores: Array, wanted: Array) -> tuple[float, float, float]:
    """Precision, recall, average precision."""
    hits = np.count_nonzero(wanted[scores >= SIMILAR])
    order = np.argsort(-scores, kind="stable")
    precision = np.cumsum(wanted[order]) / np.arange(1, len(order) + 1)
    return hits / max(1, np.count_nonzero(scores >= SIMILAR)), hits / wanted.sum(), precision[wanted[order]].mean()


def mostly_of_one_kind(scene: Scene, described: Descriptors, rng: np.random.Generator) -> tuple[Scene, Descriptors]:
    """Keep one object of kind 0 for twelve of kind 1."""
    one, other = (np.flatnonzero(scene.kinds == kind) for kind in (1, 0))
    kept = np.sort(np.concatenate([one, rng.choice(other, min(len(other), max(2, len(one) // 12)), False)]))
    masks = [scene.masks[place] for place in kept]
    return Scene("one kind", scene.image, masks, scene.kinds[kept], (1,)), described.take(kept)


def main() -> None:
    """Read the command line, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bbbc038", type=Path, required=True)
    parser.add_argument("--kinds", type=Path, required=True)
    parser.add_argument("--half", choices=["report", "choose"], default="report")
    arguments = parser.parse_args()
    predictor, rng = napari_sam.load_predictor("bundled", device="cpu"), np.random.default_rng(0)
    scenes = [coins(), *axons(arguments.kinds), *pasted(arguments.bbbc038, 16, rng)]
    scenes += objects_among_others(predictor, arguments.bbbc038, arguments.kinds, rng)
    results: dict[str, dict[tuple[int, int], list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    seen: dict[str, int] = defaultdict(int)
    seconds = np.zeros(3)
    before: tuple[Scene, Descriptors] | None = None
    for scene in scenes:
        seen[scene.group] += 1
        # The single photograph of coins is reported.
        if (seen[scene.group] % 2 == 0) == (arguments.half == "choose") or scene.group == "coins":
            start = time.perf_counter()
            embedding = predictor.embed(scene.image)
            embedded = time.perf_counter()
            described = Descriptors.of(predictor, embedding, scene.image, scene.masks)
            done = time.perf_counter()
            similarities(ExampleQuery.of(described, described.take([0])), described)
            seconds += [embedded - start, done - embedded, time.perf_counter() - done]
            cases = [(scene, described)]
            if scene.group != "coins":
                cases.append(mostly_of_one_kind(scene, described, rng))
            for case, known in cases:
                for counts in EXAMPLES:
                    rows = [
                        row
                        for target in case.targets
                        for _ in range(DRAWS)
                        if (row := found_with(known, case, target, counts, rng))
                    ]
                    if rows:
                        results[case.group][counts].append(tuple(np.mean(rows, axis=0)))
            if scene.group == "axons" and before is not None:
                for counts in EXAMPLES:
                    across = [next_image(*before, scene, described, counts, rng) for _ in range(2 * DRAWS)]
                    results["next image"][counts].append(tuple(np.mean(across, axis=0)))
            before = (scene, described) if scene.group == "axons" else None
    print(f"precision / recall / AP, mean of scenes, at a similarity of {SIMILAR}")
    print(f"{'examples (positive, negative)':30}" + "".join(f"{counts!s:>19}" for counts in EXAMPLES))
    for group, found in results.items():
        cells = ["{:.2f} / {:.2f} / {:.2f}".format(*np.mean(found[counts], axis=0)) for counts in EXAMPLES]
        print(f"{f'{group} ({len(found[EXAMPLES[0]])})':30}" + "".join(f"{cell:>19}" for cell in cells))
    encode, describe, compare = seconds / seconds[0]
    print(f"time: encoding {encode:.0f}, describing {describe:.3f}, comparing with an example {compare:.5f}")


def next_image(
    scene: Scene, described: Descriptors, other: Scene, others: Descriptors, counts: tuple[int, int], rng: Any
) -> tuple[float, float, float]:
    """Pick examples on one image, and find objects on another one."""
    target = int(rng.integers(2))
    wanted = scene.kinds == target
    likes, unlikes = drawn(wanted, counts, rng)
    query = ExampleQuery.of(described, described.take(likes), described.take(unlikes))
    return measures(similarities(query, others), other.kinds == target)


if __name__ == "__main__":
    main()
