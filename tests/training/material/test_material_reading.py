"""Planes with their objects, out of files, folders and layers."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from material_scenery import grid, squares, texture
from PIL import Image

from napari_sam.errors import Cancelled, InputError
from napari_sam.training.material import LabelledFile, LabelledFolder, LayerArrays, read_material


def read(*sources, complete=None, most_planes=64):
    return read_material(sources, complete=complete, most_planes=most_planes)


def write(path, array, axes=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(array).save(path)
    elif path.suffix == ".npy":
        np.save(path, array)
    else:
        tifffile.imwrite(path, array, metadata={"axes": axes} if axes else None, ome=".ome" in path.name or None)
    return path


def pair(folder, name, seed=0, labels=None, suffix="_labels.tif"):
    labels = grid() if labels is None else labels
    return write(folder / f"{name}.png", texture(seed, labels.shape)), write(folder / f"{name}{suffix}", labels)


def test_an_image_with_labels_comes_as_it_is(tmp_path):
    image, labels = pair(tmp_path, "cells")
    (plane,) = read(LabelledFile(image, labels))
    assert (plane.name, plane.complete) == ("cells.png", True)
    np.testing.assert_array_equal(plane.image, texture(0))
    np.testing.assert_array_equal(plane.labels, grid())
    assert (plane.labelled.kind, plane.objects) == ("taught", 36)
    assert plane.image.flags.writeable


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int16])
def test_wide_grey_values_are_shown_as_a_person_would_set_them(tmp_path, dtype):
    grey = texture(0)[..., 0].astype(dtype) * 20
    grey[0, 0] = 32000  # a hot pixel, which would leave all else black
    image, labels = write(tmp_path / "a.tif", grey), write(tmp_path / "a_labels.tif", grid())
    (plane,) = read(LabelledFile(image, labels))
    assert plane.image.dtype == np.uint8
    assert 100 < plane.image.mean() < 160
    assert plane.image.max() == 255


def test_colour_stays_colour(tmp_path):
    colour = np.stack([texture(seed)[..., 0] for seed in range(3)], -1)
    image = write(tmp_path / "a.png", colour)
    (plane,) = read(LabelledFile(image, write(tmp_path / "b.tif", grid())))
    np.testing.assert_array_equal(plane.image, colour)


def stack(tmp_path, filled, count=20, axes="ZYX"):
    image = np.stack([texture(3, smooth=2)[..., 0] + at for at in range(count)])
    labels = np.zeros(image.shape, np.uint16)
    labels[list(filled)] = grid()
    return write(tmp_path / "s.tif", image, axes), write(tmp_path / "s_labels.tif", labels, axes)


def test_of_a_stack_planes_with_objects_are_taken_evenly(tmp_path):
    image, labels = stack(tmp_path, [0, 1, 3, 4, 8, 9, 15, 16, 17, 19])
    planes = read(LabelledFile(image, labels), most_planes=3)
    assert [plane.name for plane in planes] == ["s.tif, z = 1", "s.tif, z = 9", "s.tif, z = 17"]
    np.testing.assert_array_equal(planes[0].image[..., 1], texture(3)[..., 0] + 1)
    assert len({plane.group for plane in planes}) == 1
    assert len(read(LabelledFile(image, labels))) == 10


def test_only_planes_are_read(tmp_path):
    asked = []

    class Counted:
        dtype, shape = np.dtype(np.uint8), (30, 96, 96)

        def __getitem__(self, index):
            asked.append(index)
            return image[index]

    image = np.stack([texture(at)[..., 0] for at in range(30)])
    labels = np.zeros(image.shape, np.int32)
    labels[[3, 20]] = grid()
    planes = ((3, None, None), (20, None, None))
    found = read(LayerArrays("layer", Counted(), labels, planes=planes, axis_names=("z", "y", "x")))
    assert [plane.name for plane in found] == ["layer, z = 3", "layer, z = 20"]
    # The digest looks at small images as a whole; of the others, at planes.
    assert [index[0] for index in asked if isinstance(index[0], int)] == [3, 20]


def test_layers_are_seen_with_their_window_gamma_and_axes():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 4000, (40, 8, 50)).astype(np.uint16)
    labels = np.zeros(image.shape, np.uint8)
    labels[5:15, 2, 5:15], labels[20:25, 2, 30:40], labels[30:35, 2, 5:9] = 1, 2, 3
    source = LayerArrays("layer", image, labels, axes=(0, 2), contrast_limits=(0.0, 2000.0), gamma=0.5)
    (plane,) = read(source)
    assert plane.name == "layer, axis 1 = 2"
    expected = (np.clip(image[:, 2] / 2000, 0, 1) ** 0.5 * 255 + 0.5).astype(np.uint8)
    np.testing.assert_allclose(plane.image[..., 0].astype(int), expected, atol=1)
    np.testing.assert_array_equal(plane.labels, labels[:, 2])


def test_planes_across_a_stack_get_square_pixels():
    image = np.repeat(texture(0, (20, 64))[..., :1], 4, axis=2).transpose(0, 2, 1)
    labels = np.zeros(image.shape, np.uint8)
    labels[2:6, 1, 5:25], labels[10:14, 1, 5:25], labels[2:6, 1, 40:60] = 1, 2, 3
    (plane,) = read(LayerArrays("layer", image, labels, axes=(0, 2), spacing=(2.0, 1.0)))
    assert plane.image.shape == (40, 64, 3)
    np.testing.assert_array_equal(plane.labels, np.repeat(labels[:, 1], 2, axis=0))


def test_labels_of_one_channel_need_to_know_which(tmp_path):
    image = np.stack([texture(seed)[..., 0] for seed in (1, 2)])
    image, labels = write(tmp_path / "a.ome.tif", image, "CYX"), write(tmp_path / "a_labels.tif", grid(), "YX")
    with pytest.raises(InputError, match=r"2 channels.*which channel"):
        read(LabelledFile(image, labels))
    (plane,) = read(LabelledFile(image, labels, channel=1))
    np.testing.assert_array_equal(plane.image, texture(2))
    assert plane.name == "a.ome.tif"


def test_time_and_depth_are_named(tmp_path):
    image = np.zeros((2, 3, 96, 96), np.uint8) + texture(0)[..., 0]
    labels = np.zeros(image.shape, np.uint16)
    labels[1, 2] = grid()
    image = write(tmp_path / "a.ome.tif", image, "TZYX")
    (plane,) = read(LabelledFile(image, write(tmp_path / "a_labels.ome.tif", labels, "TZYX")))
    assert plane.name == "a.ome.tif, t = 1, z = 2"


def test_specks_are_dropped_and_large_numbers_stay(tmp_path):
    labels = grid().astype(np.uint32)
    labels[labels == 1] = 3_000_000
    labels[0, :3] = 77  # three pixels
    labels[90:92, 90:92] = 78
    image, path = pair(tmp_path, "a", labels=labels)
    (plane,) = read(LabelledFile(image, path))
    assert 77 not in plane.labels
    assert 78 in plane.labels
    assert 3_000_000 in plane.labels
    labels[labels == 78] = 4_000_000_000
    (plane,) = read(LabelledFile(image, write(path, labels)))
    assert plane.objects == 37
    assert plane.labels.max() < 2**31


@pytest.mark.parametrize("value", [1, 255])
def test_pieces_of_a_mask_are_objects(tmp_path, value):
    image, labels = pair(tmp_path, "a", labels=((grid() > 0) * value).astype(np.uint8))
    assert read(LabelledFile(image, labels))[0].objects == 36


def test_pieces_of_a_numbered_object_are_one(tmp_path):
    labels = squares((96, 96), [(5, 5), (30, 30), (60, 60)])
    labels[80:90, 5:15] = 1
    image, path = pair(tmp_path, "a", labels=labels)
    assert read(LabelledFile(image, path))[0].objects == 3


def test_enormous_planes_are_cut_where_objects_are():
    labels = np.zeros((5000, 3000), np.uint16)
    labels[100:110, 100:110], labels[4800:4810, 2800:2810], labels[4700:4710, 2800:2810] = 1, 2, 3
    labels[2400:2410, 1000:1010] = 4
    image = np.zeros(labels.shape, np.uint8)
    image[::7] = 200
    planes = read(LayerArrays("big", image, labels))
    assert len(planes) == 3
    assert all(max(plane.image.shape[:2]) <= 2048 for plane in planes)
    assert sum(plane.objects for plane in planes) == 4
    assert len({plane.group for plane in planes}) == 1
    assert planes[0].name.startswith("big, rows 36 to 1")
    rows = int(planes[0].name.split("rows ")[1].split(" to")[0])
    np.testing.assert_array_equal(planes[0].image[:, 0, 0], image[rows : rows + planes[0].image.shape[0], 0])
    # Objects that lie together need no more than what is around them.
    (only,) = read(LayerArrays("big", image, np.where(np.isin(labels, (2, 3)), labels, 0) + (labels == 4) * 0 + dot()))
    assert max(only.image.shape[:2]) < 300


def dot():
    third = np.zeros((5000, 3000), np.uint16)
    third[4750:4755, 2750:2755] = 9
    return third


def test_at_most_four_parts_are_taken():
    labels = np.zeros((6000, 6000), np.uint8)
    for number, (y, x) in enumerate([(y, x) for y in (10, 3000, 5900) for x in (10, 3000, 5900)], 1):
        labels[y : y + 9, x : x + 9] = number
        labels[y + 12 : y + 20, x : x + 9] = 100 + number if number in (2, 4, 6, 9) else 0
    planes = read(LayerArrays("big", labels, labels))
    assert [plane.objects for plane in planes] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "suffix", ["_labels.tif", "_masks.png", "_mask.tif", "-seg.tif", "_cp_masks.png", "_labels.npy"]
)
def test_labels_beside_an_image_are_found(tmp_path, suffix):
    image, _labels = pair(tmp_path, "a", suffix=suffix)
    assert read(LabelledFile(image))[0].objects == 36
    assert read(LabelledFolder(tmp_path))[0].objects == 36


@pytest.mark.parametrize("layout", [("images", "labels"), ("", "labels"), ("images/kind", "labels/kind")])
def test_labels_in_a_folder_of_their_own_are_found(tmp_path, layout):
    for name, seed in (("a", 0), ("b", 1)):
        image = write(tmp_path / layout[0] / f"{name}.png", texture(seed))
        write(tmp_path / layout[1] / f"{name}.tif", grid())
    assert [plane.name for plane in read(LabelledFolder(tmp_path))] == ["a.png", "b.png"]
    if "kind" not in layout[0]:
        assert [plane.name for plane in read(LabelledFile(image))] == ["b.png"]
        assert len(read(LabelledFolder(tmp_path / layout[0]))) == 2
    assert len(read(LabelledFolder(tmp_path / layout[0], tmp_path / layout[1]))) == 2


def test_what_a_person_said_of_a_series_counts(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        pair(tmp_path, name, seed)
    assert [plane.complete for plane in read(LabelledFolder(tmp_path))] == [True, True, True]
    from napari_sam.datasets.image_series import ImageSeries

    series = ImageSeries.open(tmp_path)
    series.mark(0, "done")
    series.mark(1, "skipped")
    assert [(plane.name, plane.complete) for plane in read(LabelledFolder(tmp_path))] == [
        ("a.png", True),
        ("c.png", False),
    ]
    assert [plane.complete for plane in read(LabelledFolder(tmp_path), complete=True)] == [True, True]


def test_layers_with_few_objects_are_not_complete():
    image, few = texture(0)[..., 0], squares((96, 96), [(5, 5), (30, 30), (60, 60), (5, 60)])
    assert not read(LayerArrays("a", image, few))[0].complete
    assert read(LayerArrays("a", image, few), complete=True)[0].complete
    assert read(LayerArrays("a", image, grid()))[0].complete
    assert not read(LayerArrays("a", image, grid()), complete=False)[0].complete


def test_files_of_one_name_are_told_apart(tmp_path):
    for seed, folder in enumerate("ab"):
        pair(tmp_path / folder, "cells", seed)
    names = [plane.name for plane in read(LabelledFolder(tmp_path / "a"), LabelledFolder(tmp_path / "b"))]
    assert names == ["cells.png", "cells.png (2)"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((96, 96), np.uint8), "No object is labelled in a.png"),
        (squares((96, 96), [(5, 5)]), "There is only 1 labelled object in a.png"),
        (squares((96, 96), [(5, 5), (50, 50)]), "only 2 labelled objects"),
        (grid().astype(np.float32), "dtype float32"),
        (grid().astype(np.int16) - 1, r"go down to -1"),
        (grid((90, 96)), r"90 x 96 px, its image .*96 x 96 px"),
        (np.repeat(grid()[..., None].astype(np.uint8), 3, 2), "in colour"),
    ],
)
def test_what_is_no_material_is_said(tmp_path, labels, words):
    image = write(tmp_path / "a.png", texture(0))
    with pytest.raises(InputError, match=words):
        read(LabelledFile(image, write(tmp_path / "a_labels.tif", labels)))


def test_an_image_without_labels_is_said(tmp_path):
    image = write(tmp_path / "a.png", texture(0))
    with pytest.raises(InputError, match=r"a.png has no labels.*a_labels.tif"):
        read(LabelledFile(image))
    with pytest.raises(InputError, match="No image of"):
        read(LabelledFolder(tmp_path))
    with pytest.raises(InputError, match="There is no folder"):
        read(LabelledFolder(tmp_path / "none"))
    with pytest.raises(InputError, match="No object is labelled"):
        read()


def test_python_objects_are_not_opened(tmp_path):
    image = write(tmp_path / "a.png", texture(0))
    np.save(tmp_path / "a_seg.npy", {"masks": grid()})
    with pytest.raises(InputError, match="Python objects"):
        read(LabelledFile(image, tmp_path / "a_seg.npy"))
    with pytest.raises(InputError, match="No image of"):
        read(LabelledFolder(tmp_path))


@pytest.mark.parametrize("axes", [(1, 0), (0, 2), (1, 1)])
def test_axes_that_are_none_are_refused(axes):
    with pytest.raises(InputError, match="two of its 2 axes"):
        read(LayerArrays("a", texture(0)[..., 0], grid(), axes=axes))


@pytest.mark.parametrize("index", [(None, None), (9, None, None), (0, 1, None), (None, None, None)])
def test_planes_that_are_none_are_refused(index):
    image = np.zeros((4, 96, 96), np.uint8)
    with pytest.raises(InputError, match="has no plane"):
        read(LayerArrays("a", image, np.zeros(image.shape, np.uint8), planes=(index,)))


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    from napari_sam.training.material import reading

    monkeypatch.setattr(reading, "largest_read", lambda: 96 * 96 * 7 - 1)
    with pytest.raises(InputError, match="Give fewer images"):
        read(LayerArrays("a", texture(0)[..., 0], grid()))


def test_reading_reports_and_can_be_cancelled(tmp_path):
    image, labels = stack(tmp_path, range(6))
    shares = []
    read_material([LabelledFile(image, labels)] * 2, complete=None, most_planes=4, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def cancel(share):
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        read_material([LabelledFile(image, labels)] * 2, complete=None, most_planes=4, progress=cancel)
