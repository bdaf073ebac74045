"""How honest calibrated proposals are: what is promised, and the share that labels confirm on planes not learnt from.

The bundled model segments everything on some images of several kinds. Of the objects that are shown with the usual
filter, those with an IoU of .5 or more with a labelled object count as accepted, the others as rejected. A calibration
is learnt from the decisions on a few images of a kind and tried on all others of it, for several draws.

    python benchmarks/calibration.py --kinds KINDS.zip --bbbc038 BBBC038.zip --found FOLDER [--images 8] [--mode dense]

Archives are as `napari_sam.evaluation.dataset` reads them. What the model finds is kept in FOLDER, so that it runs once
for each image. "rank" is the plain way: a threshold on score times stability above which the promised share of the
decisions was accepted.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_sam
from napari_sam.automatic import ProposalTable, dense_settings_for, find_proposals, grid_settings_for
from napari_sam.automatic.calibration import calibrate, measure_features
from napari_sam.evaluation.dataset import read_dataset, spread
from napari_sam.planes.plane import Plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import Dataset, DatasetEntry
    from napari_sam.predictor import Predictor

    Array = NDArray[Any]

KINDS = ("phase_t98g", "em_plant_chloroplast", "he_nuclei_tnbc", "sem_superalloy", "photo_gravel")
STAINS = ("fluorescence", "stained", "brightfield")
SIDE = 640
"""Of the middle of an image that is looked at, data pixels."""
RIGHT = 0.5
"""IoU with a labelled object from which on a proposal counts as accepted."""


@dataclass(frozen=True)
class Decided:
    """A plane whose proposals were all decided on."""

    features: Array
    accepted: Array


def middle(pixels: Array) -> Array:
    """Cut the middle out of an image."""
    top, left = (max(0, (side - SIDE) // 2) for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


def decide(predictor: Predictor, image: Array, labels: Array, mode: str) -> tuple[Array, Array]:
    """Segment everything on a plane; return the features of what is shown, and the best IoU of each with a label."""
    plane = Plane(image)
    settings = dense_settings_for(predictor) if mode == "dense" else grid_settings_for("bundled")
    found = find_proposals(predictor, predictor.embed(plane), settings, plane=plane)
    table = ProposalTable.of(found, plane.pixels)
    shown = table.selected(settings.filter)
    areas = np.bincount(labels.ravel())
    places, ious = np.unique(shown[shown > 0]) - 1, []
    for place in places:
        mask = shown == place + 1
        common = np.bincount(labels[mask], minlength=len(areas)).astype(float)
        common[0] = 0
        ious.append((common / (areas + np.count_nonzero(mask) - common)).max())
    return measure_features(table, plane.pixels)[places], np.array(ious)


def gather(dataset: Dataset, kind_of: Callable[[DatasetEntry], str], count: int, mode: str, folder: Path) -> None:
    """Run the model on `count` images of each kind, but for those that are in the folder."""
    kinds: dict[str, list[DatasetEntry]] = defaultdict(list)
    for entry in dataset.entries:
        kinds[kind_of(entry)].append(entry)
    predictor: Predictor | None = None
    for kind in sorted(set(kinds) & {*KINDS, *STAINS}):
        for entry in spread(kinds[kind], count):
            path = folder / f"{mode}-{kind}-{re.sub(r'[^0-9A-Za-z.]+', '_', entry.name)}.npz"
            if path.exists():
                continue
            [item] = dataset.only([entry])
            labels = middle(np.asarray(item.labels, np.int64))
            if not labels.any():
                continue
            predictor = predictor or napari_sam.load_predictor("bundled")
            features, ious = decide(predictor, middle(item.plane.rendered), labels, mode)
            np.savez(path, features=features, iou=ious)
            print(f"{path.name}: {np.count_nonzero(ious >= RIGHT)} of {len(ious)} right", flush=True)


def read(folder: Path, mode: str) -> dict[str, list[Decided]]:
    """Read what was found, by kind; planes on which there is hardly anything are left out."""
    kinds: dict[str, list[Decided]] = defaultdict(list)
    for path in sorted(folder.glob(f"{mode}-*.npz")):
        with np.load(path) as found:
            if len(found["iou"]) >= 3:
                kinds[path.name.split("-")[1]].append(Decided(found["features"], found["iou"] >= RIGHT))
    return kinds


def by_rank(learnt: list[Decided], promise: float) -> Callable[[Array], Array]:
    """Choose a threshold on score times stability by the decisions alone."""
    rank = np.concatenate([one.features[:, 0] * one.features[:, 1] for one in learnt])
    accepted = np.concatenate([one.accepted for one in learnt])
    order = np.argsort(-rank)
    good = np.flatnonzero(np.cumsum(accepted[order]) / np.arange(1, len(order) + 1) >= promise)
    threshold = rank[order[good[-1]]] if len(good) else np.inf
    return lambda features: features[:, 0] * features[:, 1] >= threshold


def by_calibration(learnt: list[Decided], promise: float) -> Callable[[Array], Array] | None:
    """Calibrate by the decisions; None where nothing can be promised."""
    planes = np.repeat(np.arange(len(learnt)), [len(one.accepted) for one in learnt])
    features = np.concatenate([one.features for one in learnt])
    accepted = np.concatenate([one.accepted for one in learnt])
    result = calibrate(features, accepted, planes, promise)
    return None if result.calibration is None else result.calibration.confident


def draws(planes: list[Decided], learnt: int, count: int) -> Iterator[tuple[list[Decided], list[Decided]]]:
    """Draw planes to learn from, and return the others, too."""
    chance = np.random.default_rng(0)
    for _ in range(count):
        order = chance.permutation(len(planes))
        yield [planes[at] for at in order[:learnt]], [planes[at] for at in order[learnt:]]


def report(planes: list[Decided], learnt: int, promise: float, count: int) -> str:
    """Describe what comes of a promise: shares over all draws, and the tenth part of the draws that is worst."""
    lines = []
    for calibrating in (by_rank, by_calibration):
        confident, right, found, wanted, shares, refused = 0, 0, 0, 0, [], 0
        for known, others in draws(planes, learnt, count):
            choose = calibrating(known, promise)
            found += sum(len(one.accepted) for one in others)
            wanted += sum(int(one.accepted.sum()) for one in others)
            if choose is None:
                refused += 1
                continue
            chosen = np.concatenate([one.accepted[choose(one.features)] for one in others])
            confident, right = confident + len(chosen), right + int(chosen.sum())
            if len(chosen):
                shares.append(float(chosen.mean()))
        if not confident:
            lines.append(f"nothing promised ({refused} of {count} draws refused)")
            continue
        lines.append(
            f"right {right / confident:.2f} (worst tenth {np.quantile(shares, 0.1):.2f}), "
            f"{confident / found:.0%} of proposals, {right / wanted:.0%} of the good ones, refused {refused}/{count}"
        )
    return f"rank: {lines[0]}\n{'':46}calibrated: {lines[1]}"


def main() -> None:
    """Gather and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", type=Path, help="archive with a folder for each kind")
    parser.add_argument("--bbbc038", type=Path, help="archive of BBBC038")
    parser.add_argument("--found", type=Path, required=True, help="folder for what the model finds")
    parser.add_argument("--images", type=int, default=8, help="of each kind")
    parser.add_argument("--mode", choices=("dense", "grid"), default="dense")
    parser.add_argument("--draws", type=int, default=25)
    parser.add_argument("--promises", type=float, nargs="+", default=[0.8, 0.9, 0.95])
    parser.add_argument("--learnt", type=int, nargs="+", default=[1, 3, 5], help="images to learn from")
    options = parser.parse_args()
    options.found.mkdir(parents=True, exist_ok=True)
    for path, kind_of in (
        (options.kinds, lambda entry: entry.kind),
        (options.bbbc038, lambda entry: entry.kind.partition(" ")[0]),
    ):
        if path is not None:
            gather(read_dataset(path), kind_of, options.images, options.mode, options.found)
    for kind, planes in read(options.found, options.mode).items():
        count = sum(len(one.accepted) for one in planes)
        plain = sum(int(one.accepted.sum()) for one in planes) / count
        print(f"{kind}: {len(planes)} images, {count} proposals, {plain:.2f} right")
        for learnt in options.learnt:
            if len(planes) >= learnt + 2:
                for promise in options.promises:
                    told = report(planes, learnt, promise, options.draws)
                    print(f"  promised {promise:.2f}, learnt from {learnt} image(s):  {told}", flush=True)


if __name__ == "__main__":
    main()
