from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from labelled_squares import labelled, squares

from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.training.data.pools import KindSettings, ObjectPool, TypicalPool, _measured


def image_of(labels: np.ndarray, kind: str = "kind", name: str = "a") -> LabelledImage:
    grey = np.where(labels > 0, 200, 40).astype(np.uint8)
    return LabelledImage(name, kind, np.repeat(grey[..., None], 3, 2), labels)


def disc(radius: int, side: int = 900) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return (np.hypot(y - side / 2, x - side / 2) < radius).astype(np.uint16)


def crops(pool, count: int, side: int = 96):
    rng = np.random.default_rng(0)
    return [pool.crop(rng, side) for _ in range(count)]


class TestMeasures:
    def test_sizes_thickness_and_boxes(self):
        labels = np.zeros((60, 80), np.uint16)
        labels[10:30, 20:40] = 2
        labels[50:53, 5:65] = 5
        labels[0, 0] = 7  # a speck
        found = _measured(labels)
        assert found.labels.tolist() == [2, 5]
        assert found.sizes == pytest.approx([20, 180**0.5])
        assert found.thickness == pytest.approx([19, 3], abs=1)
        assert found.boxes.tolist() == [[10, 20, 30, 40], [50, 5, 53, 65]]

    def test_of_nothing(self):
        assert not len(_measured(np.zeros((5, 5), np.uint16)).labels)


class TestManyKinds:
    @pytest.mark.parametrize("radius", [4, 30, 120])
    def test_objects_of_any_size_are_brought_to_sizes_that_the_model_sees(self, radius):
        pool = ObjectPool([image_of(disc(radius))])
        sizes = [np.sqrt((crop.labels[0] == crop.wanted).sum()) for crop in crops(pool, 60) if crop.wanted]
        assert len(sizes) > 40
        assert min(sizes) < 40
        assert 40 < max(sizes) <= 96

    def test_the_wanted_object_is_in_the_crop(self):
        pool = ObjectPool([labelled(side=300)])
        for crop in crops(pool, 40):
            assert crop.wanted == 0 or (crop.labels[0] == crop.wanted).any()

    def test_whole_structures_are_seen_whole(self):
        pool = ObjectPool([image_of(disc(100))])
        whole = 0
        for crop in crops(pool, 60):
            found = crop.labels[0] > 0
            whole += found.any() and not (found[[0, -1]].any() or found[:, [0, -1]].any())
        assert whole > 15

    def test_thin_objects_are_not_shrunk_to_lines(self):
        labels = np.zeros((600, 600), np.uint16)
        labels[298:302] = 1
        for crop in crops(ObjectPool([image_of(labels)]), 40):
            if crop.wanted:
                assert _measured(crop.labels[0]).thickness.max() >= 2

    def test_kinds_are_drawn_by_weight_however_many_images_they_have(self):
        images = [image_of(squares(), "many", str(n)) for n in range(9)] + [image_of(squares(), "rare")]
        pool = ObjectPool(images, {"rare": KindSettings(weight=3.0, complete=True)})
        drawn = Counter(crop.complete for crop in crops(pool, 300))
        assert 190 < drawn[True] < 260

    def test_images_without_objects_are_passed_over(self):
        empty = image_of(np.zeros((120, 120), np.uint16), "empty")
        assert all(crop.labels.any() for crop in crops(ObjectPool([empty, labelled()]), 20) if crop.wanted)


def test_nuclei_are_complete_and_nobody_is_wanted():
    crop = TypicalPool([labelled()]).crop(np.random.default_rng(0), 64)
    assert crop.complete
    assert crop.wanted == 0
    assert crop.labels.shape == (1, 64, 64)
