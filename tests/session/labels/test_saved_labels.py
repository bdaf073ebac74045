"""Labels that are saved lie over the image in programs that go by the scanner's coordinates."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from session_scenery import DISCS, discs

from napari_sam.io.layers import read_layers, write_labels

AFFINE = np.array([[-0.2, 0, 0, 11], [0, 0.24, -0.42, -7], [0, 0.07, 1.44, 3], [0, 0, 0, 1]])


@pytest.fixture
def scan(tmp_path, viewer):
    """A volume of two discs in every plane, as the plugin opens it."""
    volume = nibabel.Nifti1Image(np.stack([discs()] * 4).astype(np.int16).T, AFFINE)
    volume.header.set_xyzt_units("mm")
    nibabel.save(volume, tmp_path / "scan.nii.gz")
    [(pixels, options, _)] = read_layers(str(tmp_path / "scan.nii.gz"))
    return viewer.add_image(pixels, **options | {"contrast_limits": (0, 255)})


def saved(layer, path):
    """Save a layer as napari does, and read the file."""
    pixels, options, _ = layer.as_layer_data_tuple()
    write_labels(str(path), pixels, options)
    return nibabel.load(path)


@pytest.mark.parametrize("name", ["seg.nii.gz", "seg.nii"])
def test_new_labels_are_saved_with_the_affine_of_the_image(tmp_path, viewer, scan, open_session, name):
    session = open_session()
    viewer.dims.set_current_step(0, 0)
    session.points.add((0, *DISCS[0]))
    session.wait()
    session.accept()
    volume = saved(session.target, tmp_path / name)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert volume.get_fdata()[DISCS[0][1], DISCS[0][0], 0] == 1


def test_labels_that_were_made_by_hand_are_too_once_objects_go_there(tmp_path, viewer, scan, open_session):
    placed = {name: getattr(scan, name) for name in ("scale", "units", "axis_labels")}
    labels = viewer.add_labels(np.zeros(scan.data.shape, np.int32), metadata={"study": 7}, **placed)
    open_session().target = labels
    np.testing.assert_allclose(saved(labels, tmp_path / "seg.nii.gz").affine, AFFINE, atol=1e-5)
    assert labels.metadata["study"] == 7


def test_labels_that_know_their_own_place_keep_it(viewer, scan, open_session):
    placed = {name: getattr(scan, name) for name in ("scale", "units", "axis_labels")}
    own = np.eye(4).tolist()
    labels = viewer.add_labels(np.zeros(scan.data.shape, np.int32), metadata={"affine_to_scanner": own}, **placed)
    open_session().target = labels
    assert labels.metadata["affine_to_scanner"] == own


def test_layers_are_called_after_the_stack(scan, viewer):
    assert scan.name == "scan"
