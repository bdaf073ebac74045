"""Labels of stacks in every format, written plane by plane."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from stack_files import AFFINE, MICROMETERS, MILLIMETERS, SPACING, VOLUME, dicom, imagej, metaimage, nifti, ome_zarr

from napari_sam import files
from napari_sam.errors import InputError
from napari_sam.io.stack import make_stack
from napari_sam.io.stacks import open_stack, write_stack_labels

LABELS = (VOLUME // 500 * (np.arange(5) != 2)[:, None, None]).astype(np.int64)
FORMATS = ["l.tif", "l.ome.tif", "l.npy", "l.zarr", "l.nii", "l.nii.gz", "l.mha", "l.nrrd"]
SPACED = [name for name in FORMATS if name != "l.npy"]


@pytest.fixture
def stack(tmp_path):
    with open_stack(imagej(tmp_path / "image.tif")) as stack:
        yield stack


@pytest.mark.parametrize("name", FORMATS)
def test_labels_come_back_in_the_smallest_type_and_replace_what_is_there(tmp_path, stack, name):
    for labels, dtype in ((LABELS, np.uint8), (LABELS * 100, np.uint16), (LABELS * 100_000, np.uint32)):
        write_stack_labels(tmp_path / name, labels, stack)
        with open_stack(tmp_path / name) as written:
            assert (written.axes, written.data.dtype) == ("zyx", dtype)
            np.testing.assert_array_equal(np.asarray(written.data), labels)
    assert {path.name for path in tmp_path.iterdir()} == {"image.tif", name}


@pytest.mark.parametrize("name", SPACED)
def test_spacing_and_units_are_kept(tmp_path, stack, name):
    write_stack_labels(tmp_path / name, LABELS, stack)
    with open_stack(tmp_path / name) as written:
        itk = name in ("l.mha", "l.nrrd")  # their unit is the millimeter
        assert written.units == (MILLIMETERS if itk else MICROMETERS)
        assert written.spacing == pytest.approx(np.array(SPACING) * (1e-3 if itk else 1), rel=1e-6)


@pytest.mark.parametrize("name", ["l.tif", "l.ome.tif", "l.zarr", "l.nii.gz"])
def test_time_is_kept(tmp_path, name):
    five = np.stack([VOLUME, VOLUME])
    with open_stack(imagej(tmp_path / "image.tif", five, "TZYX")) as stack:
        write_stack_labels(tmp_path / name, np.stack([LABELS, LABELS + 1]), stack)
    with open_stack(tmp_path / name) as written:
        assert (written.axes, written.units[0]) == ("tzyx", "second")
        assert written.spacing[0] == 2.5
        np.testing.assert_array_equal(written.data[1], LABELS + 1)


@pytest.mark.parametrize("name", ["l.nii", "l.nii.gz", "l.mha", "l.nrrd"])
@pytest.mark.parametrize("source", ["a.nii.gz", "ct", "a.mha"])
def test_place_and_orientation_are_kept(tmp_path, source, name):
    if source == "ct":
        dicom(tmp_path / source)
    else:
        (nifti if "nii" in source else metaimage)(tmp_path / source)
    with open_stack(tmp_path / source) as stack:
        write_stack_labels(tmp_path / name, LABELS, stack)
        with open_stack(tmp_path / name) as written:
            np.testing.assert_allclose(written.affine, stack.affine, atol=1e-5)
            np.testing.assert_array_equal(np.asarray(written.data), LABELS)
            assert written.spacing == pytest.approx(stack.spacing, rel=1e-5)


def test_nifti_labels_are_labels_and_keep_both_codes_and_the_scale_of_one(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(VOLUME.astype(np.int16).T, AFFINE)
    image.header.set_sform(AFFINE, 4)
    image.header.set_qform(AFFINE, 1)
    image.header.set_slope_inter(0.5, 10)
    image.header["cal_max"] = 99
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"of the image"))
    nibabel.save(image, tmp_path / "a.nii")
    with open_stack(tmp_path / "a.nii") as stack:
        write_stack_labels(tmp_path / "l.nii", LABELS, stack)
    written = nibabel.load(tmp_path / "l.nii")
    assert (int(written.header["sform_code"]), int(written.header["qform_code"])) == (4, 1)
    assert written.header.get_intent()[0] == "label" and written.header["cal_max"] == 0
    assert written.header.get_xyzt_units() == image.header.get_xyzt_units()
    np.testing.assert_allclose(written.affine, AFFINE, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(written.dataobj).T, LABELS)


def test_labels_of_one_volume_of_a_series_with_a_dropped_axis(tmp_path):
    with open_stack(nifti(tmp_path / "a.nii", VOLUME[None, :1])) as stack:
        assert stack.axes == "yx"
        write_stack_labels(tmp_path / "l.nii", LABELS[0], stack)
        with open_stack(tmp_path / "l.nii") as written:
            np.testing.assert_allclose(written.affine, stack.affine, atol=1e-6)
            np.testing.assert_array_equal(written.data, LABELS[0])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_labels_are_of_the_version_of_the_image_and_sparse(tmp_path, version):
    zarr = pytest.importorskip("zarr")
    with open_stack(ome_zarr(tmp_path / "a.zarr", version=version)) as stack:
        write_stack_labels(tmp_path / "l.zarr", LABELS, stack)
    group = zarr.open_group(tmp_path / "l.zarr", mode="r")
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    assert "image-label" in ome and ("ome" in attributes) == (version == "0.5")
    assert (ome.get("version") or ome["multiscales"][0]["version"]) == version
    assert group["0"].nchunks_initialized == 4  # the plane without labels is not stored


def test_imagej_reads_its_own_text_and_ome_takes_what_imagej_cannot(tmp_path, stack):
    write_stack_labels(tmp_path / "l.tif", LABELS, stack)
    with tifffile.TiffFile(tmp_path / "l.tif") as file:
        assert file.is_imagej and file.imagej_metadata["unit"] == "micron" and file.imagej_metadata["slices"] == 5
    write_stack_labels(tmp_path / "l.tif", LABELS * 100_000, stack)
    with tifffile.TiffFile(tmp_path / "l.tif") as file:
        assert file.is_ome and not file.is_imagej
    assert (tmp_path / "l.tif").stat().st_size < LABELS.size * 4


def test_planes_come_one_by_one_from_an_iterator(tmp_path, stack):
    alive = []

    def planes():
        for plane in LABELS:
            alive.append(len(alive))
            yield plane

    for name in FORMATS:
        write_stack_labels(tmp_path / name, planes(), stack, largest=7)
        with open_stack(tmp_path / name) as written:
            assert written.data.dtype == np.uint8
            np.testing.assert_array_equal(np.asarray(written.data), LABELS)
    assert len(alive) == 5 * len(FORMATS)
    write_stack_labels(tmp_path / "l.npy", planes(), stack)
    assert np.load(tmp_path / "l.npy").dtype == np.uint32


def test_masks_are_labels_of_one_object(tmp_path, stack):
    write_stack_labels(tmp_path / "l.tif", LABELS > 3, stack)
    with open_stack(tmp_path / "l.tif") as written:
        np.testing.assert_array_equal(np.asarray(written.data), LABELS > 3)
        assert written.data.dtype == np.uint8


def test_an_array_is_never_read_whole(tmp_path, stack):
    class Lazy:
        shape, dtype, ndim = LABELS.shape, LABELS.dtype, 3

        def __getitem__(self, key):
            assert len(key) == 1 and isinstance(key[0], int)
            return LABELS[key]

        def __array__(self, *_, **__):
            raise AssertionError("read as a whole")

    for name in FORMATS:
        write_stack_labels(tmp_path / name, Lazy(), stack)
        with open_stack(tmp_path / name) as written:
            np.testing.assert_array_equal(np.asarray(written.data), LABELS)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS[:4], "are of shape"),
        (list(LABELS[:4]), "fewer planes"),
        ([*LABELS, LABELS[0]], "more planes"),
        (list(LABELS[:, :9]), "Labels are whole numbers"),
        (list(LABELS.astype(float)), "Labels are whole numbers"),
        (-LABELS, "from 0 to"),
        (LABELS * 10**10, "largest label"),
        (list(LABELS * 10**10), "from 0 to"),
    ],
    ids=["shape", "fewer", "more", "plane", "float", "negative", "largest", "too large"],
)
@pytest.mark.parametrize("name", FORMATS)
def test_what_does_not_fit_leaves_what_was_there(tmp_path, stack, labels, words, name):
    write_stack_labels(tmp_path / name, LABELS, stack)
    with pytest.raises(InputError, match=words):
        write_stack_labels(tmp_path / name, labels, stack)
    with open_stack(tmp_path / name) as written:
        np.testing.assert_array_equal(np.asarray(written.data), LABELS)
    assert {path.name for path in tmp_path.iterdir()} == {"image.tif", name}


def test_the_image_is_never_overwritten(tmp_path, stack):
    before = stack.path.read_bytes()
    (tmp_path / "link.tif").symlink_to(stack.path)
    for path in (stack.path, tmp_path / "link.tif", tmp_path / "." / "image.tif"):
        with pytest.raises(InputError, match="the image"):
            write_stack_labels(path, LABELS, stack)
    assert stack.path.read_bytes() == before
    with open_stack(dicom(tmp_path / "ct")) as slices, pytest.raises(InputError, match="lies in"):
        write_stack_labels(tmp_path / "ct" / "l.tif", LABELS, slices)
    with open_stack(ome_zarr(tmp_path / "outer.zarr" / "a.zarr")) as inner, pytest.raises(InputError, match="replaced"):
        write_stack_labels(tmp_path / "outer.zarr", LABELS, inner)


@pytest.mark.parametrize(
    ("name", "words"), [("l.xyz", "written as .tif"), ("none/l.tif", "no folder"), ("d.tif", "is a folder")]
)
def test_outputs_that_cannot_be(tmp_path, stack, name, words):
    (tmp_path / "d.tif").mkdir()
    with pytest.raises(InputError, match=words):
        write_stack_labels(tmp_path / name, LABELS, stack)


def test_orders_that_a_format_does_not_have(tmp_path):
    mixed = make_stack(tmp_path / "a.tif", np.stack([VOLUME, VOLUME], axis=1), "zcyx", {})
    labels = np.stack([LABELS, LABELS], axis=1)
    for name in ("l.nii", "l.mha"):
        with pytest.raises(InputError, match=r"Write a TIFF"):
            write_stack_labels(tmp_path / name, labels, mixed)
    reverse = make_stack(tmp_path / "a.tif", np.stack([VOLUME, VOLUME]), "czyx", {})
    write_stack_labels(tmp_path / "l.tif", np.stack([LABELS, LABELS + 1]), reverse)  # OME has every order
    with open_stack(tmp_path / "l.tif") as written:
        assert written.axes == "czyx"
        np.testing.assert_array_equal(written.data[1], LABELS + 1)


def test_a_folder_that_cannot_be_moved_into_place_is_put_back(tmp_path, stack, monkeypatch):
    pytest.importorskip("zarr")
    write_stack_labels(tmp_path / "l.zarr", LABELS, stack)
    replace = files.os.replace

    def failing(source, target):
        if ".tmp." in str(source):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises(InputError, match="No space left"):
        write_stack_labels(tmp_path / "l.zarr", LABELS + 1, stack)
    with open_stack(tmp_path / "l.zarr") as written:
        np.testing.assert_array_equal(np.asarray(written.data), LABELS)
    assert {path.name for path in tmp_path.iterdir()} == {"image.tif", "l.zarr"}
