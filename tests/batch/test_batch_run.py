"""A run from images to files: what is found, linked, written, and gone on with."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from batch_finders import CutFinder, FakeFinder, PointFinder, components, discs, scene
from scipy import ndimage

from napari_sam.automatic.laying import lay
from napari_sam.batch.local import LocalExecutor
from napari_sam.errors import Cancelled, InputError
from napari_sam.files import part_path
from napari_sam.io.stacks import open_stack


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two labels images have the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(one)) == len(np.unique(other)) and bool(((one > 0) == (other > 0)).all())


def test_a_plane_of_tiles_is_as_if_seen_at_once(everything, plane, tmp_path, asked):
    result = everything(tmp_path / "out.tif", plane, side=64, halo=8)
    labels = tifffile.imread(tmp_path / "out.tif")
    whole = lay([one.mask for one in components(scene())], labels.shape, overlap=0.5)
    assert labels.dtype == np.uint8 and same_partition(labels, whole)
    assert (result.tiles, result.resumed, result.images[0].objects) == (4, 0, 6)
    assert len(list(asked.iterdir())) == 4
    assert not part_path(tmp_path / "out.tif").exists()


def test_planes_of_a_stack_become_objects_with_its_spacing(everything, stack, tmp_path):
    result = everything(tmp_path / "out.tif", stack)
    with open_stack(tmp_path / "out.tif") as written:
        labels = np.asarray(written.data)
        assert (written.axes, written.spacing) == ("zyx", (2.0, 0.25, 0.25))
        assert written.units == ("micrometer",) * 3
    assert result.images[0].objects == labels.max() == 3
    one, other, last = labels[0, 10, 10], labels[0, 25, 35], labels[2, 33, 8]
    assert [labels[1, 11, 11], labels[2, 12, 12]] == [one, one]
    # Missing on the middle plane, where it is filled in.
    assert [labels[1, 25, 35], labels[2, 25, 35]] == [other, other]
    assert len({0, one, other, last}) == 4 and not (labels[:2] == last).any()


def test_objects_keep_their_numbers_in_time_and_gaps_stay(everything, tmp_path):
    frames = [discs((40, 80), (20, 20 + 4 * t, 5), (30, 70, 4)) for t in range(3)]
    frames.append(discs((40, 80), (20, 32, 5)))
    tifffile.imwrite(tmp_path / "movie.tif", np.stack(frames), imagej=True, metadata={"axes": "TYX"})
    result = everything(tmp_path / "out.tif", tmp_path / "movie.tif")
    labels = tifffile.imread(tmp_path / "out.tif")
    moving = {int(labels[t, 20, 20 + 4 * t]) for t in range(4)}
    assert len(moving) == 1 and moving != {0}
    assert result.images[0].objects == 2 and not labels[3, 26:, 60:].any()


def test_a_division_in_time_has_a_mother(everything, tmp_path):
    halves = [(20, 18, 5), (20, 32, 5)]
    frames = [discs((40, 50), (20, 25, 8)), discs((40, 50), *halves), discs((40, 50), *halves)]
    tifffile.imwrite(tmp_path / "movie.tif", np.stack(frames), imagej=True, metadata={"axes": "TYX"})
    [image] = everything(tmp_path / "out.tif", tmp_path / "movie.tif").images
    assert image.parents == {2: [1], 3: [1]}


def test_time_points_of_volumes_are_linked_one_by_one_or_along_time(everything, tmp_path):
    volume = np.zeros((2, 3, 40, 50), np.uint8)
    volume[...] = discs((40, 50), (10, 10, 5), (25, 35, 6))
    tifffile.imwrite(tmp_path / "movie.tif", volume, imagej=True, metadata={"axes": "TZYX"})
    along_z = everything(tmp_path / "z.tif", tmp_path / "movie.tif")
    labels = tifffile.imread(tmp_path / "z.tif")
    # No number stands for two objects, and all planes of one time have the same ones.
    assert [set(np.unique(part)) for part in labels] == [{0, 1, 2}, {0, 3, 4}]
    assert (labels == labels[:, :1]).all() and along_z.images[0].objects == 4
    assert "linked along z, for each t by itself" in along_z.images[0].image.notes[-1]
    everything(tmp_path / "t.tif", tmp_path / "movie.tif", axis="t")
    labels = tifffile.imread(tmp_path / "t.tif")
    assert [set(np.unique(labels[:, z])) for z in range(3)] == [{0, 1, 2}, {0, 3, 4}, {0, 5, 6}]
    assert (labels == labels[:1]).all()


def test_channels_are_not_linked_and_one_can_be_chosen(everything, tmp_path, asked):
    channels = np.stack([discs((40, 50), (10, 10, 5)), discs((40, 50), (10, 10, 5), (25, 35, 6))])
    tifffile.imwrite(tmp_path / "two.tif", channels, imagej=True, metadata={"axes": "CYX"})
    everything(tmp_path / "all.tif", tmp_path / "two.tif")
    labels = tifffile.imread(tmp_path / "all.tif")
    assert [set(np.unique(part)) for part in labels] == [{0, 1}, {0, 2, 3}]
    before = len(list(asked.iterdir()))
    everything(tmp_path / "one.tif", tmp_path / "two.tif", at={"c": 1})
    labels = tifffile.imread(tmp_path / "one.tif")
    assert len(list(asked.iterdir())) == before + 1
    assert not labels[0].any() and labels[1].max() == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_what_was_done_is_not_done_again(everything, plane, stack, tmp_path, asked, error):
    output, whole = tmp_path / "out", tmp_path / "whole"
    everything(whole, plane, stack, side=64, halo=8)
    for file in asked.iterdir():
        file.unlink()
    cut = CutFinder(asked, left=5, error=error)
    with pytest.raises((Cancelled, InputError)) as raised:
        everything(output, plane, stack, finder=cut, side=64, halo=8)
    if error is KeyboardInterrupt:
        assert "5 of 7 tiles are kept in" in str(raised.value) and "run the same command again" in str(raised.value)
    assert not output.exists() and part_path(output).is_dir()
    result = everything(output, plane, stack, finder=replace(cut, left=100), side=64, halo=8)
    assert (result.tiles, result.resumed, len(list(asked.iterdir()))) == (7, 5, 7)
    for name in ("plane.tif", "stack.tif"):
        assert (output / name).read_bytes() == (whole / name).read_bytes()
    assert not part_path(output).exists()


def test_an_interruption_while_labels_are_made_loses_nothing(everything, plane, tmp_path, asked, monkeypatch):
    from napari_sam.batch import run

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "write", interrupted)
        with pytest.raises(Cancelled, match="4 of 4 tiles are kept"):
            everything(tmp_path / "out.tif", plane, side=64, halo=8)
    result = everything(tmp_path / "out.tif", plane, side=64, halo=8)
    assert (result.resumed, len(list(asked.iterdir()))) == (4, 4)


def test_nothing_is_left_where_nothing_was_done(everything, plane, tmp_path, asked):
    with pytest.raises(Cancelled, match="Nothing was written"):
        everything(tmp_path / "out.tif", plane, finder=CutFinder(asked, left=0))
    assert not part_path(tmp_path / "out.tif").exists()


@pytest.mark.parametrize("change", ["weights", "query", "tiles", "image", "contrast_limits"])
def test_what_was_found_for_something_else_is_not_used(everything, plane, tmp_path, asked, change):
    cut = CutFinder(asked, left=2)
    with pytest.raises(Cancelled):
        everything(tmp_path / "out.tif", plane, finder=cut, side=64, halo=8)
    other, side, limits = replace(cut, left=100), 64, None
    if change == "weights":
        other = replace(other, weights="others")
    elif change == "query":
        other = replace(other, query="round nucleus")
    elif change == "tiles":
        side = 70
    elif change == "contrast_limits":
        limits = (5, 100)
    else:
        tifffile.imwrite(plane, scene()[:, ::-1], description="longer than before")
    with pytest.raises(InputError, match="another command has found"):
        everything(tmp_path / "out.tif", plane, finder=other, side=side, halo=8, contrast_limits=limits)
    result = everything(
        tmp_path / "out.tif", plane, finder=other, side=side, halo=8, contrast_limits=limits, force=True
    )
    assert result.resumed == 0 and (tmp_path / "out.tif").exists()


def test_another_axis_goes_on_with_what_was_found(everything, tmp_path, asked):
    volume = np.zeros((2, 2, 40, 50), np.uint8)
    volume[...] = discs((40, 50), (10, 10, 5))
    tifffile.imwrite(tmp_path / "movie.tif", volume, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(Cancelled):
        everything(tmp_path / "out.tif", tmp_path / "movie.tif", finder=CutFinder(asked, left=3))
    assert everything(tmp_path / "out.tif", tmp_path / "movie.tif", axis="t").resumed == 3


def test_two_commands_do_not_work_in_one_folder(everything, plane, tmp_path, asked):
    from napari_sam.batch.run import run_folder

    with run_folder(part_path(tmp_path / "out.tif")), pytest.raises(InputError, match="Another command is at work"):
        everything(tmp_path / "out.tif", plane)


def test_a_folder_of_something_else_is_left_alone(everything, plane, tmp_path):
    part = part_path(tmp_path / "out.tif")
    part.mkdir()
    (part / "thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(InputError, match="is in the way"):
            everything(tmp_path / "out.tif", plane, force=force)
    assert (part / "thesis.txt").read_text() == "mine"


def test_results_of_other_formats_have_scores_and_planes(everything, stack, plane, tmp_path):
    everything(tmp_path / "set", stack, plane, format="coco")
    document = json.loads((tmp_path / "set" / "annotations.json").read_text())
    assert [(one["file_name"], one.get("frame_id", 0)) for one in document["images"]] == [
        ("stack.tif", 0), ("stack.tif", 1), ("stack.tif", 2), ("plane.tif", 0),
    ]  # fmt: skip
    first = [one for one in document["annotations"] if one["image_id"] == 1]
    assert sorted(one["score"] for one in first) == pytest.approx([0.8, 0.801])
    # What was filled in on the middle plane has the number of its object, and no score.
    middle = {one["track_id"]: one.get("score") for one in document["annotations"] if one["image_id"] == 2}
    assert sorted(middle.values(), key=str) == [pytest.approx(0.8), None]
    everything(tmp_path / "one.geojson", stack, format="geojson")
    assert len(json.loads((tmp_path / "one.geojson").read_text())["features"]) == 7


def test_sa1b_has_what_the_model_said_of_each_mask(everything, stack, plane, tmp_path, asked):
    finder = PointFinder(asked)
    everything(tmp_path / "tiles", plane, finder=finder, format="sa1b", side=64, halo=8)
    tiles = json.loads((tmp_path / "tiles" / "plane.json").read_text())["annotations"]
    first = next(one for one in tiles if one["bbox"][:2] == [6, 6])
    assert first["predicted_iou"] == pytest.approx(0.801)
    assert first["stability_score"] == pytest.approx(0.5801)
    assert (first["point_coords"], first["crop_box"]) == ([[6, 6]], [0, 0, 64, 64])
    everything(tmp_path / "planes", stack, finder=finder, format="sa1b")
    first, middle, last = (
        json.loads((tmp_path / "planes" / f"stack_{place:04d}.json").read_text())["annotations"] for place in range(3)
    )
    # Linked objects have what was said of them on each plane; the one that was filled in has nothing.
    assert sorted(one["point_coords"] for one in first) == [[[5, 5]], [[29, 19]]]
    assert sorted(one["point_coords"] for one in middle) == [[], [[6, 6]]]
    assert sorted(one["point_coords"] for one in last) == [[[5, 30]], [[7, 7]], [[29, 19]]]
    assert [one["crop_box"] for one in last] == [[0, 0, 50, 40]] * 3


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("labels", "out.png", "out.png: labels are written as .tif"),
        ("labels", "out.JSON", "out.JSON: labels are written as .tif"),
        ("coco", "out.tif", "out.tif: COCO JSON is written as .json"),
        ("sa1b", "out.zip", "out.zip: SA-1B JSON is written as .json"),
    ],
)
def test_a_file_name_that_promises_another_format_is_no_folder(everything, plane, tmp_path, kind, name, words):
    with pytest.raises(InputError, match=words):
        everything(tmp_path / name, plane, format=kind)
    assert not (tmp_path / name).exists()


def test_labels_of_zarr_are_written_as_such(everything, tmp_path):
    import zarr

    array = zarr.create_array(str(tmp_path / "big.zarr"), shape=(112, 112), chunks=(32, 32), dtype=np.uint8)
    array[:] = scene()
    everything(tmp_path / "out", tmp_path / "big.zarr", side=64, halo=8)
    with open_stack(tmp_path / "out" / "big.zarr") as written:
        assert len(np.unique(np.asarray(written.data))) == 7


def test_an_object_of_a_linked_stack_is_connected(everything, stack, tmp_path):
    everything(tmp_path / "out.npy", stack)
    labels = np.load(tmp_path / "out.npy")
    assert all(ndimage.label(labels == number, np.ones((3, 3, 3)))[1] == 1 for number in (1, 2, 3))


def test_tiles_that_workers_wrote_elsewhere_are_missed(everything, plane, tmp_path):
    class Elsewhere(LocalExecutor):
        def run(self, tasks, progress):
            super().run(tasks[:-1], progress)

    with pytest.raises(InputError, match="1 tiles are done, but this machine does not see them"):
        everything(tmp_path / "out.tif", plane, executor=Elsewhere(), side=64, halo=8)


def test_workers_of_another_version_are_refused(everything, plane, tmp_path, asked):
    class Older(FakeFinder):
        def describe(self):
            return replace(super().describe(), version="0.0.1")

    with pytest.raises(InputError, match=r"The workers have napari-sam-live 0\.0\.1"):
        everything(tmp_path / "out.tif", plane, finder=Older(asked))
    assert not any(asked.iterdir())


def test_a_plane_longer_than_a_part_of_it_is_whole(everything, tmp_path):
    pixels = discs((1100, 40), (20, 20, 6), (1024, 20, 8), (1080, 12, 5))
    tifffile.imwrite(tmp_path / "long.tif", pixels)
    everything(tmp_path / "out.tif", tmp_path / "long.tif")
    labels = tifffile.imread(tmp_path / "out.tif")
    assert same_partition(labels, ndimage.label(pixels)[0])
