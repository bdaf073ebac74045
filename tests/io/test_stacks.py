"""Stacks without a format of their own, and what all stacks share."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from stack_files import COLOUR, SPACING, VOLUME, imagej

from napari_sam.errors import InputError
from napari_sam.io.contrast import default_limits
from napari_sam.io.formats import lazy
from napari_sam.io.formats.lazy import ArrangedArray, PagedArray
from napari_sam.io.stack import ImageStack, make_stack
from napari_sam.io.stacks import open_stack


def test_folder_of_pictures_is_in_natural_order(tmp_path):
    for number, plane in enumerate(VOLUME):
        tifffile.imwrite(tmp_path / f"plane{number * 4}.TIF", plane)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.tif").write_text("")
    with open_stack(tmp_path) as stack:
        assert (stack.axes, stack.shape) == ("zyx", VOLUME.shape) and "1 files" in stack.notes[0]
        np.testing.assert_array_equal(np.asarray(stack.data), VOLUME)


def test_folder_of_colour_pictures_reads_one_at_a_time(tmp_path, monkeypatch):
    for number, plane in enumerate(COLOUR):
        Image.fromarray(plane).save(tmp_path / f"{number}.png")
    with open_stack(tmp_path) as stack:
        assert stack.rgb and stack.shape == COLOUR.shape[:3]
        (tmp_path / "3.png").unlink()
        np.testing.assert_array_equal(stack.data[2], COLOUR[2])
        with pytest.raises(InputError, match=r"no file .*3\.png"):
            _ = stack.data[3]


def test_folder_whose_pictures_differ_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "0.tif", VOLUME[0])
    tifffile.imwrite(tmp_path / "1.tif", VOLUME[0, :9])
    with open_stack(tmp_path) as stack, pytest.raises(InputError, match=r"Plane 1 of .* is of shape \(9, 50\)"):
        _ = stack.data[1]
    tifffile.imwrite(tmp_path / "1.tif", VOLUME[0].astype(np.float32))
    with open_stack(tmp_path) as stack, pytest.raises(InputError, match="float32"):
        _ = stack.data[1]
    Image.fromarray(COLOUR[0]).save(tmp_path / "2.png")
    with pytest.raises(InputError, match=r"2 \.tif, 1 \.png"):
        open_stack(tmp_path)


def test_numpy_file_is_mapped_and_its_axes_are_guessed(tmp_path):
    for array, axes, rgb in ((VOLUME, "zyx", False), (COLOUR, "zyx", True), (COLOUR[:, :20], "tzyx", False)):
        np.save(tmp_path / "a.npy", array)
        with open_stack(tmp_path / "a.npy") as stack:
            assert isinstance(stack.data, np.memmap) and (stack.axes, stack.rgb) == (axes, rgb)
            np.testing.assert_array_equal(stack.data[1], array[1])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), "two to five axes"),
        (np.zeros((0, 4, 4)), "empty"),
        (np.zeros((4, 4), complex), "complex128"),
        (np.array([[None]]), "cannot be read"),
    ],
)
def test_numpy_files_that_are_no_images(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=words):
        open_stack(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.xyz", "a.png"])
def test_files_that_are_no_images(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=name):
        open_stack(tmp_path / name)


def test_nothing_there_and_nothing_in_there(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        open_stack(tmp_path / "a.tif")
    with pytest.raises(InputError, match="no pictures"):
        open_stack(tmp_path)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("a.nii", "nibabel", "medical"),
        ("a.dcm", "pydicom", "medical"),
        ("a.mha", "SimpleITK", "itk"),
        ("a.zarr/zarr.json", "zarr", "zarr"),
    ],
)
def test_missing_library_names_its_extra(tmp_path, monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    opened = path if path.parent == tmp_path else path.parent
    with pytest.raises(InputError, match=rf"need {module}, .*napari-sam-live\[{extra}\]"):
        open_stack(opened)


class TestPlanes:
    @pytest.fixture
    def stack(self, tmp_path):
        two = np.stack([VOLUME, VOLUME // 10], axis=1)
        with open_stack(imagej(tmp_path / "a.tif", two, "ZCYX")) as stack:
            yield stack

    def test_any_axis_with_the_spacing_of_the_plane(self, stack):
        assert stack.axes == "zcyx"
        rows = stack.planes(2, (None, 1, 0, None))
        assert len(rows) == 40 and rows.spacing == (SPACING[0], SPACING[2])
        np.testing.assert_array_equal(rows[6].pixels, VOLUME[:, 6] // 10)

    def test_one_window_for_all_planes_of_the_channel_that_is_fixed(self, stack):
        assert stack.planes(0, (0, 1, None, None)).contrast_limits == (0, VOLUME.max() // 10)
        assert stack.planes(0, (0, 0, None, None)).contrast_limits == (VOLUME.min(), VOLUME.max())
        assert stack.planes(1, (2, 0, None, None)).contrast_limits == stack.contrast_limits
        assert stack.planes(0, (0, 1, None, None), contrast_limits=(3, 4)).contrast_limits == (3, 4)

    def test_axes_that_cannot_be_compared_make_square_pixels(self, stack):
        assert stack.planes(2, (0, None, 0, None)).spacing == (1, 1)

    @pytest.mark.parametrize(
        ("axis", "index", "words"),
        [
            (4, (0, 0, None, None), "no axis 4"),
            (0, (0, None, None), "3 numbers"),
            (0, (None, 0, None, 0), "Two axes make the plane"),
            (0, (0, 0, None, 0), "Two axes make the plane"),
            (0, (0, 2, None, None), "Index 2 is outside"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_the_axes(self, stack, axis, index, words):
        with pytest.raises(InputError, match=f"{words}.*axes are zcyx, of lengths 5 x 2 x 40 x 50"):
            stack.planes(axis, index)


def test_lengths_are_brought_to_one_unit(tmp_path):
    stack = make_stack(
        tmp_path, VOLUME, "zyx", {"z": (0.001, "millimeter"), "x": (200, "nanometer"), "y": (-1, "inch")}
    )
    assert stack.spacing == pytest.approx((1000, 1, 200)) and stack.units == ("nanometer", "pixel", "nanometer")


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        slice(1, 4),
        (slice(None), 3),
        (..., 2),
        (1, slice(2, 9, 3), slice(0, 0)),
        (slice(0, 5, 2), 1, 2),
        (1, 2, 3),
        (),
    ],
    ids=str,
)
def test_lazy_arrays_index_as_numpy_does(tmp_path, key):
    turned = ArrangedArray(np.moveaxis(VOLUME, 0, 2)[:, :, None], (3, 0, 1), tmp_path)
    paged = PagedArray(lambda number: VOLUME[number], (5,), (40, 50), VOLUME.dtype, tmp_path)
    both = PagedArray(lambda number: VOLUME.reshape(-1, 50)[number], (5, 40), (50,), VOLUME.dtype, tmp_path)
    for array in (turned, paged, both):
        assert (array.shape, array.ndim, array.dtype, array.nbytes) == (VOLUME.shape, 3, VOLUME.dtype, VOLUME.nbytes)
        part = array[key]
        assert part.shape == VOLUME[key].shape
        np.testing.assert_array_equal(part, VOLUME[key])


@pytest.mark.parametrize("key", [5, (0, -41), slice(None, None, -1), (0, 0, 0, 0)], ids=str)
def test_lazy_arrays_refuse_what_is_outside(tmp_path, key):
    with pytest.raises(IndexError):
        _ = PagedArray(lambda number: VOLUME[number], (5,), (40, 50), VOLUME.dtype, tmp_path)[key]


def test_pages_kept_are_bounded_and_cannot_be_written_through(tmp_path):
    read = []
    pages = PagedArray(lambda n: read.append(n) or VOLUME[n].copy(), (5,), (40, 50), "u2", tmp_path, kept=2 * 4000)
    for number in (0, 1, 0, 2, 0, 1):
        pages[number][:] = 0
    assert read == [0, 1, 2, 1]
    np.testing.assert_array_equal(pages[1], VOLUME[1])
    assert lazy.KEPT_BYTES <= 2**30


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.full((3, 4, 5), 7, np.uint8), (0, 255)),
        (np.full((3, 4, 5), 7, np.uint16), (0, 7)),
        (np.zeros((3, 4, 5), bool), (0, 1)),
        (np.array([[[np.nan, -2.0], [np.inf, 3.0]]]), (-2, 3)),
        (np.full((1, 2, 2), np.nan), (0, 1)),
    ],
)
def test_default_limits(data, expected):
    assert default_limits(data, [None]) == expected


@pytest.mark.parametrize("shape", [(4, 30, 40), (700, 130, 120), (2, 3300, 3300), (3, 4, 1100, 1000)])
def test_default_limits_are_those_of_napari(shape):
    napari_utils = pytest.importorskip("napari.layers.utils.layer_utils")
    data = np.random.default_rng(0).integers(0, 60_000, shape, dtype=np.uint16)
    assert default_limits(data, [None] * (data.ndim - 2)) == napari_utils.calc_data_range(data)


def test_stack_is_frozen_and_says_its_shape(tmp_path):
    stack = ImageStack(tmp_path, COLOUR, "zyx", rgb=True)
    assert stack.shape == COLOUR.shape[:3]
    with pytest.raises(AttributeError):
        stack.axes = "tyx"
