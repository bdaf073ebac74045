from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.errors import InputError
from napari_sam.io.labels import read_labels, write_labels
from napari_sam.io.planes import read_plane

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (20, 30), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (20, 30, 3), dtype=np.uint8)
CLEAR = RNG.integers(0, 255, (20, 30, 4), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_tiff_of_any_grey_type_is_read_as_it_stands(tmp_path, dtype):
    pixels = (GREY.astype(np.float64) * 3).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    read = read_plane(tmp_path / "a.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize(
    "pixels", [GREY, COLOUR, CLEAR, GREY.astype(np.uint16) * 257], ids=["L", "RGB", "RGBA", "I;16"]
)
def test_png_is_read_as_it_stands(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_plane(tmp_path / "a.png")
    assert read.dtype == pixels.dtype
    np.testing.assert_array_equal(read, pixels)


def test_jpeg_keeps_its_shape_whatever_its_orientation_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=exif)
    assert read_plane(tmp_path / "a.jpg").shape == (20, 30, 3)


def test_palette_grey_alpha_and_bilevel_pictures(tmp_path):
    Image.fromarray(COLOUR).quantize(16).save(tmp_path / "p.png")
    assert read_plane(tmp_path / "p.png").shape == (20, 30, 3)
    Image.fromarray(CLEAR).convert("LA").save(tmp_path / "la.png")
    assert read_plane(tmp_path / "la.png").shape == (20, 30, 4)
    Image.fromarray(GREY > 99).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_plane(tmp_path / "b.png").astype(bool), GREY > 99)


def test_rgb_tiff_interleaved_planar_and_with_alpha(tmp_path):
    tifffile.imwrite(tmp_path / "i.tif", COLOUR, photometric="rgb")
    np.testing.assert_array_equal(read_plane(tmp_path / "i.tif"), COLOUR)
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_plane(tmp_path / "p.tif"), COLOUR)
    tifffile.imwrite(tmp_path / "a.tif", CLEAR, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_plane(tmp_path / "a.tif"), CLEAR)


def test_axes_of_length_one_do_not_make_a_stack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY[None, None], imagej=True)
    np.testing.assert_array_equal(read_plane(tmp_path / "a.tif"), GREY)
    tifffile.imwrite(tmp_path / "row.tif", GREY[:1])
    assert read_plane(tmp_path / "row.tif").shape == (1, 30)


def test_stacks_are_refused_with_words(tmp_path):
    tifffile.imwrite(tmp_path / "z.tif", np.zeros((5, 20, 30), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match=r"more than one plane \(axes ZYX, shape 5 x 20 x 30\)"):
        read_plane(tmp_path / "z.tif")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((3, 20, 30), np.uint16), imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match="channel"):
        read_plane(tmp_path / "c.tif")
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="2 frames"):
        read_plane(tmp_path / "a.gif")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.xyz"])
def test_files_that_are_no_images(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=name):
        read_plane(tmp_path / name)


def test_cut_picture(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:400])
    with pytest.raises(InputError, match="cannot be read"):
        read_plane(tmp_path / "a.png")


def test_labels_come_back_and_replace_in_one_step(tmp_path):
    labels = RNG.integers(0, 70_000, (20, 30), dtype=np.uint32)
    path = tmp_path / "l.tif"
    path.write_bytes(b"old")
    write_labels(path, labels)
    read = read_labels(path)
    assert read.dtype == np.uint32
    np.testing.assert_array_equal(read, labels)
    assert [p.name for p in tmp_path.iterdir()] == ["l.tif"]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 5, 5), np.uint8), "more than one plane"),
        (np.zeros((4, 4, 3), np.uint8), "colour image"),
        (np.zeros((4, 4), np.float32), "whole numbers"),
        (-np.ones((4, 4), np.int16), "whole numbers"),
    ],
)
def test_images_that_are_no_labels(tmp_path, array, words):
    tifffile.imwrite(tmp_path / "l.tif", array)
    with pytest.raises(InputError, match=words):
        read_labels(tmp_path / "l.tif")
