from __future__ import annotations

import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.errors import InputError
from napari_sam.evaluation import dataset
from napari_sam.evaluation.dataset import read_dataset

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 60, (30, 40), dtype=np.uint8)
LABELS = np.zeros((30, 40), np.uint16)
LABELS[2:12, 3:20], LABELS[15:25, 5:30] = 1, 700


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".tif", ".tiff"):
        tifffile.imwrite(path, array)
    else:
        Image.fromarray(array).save(path)


@pytest.fixture
def folder(tmp_path):
    """A set that tests add to."""
    base = tmp_path / "set"
    save(base / "images" / "a.png", IMAGE)
    save(base / "labels" / "a.png", LABELS)
    return base


def zipped(folder, top=""):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, top + file.relative_to(folder).as_posix())
    return path


class TestLayouts:
    @pytest.mark.parametrize("top", ["", "foo/", "foo/bar/"])
    def test_a_zip_is_as_good_as_a_folder(self, folder, top):
        for found in (read_dataset(folder), read_dataset(zipped(folder, top))):
            (item,) = found
            assert item.name == "a"
            assert np.array_equal(item.image, IMAGE)
            assert np.array_equal(item.labels, LABELS)
            assert found.notes == ()

    def test_a_folder_in_the_folder(self, folder):
        assert len(read_dataset(folder.parent)) == 1

    def test_what_systems_leave_behind_is_no_image(self, folder):
        for name in (".DS_Store", "._a.png", "Thumbs.db"):
            (folder / "images" / name).write_bytes(b"junk")
        archive = zipped(folder)
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr("__MACOSX/images/._a.png", b"junk")
            opened.writestr("__MACOSX/labels/._a.png", b"junk")
        for path in (folder, archive):
            found = read_dataset(path)
            assert len(found) == 1
            assert found.notes == ()

    def test_images_are_read_when_they_are_asked_for(self, folder):
        found = read_dataset(folder)
        (folder / "images" / "a.png").unlink()
        assert [entry.name for entry in found.entries] == ["a"]
        with pytest.raises(InputError, match="no file"):
            _ = found[0]

    def test_slices_and_order(self, folder):
        for name in "cb":
            save(folder / "images" / f"{name}.png", IMAGE)
            save(folder / "labels" / f"{name}.tif", LABELS)
        found = read_dataset(folder)
        assert [item.name for item in found] == ["a", "b", "c"]
        assert [item.name for item in found[1:]] == ["b", "c"]
        assert found[-1].name == "c"


class TestKinds:
    def test_a_sub_folder_is_a_type(self, folder):
        for kind in ("dic", "all"):
            save(folder / "images" / kind / "x.tif", IMAGE)
            save(folder / "labels" / kind / "x.png", LABELS)
        entries = read_dataset(folder).entries
        assert {entry.name: entry.kind for entry in entries} == {
            "a": "fluorescence 30x40",
            "dic/x": "dic",
            "all/x": "folder all",  # "all" is the row of sums
        }

    def test_many_sizes_are_not_many_types(self, folder):
        for side in range(20, 40):
            save(folder / "images" / f"{side}.png", np.full((side, side), 9 * (side % 2) * 20, np.uint8))
            save(folder / "labels" / f"{side}.png", np.ones((side, side), np.uint8))
        kinds = {entry.kind for entry in read_dataset(folder).entries}
        assert kinds == {"fluorescence", "brightfield"}


