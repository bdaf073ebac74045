"""Images that share what they show are one group."""

from __future__ import annotations

import numpy as np
import pytest
from material_scenery import texture
from PIL import Image

from napari_sam.training.material.duplicates import join_groups
from napari_sam.training.material.taught import TaughtPlane


def groups(*images):
    planes = [
        TaughtPlane(f"{number}", f"{number}", np.asarray(image, np.uint8), np.ones(image.shape[:2], np.uint8), True)
        for number, image in enumerate(images)
    ]
    return [plane.group for plane in join_groups(planes)]


def test_other_images_stay_apart():
    assert groups(*(texture(seed) for seed in range(12))) == [str(number) for number in range(12)]


def resized(image, factor):
    return np.asarray(Image.fromarray(image).resize([int(side * factor) for side in image.shape[1::-1]]))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: (255 * (image / 255) ** 0.6 * 0.7 + 20).astype(np.uint8),
        lambda image: resized(image, 0.6),
        lambda image: resized(image, 1.7)[::-1],
        lambda image: np.rot90(image),
        lambda image: np.rot90(image, 2),
        lambda image: image.transpose(1, 0, 2),
        lambda image: np.rot90(image[:, ::-1], 3),
        lambda image: np.clip(image + np.random.default_rng(0).normal(0, 10, image.shape), 0, 255),
    ],
)
def test_near_duplicates_are_one(change):
    image = texture(5, (120, 90), smooth=4)
    assert groups(image, texture(6), change(image), texture(7)) == ["0", "1", "0", "3"]


def test_neighbours_of_a_volume_are_one_from_end_to_end():
    whole = np.random.default_rng(0).normal(size=(40, 64, 64))
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(whole, (4, 3, 3))
    planes = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)[::2]
    images = [np.repeat(plane[..., None], 3, 2) for plane in planes]
    assert groups(*images, texture(1)) == ["0"] * 20 + ["20"]


def test_what_is_alike_in_part_stays_apart():
    images = [texture(seed).astype(float) for seed in range(4)]
    assert groups(*images, np.mean(images, axis=0)) == ["0", "1", "2", "3", "4"]


def test_an_outline_that_all_share_joins_nobody():
    y, x = np.mgrid[:128, :128] - 63.5
    disc = (np.hypot(y, x) < 60)[..., None]
    images = [np.where(disc, 150 + texture(seed, (128, 128)) // 4, 0) for seed in range(4)]
    assert groups(*images) == ["0", "1", "2", "3"]


def test_plain_planes_join_nobody():
    assert groups(np.full((64, 64, 3), 9), np.full((64, 64, 3), 9), np.zeros((64, 64, 3))) == ["0", "1", "2"]


def test_crops_that_overlap_are_one():
    scene = texture(8, (300, 300), smooth=3)
    crops = scene[:180, :180], scene[100:280, 20:200], texture(9, (180, 180), smooth=3)
    assert groups(*crops) == ["0", "0", "2"]


def test_groups_that_are_joined_keep_the_first_name():
    image = texture(0)
    planes = [TaughtPlane("p", group, image, np.ones((96, 96), np.uint8), True) for group in "cab"]
    assert [plane.group for plane in join_groups(planes)] == ["a", "a", "a"]
    assert join_groups([]) == []
