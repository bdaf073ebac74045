"""Find what is like examples, from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from napari_sam.automatic import Proposal
from napari_sam.automatic.descriptors import Descriptors
from napari_sam.batch import finding
from napari_sam.datasets.records import from_labels
from napari_sam.datasets.table import find_format
from napari_sam.masks import BoxedMask

BRIGHT, DIM = 200, 90


def describe(_predictor, _embedding, pixels, masks) -> Descriptors:
    """Tell objects apart by their mean grey value, in the place of a model."""
    values = np.array([[pixels[mask.box][mask.mask].mean()] for mask in masks]).reshape(len(masks), 1)
    return Descriptors(values, np.array([np.nan]), np.array([10.0]), np.array([1.0]))


@pytest.fixture
def squares(monkeypatch, predictor):
    """What touches and is not black is an object, and objects of about one brightness are of one kind."""
    predictor.name, predictor.weights, predictor.has_dense_head = "Squares", "digest", False

    def propose(_predictor, _embedding, _settings, progress, *, plane):
        progress(1.0)
        labels, _ = ndimage.label(plane.pixels)
        return [
            Proposal(BoxedMask((box[0].start, box[1].start), labels[box] == number, plane.shape), 0.95, 1.0)
            for number, box in enumerate(ndimage.find_objects(labels), 1)
        ]

    monkeypatch.setattr(finding, "find_proposals", propose)
    monkeypatch.setattr(Descriptors, "of", describe)
    return predictor


def drawn(values: list[int], shape: tuple[int, int] = (40, 100)) -> np.ndarray:
    """Squares in a row, each of a grey value; 0 leaves one out."""
    pixels = np.zeros(shape, np.uint8)
    for number, value in enumerate(values):
        pixels[10:20, 4 + 16 * number : 14 + 16 * number] = value
    return pixels


def marked(*places: int, shape: tuple[int, int] = (40, 100)) -> np.ndarray:
    """Labels 1, 2, ... of some squares."""
    labels = np.zeros(shape, np.uint8)
    for number, place in enumerate(places, 1):
        labels[10:20, 4 + 16 * place : 14 + 16 * place] = number
    return labels


def wanted(labels: np.ndarray) -> list[bool]:
    """Say which squares have a label."""
    return [bool(labels[15, 9 + 16 * place]) for place in range(6)]


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, drawn([BRIGHT, DIM, BRIGHT + 4, DIM + 3, BRIGHT - 5, DIM - 6]))
    tifffile.imwrite(tmp_path / "examples.tif", marked(0, 1))
    return path


def cells(shape: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw round cells with a coarse texture and long bright ones, out of focus and noisy; labels, kinds by label."""
    rng = np.random.default_rng(seed)
    labels, kinds = np.zeros(shape, np.uint8), [-1]
    y, x = np.mgrid[: shape[0], : shape[1]]
    pixels = 20 + 10 * x / shape[1]
    for top in range(22, shape[0] - 15, 42):
        for left in range(22, shape[1] - 15, 42):
            row, column = top + rng.integers(-4, 5), left + rng.integers(-4, 5)
            kind, angle = len(kinds) % 2, rng.uniform(0, np.pi)
            along = (y - row) * np.cos(angle) + (x - column) * np.sin(angle)
            across = (x - column) * np.cos(angle) - (y - row) * np.sin(angle)
            inside = np.hypot(along / (11, 15)[kind], across / (10, 6)[kind]) < 1
            labels[inside] = len(kinds)
            kinds.append(kind)
            texture = ndimage.gaussian_filter(rng.normal(size=shape), 2)
            pixels[inside] = (110, 150)[kind] + (100, 30)[kind] * texture[inside]
    pixels = ndimage.gaussian_filter(pixels, 1) + rng.normal(0, 5, shape)
    return pixels.clip(0, 255).astype(np.uint8), labels, np.array(kinds)


