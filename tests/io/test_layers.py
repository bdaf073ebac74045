"""Opening and saving in napari, with its own commands."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager
from stack_files import AFFINE, SPACING, VOLUME, dicom, metaimage, nifti, ome, ome_zarr

import napari_sam
from napari_sam.io import layers
from napari_sam.io.stacks import open_stack

PLUGIN = "napari-sam-live"
LABELS = (VOLUME // 500).astype(np.int32)
WRITTEN = [
    "seg.labels.ome.tif",
    "Labels.tif",
    "labels.nii",
    "labels.nii.gz",
    "labels.nrrd",
    "labels.mha",
    "labels.zarr",
]
MADE = {"a.nii": nifti, "a.nii.gz": nifti, "a.nrrd": metaimage, "a.mha": metaimage, "a.mhd": metaimage, "ct": dicom}
MADE |= {"a.zarr": ome_zarr, "a.ome.tif": ome}


@pytest.fixture
def viewer():
    PluginManager.instance().discover()
    return ViewerModel()


def units(layer):
    return tuple(str(unit) for unit in layer.units)


@pytest.mark.parametrize("name", MADE)
def test_layers_have_the_pixels_axes_scale_units_and_window_of_the_command_line(tmp_path, viewer, name):
    path = MADE[name](tmp_path / name)
    (layer,) = viewer.open(path, plugin=PLUGIN)
    with open_stack(path) as stack:
        np.testing.assert_array_equal(layer.data, np.asarray(stack.data))
        assert (tuple(layer.scale), units(layer), "".join(layer.axis_labels)) == (
            stack.spacing,
            stack.units,
            stack.axes,
        )
        assert tuple(layer.contrast_limits) == stack.contrast_limits
        assert layer._type_string == "image"


@pytest.mark.parametrize("name", WRITTEN)
def test_saved_labels_opened_again_are_labels_and_fit_the_image(tmp_path, viewer, name):
    (image,) = viewer.open(nifti(tmp_path / "a.nii.gz"), plugin=PLUGIN)
    placed = {"scale": image.scale, "units": image.units, "axis_labels": image.axis_labels}
    labels = viewer.add_labels(LABELS, metadata=dict(image.metadata), **placed)
    assert labels.save(str(tmp_path / name), plugin=PLUGIN)
    (again,) = viewer.open(tmp_path / name, plugin=PLUGIN)
    assert again._type_string == "labels" and again.data.flags.writeable
    np.testing.assert_array_equal(again.data, LABELS)
    np.testing.assert_allclose(again.scale, image.scale, rtol=1e-5)
    assert (units(again), again.axis_labels) == (units(image), image.axis_labels)
    assert viewer.layers.units is not None
    if name.endswith((".nii", ".nii.gz", ".nrrd", ".mha")):
        with open_stack(tmp_path / name) as written:
            np.testing.assert_allclose(written.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in WRITTEN if not name.endswith((".nrrd", ".mha"))])
def test_a_scale_without_a_unit_is_kept(tmp_path, viewer, name):
    labels = viewer.add_labels(LABELS, scale=SPACING)
    labels.save(str(tmp_path / name), plugin=PLUGIN)
    (again,) = viewer.open(tmp_path / name, plugin=PLUGIN)
    np.testing.assert_allclose(again.scale, SPACING, rtol=1e-5)
    assert units(again) == units(labels)


@pytest.mark.parametrize("name", ["labels.tif", "labels.nrrd"])
def test_of_several_resolutions_the_finest_is_saved(tmp_path, viewer, name):
    layer = viewer.add_labels([LABELS, LABELS[:, ::2, ::2]], multiscale=True)
    layer.save(str(tmp_path / name), plugin=PLUGIN)
    (again,) = viewer.open(tmp_path / name, plugin=PLUGIN)
    np.testing.assert_array_equal(again.data, LABELS)


def test_plain_tiff_is_left_to_napari_and_a_compound_suffix_is_ours(tmp_path, viewer):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME)
    manager = PluginManager.instance()
    assert {reader.plugin_name for reader in manager.iter_compatible_readers([str(tmp_path / "a.tif")])} == {"napari"}
    for name, plugin in (("a.ome.tif", PLUGIN), ("a.nii.gz", PLUGIN), ("a.zarr", PLUGIN)):
        writer, _ = manager.get_writer(str(tmp_path / name), ["labels"])
        assert writer.command.partition(".")[0] == plugin
    writer, _ = manager.get_writer(str(tmp_path / "a.tif"), ["image"])
    assert writer.command.partition(".")[0] == "napari"


def test_what_cannot_be_read_or_written_is_said_in_words(tmp_path, viewer):
    (tmp_path / "a.nii").write_bytes(b"nothing")
    with pytest.raises(napari_sam.errors.InputError, match=r"a\.nii cannot be read"):
        viewer.open(tmp_path / "a.nii", plugin=PLUGIN)
    layer = viewer.add_labels(np.zeros((2,) * 6, int))
    with pytest.raises(napari_sam.errors.NapariSamError, match="The layer has 6 axes"):
        layer.save(str(tmp_path / "a.zarr"), plugin=PLUGIN)


def test_a_stack_that_does_not_fit_stays_in_its_file(tmp_path, viewer, monkeypatch):
    monkeypatch.setattr(layers, "_AT_ONCE", 1000)
    (layer,) = viewer.open(nifti(tmp_path / "a.nii.gz"), plugin=PLUGIN)
    assert not isinstance(layer.data, np.ndarray)
    viewer.dims.set_point(0, viewer.dims.range[0].step * 3)
    np.testing.assert_array_equal(layer._slice.image.raw, VOLUME[3])
    (layer,) = viewer.open(ome_zarr(tmp_path / "a.zarr"), plugin=PLUGIN)
    assert layer.multiscale