class TestImages:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64, bool])
    def test_grey_of_any_real_dtype(self, folder, dtype):
        save(folder / "images" / "a.tif", IMAGE.astype(dtype))
        (folder / "images" / "a.png").unlink()
        (item,) = read_dataset(folder)
        assert item.image.dtype == dtype
        assert item.plane.rendered.shape == (30, 40, 3)

    @pytest.mark.parametrize("channels", [3, 4])
    @pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
    def test_colour(self, folder, channels, suffix):
        if suffix == ".jpg" and channels == 4:
            return  # there is no such JPEG
        (folder / "images" / "a.png").unlink()
        save(folder / "images" / f"a{suffix}", np.repeat(IMAGE[..., None], channels, 2))
        (item,) = read_dataset(folder)
        assert item.image.shape == (30, 40, channels)

    def test_one_hot_pixel_does_not_darken_the_rest(self, folder):
        image = IMAGE.astype(np.uint16) * 10
        image[0, 0] = 65535
        save(folder / "images" / "a.tif", image)
        (folder / "images" / "a.png").unlink()
        rendered = read_dataset(folder)[0].plane.rendered
        assert np.ptp(rendered[5:]) > 240

    def test_bytes_are_taken_as_they_are(self, folder):
        assert np.array_equal(read_dataset(folder)[0].plane.rendered[..., 1], IMAGE)

    def test_an_image_of_one_value(self, folder):
        save(folder / "images" / "a.tif", np.full((30, 40), 7.0, np.float32))
        (folder / "images" / "a.png").unlink()
        assert read_dataset(folder)[0].plane.rendered.shape == (30, 40, 3)

    @pytest.mark.parametrize(
        "image", [np.zeros((2, 30, 40), np.uint8), np.zeros((5, 30, 40), np.uint16), np.zeros((30, 40), np.complex64)]
    )
    def test_what_is_no_plane_is_refused_by_name(self, folder, image):
        (folder / "images" / "a.png").unlink()
        tifffile.imwrite(folder / "images" / "a.tif", image, photometric="minisblack")
        with pytest.raises(InputError, match=r"images/a\.tif"):
            read_dataset(folder)


class TestLabels:
    @pytest.mark.parametrize(
        ("suffix", "dtype"),
        [
            *((".png", dtype) for dtype in (np.uint8, np.uint16)),
            *((".tif", dtype) for dtype in (np.uint8, np.uint16, np.int32, np.int64)),
            (".tiff", np.uint32),
        ],
    )
    def test_whole_numbers_of_any_width(self, folder, suffix, dtype):
        (folder / "labels" / "a.png").unlink()
        labels = (LABELS > 0) * 3 if np.dtype(dtype).itemsize == 1 else LABELS
        save(folder / "labels" / f"a{suffix}", labels.astype(dtype))
        assert np.array_equal(read_dataset(folder)[0].labels, labels)

    def test_a_palette_is_only_how_numbers_are_shown(self, folder):
        picture = Image.fromarray((LABELS > 0).astype(np.uint8) * 2, "L").convert("P")
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        picture.save(folder / "labels" / "a.png")
        assert np.unique(read_dataset(folder)[0].labels).tolist() == [0, 2]

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (np.zeros((30, 40, 3), np.uint8), "colour"),
            (LABELS.astype(np.float32), "whole numbers"),
            (LABELS.astype(np.int32) - 1, "whole numbers"),
            (np.zeros((30, 41), np.uint16), "30 x 41 px, its image 30 x 40"),
        ],
    )
    def test_what_are_no_labels_is_refused_by_name(self, folder, labels, words):
        (folder / "labels" / "a.png").unlink()
        save(folder / "labels" / "a.tif", labels)
        for path in (folder, zipped(folder)):
            with pytest.raises(InputError, match=words) as caught:
                read_dataset(path)
            assert "labels/a.tif" in str(caught.value)
            assert str(path) in str(caught.value)

    def test_jpeg_is_refused(self, folder):
        save(folder / "labels" / "b.jpg", IMAGE)
        with pytest.raises(InputError, match="JPEG"):
            read_dataset(folder)

    def test_one_value_in_pieces_is_pointed_out(self, folder):
        save(folder / "labels" / "a.png", ((LABELS > 0) * 255).astype(np.uint8))
        (note,) = read_dataset(folder).notes
        assert "skimage.measure.label" in note


