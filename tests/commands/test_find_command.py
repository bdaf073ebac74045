from __future__ import annotations

import json
import socket

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_sam import automatic
from napari_sam.automatic import Proposal
from napari_sam.batch import finding
from napari_sam.masks import BoxedMask
from tiny_clip import COLOURS, clip_folder  # noqa: F401  # fixture

PLACES = {(25, 25): "red", (25, 80): "blue", (75, 25): "green", (75, 80): "red", (50, 125): "blue"}
RADIUS = 14


def disc(row: int, column: int, radius: float = RADIUS) -> np.ndarray:
    y, x = np.mgrid[:100, :150]
    return np.hypot(y - row, x - column) < radius


@pytest.fixture
def image(tmp_path):
    """Discs of three colours on grey ground."""
    pixels = np.full((100, 150, 3), 70, np.uint8)
    for place, name in PLACES.items():
        pixels[disc(*place)] = COLOURS[name]
    path = tmp_path / "discs.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def proposals(monkeypatch, predictor):
    """Candidates in the place of a model's: every disc, some ground, and two that are not good enough."""
    found = [Proposal(BoxedMask.of(disc(*place)), 0.9 - 0.01 * number) for number, place in enumerate(PLACES)]
    found.append(Proposal(BoxedMask.of(disc(50, 52, 8)), 0.95))
    found.append(Proposal(BoxedMask.of(disc(25, 27)), 0.895))  # the first once more, and worse
    found.append(Proposal(BoxedMask.of(disc(75, 25, 5)), 0.1))
    predictor.name, predictor.weights = "Discs", "digest"
    predictor.has_dense_head, predictor.dense_views = True, 4
    predictor.settings = []

    def propose(_predictor, _embedding, settings, progress, *, plane):
        predictor.settings.append(settings)
        progress(1.0)
        assert plane.shape == (100, 150)
        return list(reversed(found))

    monkeypatch.setattr(finding, "find_proposals", propose)
    return found


@pytest.fixture
def find(run, image, tmp_path, clip_folder, proposals):  # noqa: F811
    """Run `napari-sam find` on the discs with the tiny model."""

    def call(*options: object):
        return run("find", image, "-o", tmp_path / "out.tif", "--text-model", clip_folder, "--device", "cpu", *options)

    return call


def test_the_objects_that_fit_the_words_become_labels(find, tmp_path):
    result = find("--text", "red", "--negative", "blue", "--negative", "green")
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(tmp_path / "out.tif")
    assert labels.dtype == np.uint8
    expected = np.zeros((100, 150), int)
    expected[disc(25, 25)] = 1
    expected[disc(75, 80)] = 2
    assert (labels == expected).all()  # the worse one of the first is not beside it
    assert "2 objects of 7 candidates (2 red)" in result.stdout


def test_several_phrases_are_classes_in_a_table(find, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    result = find("--text", "red", "--text", "blue", "--text", "green")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:3] == ["Object", "Phrase", "Score"]
    assert [line[1] for line in lines[1:6]] == ["blue", "blue", "green", "red", "red"]
    assert "5 objects of 7 candidates (2 red, 2 blue, 1 green)" in result.stdout
    labels = tifffile.imread(tmp_path / "out.tif")
    for line in lines[1:6]:
        y, x = int(line[4].strip(",")), int(line[5])
        assert labels[y, x] == int(line[0])
        assert PLACES[min(PLACES, key=lambda place: abs(place[0] - y) + abs(place[1] - x))] == line[1]


def test_phrases_are_categories_in_other_formats(find, run, image, tmp_path, clip_folder):  # noqa: F811
    options = ("--text", "red", "--text", "green", "--negative", "blue", "--format", "coco")
    result = run("find", image, "-o", tmp_path / "out.json", "--text-model", clip_folder, *options)
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "out.json").read_text())
    names = {one["id"]: one["name"] for one in document["categories"]}
    centres = [
        (one["bbox"][1] + one["bbox"][3] / 2, one["bbox"][0] + one["bbox"][2] / 2) for one in document["annotations"]
    ]
    kinds = [PLACES[min(PLACES, key=lambda place: abs(place[0] - y) + abs(place[1] - x))] for y, x in centres]
    assert [names[one["category_id"]] for one in document["annotations"]] == kinds
    assert sorted(kinds) == ["green", "red", "red"]


def test_words_are_looked_for_on_all_planes_of_a_stack(run, image, tmp_path, clip_folder, proposals):  # noqa: F811
    pixels = np.asarray(Image.open(image))
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([pixels, pixels]), photometric="rgb", metadata={"axes": "ZYXS"})
    options = ("--text-model", clip_folder, "--text", "red", "--negative", "blue", "--negative", "green", "--json")
    result = run("find", tmp_path / "stack.tif", "-o", tmp_path / "out.tif", *options)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [one["centre"] for one in told["objects"]] == [[0.5, 25.0, 25.0], [0.5, 75.0, 80.0]]
    labels = tifffile.imread(tmp_path / "out.tif")
    assert labels.shape == (2, 100, 150) and (labels[0] == labels[1]).all() and labels.max() == 2


