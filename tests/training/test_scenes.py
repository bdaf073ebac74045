from __future__ import annotations

import numpy as np
import pytest

from napari_sam.training.synthetic import scenes, shapes
from napari_sam.training.synthetic.scene_dataset import SHARD, open_bank


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("family", shapes.FAMILIES)
def test_families_draw_objects(family):
    maker, share = shapes.FAMILIES[family]
    drawn = [maker(rng(seed), 96) for seed in range(8)]
    assert all(labels.shape == (2, 96, 96) and labels.dtype == np.uint8 for labels in drawn)
    assert sum(labels[0].any() for labels in drawn) >= 6
    assert len({labels.tobytes() for labels in drawn}) == 8
    assert 0 < share < 1


def test_shares_add_up():
    assert sum(share for _, share in shapes.FAMILIES.values()) == pytest.approx(1)


def test_organs_lie_in_the_body():
    for seed in range(5):
        organs, body = shapes.organs(rng(seed), 128)
        assert body.any()
        assert not (organs[body == 0]).any()


def test_nuclei_lie_inside_their_cells():
    labels = np.zeros((2, 64, 64), np.uint8)
    labels[0, 5:30, 5:30], labels[0, 30:60, 30:60] = 1, 2
    cells, nuclei = shapes.with_nuclei(rng(), labels)
    assert set(np.unique(nuclei)) == {0, 1, 2}
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    assert nuclei[5, 5] == 0
    assert nuclei[17, 17] == 1


def test_relative_depth_tells_touching_objects_apart():
    level = np.zeros((40, 40), np.uint8)
    level[5:26, 5:20], level[5:26, 20:35] = 1, 2
    depth = shapes.relative_depth(level)
    assert depth[level == 1].max() == depth[level == 2].max() == 1
    assert depth[15, 19] == depth[15, 20] == 0
    assert depth[15, 12] > 0.8
    assert not depth[level == 0].any()


def test_the_edge_of_the_plane_is_no_border():
    level = np.ones((9, 9), np.uint8)
    level[:, 5:] = 0
    assert shapes.interior(level)[0, 0]
    assert not shapes.interior(level)[4, 4]


def test_smooth_noise_has_its_wavelength():
    fine, coarse = (shapes.smooth_noise(rng(), 128, wavelength) for wavelength in (4, 40))
    for field in (fine, coarse):
        assert field.mean() == pytest.approx(0, abs=1e-4)
        assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(fine, axis=0)).mean() > 4 * np.abs(np.diff(coarse, axis=0)).mean()


def test_scenes_are_repeatable_and_various():
    image, labels = scenes.draw_scene(rng(3), 96)
    again, _ = scenes.draw_scene(rng(3), 96)
    other, _ = scenes.draw_scene(rng(4), 96)
    assert image.shape == (96, 96, 3)
    assert image.dtype == labels.dtype == np.uint8
    assert (image == again).all()
    assert (image != other).any()


def test_scenes_use_their_range_and_have_no_specks():
    for seed in range(20):
        image, labels = scenes.draw_scene(rng(seed), 96)
        assert np.ptp(image) > 60
        for level in labels:
            areas = np.bincount(level.ravel())[1:]
            assert (areas[areas > 0] >= scenes.LEAST_AREA).all()


def test_bank_is_rendered_once_and_read_back(tmp_path):
    bank = open_bank(tmp_path, SHARD, side=32, seed=5)
    assert len(bank) == SHARD
    image, labels = bank[7]
    expected = scenes.draw_scene(np.random.default_rng((5, 7)), 32)
    assert (image == expected[0]).all()
    assert (labels == expected[1]).all()
    written = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    open_bank(tmp_path, SHARD, side=32, seed=5)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == written
