"""Images with objects of every kind: holes, parts, single pixels, touching corners, at the border, overlapping."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam.datasets.records import AnnotatedImage, MaskObject
from napari_sam.masks import BoxedMask

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)).filter(np.any)


@st.composite
def images(draw) -> AnnotatedImage:
    """Give an image of some masks at random."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))
    drawn = draw(st.lists(hnp.arrays(bool, shape).filter(np.any), max_size=3))
    return image_of(drawn, shape)


def image_of(drawn: list[np.ndarray], shape: tuple[int, int]) -> AnnotatedImage:
    objects = tuple(MaskObject(BoxedMask.of(mask), number) for number, mask in enumerate(drawn, 1))
    return AnnotatedImage("a.tif", shape, objects)


def ring_and_parts() -> AnnotatedImage:
    """Give an object with a hole and an island in it, one of parts that touch in a corner, and one at the border."""
    ring = np.zeros((20, 30), bool)
    ring[2:12, 3:15] = True
    ring[4:10, 5:13] = False
    ring[6:8, 8:9] = True
    parts = np.zeros((20, 30), bool)
    parts[12:15, 16:20] = parts[15:17, 20:22] = parts[12, 25] = True
    border = np.zeros((20, 30), bool)
    border[0, :] = border[-1, -1] = True
    image = image_of([ring, parts, border], (20, 30))
    one, two, three = image.objects
    known = MaskObject(one.mask, 4, "nucleus", 0.875, 0.9375, (6.0, 8.5), ((1.0, 2.0), (15.0, 20.0)))
    return AnnotatedImage("a.tif", image.shape, (known, MaskObject(two.mask, 7, "debris"), three))


def wholes(image: AnnotatedImage) -> list[np.ndarray]:
    return [one.mask.whole() for one in image.objects]


def assert_same_masks(one: AnnotatedImage, other: AnnotatedImage) -> None:
    assert one.shape == other.shape and len(one.objects) == len(other.objects)
    for mask, again in zip(wholes(one), wholes(other), strict=True):
        np.testing.assert_array_equal(mask, again)
