from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_scenery import masks
from pycocotools import mask as coco

from napari_sam.datasets.documents import Intake
from napari_sam.datasets.rle import boxed, compressed
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask


@settings(deadline=None)
@given(masks)
def test_runs_are_those_of_pycocotools_both_ways(mask):
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = compressed(BoxedMask.of(mask))
    assert ours["counts"] == theirs["counts"].decode()
    np.testing.assert_array_equal(coco.decode(ours), mask)
    again = boxed(ours, mask.shape, Intake(Path("a")))
    np.testing.assert_array_equal(again.whole(), mask)


def test_long_runs_come_back():
    mask = np.zeros((3000, 4000), bool)
    mask[5:2990, 3990:] = mask[7, 3] = True
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    again = boxed({"size": list(mask.shape), "counts": runs["counts"].decode()}, mask.shape, Intake(Path("a")))
    np.testing.assert_array_equal(again.whole(), mask)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=st.characters(min_codepoint=40, max_codepoint=120), max_size=12) | st.text(max_size=4))
def test_text_of_anybody_is_a_mask_or_refused(counts):
    try:
        mask = boxed({"size": [6, 7], "counts": counts}, (6, 7), Intake(Path("a")))
    except InputError:
        return
    np.testing.assert_array_equal(coco.decode({"size": [6, 7], "counts": counts.encode()}), mask.whole())


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ({"size": [2, 2], "counts": [1, 2]}, "cover 3 of 4"),
        ({"size": [2, 2], "counts": [5, -1]}, "damaged"),
        ({"size": [2, 2], "counts": [1, 2.5, 0.5]}, "not whole"),
        ({"size": [2, 2], "counts": ["1", "3"]}, "not whole"),
        ({"size": [2, 2], "counts": [2**70, 1]}, "not whole"),
        ({"size": [2, 2], "counts": [[4]]}, "not whole"),
        ({"size": [2, 2], "counts": [4]}, "empty"),
        ({"size": [2, 2], "counts": ""}, "cut"),
        ({"size": [2, 2], "counts": "12o"}, "cut"),
        ({"size": [2, 2], "counts": "oooooooooooooooooo0"}, "longer than any"),
        ({"size": [2, 2], "counts": None}, "not a list"),
        ({"size": [2, 3], "counts": "13"}, "2 x 3 px, the image 2 x 2"),
        ({"counts": "13"}, "size is not a list"),
        ([1, 2], "not a record"),
    ],
)
def test_damaged_runs_are_refused_in_words(runs, words):
    with pytest.raises(InputError, match=words):
        boxed(runs, (2, 2), Intake(Path("a")))


def test_a_mask_that_does_not_fit_is_refused_before_it_is_laid_out(monkeypatch):
    monkeypatch.setattr("napari_sam.datasets.documents.largest_read", lambda: 10**6)
    side = 1 << 15
    intake = Intake(Path("a"))
    with monkeypatch.context() as patch, pytest.raises(InputError, match="1 MB of memory"):
        patch.setattr("napari_sam.datasets.rle.decode_boxed", lambda _: pytest.fail("laid out"))
        boxed({"size": [side, side], "counts": [0, side * side]}, (side, side), intake)
    # A thin strip of the same plane fits.
    small = boxed({"size": [1000, side], "counts": [5, 10, 1000 * side - 15]}, (1000, side), intake)
    assert small.area == 10


def test_masks_of_one_file_are_summed(monkeypatch):
    monkeypatch.setattr("napari_sam.datasets.documents.largest_read", lambda: 50_000)
    intake = Intake(Path("a"))
    runs = {"size": [100, 100], "counts": [0, 10_000]}
    boxed(runs, (100, 100), intake)
    with pytest.raises(InputError, match="memory"):
        for _ in range(5):
            boxed(runs, (100, 100), intake)
