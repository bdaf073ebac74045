from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from labelled_squares import png, squares

from napari_sam.errors import InputError
from napari_sam.progress import no_progress
from napari_sam.training.data.archives import KNOWN_KINDS, read_image_archive
from napari_sam.training.data.pools import KindSettings

INDEX = {
    "sets": [
        {"set": "ours", "licence": "CC0", "attribution": "A laboratory", "weight": 2, "complete": True, "mb": 3},
        {"set": "elsewhere", "licence": "MIT"},
    ]
}


def write(path, index: object = INDEX, kinds=("ours", "photo_coco"), top: str = ""):
    image = (squares() * 25).astype(np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        for kind in kinds:
            archive.writestr(f"{top}images/{kind}/a.png", png(image))
            archive.writestr(f"{top}labels/{kind}/a.png", png(squares()))
        if index is not None:
            text = index if isinstance(index, str) else json.dumps(index)
            archive.writestr(f"{top}index.json", text)
    return path


def test_images_settings_and_who_made_them(tmp_path):
    path = write(tmp_path / "a.zip")
    read = read_image_archive(path, no_progress)
    assert {(image.kind, image.image.shape, image.image.dtype.name) for image in read.images} == {
        ("ours", (120, 120, 3), "uint8"),
        ("photo_coco", (120, 120, 3), "uint8"),
    }
    assert read.settings == {"ours": KindSettings(2.0, True), "photo_coco": KNOWN_KINDS["photo_coco"]}
    assert read.card["images"] == {"ours": 1, "photo_coco": 1}
    assert read.card["sets"] == [{"set": "ours", "licence": "CC0", "attribution": "A laboratory"}]
    assert len(read.card["sha256"]) == 64


def test_in_a_folder_and_in_a_folder_of_an_archive(tmp_path):
    with zipfile.ZipFile(write(tmp_path / "a.zip")) as archive:
        archive.extractall(tmp_path / "unpacked")
    for path in (tmp_path / "unpacked", write(tmp_path / "b.zip", top="lab/")):
        assert read_image_archive(path, no_progress).settings["ours"].complete


def test_without_an_index_nothing_is_taken_for_complete(tmp_path):
    read = read_image_archive(write(tmp_path / "a.zip", None, ("ours",)), no_progress)
    assert read.settings == {"ours": KindSettings(1.0, False)}
    assert read.card["sets"] == []


@pytest.mark.parametrize(
    "index",
    [
        "words",
        "[]",
        {"sets": [{"name": "ours"}]},
        {"sets": 5},
        "[" * 100_000,
        {"sets": [{"set": "ours", "weight": 0}]},
        {"sets": [{"set": "ours", "weight": "much"}]},
        {"sets": [{"set": "ours", "complete": "false"}]},
    ],
)
def test_an_index_that_says_something_else_is_refused(tmp_path, index):
    with pytest.raises(InputError, match=r"index\.json"):
        read_image_archive(write(tmp_path / "a.zip", index), no_progress)
