from __future__ import annotations

import numpy as np
import pytest
from stack_files import MICROMETERS, SPACING, VOLUME, ome_zarr

from napari_sam.errors import InputError
from napari_sam.io.stacks import open_stack

zarr = pytest.importorskip("zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_gives_axes_spacing_units_and_levels(tmp_path, version):
    with open_stack(ome_zarr(tmp_path / "a.zarr", version=version)) as stack:
        assert (stack.axes, stack.shape, stack.spacing, stack.units) == ("zyx", VOLUME.shape, SPACING, MICROMETERS)
        assert [level.shape for level in stack.levels] == [(5, 20, 25)]
        np.testing.assert_array_equal(stack.data, VOLUME)
        np.testing.assert_array_equal(stack.data[1, 3:9, ::7], VOLUME[1, 3:9, ::7])
        np.testing.assert_array_equal(stack.data[..., -1], VOLUME[..., -1])


def test_one_plane_reads_its_chunks_and_no_others(tmp_path, monkeypatch):
    path = ome_zarr(tmp_path / "a.zarr")
    read = []
    get = zarr.storage.LocalStore.get

    async def counting(store, key, *args, **options):
        read.append(key)
        return await get(store, key, *args, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counting)
    with open_stack(path) as stack:
        assert not [key for key in read if "/c/" in key]
        stack.planes(0, (0, None, None), contrast_limits=(0, 1))[2]
    chunks = [key for key in read if "/c/" in key]
    assert len(chunks) == 12 and all(key.startswith("0/c/2/") for key in chunks)


def test_window_of_each_channel_is_that_of_its_planes(tmp_path):
    two = np.stack([VOLUME, VOLUME])
    channels = [{"window": {"start": 5, "end": 50}}, {"window": {"start": 7, "end": 700}}]
    with open_stack(ome_zarr(tmp_path / "a.zarr", two, "czyx", omero={"channels": channels})) as stack:
        assert stack.contrast_limits == (5, 700)
        assert stack.planes(1, (1, 0, None, None)).contrast_limits == (7, 700)
        assert stack.planes(0, (0, 2, None, None)).contrast_limits == (5, 700)
    with open_stack(ome_zarr(tmp_path / "b.zarr", two, "czyx", omero={"channels": channels[:1]})) as stack:
        assert stack.contrast_limits == (two.min(), two.max())  # half a statement is none


def test_array_takes_names_from_its_dimensions_or_else_from_their_number(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=np.moveaxis(VOLUME, 0, -1), dimension_names=["y", "x", "z"])
    with open_stack(tmp_path / "a.zarr") as stack:
        assert stack.axes == "zyx"
        np.testing.assert_array_equal(stack.data[2], VOLUME[2])
    zarr.create_array(tmp_path / "b.zarr", data=VOLUME)
    with open_stack(tmp_path / "b.zarr") as stack:
        assert stack.axes == "zyx"


def test_first_image_of_a_converted_file_is_read_and_said(tmp_path):
    ome_zarr(tmp_path / "a.zarr" / "0")
    zarr.open_group(tmp_path / "a.zarr", mode="a").attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    with open_stack(tmp_path / "a.zarr") as stack:
        assert stack.spacing == SPACING and "first image" in stack.notes[0]


@pytest.mark.parametrize(
    ("attributes", "words"),
    [({"ome": {"plate": {}}}, "is a plate"), ({}, "no OME-Zarr image"), ({"ome": {"multiscales": []}}, "no OME-Zarr")],
)
def test_groups_that_are_no_image_say_what_to_do(tmp_path, attributes, words):
    zarr.open_group(tmp_path / "a.zarr", mode="w").attrs.update(attributes)
    with pytest.raises(InputError, match=words):
        open_stack(tmp_path / "a.zarr")


def test_missing_level_and_damaged_metadata_are_errors_in_words(tmp_path):
    group = zarr.open_group(ome_zarr(tmp_path / "a.zarr"), mode="a")
    del group["0"]
    with pytest.raises(InputError, match=r"a\.zarr cannot be read.*'0'.* is missing"):
        open_stack(tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.zarr cannot be read"):
        open_stack(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(InputError, match="no Zarr metadata"):
        open_stack(tmp_path / "b.zarr")


def test_contrast_limits_of_a_large_stack_come_from_three_planes_of_its_coarsest_level(tmp_path, monkeypatch):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(1000, 2048, 2048), chunks=(1, 1024, 1024), dtype="u2")
    array[0, :9, :9], array[500, :9, :9], array[3, :9, :9] = 7, 90, 9000
    with open_stack(tmp_path / "a.zarr") as stack:
        assert stack.contrast_limits == (0, 90)
