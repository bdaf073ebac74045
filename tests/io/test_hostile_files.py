"""Whatever is in a file: it is read, or refused in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import stack_files
import tifffile

from napari_sam.errors import InputError
from napari_sam.io import memory
from napari_sam.io.planes import read_plane
from napari_sam.io.stacks import open_stack

pytest.importorskip("resource", reason="memory cannot be bounded here")
import hostile


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_broken_and_hostile_files_are_read_or_refused_in_words(tmp_path, kind):
    (tmp_path / "elsewhere.raw").write_bytes(bytes(20_000))
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe.raw")
    command = [sys.executable, "-W", "ignore", hostile.__file__, kind, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"no end of {late.stderr.decode().splitlines()[-1]}")
    assert done.stdout == ""
    assert done.returncode == 0, f"after {done.stderr[-2000:]}"
    assert not (folder / "ran").exists() and not Path("ran").exists()


@pytest.mark.parametrize("name", ["p.tif", "p.nii", "p.nii.gz", "p.nrrd", "p.mha", "p.npy", "p.png", "p.dcm", "p.zarr"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for reader in (open_stack, read_plane):
        with pytest.raises(InputError, match="it is a pipe, not a file"):
            reader(tmp_path / name)


def test_pipes_among_the_files_of_a_folder_are_passed_over_or_refused(tmp_path):
    series = stack_files.dicom(tmp_path / "series")
    os.mkfifo(series / "pipe.dcm")
    with open_stack(series) as stack:
        assert stack.shape == stack_files.VOLUME.shape
    image = stack_files.ome_zarr(tmp_path / "a.zarr")
    chunk = next(path for path in (image / "0" / "c").rglob("*") if path.is_file())
    chunk.unlink()
    os.mkfifo(chunk)
    with open_stack(image) as stack, pytest.raises(InputError, match="is no file"):
        np.asarray(stack.data)


def test_an_ome_tiff_of_absurdly_many_planes_or_of_a_pipe_is_refused(tmp_path):
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint16" SizeX="50" SizeY="40" SizeC="1" SizeT="{}" SizeZ="5"><TiffData>'
        '<UUID FileName="{}">urn:uuid:12345678-1234-1234-1234-123456789012</UUID></TiffData></Pixels></Image></OME>'
    )
    os.mkfifo(tmp_path / "pipe.tif")
    for times, other, words in (
        (10**12, "a.ome.tif", "1000000000000 planes"),
        (1, "pipe.tif", "it is a pipe"),
        (1, "../a.tif", "outside its folder"),
    ):
        description = xml.format(times, other)
        tifffile.imwrite(tmp_path / "a.ome.tif", stack_files.VOLUME, description=description, metadata=None)
        for reader in (open_stack, read_plane):
            with pytest.raises(InputError, match=words):
                reader(tmp_path / "a.ome.tif")


def test_a_name_that_no_file_can_have_is_no_file(tmp_path):
    for name in ("a" * 400 + ".tif", "a\0.tif"):
        for reader in (open_stack, read_plane):
            with pytest.raises(InputError, match="There is no file"):
                reader(tmp_path / name)


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")  # pydicom says so too
def test_a_window_of_nan_is_none_and_pixels_of_nan_are_read(tmp_path):
    def change(header, index):
        header.WindowCenter, header.WindowWidth = "nan", "nan"

    with open_stack(stack_files.dicom(tmp_path / "series", change=change)) as stack:
        assert stack.windows == ()
    tifffile.imwrite(tmp_path / "nan.tif", np.full((5, 40, 50), np.nan, np.float32))
    with open_stack(tmp_path / "nan.tif") as stack:
        assert stack.contrast_limits == (0, 1)


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: stack_files.VOLUME.nbytes)
    stack_files.nifti(tmp_path / "a.nii.gz")
    with open_stack(tmp_path / "a.nii.gz") as stack:
        np.testing.assert_array_equal(stack.data[2], stack_files.VOLUME[2])
        with pytest.raises(InputError, match=r"needs .* of memory, and one read may take"):
            np.asarray(stack.data)
