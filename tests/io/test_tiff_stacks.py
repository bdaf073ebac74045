from __future__ import annotations

import threading

import numpy as np
import pytest
import tifffile
from stack_files import COLOUR, MICROMETERS, OME, SPACING, VOLUME, imagej, ome

from napari_sam.errors import InputError
from napari_sam.io.formats import tiff
from napari_sam.io.stacks import open_stack


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("write", "name"), [(imagej, "a.tif"), (ome, "a.ome.tif")], ids=["imagej", "ome"])
def test_axes_spacing_and_units_of_imagej_and_ome(tmp_path, write, name, compression):
    with open_stack(write(tmp_path / name, compression=compression)) as stack:
        assert (stack.axes, stack.shape, stack.rgb) == ("zyx", VOLUME.shape, False)
        assert stack.spacing == pytest.approx(SPACING)
        assert stack.units == MICROMETERS
        assert stack.contrast_limits == (VOLUME.min(), VOLUME.max())
        np.testing.assert_array_equal(stack.data[2], VOLUME[2])
        np.testing.assert_array_equal(np.asarray(stack.data), VOLUME)


def test_hyperstack_keeps_time_and_channels_and_leaves_out_axes_of_length_one(tmp_path):
    five = np.stack([VOLUME, VOLUME + 1])[:, :, None]
    with open_stack(imagej(tmp_path / "a.tif", five, "TZCYX")) as stack:
        assert (stack.axes, stack.shape) == ("tzyx", (2, 5, 40, 50))
        assert (stack.spacing[0], stack.units[0]) == (2.5, "second")
        np.testing.assert_array_equal(stack.data[1, 3], VOLUME[3] + 1)


@pytest.mark.parametrize("options", [{}, {"planarconfig": "separate"}, {"compression": "zlib"}], ids=str)
def test_colour_comes_last(tmp_path, options):
    pixels = np.moveaxis(COLOUR, -1, 1) if "planarconfig" in options else COLOUR
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", **options)
    with open_stack(tmp_path / "a.tif") as stack:
        assert (stack.axes, stack.rgb, stack.contrast_limits) == ("zyx", True, None)
        np.testing.assert_array_equal(stack.data[1:3], COLOUR[1:3])
        assert stack.planes(0, (0, None, None))[2].rgb


def test_unnamed_axes_are_taken_for_z_and_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME, photometric="minisblack", byteorder=">", bigtiff=True)
    with open_stack(tmp_path / "a.tif") as stack:
        assert stack.axes == "zyx" and stack.units == ("pixel",) * 3 and stack.spacing == (1, 1, 1)
        assert "axis 0 of length 5" in stack.notes[0]
        np.testing.assert_array_equal(stack.data, VOLUME)


def test_more_axes_than_names_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 2, 2, 2, 40, 50), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="more than t, c, z, y and x"):
        open_stack(tmp_path / "a.tif")


def test_resolution_tags_count_in_centimeters_and_not_in_inches(tmp_path):
    for unit, expected in (("CENTIMETER", (1e-4 / 2, "centimeter")), ("INCH", (1.0, "pixel"))):
        tifffile.imwrite(tmp_path / "a.tif", VOLUME[0], resolution=(2e4, 2e4), resolutionunit=unit, metadata=None)
        with open_stack(tmp_path / "a.tif") as stack:
            assert (stack.spacing[0], stack.units[0]) == expected


