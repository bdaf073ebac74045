"""Objects of a volume out of the objects of its planes.

Each object of a plane is a node of a graph. Edges go to what it lies on in several planes on either side, so that an
object goes on over a plane on which it is missing, cut in two, or grown together with its neighbour. Which nodes are
one object is then decided for the whole stack at once (`napari_sam.automatic.linking.multicut`): what lies on each
other attracts, and what is apart on one plane repels. Two objects that are one on a single plane have all other planes
to say that they are two; one object that is two on a single plane has them to say that it is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.linking.multicut import multicut
from napari_sam.automatic.linking.overlaps import Overlaps, PlaneObjects
from napari_sam.errors import InputError
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.linking.overlaps import LabelPlanes
    from napari_sam.progress import Progress


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How objects of planes become objects of a volume.

    Attributes
    ----------
    reach : int
        Planes on either side that an object is compared with; gaps of one plane less are bridged.
    overlap : float
        Two objects of neighbouring planes attract each other where they have more in common than this: the mean of
        what is common as a share of each, 0 to 1.
    far_overlap : float
        The same for planes that do not follow each other; below it, nothing is said.
    rivalry : float
        How much two objects repel each other for each plane on which both are, in units of overlap.
    """

    reach: int = 3
    overlap: float = 0.25
    far_overlap: float = 0.4
    rivalry: float = 0.35

    def __post_init__(self) -> None:
        if self.reach < 1:
            raise InputError(f"Objects are linked over one plane at least; got {self.reach}.")


@dataclass(frozen=True, slots=True, eq=False)
class StackGraph:
    """Objects of all planes, and how far they lie on each other.

    Attributes
    ----------
    plane : numpy.ndarray, shape (n,), int64
        The plane of each node, ascending.
    label : numpy.ndarray, shape (n,), int64
        Its number on that plane.
    low, high : numpy.ndarray, shape (n, 2), int64
        Its box, data pixels, (y, x): the first pixels, and the ends.
    edges : numpy.ndarray, shape (m, 2), int64
        Nodes that have pixels in common, the one on the lower plane first.
    shares : numpy.ndarray, shape (m, 2), float64
        What they have in common, as a share of either.
    planes : int
        Number of planes.
    """

    plane: NDArray[np.int64]
    label: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    edges: NDArray[np.int64]
    shares: NDArray[np.float64]
    planes: int

    @classmethod
    def of(cls, planes: LabelPlanes, reach: int = 3, progress: Progress = no_progress) -> StackGraph:
        """Look through the planes once, in their order; no more than `reach` and one are in memory."""
        last: list[tuple[int, PlaneObjects]] = []
        plane, label, boxes = [], [], []
        edges, shares = [np.zeros((0, 2), np.int64)], [np.zeros((0, 2))]
        count = 0
        for index in range(len(planes)):
            progress(index / len(planes))
            objects = PlaneObjects.of(planes[index])
            for first, before in last:
                common = Overlaps.of(before, objects)
                edges.append(np.stack([first + common.one, count + common.two], axis=1))
                shares.append(common.shares)
            plane.append(np.full(len(objects), index, np.int64))
            label.append(objects.labels)
            boxes.append(np.stack([objects.low, objects.high]))
            last = [*last, (count, objects)][-reach:]
            count += len(objects)
        progress(1.0)
        none = np.zeros(0, np.int64)
        low, high = np.concatenate([np.zeros((2, 0, 2), np.int64), *boxes], axis=1)
        return cls(
            np.concatenate([none, *plane]),
            np.concatenate([none, *label]),
            low,
            high,
            np.concatenate(edges),
            np.concatenate(shares),
            len(planes),
        )


def link_planes(graph: StackGraph, settings: LinkSettings | None = None) -> list[dict[int, int]]:
    """Decide which objects of planes are one object.

    Parameters
    ----------
    graph : StackGraph
        With the settings' reach, or a larger one.
    settings : LinkSettings, optional

    Returns
    -------
    list of dict from int to int
        For each plane, the number of the object in the volume for each label of the plane; objects are numbered 1, 2,
        ... in the order in which they are met.
    """
    settings = settings or LinkSettings()
    distance = np.diff(graph.plane[graph.edges], axis=1)[:, 0]
    overlap = graph.shares.mean(axis=1)
    # Far planes may say that objects are the same. That they are not is for near ones to say: objects taper and lean.
    far = np.maximum(overlap - settings.far_overlap, 0.0) / np.maximum(distance, 1)
    weights = np.where(distance == 1, overlap - settings.overlap, far)
    used = (distance <= settings.reach) & (weights != 0)
    numbers = multicut(graph.edges[used], weights[used], graph.plane, settings.rivalry)
    mapping: list[dict[int, int]] = [{} for _ in range(graph.planes)]
    for plane, label, number in zip(graph.plane.tolist(), graph.label.tolist(), numbers.tolist(), strict=True):
        mapping[plane][label] = number + 1
    return mapping
