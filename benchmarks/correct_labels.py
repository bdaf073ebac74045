"""Ten wrong objects of another tool's labels, each picked and corrected with one click: mean IoU before and after.

The image is the fluorescence sample with the masks of its annotators (BBBC038v1, CC0). Ten nuclei are made wrong as
automatic tools do: half of one is missing, one is too large, one is too small, and one holds a neighbour, too. Each is
picked, and clicked once where it is most wrong, in the middle of the largest region of errors: what is missing with a
positive click, what is too much with a background click.

    .venv/bin/python benchmarks/correct_labels.py
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.components import ViewerModel
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.segmentation import expand_labels

from napari_sam import samples
from napari_sam.evaluation.simulated_user import next_click
from napari_sam.masks import iou
from napari_sam.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAULTS = ("half missing", "too large", "too small", "with a neighbour")
SMALLEST = 300
"""Pixels of a nucleus that is made wrong."""


@dataclass(frozen=True)
class Fault:
    """An object that is wrong: its id, how, its true mask and its wrong one, (H, W) bool."""

    label: int
    kind: str
    truth: NDArray[np.bool_]
    wrong: NDArray[np.bool_]


def make_faults(truth: NDArray[np.integer], count: int = 10, seed: int = 0) -> list[Fault]:
    """Make some objects of labels wrong, none next to another."""
    rng = np.random.default_rng(seed)
    numbers = [int(number) for number in np.unique(truth)[1:] if (truth == number).sum() >= SMALLEST]
    found: list[Fault] = []
    touched = np.zeros(truth.shape, dtype=bool)
    for label in rng.permutation(numbers):
        mask = truth == label
        near = binary_dilation(mask, iterations=12)
        if len(found) == count or (touched & near).any():
            continue
        kind = FAULTS[len(found) % len(FAULTS)]
        wrong = _spoiled(truth, mask, kind)
        if wrong is None:
            continue
        touched |= near | wrong
        found.append(Fault(int(label), kind, mask, wrong))
    return found


def _spoiled(truth: NDArray[np.integer], mask: NDArray[np.bool_], kind: str) -> NDArray[np.bool_] | None:
    """Make a mask wrong; None where it cannot be in this way."""
    if kind == "half missing":
        rows = np.flatnonzero(mask.any(axis=1))
        wrong = mask.copy()
        wrong[rows[len(rows) // 2] :] = False
        return wrong
    if kind == "too large":
        return np.asarray(binary_dilation(mask, iterations=5))
    if kind == "too small":
        return np.asarray(binary_erosion(mask, iterations=4))
    around = np.unique(truth[binary_dilation(mask, iterations=6) & ~mask])
    neighbours = [one for one in around if one and (truth == one).sum() >= SMALLEST // 2]
    return (
        mask | (expand_labels(truth, 3) == neighbours[0])
        if neighbours
        else np.asarray(binary_dilation(mask, iterations=5))
    )


def correct(faults: list[Fault], image: NDArray[np.integer], **options: object) -> list[float]:
    """Write the wrong objects into a labels layer, correct each with one click, and measure what comes of it."""
    viewer = ViewerModel()
    viewer.add_image(image, **options)
    labels = np.zeros(image.shape[:2], dtype=np.uint16)
    for fault in faults:
        labels[fault.wrong] = fault.label
    layer = viewer.add_labels(labels, name="another tool")
    session = Session(viewer)
    session.only_empty = False
    try:
        session.wait(120)
        session.target = layer
        for fault in faults:
            session.objects.pick(fault.label)
            session.wait(120)
            click = next_click(fault.truth, layer.data == fault.label)
            session.use_tool("positive" if click.positive else "negative")
            session.points.add(click.position)
            session.wait(120)
            session.accept()
            session.wait(120)
        return [iou(layer.data == fault.label, fault.truth) for fault in faults]
    finally:
        session.close()


def main() -> None:
    """Print the table."""
    [(image, options, _kind)] = samples.fluorescence()
    faults = make_faults(samples.labels_of("fluorescence"))
    before, after = [iou(fault.wrong, fault.truth) for fault in faults], correct(faults, image, **options)
    print(f"{'fault':<20}{'before':>8}{'one click':>11}")
    for fault, old, new in zip(faults, before, after, strict=True):
        print(f"{fault.kind:<20}{old:>8.3f}{new:>11.3f}")
    print(f"{'mean of ' + str(len(faults)):<20}{np.mean(before):>8.3f}{np.mean(after):>11.3f}")


if __name__ == "__main__":
    # Its objects do not belong into the person's journal.
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_SAM_HOME"] = home
        main()
