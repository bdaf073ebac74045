"""Compare linking over several planes, or frames, with linking by overlap with one neighbour, where objects are known.

The planes of synthetic volumes are numbered anew, each by itself, and then made as bad as a plane-wise model's: objects
are missing on some planes, grown together with a neighbour, or cut in two. Both ways link the same planes. Cells of
a simulated time series, with the same errors, say how many links are right, divisions among them.

    python benchmarks/linking.py [--seeds 100:110]
"""

from __future__ import annotations

import argparse

import numpy as np

from napari_sam.automatic.linking import StackGraph, find_gaps, link_frames, link_planes, write_linked
from napari_sam.evaluation.average_precision import average_precision
from napari_sam.evaluation.linking import (
    ErrorRates,
    count_links,
    linked_to_one_neighbour,
    plane_by_plane,
    simulated_series,
)
from napari_sam.evaluation.synthetic_volumes import KINDS, synthetic_volume

RATES = {"no errors": ErrorRates(0, 0, 0), "6 % each": ErrorRates(), "12 % each": ErrorRates(0.12, 0.12, 0.12)}


def linked(planes: np.ndarray, *, fill: bool) -> np.ndarray:
    """Link planes into objects of a volume."""
    graph = StackGraph.of(planes)
    mapping = link_planes(graph)
    found = np.zeros_like(planes)
    write_linked(planes, mapping, found, find_gaps(graph, mapping) if fill else ())
    return found


def compare_volumes(seeds: range) -> None:
    """Print AP50 in 3D."""
    print(f"AP50 in 3D, mean of {len(seeds)} volumes")
    print(f"{'kind':14}{'errors':12}{'one neighbour':>15}{'ours':>8}{'gaps filled':>13}")
    for kind in KINDS:
        for name, rates in RATES.items():
            scores = []
            for seed in seeds:
                truth = synthetic_volume(kind, seed).labels
                planes = plane_by_plane(truth, seed, rates)
                ways = (linked_to_one_neighbour(planes), linked(planes, fill=False), linked(planes, fill=True))
                scores.append([average_precision(truth, way)[0] for way in ways])
            one, ours, filled = np.mean(scores, axis=0)
            print(f"{kind:14}{name:12}{one:>15.3f}{ours:>8.3f}{filled:>13.3f}")


def compare_series(seeds: range) -> None:
    """Print shares of right links."""
    print(f"\nlinks of {len(seeds)} time series: share of those that are there, and of those answered that are right")
    print(f"{'errors':12}{'one neighbour':>20}{'ours':>20}")
    for name, rates in RATES.items():
        totals = np.zeros((2, 3))
        for seed in seeds:
            truth, mothers = simulated_series(seed)
            planes = plane_by_plane(truth, seed, rates)
            tracks = link_frames(planes)
            labels = linked_to_one_neighbour(planes)
            mapping = [
                dict(zip(plane[plane > 0].tolist(), track[plane > 0].tolist(), strict=True))
                for plane, track in zip(planes, labels, strict=True)
            ]
            for row, answer in enumerate(((mapping, {}), (tracks.mapping, tracks.parents))):
                counts = count_links(truth, mothers, planes, *answer)
                totals[row] += counts.truths, counts.answers, counts.right
        shares = [f"{right / truths:.3f} {right / answers:.3f}" for truths, answers, right in totals]
        print(f"{name:12}{shares[0]:>20}{shares[1]:>20}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="100:110", help="first seed and the one after the last")
    first, end = (int(number) for number in parser.parse_args().seeds.split(":"))
    compare_volumes(range(first, end))
    compare_series(range(first, end))


if __name__ == "__main__":
    main()
