from __future__ import annotations

import numpy as np
import pytest

from napari_sam.automatic.annotated import annotate
from napari_sam.automatic.proposals import Proposal
from napari_sam.datasets.formats.sa1b import read_sa1b, write_sa1b
from napari_sam.masks import BoxedMask


def proposal(low: int, high: int, **known) -> Proposal:
    mask = np.zeros((20, 30), bool)
    mask[low:high, low:high] = True
    return Proposal(BoxedMask.of(mask), **known)


PROPOSALS = [
    proposal(2, 9, score=0.75, stability=0.5, point=(4.5, 6.25), crop=((0.0, 0.0), (10.0, 15.0))),
    proposal(5, 12, score=np.float32(0.875)),
]


def test_proposals_come_back_from_sa1b_with_all_that_the_model_said(tmp_path):
    write_sa1b(tmp_path / "a.json", [annotate("a.tif", PROPOSALS, (20, 30), categories=["cell", None])])
    (image,) = read_sa1b(tmp_path / "a.json")
    assert (image.name, image.shape) == ("a.tif", (20, 30))
    for number, (one, again) in enumerate(zip(PROPOSALS, image.objects, strict=True), 1):
        np.testing.assert_array_equal(one.mask.whole(), again.mask.whole())
        assert (again.number, again.score, again.stability) == (number, one.score, one.stability)
        assert (again.point, again.crop) == (one.point, one.crop)
    assert [again.category for again in image.objects] == ["cell", None]


def test_planes_and_missing_categories():
    image = annotate("a.tif", PROPOSALS, (20, 30), plane=3)
    assert image.plane == 3 and {one.category for one in image.objects} == {None}
    with pytest.raises(ValueError, match="zip"):
        annotate("a.tif", PROPOSALS, (20, 30), categories=["cell"])
