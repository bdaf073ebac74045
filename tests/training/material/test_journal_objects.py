"""Objects out of the journal, as labels of the planes that they were drawn on."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from material_scenery import texture

from napari_sam.errors import InputError
from napari_sam.journal import Journal, encode_mask
from napari_sam.journal.pixels import pixels_digest
from napari_sam.training.material import JournalObjects, read_material


@pytest.fixture
def volume():
    return np.stack([texture(1, (60, 64))[..., 0].astype(np.uint16) * 10 + at for at in range(6)])


@pytest.fixture
def image(tmp_path, volume):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, volume, metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def journal(home, volume):
    journal = Journal()
    yield Recorder(journal, volume)
    journal.close()


class Recorder:
    """Records objects as the window does."""

    def __init__(self, journal, volume, layer="layer-1"):
        self.journal, self.volume, self.layer = journal, volume, layer

    def add(self, label, index, axes=(1, 2), box=(5, 5, 15, 15), kind="accepted", **more):
        shape = tuple(self.volume.shape[axis] for axis in axes)
        mask = np.ones((box[2] - box[0], box[3] - box[1]), bool)
        number = self.journal.add(
            kind,
            image="cells",
            target=f"{self.layer} labels",
            identity={"source": "", "image": "image-1", "layer": self.layer},
            shape=list(self.volume.shape),
            plane={"axes": axes, "index": index, "digest": ""},
            prompts={},
            label=label,
            box=list(box),
            mask=encode_mask(mask, box[:2], shape),
            **more,
        )
        self.journal.note_pixels("image-1", pixels_digest(self.volume, 3))
        return number


def read(*args, most_planes=64, **kwargs):
    return read_material([JournalObjects(*args, **kwargs)], complete=None, most_planes=most_planes)


def erase(journal, label, index):
    changes = [{"label": 0, "mask": encode_mask(np.ones((10, 10), bool), (5, 5), (60, 64))}]
    journal.add(label, index, kind="erased", changes=changes)


def at_z(z):
    return (z, None, None)


def test_objects_are_laid_on_their_planes(journal, image, volume):
    journal.add(1, at_z(2), asked={"contrast_limits": [0, 1000], "gamma": 0.5})
    journal.add(2, at_z(2), box=(10, 10, 30, 30))  # over a part of the first
    journal.add(3, at_z(4), box=(20, 20, 40, 40))
    first, second = read(image)
    assert [plane.name for plane in (first, second)] == ["cells.tif, z = 2", "cells.tif, z = 4"]
    expected = np.zeros((60, 64), int)
    expected[5:15, 5:15], expected[10:30, 10:30] = 1, 2
    np.testing.assert_array_equal(first.labels, expected)
    assert first.group == second.group == pixels_digest(volume, 3)
    # Seen as it was when the object was accepted; other planes as the nearest in time.
    seen = (np.clip(volume[2] / 1000, 0, 1) ** 0.5 * 255 + 0.5).astype(np.uint8)
    np.testing.assert_allclose(first.image[..., 0].astype(int), seen, atol=1)
    assert not first.complete
    seen = (np.clip(volume[4] / 1000, 0, 1) ** 0.5 * 255 + 0.5).astype(np.uint8)
    np.testing.assert_allclose(second.image[..., 0].astype(int), seen, atol=1)


def test_what_was_undone_or_taken_off_is_not_there(journal, image):
    for label in range(1, 6):
        journal.add(label, at_z(1), box=(10 * label, 5, 10 * label + 8, 15))
    number = journal.add(6, at_z(3))
    journal.journal.add("withdrawn", of=number)
    journal.add(7, at_z(5))
    erase(journal, 7, at_z(5))
    journal.add(5, at_z(1), box=(50, 40, 58, 50))  # a correction: elsewhere now
    (plane,) = read(image)
    assert plane.objects == 5
    assert plane.complete
    assert not plane.labels[50:58, 5:15].any()


def test_planes_of_which_all_was_taken_off_are_not_chosen(journal, image):
    for label, place in enumerate((5, 20, 35), 1):
        journal.add(label, at_z(5), box=(place, 5, place + 10, 15))
    for z in range(4):
        journal.add(9, at_z(z))
        erase(journal, 9, at_z(z))
    assert [plane.name for plane in read(image, most_planes=1)] == ["cells.tif, z = 5"]


def test_a_layer_without_objects_hides_none(journal, image, volume):
    for label in (1, 2, 3):
        journal.add(label, at_z(label))
    other = Recorder(journal.journal, volume, "layer-2")
    other.add(1, at_z(4))
    erase(other, 1, at_z(4))
    assert len(read(image)) == 3


def test_objects_drawn_across_each_other_stay_on_their_planes(journal, image):
    journal.add(1, at_z(2), box=(5, 5, 25, 25))
    journal.add(2, (None, 10, None), axes=(0, 2), box=(0, 10, 5, 40))
    journal.add(3, (None, 50, None), axes=(0, 2), box=(0, 10, 5, 40))
    planes = read(image)
    assert [plane.name for plane in planes] == ["cells.tif, y = 10", "cells.tif, y = 50", "cells.tif, z = 2"]
    flat = planes[-1].labels
    # The second object was written over a row of the first; it was not drawn on this plane.
    assert set(np.unique(flat)) == {0, 1}
    assert not flat[10, 10:25].any()
    assert planes[0].labels.shape == (6, 64)
    assert set(np.unique(planes[0].labels)) == {0, 2}


def test_the_layer_that_was_worked_on_last_counts(journal, image, volume):
    for label in (1, 2, 3):
        journal.add(label, at_z(label))
    other = Recorder(journal.journal, volume, "layer-2")
    for label in (1, 2, 3):
        other.add(label, at_z(5), box=(15 * label, 5, 15 * label + 8, 15))
    assert [plane.name for plane in read(image)] == ["cells.tif, z = 5"]
    assert len(read(image, layer="layer-1")) == 3
    assert len(read(image, layer="layer-1 labels")) == 3
    with pytest.raises(InputError, match=r"no labels layer 'nuclei'.*\"layer-2 labels\", \"layer-1 labels\""):
        read(image, layer="nuclei")


def test_a_session_is_the_last_that_counts(journal, image, volume, home):
    for label in (1, 2, 3):
        journal.add(label, at_z(0), box=(15 * label, 5, 15 * label + 8, 15))
    later = Journal()
    try:
        Recorder(later, volume).add(4, at_z(4))
        assert len(read(image)) == 2
        assert [plane.name for plane in read(image, session=journal.journal.session)] == ["cells.tif, z = 0"]
        Recorder(later, volume, "layer-2").add(1, at_z(4))
        with pytest.raises(InputError, match="no labels layer 'layer-2'"):
            read(image, layer="layer-2", session=journal.journal.session)
        assert len(read(image, layer="layer-1", database=home / "journal" / "journal.sqlite")) == 2
    finally:
        later.close()


def test_an_image_that_is_not_known_is_said(journal, image, tmp_path):
    with pytest.raises(InputError, match="knows no accepted objects"):
        read(image)
    journal.add(1, at_z(2))
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, np.zeros((6, 60, 64), np.uint8), metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match="knows no accepted objects"):
        read(other)
    with pytest.raises(InputError, match="only 1 labelled object"):
        read(image)
