from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from labelled_squares import labelled, squares, squares_source, write_archive

from napari_sam.errors import InputError
from napari_sam.evaluation.dataset import image_kind
from napari_sam.training.data.augment import disturb, random_crop, typical_size
from napari_sam.training.data.batches import CropSource, choose_objects, dense_targets
from napari_sam.training.data.bbbc038 import read_archive, split


class TestArchive:
    def test_grey_and_colour(self, tmp_path):
        grey = np.full((120, 120), 40, np.uint8)
        colour = np.stack((grey, grey * 3, grey * 5), -1)
        images = read_archive(write_archive(tmp_path / "a.zip", {"two": colour, "one": grey}, squares()))
        assert [image.name for image in images] == ["one", "two"]
        assert all(image.image.shape == (120, 120, 3) and image.labels.max() == 9 for image in images)
        assert [image.kind for image in images] == ["fluorescence 120x120", "stained 120x120"]

    def test_what_is_no_archive_is_refused(self, tmp_path):
        path = tmp_path / "a.zip"
        path.write_bytes(b"words")
        with pytest.raises(InputError, match="zip"):
            read_archive(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "nothing")
        with pytest.raises(InputError, match="images"):
            read_archive(path)

    def test_kinds(self):
        assert image_kind(np.full((5, 6, 3), 200, np.uint8)) == "brightfield 5x6"
        assert image_kind(np.full((5, 6, 3), 20, np.uint8)) == "fluorescence 5x6"


class TestSplit:
    def test_a_tenth_of_each_kind(self):
        images = [
            labelled(f"{kind}{n}", kind) for kind, count in (("a", 40), ("b", 21), ("c", 3)) for n in range(count)
        ]
        training, validation = split(images)
        kinds = [image.kind for image in validation]
        assert (kinds.count("a"), kinds.count("b"), kinds.count("c")) == (4, 2, 0)
        names = {image.name for image in training} | {image.name for image in validation}
        assert len(names) == len(training) + len(validation) == 64

    def test_the_order_of_reading_does_not_matter(self):
        images = [labelled(f"x{n}") for n in range(30)]
        names = [[image.name for image in split(order)[1]] for order in (images, images[::-1])]
        assert names[0] == names[1]


class TestCrop:
    @pytest.mark.parametrize("scale", [0.6, 1.0, 2.5])
    def test_labels_stay_on_their_objects(self, scale):
        item = labelled()
        rng = np.random.default_rng(0)
        for _ in range(5):
            image, labels = random_crop(rng, item.image, item.labels[None], 64, scale)
            assert image.shape == (64, 64, 3)
            assert labels.shape == (1, 64, 64)
            agree = np.abs(image[..., 0].astype(int) - labels[0] * 25) < 13
            assert agree.mean() > 0.8  # all but the blurred borders

    def test_objects_keep_their_area_however_they_are_turned(self):
        item = labelled()
        rng = np.random.default_rng(3)
        areas = []
        for _ in range(150):
            _, labels = random_crop(rng, item.image, item.labels[None], 64, 1.0)
            edge = np.concatenate((labels[0, 0], labels[0, -1], labels[0, :, 0], labels[0, :, -1]))
            areas += [(labels == label).sum() for label in np.setdiff1d(labels, edge) if label]
        assert len(areas) > 100
        assert min(areas) > 0.7 * 20**2
        assert max(areas) < 1.4 * 20**2

    def test_the_crop_never_leaves_the_image(self):
        image = np.full((70, 90, 3), 200, np.uint8)
        labels = np.ones((1, 70, 90), np.uint16)
        rng = np.random.default_rng(0)
        for _ in range(20):
            crop, cut = random_crop(rng, image, labels, 64, 0.5)
            assert (crop == 200).all()
            assert (cut == 1).all()


def test_typical_size():
    assert typical_size(squares()) == 20
    assert typical_size(np.zeros((5, 5), int)) == 32


def test_disturb_changes_images_in_many_ways():
    image = labelled().image
    rng = np.random.default_rng(0)
    changed = [disturb(rng, image) for _ in range(30)]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in changed)
    means = np.array([one.mean() for one in changed])
    assert means.std() > 20


class TestDenseTargets:
    def test_of_one_disc(self):
        y, x = np.mgrid[:64, :64]
        level = (np.hypot(y - 32, x - 32) < 24).astype(int)
        foreground, centre, border = dense_targets(level).numpy()
        assert foreground.shape == (16, 16)
        assert foreground[8, 8] == 1
        assert foreground[0, 0] == 0
        assert centre[8, 8] < 0.15 < 0.6 < centre[8, 12]
        assert border[8, 8] < 0.25 < 0.6 < border[8, 12]
        assert centre[0, 0] == border[0, 0] == 1

    def test_touching_objects_have_centres_of_their_own(self):
        level = np.zeros((64, 64), int)
        level[16:48, 8:32], level[16:48, 32:56] = 1, 2
        _, centre, border = dense_targets(level).numpy()
        assert centre[8, 4:6].max() < 0.4
        assert centre[8, 9:11].max() < 0.4
        assert border[8, 7:9].min() > 0.6
        assert centre[8, 7:9].min() > 0.4

    def test_of_nothing(self):
        foreground, centre, border = dense_targets(np.zeros((32, 32), int))
        assert not foreground.any()
        assert (centre == 1).all()
        assert (border == 1).all()


class TestSource:
    def test_batches_agree_with_themselves(self):
        batch = squares_source().draw(np.random.default_rng(0), 3, 4, 64)
        assert batch.images.shape == (3, 3, 64, 64)
        assert batch.images.dtype == torch.uint8
        assert batch.dense.shape == (3, 3, 16, 16)
        assert len(batch.objects) == len(batch.masks) <= 12
        assert set(batch.objects.tolist()) == {0, 1, 2}
        assert (batch.masks.sum((1, 2, 3)) >= 12).all()
        for owner, mask in zip(batch.objects.tolist(), batch.masks, strict=True):
            inside = torch.nn.functional.avg_pool2d(mask, 4)[0] == 1
            assert (batch.dense[owner, 0][inside] == 1).all()

    def test_the_same_seed_draws_the_same(self):
        source = squares_source()
        one, two = (source.draw(np.random.default_rng(4), 2, 2, 64) for _ in range(2))
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.masks, two.masks)

    def test_nothing_to_train_on(self):
        with pytest.raises(ValueError, match="nothing"):
            CropSource([])


def test_the_object_that_is_wanted_comes_first():
    labels = squares()[None].astype(np.int32)
    rng = np.random.default_rng(0)
    for wanted in range(1, 10):
        assert choose_objects(rng, labels, 3, wanted)[0] == (0, wanted)
    assert len(choose_objects(rng, labels, 3, 99)) == 3  # it may lie outside the crop


def test_a_whole_is_asked_for_as_often_as_all_its_parts_together():
    labels = np.zeros((2, 60, 60), np.int32)
    labels[0, :50, :50] = np.arange(50)[None, :] // 10 + 1  # five parts
    labels[1, :50, :50] = 1
    rng = np.random.default_rng(0)
    wholes = sum(choose_objects(rng, labels, 1)[0] == (1, 1) for _ in range(400))
    assert 150 < wholes < 250
