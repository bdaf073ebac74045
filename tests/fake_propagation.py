"""A volume with one object, and a propagation without a model: it finds what is bright and touches the last mask."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from napari_sam.masks import BoxedMask
from napari_sam.progress import no_progress
from napari_sam.propagation import DEFAULT_STRATEGY, Ending, PropagationStep, Reason

SHAPE = (12, 40, 50)
CENTRE = (6, 20, 24)
RADII = (4.2, 8.0, 9.0)


def ball(shape=SHAPE, centre=CENTRE, radii=RADII):
    """Voxels of an ellipsoid, bool."""
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((at - c) / r) ** 2 for at, c, r in zip(grid, centre, radii, strict=True)) <= 1


def volume(shape=SHAPE, centre=CENTRE, radii=RADII):
    return np.where(ball(shape, centre, radii), 200, 10).astype(np.uint8)


def bright(plane):
    """Pixels of a plane that are bright in any colour, (H, W) bool."""
    return (plane.pixels.max(axis=-1) if plane.rgb else plane.pixels) > 100


class FakePropagation:
    """Has the signature of `napari_sam.propagation.propagate`.

    `scores` gives planes another score than 0.9, `masks` another mask, `calls` holds what it was called with, and
    `before` is called with the index before each plane.
    """

    def __init__(self):
        self.scores = {}
        self.masks = {}
        self.calls = []
        self.before = lambda index: None

    def __call__(
        self,
        engine,
        planes,
        annotated,
        *,
        strategy=DEFAULT_STRATEGY,
        rules=None,
        span=None,
        marks=None,
        progress=no_progress,
        earlier=(),
    ):
        self.calls.append(
            {"planes": planes, "annotated": annotated, "span": span, "marks": dict(marks or {}), "strategy": strategy}
        )
        given = sorted(annotated, key=lambda one: one.index)
        return self._steps(planes, given, span or range(len(planes)), marks or {}, progress, iter(earlier))

    def _steps(self, planes, annotated, span, marks, progress, earlier):
        known = {one.index: one.boxed.whole() for one in annotated}
        fronts = [(one.index, way) for one in annotated for way in (1, -1)]
        while fronts:
            last, way = fronts.pop(0)
            index = last + way
            if (found := next(earlier, None)) is not None:
                assert (found.index, found.direction) == (index, way)
                if isinstance(found, PropagationStep):
                    known[index] = found.mask
                    fronts.append((index, way))
                yield found
                continue
            if index in known:
                yield Ending(index, way, Reason.MET)
                continue
            if index not in span:
                yield Ending(index, way, Reason.RANGE_END)
                continue
            progress(0.5)
            self.before(index)
            progress(0.5)
            mask = self.masks[index] if index in self.masks else touching(bright(planes[index]), known[last])
            if any(mask[tuple(np.rint(at).astype(int))] for at in marks.get(index, ())):
                yield Ending(index, way, Reason.MARK)
                continue
            if not mask.any():
                yield Ending(index, way, Reason.EMPTY)
                continue
            overlap = (mask & known[last]).sum() / (mask | known[last]).sum()
            known[index] = mask
            fronts.append((index, way))
            yield PropagationStep(index, BoxedMask.of(mask), self.scores.get(index, 0.9), float(overlap), way)


def touching(bright, mask):
    regions, _ = label(bright)
    return np.isin(regions, np.unique(regions[mask & bright])) & bright
