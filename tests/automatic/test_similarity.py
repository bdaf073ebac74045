"""Find all like this: what examples select, on descriptions that are made up and on a real image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data, filters, measure, morphology, segmentation

import napari_sam
from napari_sam.automatic.descriptors import Descriptors
from napari_sam.automatic.similarity import SIMILAR, ExampleQuery, similarities
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.samples import fluorescence

COLUMNS = 6
PART = np.s_[200:456, 250:506]
TRUTH = Path(__file__).with_name("fluorescence_labels.png")
"""Labels of `PART` of the sample of fluorescent nuclei, from BBBC038 (CC0)."""


@pytest.fixture(scope="module")
def predictor() -> napari_sam.Predictor:
    return napari_sam.load_predictor("bundled", device="cpu")


def descriptors(values: np.ndarray, background: float = np.nan, least: float = 0.0) -> Descriptors:
    columns = values.shape[1]
    return Descriptors(values, np.full(columns, background), np.full(columns, least), np.full(columns, columns**-0.5))


def two_kinds(counts: tuple[int, int] = (20, 20), seed: int = 0) -> Descriptors:
    """Objects around two centres, those of the first kind first."""
    rng = np.random.default_rng(seed)
    centres = np.array([[3.0, 3, 0, 0, 3, 3], [3.0, 3, 3, 3, 0, 0]])
    return descriptors(np.repeat(centres, counts, axis=0) + rng.normal(0, 0.5, (sum(counts), COLUMNS)))


def found(plane: Descriptors, positive: list[int], negative: list[int] | None = None) -> np.ndarray:
    query = ExampleQuery.of(plane, plane.take(positive), None if negative is None else plane.take(negative))
    return similarities(query, plane)


def test_one_example_selects_its_kind():
    plane = two_kinds()
    for place in (0, 25):
        scores = found(plane, [place])
        assert scores.shape == (40,)
        assert (scores >= 0).all()
        assert (scores <= 1).all()
        np.testing.assert_array_equal(scores >= SIMILAR, np.arange(40) // 20 == place // 20)
        assert scores[place] == scores.max()


def test_more_examples_tell_what_they_have_in_common():
    rng = np.random.default_rng(1)
    plane = two_kinds()
    # Columns in which objects differ at random hide what matters from a single example.
    noisy = descriptors(np.hstack([plane.values, rng.normal(0, 1, (40, 6 * COLUMNS))]))
    wanted = np.arange(40) < 20
    one, many = found(noisy, [0]), found(noisy, list(range(8)))
    others = np.arange(40) >= 8
    hits = [np.mean((scores >= SIMILAR)[others] == wanted[others]) for scores in (one, many)]
    assert hits[1] > hits[0] + 0.1
    assert hits[1] > 0.8


def test_a_negative_example_takes_its_like_out():
    rng = np.random.default_rng(2)
    centres = np.array([[3.0, 0, 0], [3.0, 1.5, 0], [0.0, 0, 3]])
    plane = descriptors(np.repeat(centres, 15, axis=0) + rng.normal(0, 0.2, (45, 3)))
    middle = slice(15, 30)
    without, warned = found(plane, [0, 1]), found(plane, [0, 1], [20])
    assert np.mean(warned[middle]) < np.mean(without[middle]) - 0.1
    assert (warned[:15] >= SIMILAR).all()


def test_no_negative_examples_are_none():
    plane = two_kinds()
    np.testing.assert_array_equal(found(plane, [3], []), found(plane, [3]))


def test_objects_of_one_kind_alone_resemble_each_other_against_the_background():
    rng = np.random.default_rng(3)
    values = rng.normal(4, 0.5, (30, 200))
    near = found(descriptors(values, background=0.0), [0])
    assert np.mean(near >= SIMILAR) > 0.8
    # Without it, half of them are on the other side of their mean.
    apart = found(descriptors(values), [0])
    assert np.mean(apart >= SIMILAR) < 0.5


def test_an_example_alone_on_its_plane_is_like_itself():
    plane = descriptors(np.array([[2.0, 3.0, 1.0]]), background=0.5, least=0.1)
    assert found(plane, [0])[0] > 0.9


def test_examples_of_one_plane_serve_on_another_one():
    plane, other = two_kinds(), two_kinds((5, 30), seed=4)
    query = ExampleQuery.of(plane, plane.take([0, 1]))
    # The other plane's own mean is that of the other kind, nearly.
    np.testing.assert_array_equal(similarities(query, other) >= SIMILAR, np.arange(35) < 5)


def test_what_is_constant_on_the_plane_of_the_examples_says_nothing_elsewhere():
    plane, other = two_kinds(), two_kinds(seed=5)
    query = ExampleQuery.of(
        *(descriptors(np.hstack([some.values, np.full((len(some), 1), 7.0)])) for some in (plane, plane.take([0])))
    )
    changed = descriptors(np.hstack([other.values, np.full((len(other), 1), 900.0)]))
    np.testing.assert_array_equal(similarities(query, changed) >= SIMILAR, np.arange(40) < 20)


def test_words_for_what_is_missing():
    plane = two_kinds()
    with pytest.raises(InputError, match="Pick at least one object"):
        ExampleQuery.of(plane, plane.take([]))
    with pytest.raises(InputError, match="Segment everything first"):
        ExampleQuery.of(plane.take([]), plane.take([0]))
    with pytest.raises(InputError, match="described by different models"):
        similarities(ExampleQuery.of(plane, plane.take([0])), descriptors(np.zeros((2, 3))))


def coins() -> tuple[np.ndarray, list[BoxedMask], np.ndarray]:
    """A photograph, the coins on it, and which of them are large."""
    image = data.coins()
    smooth = filters.gaussian(image, 1)
    above = smooth > filters.threshold_local(smooth, 151, offset=-0.03)
    solid = ndimage.binary_fill_holes(morphology.opening(above, morphology.disk(4)))
    labels = measure.label(segmentation.clear_border(solid))
    masks = [BoxedMask.of(labels == label) for label in range(1, labels.max() + 1)]
    areas = np.array([mask.area for mask in masks])
    kept = areas > 300
    return image, [mask for mask, ok in zip(masks, kept, strict=True) if ok], areas[kept] > 1850


def shifted_nuclei() -> tuple[np.ndarray, list[BoxedMask], np.ndarray]:
    """A part of the sample of fluorescent nuclei; their masks, and the same ones beside them; which of them fit."""
    [(image, _options, _kind)] = fluorescence()
    truth = np.asarray(Image.open(TRUTH)).astype(int)
    masks = [mask for label in range(1, truth.max() + 1) if (mask := BoxedMask.of(truth == label)).area >= 25]
    beside = [BoxedMask.of(np.roll(mask.whole(), 25, axis=1)) for mask in masks]
    beside = [mask for mask in beside if np.mean(truth[mask.box][mask.mask] > 0) < 0.3]
    return image[PART], masks + beside, np.arange(len(masks) + len(beside)) < len(masks)


@pytest.mark.parametrize(
    ("scene", "counts", "least"), [(coins, (2, 2), (0.6, 0.7)), (shifted_nuclei, (1, 0), (0.8, 0.8))]
)
def test_objects_are_found_by_example_with_the_bundled_model(predictor, scene, counts, least):
    rng = np.random.default_rng(0)
    image, masks, kind = scene()
    described = Descriptors.of(predictor, predictor.embed(image), image, masks)
    results = []
    for wanted in (kind, ~kind):
        for _ in range(10):
            likes, unlikes = (
                rng.choice(np.flatnonzero(some), n, False) for some, n in zip((wanted, ~wanted), counts, strict=True)
            )
            query = ExampleQuery.of(described, described.take(likes), described.take(unlikes))
            rest = np.setdiff1d(np.arange(len(masks)), np.concatenate([likes, unlikes]))
            selected = similarities(query, described)[rest] >= SIMILAR
            hits = np.count_nonzero(selected & wanted[rest])
            results.append((hits / max(1, np.count_nonzero(selected)), hits / np.count_nonzero(wanted[rest])))
    precision, recall = np.mean(results, axis=0)
    assert precision > least[0]
    assert recall > least[1]