@pytest.mark.parametrize("kind", [0, 1])
def test_one_of_two_kinds_of_cells_is_found_by_the_bundled_model(run, tmp_path, kind):
    pixels, truth, kinds = cells((172, 172), kind)
    tifffile.imwrite(tmp_path / "cells.tif", pixels)
    examples, other = np.flatnonzero(kinds == kind)[:2], int(np.flatnonzero(kinds == 1 - kind)[0])
    tifffile.imwrite(tmp_path / "examples.tif", np.where(np.isin(truth, [*examples, other]), truth, 0))
    options = ("--example-labels", tmp_path / "examples.tif", "--negative-ids", other, "--device", "cpu", "--json")
    result = run("find", tmp_path / "cells.tif", "-o", tmp_path / "out.tif", *options)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["examples"], told["negative_examples"]) == (2, 1)
    assert 16 <= told["candidates"] <= 18  # where it is not clear what an object is, more than one for each
    labels = tifffile.imread(tmp_path / "out.tif")
    for number, own in enumerate(kinds.tolist()):
        if number:
            assert np.mean(labels[truth == number] > 0) == pytest.approx(float(own == kind), abs=0.2)
    assert len(told["objects"]) == np.count_nonzero(kinds == kind)
    for one in told["objects"]:
        assert one["area"] == np.count_nonzero(labels == one["label"]) and 0.5 <= one["score"] <= 1
        np.testing.assert_allclose(one["centre"], np.argwhere(labels == one["label"]).mean(axis=0), atol=0.06)


def test_objects_like_the_examples_become_labels_and_the_image_is_encoded_once(run, image, tmp_path, squares):
    options = ("--example-labels", tmp_path / "examples.tif")
    result = run("find", image, "-o", tmp_path / "out.tif", *options, "--example-ids", 1)
    assert result.exit_code == 0, result.output
    assert wanted(tifffile.imread(tmp_path / "out.tif")) == [True, False] * 3
    assert "3 objects of 6 candidates." in result.stdout
    # Once with the examples, whose picture is the one that is looked at then.
    assert len(squares.planes) == 1
    dim = run("find", image, "-o", tmp_path / "dim.tif", *options, "--negative-ids", 1)
    assert dim.exit_code == 0, dim.output
    assert wanted(tifffile.imread(tmp_path / "dim.tif")) == [False, True] * 3
    more = run("find", image, "-o", tmp_path / "all.tif", *options, "--example-ids", 2, "--threshold", 0)
    assert "6 objects of 6 candidates." in more.stdout


def test_negative_examples_may_have_a_file_of_their_own(run, image, tmp_path, squares):
    tifffile.imwrite(tmp_path / "examples.tif", marked(0))
    tifffile.imwrite(tmp_path / "negative.tif", marked(1, 3))
    told = []
    for number, more in enumerate([(), ("--negative-labels", tmp_path / "negative.tif")]):
        options = ("--example-labels", tmp_path / "examples.tif", *more, "--threshold", 0, "--json")
        result = run("find", image, "-o", tmp_path / f"{number}.tif", *options)
        assert result.exit_code == 0, result.output
        told.append(json.loads(result.stdout))
    assert [one["negative_examples"] for one in told] == [0, 2]
    plain, warned = ([one["score"] for one in run["objects"]] for run in told)
    assert [after > before for before, after in zip(plain, warned, strict=True)] == [True, False] * 3