def test_the_first_of_several_images_is_read_and_said(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(VOLUME, metadata={"axes": "ZYX", **OME})
        file.write(VOLUME[:2, :9], metadata={"axes": "ZYX"})
    with open_stack(tmp_path / "a.ome.tif") as stack:
        assert stack.shape == VOLUME.shape and "holds 2 images" in stack.notes[0]


def test_pyramid_gives_the_full_resolution_and_the_other_levels(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(VOLUME, subifds=1, tile=(16, 16), compression="zlib", metadata={"axes": "ZYX", **OME})
        file.write(VOLUME[:, ::2, ::2], subfiletype=1, tile=(16, 16), compression="zlib")
    with open_stack(tmp_path / "a.ome.tif") as stack:
        assert stack.shape == VOLUME.shape
        assert [level.shape for level in stack.levels] == [(5, 20, 25)]
        np.testing.assert_array_equal(stack.levels[0][3], VOLUME[3, ::2, ::2])


def test_plain_pixels_are_mapped_and_not_read(tmp_path):
    with open_stack(imagej(tmp_path / "a.tif")) as stack:
        assert isinstance(stack.data, np.memmap)


def test_one_plane_decodes_one_page_and_neighbours_across_decode_it_once(tmp_path, monkeypatch):
    decoded = []
    asarray = tifffile.TiffFrame.asarray

    def counting(page, *args, **options):
        decoded.append(page.index)
        return asarray(page, *args, **options)

    monkeypatch.setattr(tifffile.TiffFrame, "asarray", counting)
    with open_stack(imagej(tmp_path / "a.tif", compression="zlib")) as stack:
        assert decoded == []
        np.testing.assert_array_equal(stack.planes(0, (0, None, None), contrast_limits=(0, 1))[3].pixels, VOLUME[3])
        assert decoded == [3]
        rows = stack.planes(1, (None, 0, None), contrast_limits=(0, 1))
        for row in (7, 8):
            np.testing.assert_array_equal(rows[row].pixels, VOLUME[:, row])
        assert sorted(decoded) == [1, 2, 3, 4]  # page 0 is no frame, and page 3 was there


def test_large_pages_are_read_by_tiles(tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    ome(tmp_path / "a.ome.tif", tile=(16, 16), compression="zlib")
    monkeypatch.setattr(tiff, "LARGE_PAGE", 1000)
    tiles = []
    with open_stack(tmp_path / "a.ome.tif") as stack:
        read = tifffile.FileHandle.read
        monkeypatch.setattr(tifffile.FileHandle, "read", lambda handle, *a: tiles.append(1) or read(handle, *a))
        np.testing.assert_array_equal(stack.data[2, 3:9, 17:30], VOLUME[2, 3:9, 17:30])
        assert len(tiles) == 1  # of 12 in the page, 60 in the file


def test_threads_read_planes_at_once(tmp_path):
    with open_stack(imagej(tmp_path / "a.tif", compression="zlib")) as stack:
        wrong = []

        def read(seed):
            for index in np.random.default_rng(seed).integers(0, 5, 60):
                if not np.array_equal(stack.data[int(index)], VOLUME[index]):
                    wrong.append(index)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_cut_file_is_named_in_the_error(tmp_path):
    path = imagej(tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(InputError, match=r"a\.tif cannot be read.*damaged"):
        open_stack(path)


def test_damaged_page_is_named_when_it_is_read_and_the_others_are_fine(tmp_path):
    path = imagej(tmp_path / "a.tif", compression="zlib")
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[3].dataoffsets[0], file.pages[3].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    with open_stack(path) as stack:
        np.testing.assert_array_equal(stack.data[2], VOLUME[2])
        with pytest.raises(InputError, match=r"Plane 3 of .*a\.tif cannot be read"):
            _ = stack.data[3]


def test_reading_after_closing_is_an_error_in_words(tmp_path):
    stack = open_stack(imagej(tmp_path / "a.tif", compression="zlib"))
    stack.close()
    stack.close()
    with pytest.raises(InputError, match="cannot be read"):
        _ = stack.data[0]


def test_compression_without_its_library_names_the_extra(tmp_path, monkeypatch):
    path = imagej(tmp_path / "a.tif", compression="zlib")

    def missing(*_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffFrame, "asarray", missing)
    with open_stack(path) as stack, pytest.raises(InputError, match=r"napari-sam-live\[tiff\]"):
        _ = stack.data[1]