class TestPairs:
    def test_what_stands_alone_is_told(self, folder):
        save(folder / "images" / "lonely.png", IMAGE)
        for number in range(7):
            save(folder / "labels" / f"n{number}.png", LABELS)
        (folder / "images" / "notes.txt").write_text("words")
        found = read_dataset(folder)
        assert len(found) == 1
        assert found.notes[0] == "Images without labels, left out (1): lonely."
        assert found.notes[1] == "Labels without an image, left out (7): n0, n1, n2, n3, n4 and others."
        assert "images/notes.txt" in found.notes[2]

    def test_endings_may_differ_and_ome_is_part_of_one(self, folder):
        save(folder / "images" / "b.ome.tif", IMAGE)
        save(folder / "labels" / "b.PNG", LABELS)
        assert [entry.name for entry in read_dataset(folder).entries] == ["a", "b"]

    def test_two_of_a_name(self, folder):
        save(folder / "images" / "a.tif", IMAGE)
        with pytest.raises(InputError, match="share one name"):
            read_dataset(folder)

    def test_no_pair(self, folder):
        (folder / "labels" / "a.png").rename(folder / "labels" / "z.png")
        with pytest.raises(InputError, match=r"no image and labels of one name \(1 in images/, 1 in labels/\)"):
            read_dataset(folder)


class TestRefusals:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(InputError, match="no file or folder"):
            read_dataset(tmp_path / "none")

    def test_no_images_in_it(self, tmp_path):
        (tmp_path / "pictures").mkdir()
        with pytest.raises(InputError, match="no images/ and labels/"):
            read_dataset(tmp_path)

    def test_no_zip(self, tmp_path):
        (tmp_path / "a.zip").write_bytes(b"words")
        with pytest.raises(InputError, match="zip"):
            read_dataset(tmp_path / "a.zip")

    def test_two_sets(self, folder):
        for name in ("one", "two"):
            save(folder / "sets" / name / "images" / "a.png", IMAGE)
            save(folder / "sets" / name / "labels" / "a.png", LABELS)
        with pytest.raises(InputError, match="2 sets"):
            read_dataset(folder / "sets")
        with pytest.raises(InputError, match="2 sets"):
            read_dataset(zipped(folder / "sets"))

    def test_a_cut_file_is_named(self, folder):
        whole = (folder / "images" / "a.png").read_bytes()
        (folder / "images" / "a.png").write_bytes(whole[: len(whole) // 2])
        for path in (folder, zipped(folder)):
            with pytest.raises(InputError, match=r"images/a\.png"):
                read_dataset(path)

    def test_a_damaged_archive_is_named(self, folder):
        path = zipped(folder)
        contents = bytearray(path.read_bytes())
        contents[60:90] = bytes(30)  # in the data of the first file
        path.write_bytes(contents)
        with pytest.raises(InputError, match=r"set\.zip/images/a\.png cannot be unpacked"):
            read_dataset(path)

    def test_names_in_an_archive_never_become_paths(self, folder, tmp_path):
        path = zipped(folder)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("images/../../evil.png", (folder / "images" / "a.png").read_bytes())
            archive.writestr("labels/../../evil.png", (folder / "labels" / "a.png").read_bytes())
        read_dataset(path)
        assert not list(tmp_path.rglob("evil.png"))


class TestSpread:
    ENTRIES = tuple(
        dataset.DatasetEntry(f"{kind}{n}", kind, "", "")
        for kind, count in (("a", 9), ("b", 2), ("c", 5))
        for n in range(count)
    )

    def test_evenly_over_types(self):
        chosen = [entry.kind for entry in dataset.spread(self.ENTRIES, 8)]
        assert (chosen.count("a"), chosen.count("b"), chosen.count("c")) == (3, 2, 3)
        assert chosen == sorted(chosen)

    def test_always_the_same_and_more_only_adds(self):
        assert dataset.spread(self.ENTRIES, 6) == dataset.spread(self.ENTRIES[::-1], 6)
        assert set(dataset.spread(self.ENTRIES, 5)) < set(dataset.spread(self.ENTRIES, 9))

    def test_more_than_there_are(self):
        assert len(dataset.spread(self.ENTRIES, 99)) == 16


def test_looking_through_reports_progress(folder):
    told = []
    read_dataset(folder, told.append)
    assert told == [1.0]