def test_examples_on_one_plane_serve_the_whole_stack(run, tmp_path, squares):
    planes = [drawn([BRIGHT, DIM, 0, DIM]), drawn([BRIGHT, DIM, BRIGHT, DIM]), drawn([0, DIM, BRIGHT, DIM])]
    tifffile.imwrite(tmp_path / "stack.tif", np.stack(planes), imagej=True, metadata={"axes": "ZYX", "spacing": 2.0})
    labels = np.zeros((3, 40, 100), np.uint8)
    labels[1] = marked(2)
    tifffile.imwrite(tmp_path / "examples.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    result = run(
        "find", tmp_path / "stack.tif", "-o", tmp_path / "out.tif", "--example-labels", tmp_path / "examples.tif",
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = tifffile.imread(tmp_path / "out.tif")
    assert [wanted(plane)[:4] for plane in found] == [
        [True, False, False, False], [True, False, True, False], [False, False, True, False],
    ]  # fmt: skip
    assert found[0, 15, 9] == found[1, 15, 9] != found[1, 15, 41] == found[2, 15, 41]
    told = json.loads(result.stdout)
    assert [(one["area"], one["centre"]) for one in sorted(told["objects"], key=lambda one: one["centre"])] == [
        (200, [0.5, 14.5, 8.5]), (200, [1.5, 14.5, 40.5]),
    ]  # fmt: skip


def test_examples_of_one_image_serve_others(run, image, tmp_path, squares, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    folder = tmp_path / "plate"
    folder.mkdir()
    Image.fromarray(drawn([DIM, BRIGHT, BRIGHT])).save(folder / "a.png")
    Image.fromarray(drawn([DIM, DIM, DIM])).save(folder / "b.png")
    options = ("--example-labels", tmp_path / "examples.tif", "--example-ids", 1, "--example-image", image)
    result = run("find", folder, "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    assert wanted(tifffile.imread(tmp_path / "out" / "a.tif"))[:3] == [False, True, True]
    assert not tifffile.imread(tmp_path / "out" / "b.tif").any()
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[:3] == [["Image", "Objects", "Candidates"], ["a.png", "2", "3"], ["b.png", "0", "3"]]
    assert "2 objects of 6 candidates on 2 images." in result.stdout
    told = json.loads(run("find", folder, "-o", tmp_path / "again", *options, "--json").stdout)
    assert [one["image"] for one in told["objects"]] == [str(folder / "a.png")] * 2


def test_labels_of_one_channel_fit_where_one_is_chosen(run, tmp_path, squares):
    channels = np.stack([drawn([BRIGHT]), drawn([DIM, BRIGHT, DIM])])
    tifffile.imwrite(tmp_path / "two.tif", channels, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "examples.tif", marked(1))
    options = ("--example-labels", tmp_path / "examples.tif")
    refused = run("find", tmp_path / "two.tif", "-o", tmp_path / "out.tif", *options)
    assert refused.exit_code == 1 and "40 x 100 pixels, two.tif is 2 x 40 x 100" in refused.stderr
    result = run("find", tmp_path / "two.tif", "-o", tmp_path / "out.tif", *options, "--at", "c=1")
    assert result.exit_code == 0, result.output
    found = tifffile.imread(tmp_path / "out.tif")
    assert not found[0].any() and wanted(found[1])[:3] == [False, True, False]


def test_examples_lie_in_any_tile_of_a_large_plane(run, tmp_path, squares):
    pixels = np.zeros((40, 2000), np.uint8)
    for place, value in enumerate([BRIGHT, DIM, BRIGHT, DIM]):
        pixels[10:20, 300 + 450 * place : 310 + 450 * place] = value
    tifffile.imwrite(tmp_path / "long.tif", pixels)
    tifffile.imwrite(tmp_path / "examples.tif", np.where(np.arange(2000) > 1600, pixels > 0, 0).astype(np.uint8))
    result = run(
        "find", tmp_path / "long.tif", "-o", tmp_path / "out.tif", "--example-labels", tmp_path / "examples.tif"
    )
    assert result.exit_code == 0, result.output
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif") > 0, pixels == DIM)


@pytest.mark.parametrize(("kind", "name"), [("coco", "m.json"), ("imagej", "m.zip"), ("geojson", "m.geojson")])
def test_examples_come_in_other_formats_too(run, image, tmp_path, squares, kind, name):
    find_format(kind).write(tmp_path / name, [from_labels("cells.tif", marked(1))])
    result = run("find", image, "-o", tmp_path / "out.tif", "--example-labels", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert wanted(tifffile.imread(tmp_path / "out.tif")) == [False, True] * 3


@pytest.mark.parametrize("name", ["l.png", "l.npy", "l.ome.tif"])
def test_labels_come_in_many_formats(run, image, tmp_path, squares, name):
    labels = marked(1)
    if name == "l.png":
        picture = Image.fromarray(labels, mode=None).convert("P")
        picture.putpalette([0, 0, 0, 255, 0, 0])
        picture.save(tmp_path / name)
    elif name == "l.npy":
        np.save(tmp_path / name, labels.astype(np.int64))
    else:
        tifffile.imwrite(tmp_path / name, labels.astype(np.uint16))
    result = run("find", image, "-o", tmp_path / "out.tif", "--example-labels", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert wanted(tifffile.imread(tmp_path / "out.tif")) == [False, True] * 3


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (marked(), (), "holds no objects: label at least one"),
        (marked(0, shape=(41, 100)), (), "is 41 x 100 pixels, cells.tif is 40 x 100"),
        (marked(0).astype(np.float32), (), "is no labels image"),
        (marked(0, 1), ("--example-ids", "1,5"), "has no object 5. It has 1, 2."),
        (marked(0, 1), ("--negative-ids", "1,2"), "is left as an example"),
        (marked(0, 1), ("--example-ids", "1", "--negative-ids", "1"), "Object 1 cannot be an example of"),
        (marked(0), ("--negative-labels", "EMPTY"), "empty.tif holds no objects"),
        (marked(0), ("--example-image", "FOLDER"), "holds 2 images. Name the one"),
    ],
)
def test_mistakes_cost_no_work(run, image, tmp_path, squares, labels, options, words):
    tifffile.imwrite(tmp_path / "examples.tif", labels)
    tifffile.imwrite(tmp_path / "empty.tif", marked())
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(drawn([BRIGHT])).save(tmp_path / "folder" / name)
    places = {"EMPTY": tmp_path / "empty.tif", "FOLDER": tmp_path / "folder"}
    given = [places.get(option, option) for option in options]
    result = run("find", image, "-o", tmp_path / "out.tif", "--example-labels", tmp_path / "examples.tif", *given)
    assert result.exit_code == 1, result.output
    assert words in " ".join(result.stderr.split())
    assert not squares.loaded
    assert not (tmp_path / "out.tif").exists() and not (tmp_path / "out.tif.part").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cells.tif", "is the image itself"),
        ("nothing.zip", "There is no file or folder"),
        ("nothing.tif", "There is no file or folder"),
    ],
)
def test_what_is_no_file_of_labels(run, image, tmp_path, squares, name, words):
    result = run("find", image, "-o", tmp_path / "out.tif", "--example-labels", tmp_path / name)
    assert result.exit_code == 1 and words in result.stderr and not squares.loaded


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--text WORDS, or --example-labels FILE"),
        (("--text", "cell", "--example-labels", "x.tif"), "look by one of them"),
        (("--negative-ids", "3"), "--text WORDS, or --example-labels FILE"),
        (("--example-labels", "x.tif", "--negative", "debris"), "look by one of them"),
        (("--example-labels", "x.tif", "--example-ids", "1;2"), "labels from 1 up"),
    ],
)
def test_options_that_do_not_fit_together(run, image, tmp_path, squares, options, words):
    result = run("find", image, "-o", tmp_path / "out.tif", *options, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert words in result.stderr


def test_several_images_need_the_one_with_the_examples(run, image, tmp_path, squares):
    Image.fromarray(drawn([BRIGHT])).save(tmp_path / "other.png")
    labels = ("--example-labels", tmp_path / "examples.tif")
    result = run("find", image, tmp_path / "other.png", "-o", tmp_path / "out", *labels)
    assert result.exit_code == 1 and "Say which of the 2 images the examples are of" in result.stderr
    assert (
        run("find", image, tmp_path / "other.png", "-o", tmp_path / "out", *labels, "--example-image", image).exit_code
        == 0
    )


def test_nothing_alike_and_nothing_at_all(run, image, tmp_path, squares):
    labels = ("--example-labels", tmp_path / "examples.tif", "--example-ids", 1)
    result = run("find", image, "-o", tmp_path / "out.tif", *labels, "--threshold", 1)
    assert "0 objects of 6 candidates; the highest score is 0.9" in result.stdout
    assert "Try a lower --threshold, or other examples." in result.stdout
    tifffile.imwrite(image, drawn([]))
    result = run("find", image, "-o", tmp_path / "none.tif", *labels)
    assert result.exit_code == 1 and "The model finds no objects where the examples lie on cells.tif" in result.stderr


def test_the_labels_of_the_examples_are_not_written_over(run, image, tmp_path, squares):
    before = (tmp_path / "examples.tif").read_bytes()
    labels = tmp_path / "examples.tif"
    result = run("find", image, "-o", labels, "--example-labels", labels, "--force")
    assert result.exit_code == 1 and "never written to" in result.stderr
    assert labels.read_bytes() == before