def test_json_tells_every_score(find, tmp_path, read_json, clip_folder):  # noqa: F811
    told = read_json(find("--text", "red", "--text", "blue", "--negative", "green", "--json").stdout)
    assert (told["candidates"], told["text_model"]) == (7, str(clip_folder))
    assert told["output"] == str(tmp_path / "out.tif")
    assert [found["phrase"] for found in told["objects"]] == ["red", "blue", "red", "blue"]
    first = told["objects"][0]
    assert (first["label"], first["area"], first["centre"]) == (1, int(disc(25, 25).sum()), [25.0, 25.0])
    assert first["score"] == first["scores"]["red"] > 0.5 > first["scores"]["blue"]


def test_the_threshold_chooses(find, tmp_path):
    everything = find("--text", "red", "--threshold", "0")
    assert "6 objects of 7 candidates" in everything.stdout  # the seventh lies on another
    result = find("--text", "red", "--negative", "Red", "--threshold", "0.9", "--force")
    assert "0 objects of 7 candidates; the highest score is 0.50. Try a lower --threshold" in result.stdout
    assert tifffile.imread(tmp_path / "out.tif").max() == 0


def test_no_candidates_at_all(find, monkeypatch, tmp_path):
    monkeypatch.setattr(finding, "find_proposals", lambda *_arguments, plane: [])
    result = find("--text", "red")
    assert (result.exit_code, "the model finds none" in result.stdout) == (0, True)
    assert tifffile.imread(tmp_path / "out.tif").max() == 0


def test_models_without_a_dense_head_look_in_a_grid_as_their_authors_advise(find, predictor):
    assert find("--text", "red").exit_code == 0
    predictor.has_dense_head = False
    assert find("--text", "red", "--model", "vit_b_lm", "--force").exit_code == 0
    assert predictor.settings == [automatic.DenseSettings(), automatic.grid_settings_for("vit_b_lm")]


def test_without_words_there_is_nothing_to_find(find):
    result = find()
    assert result.exit_code == 2
    assert "--text" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text", " "], "A phrase is empty"),
        (["--text", "red", "--negative", "red"], "asked for twice"),
        (["--text", "red", "--text-model", "clip-datacom"], "Did you mean clip-datacomp?"),
    ],
)
def test_mistakes_cost_no_work(find, predictor, options, words):
    result = find(*options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert not predictor.loaded


def test_a_threshold_out_of_range_is_a_mistake_in_an_option(find, predictor):
    assert find("--text", "red", "--threshold", "1.5").exit_code == 2
    assert not predictor.loaded


def test_what_is_there_is_not_replaced_by_accident(find, tmp_path, predictor):
    (tmp_path / "out.tif").write_bytes(b"precious")
    result = find("--text", "red")
    assert (result.exit_code, "--force" in result.stderr) == (1, True)
    assert (tmp_path / "out.tif").read_bytes() == b"precious"
    assert not predictor.loaded


def test_a_model_that_cannot_be_had_is_said_before_any_work(run, image, tmp_path, predictor, monkeypatch):
    def unreachable(*_arguments, **_options):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    result = run("find", image, "-o", tmp_path / "out.tif", "--text", "red")
    assert result.exit_code == 1
    assert "napari-sam models download clip-datacomp" in result.stderr
    assert "--text-model FOLDER" in result.stderr
    assert not predictor.loaded
    assert not (tmp_path / "out.tif").exists()


def test_bundled_model_and_words_find_bright_discs_for_real(run, tmp_path, clip_folder):  # noqa: F811
    """Not faked: what the candidates are comes from the bundled model."""
    torch.manual_seed(0)
    pixels = np.random.default_rng(0).integers(5, 25, (200, 300, 3)).astype(np.uint8)
    y, x = np.mgrid[:200, :300]
    truth = {(50, 60): "green", (60, 220): "red", (150, 150): "green"}
    for (row, column), name in truth.items():
        pixels[np.hypot(y - row, x - column) < 24] = np.maximum(COLOURS[name], 60)
    Image.fromarray(pixels).save(tmp_path / "discs.png")
    arguments = ["find", tmp_path / "discs.png", "-o", tmp_path / "out.tif", "--text-model", clip_folder]
    result = run(*arguments, "--text", "green", "--text", "red", "--json")
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(tmp_path / "out.tif")
    told = {found["label"]: found["phrase"] for found in json.loads(result.stdout)["objects"]}
    assert {place: told.get(int(labels[place])) for place in truth} == truth
