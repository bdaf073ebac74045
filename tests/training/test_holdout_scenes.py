from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import napari_sam.training
from napari_sam.training.synthetic import shapes
from napari_sam.training.synthetic.holdout_scenes import FAMILIES, SIDE, draw_unseen, unseen_images


@pytest.fixture(scope="module")
def scenes() -> dict[str, list]:
    return {family: [draw_unseen(family, seed) for seed in range(4)] for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_scenes_are_labelled_images(scenes, family):
    for scene in scenes[family]:
        assert scene.kind == f"unseen: {family}"
        assert scene.image.shape == (SIDE, SIDE, 3)
        assert scene.image.dtype == np.uint8
        assert np.ptp(scene.image) > 200
        assert scene.labels.dtype == np.uint16
        areas = np.bincount(scene.labels.ravel())[1:]
        assert (areas[areas > 0] >= 60).all()
        assert (areas > 0).any()
    assert {scene.name.rpartition("-")[2] for scene in scenes[family]} == {"speckle", "weave", "relief", "resonance"}


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_seeds_give_equal_scenes_and_others_others(scenes, family):
    again, other = draw_unseen(family, 0), draw_unseen(family, 4)
    assert (again.image == scenes[family][0].image).all()
    assert (again.labels == scenes[family][0].labels).all()
    assert (other.labels != scenes[family][0].labels).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_objects_can_be_told_from_what_is_around_them(scenes, family):
    """Mean, spread or direction changes at the border: less alike than two halves of the ground are."""
    for scene in scenes[family]:
        grey = scene.image[..., 0].astype(float)
        inside = scene.labels > 0
        around = ndimage.binary_dilation(inside, iterations=12) & ~ndimage.binary_dilation(inside, iterations=2)
        slopes = np.hypot(*np.gradient(ndimage.gaussian_filter(grey, 0.7)))
        slant = ndimage.sobel(grey, 0) * ndimage.sobel(grey, 1)
        differences = [
            abs(feature[inside].mean() - feature[around].mean()) / (feature[around].std() / 10 + 1e-9)
            for feature in (grey, slopes, slant)
        ]
        assert max(differences) > 1, scene.name


def test_large_bodies_fill_a_third_and_have_parts(scenes):
    shares = [(scene.labels > 0).mean() for scene in scenes["large bodies"]]
    assert all(0.2 < share < 0.55 for share in shares)
    parts = [(scene.labels > 0).mean() for scene in scenes["parts of bodies"]]
    assert all(share < 0.15 for share in parts)


def test_objects_are_in_one_piece(scenes):
    for family in ("shards", "trees"):
        for scene in scenes[family]:
            for label in np.unique(scene.labels)[1:]:
                assert ndimage.label(scene.labels == label)[1] == 1


def test_sets_hold_every_family_and_every_rendering():
    images = unseen_images(2, first=3)
    assert len(images) == 2 * len(FAMILIES) >= 8
    assert {image.kind for image in images} == {f"unseen: {family}" for family in FAMILIES}
    assert len({image.name for image in images}) == len(images)
    assert len({image.name.rpartition("-")[2] for image in images}) == 4


def test_what_draws_batches_knows_nothing_of_them():
    folder = Path(napari_sam.training.__file__).parent
    drawing = [*(folder / "data").glob("*.py"), *(folder / "synthetic").glob("s*.py")]
    assert {"loader.py", "scenes.py", "scene_dataset.py"} <= {path.name for path in drawing}
    for path in [*drawing, folder / "loop.py", folder / "objective.py"]:
        assert "holdout" not in path.read_text(), path
    assert not set(FAMILIES) & set(shapes.FAMILIES)
