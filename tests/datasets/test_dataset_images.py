from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.datasets.image_files import image_beside, image_size, size_beside, stem_of
from napari_sam.errors import InputError


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.tif", "a"),
        ("plane_z0.5", "plane_z0.5"),
        ("a.ome.tif", "a"),
        ("train/b.JPG", "b"),
        ("C:\\pictures\\c.png", "c"),
        ("../../d.png", "d"),
    ],
)
def test_names_of_images_lose_folders_and_endings_of_images(name, stem):
    assert stem_of(name) == stem


def test_sizes_are_read_of_every_kind_of_image_and_no_pixels(tmp_path):
    pixels = np.zeros((6, 9, 3), np.uint8)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(pixels).save(tmp_path / name)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((4, 6, 9), np.uint16), photometric="minisblack")
    assert {image_size(path) for path in tmp_path.iterdir()} == {(6, 9)}
    (tmp_path / "c.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"c\.png is not an image"):
        image_size(tmp_path / "c.png")
    assert size_beside(tmp_path / "c.json") is None


def test_images_are_found_beside_and_in_images_but_never_outside(tmp_path):
    for folder in ("set/images", "set/labels", "set/plain"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("set/images/a.tif", "set/labels/a.tif", "set/plain/b.png", "secret.png", "set/images/c.d.jpeg"):
        (tmp_path / name).write_bytes(b"")
    labels = tmp_path / "set" / "labels"
    assert image_beside(labels / "a.tif") == tmp_path / "set/images/a.tif"
    assert image_beside(tmp_path / "set/plain/b.json") == tmp_path / "set/plain/b.png"
    assert image_beside(tmp_path / "set/instances.json", "train/a.tif") == tmp_path / "set/images/a.tif"
    assert image_beside(labels / "c.d.txt") == tmp_path / "set/images/c.d.jpeg"
    assert image_beside(tmp_path / "set/plain/b.json", "../../secret.png") is None
    assert image_beside(labels / "none.txt") is None
