from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from napari_sam.automatic import Proposal
from napari_sam.batch import finding
from napari_sam.masks import BoxedMask


@pytest.fixture
def finder(monkeypatch, predictor):
    """Finds what touches and is not black, in the place of a model; interrupted after `left` pictures."""
    predictor.name, predictor.weights, predictor.has_dense_head = "Discs", "digest", False
    predictor.notes = ("A note.",)
    predictor.left, predictor.seen = 1000, []

    def find(_predictor, _embedding, settings, progress, *, plane):
        if len(predictor.seen) >= predictor.left:
            raise KeyboardInterrupt
        predictor.seen.append((settings, plane.limits))
        progress(1.0)
        labels, _ = ndimage.label(plane.pixels)
        return [
            Proposal(BoxedMask((box[0].start, box[1].start), labels[box] == number, plane.shape), 0.95, 1.0)
            for number, box in enumerate(ndimage.find_objects(labels), 1)
        ]

    monkeypatch.setattr(finding, "find_proposals", find)
    return predictor


def squares(count: int, value: int = 200) -> np.ndarray:
    pixels = np.zeros((48, 64), np.uint8)
    for number in range(count):
        pixels[4:12, 4 + 12 * number : 12 + 12 * number] = value
    return pixels


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, count in (("b.png", 2), ("a10.tif", 3), ("a9.png", 1)):
        Image.fromarray(squares(count)).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_a_folder_of_images_becomes_a_folder_of_labels(run, images, tmp_path, finder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    result = run("everything", images, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a10.tif", "a9.tif", "b.tif"]
    assert tifffile.imread(tmp_path / "out" / "a10.tif").max() == 3
    lines = result.stdout.splitlines()
    assert [line.split() for line in lines[:-1]] == [
        ["Image", "Planes", "Objects"], ["a9.png", "1", "1"], ["a10.tif", "1", "3"], ["b.png", "1", "2"],
    ]  # fmt: skip
    assert lines[-1].startswith(f"{tmp_path / 'out'}: 6 objects of 3 images, in ")
    assert result.stderr == "Note: A note.\n"
    assert len(finder.loaded) == 1


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(run, images, tmp_path, finder):
    finder.left = 2
    cut = run("everything", images, "-o", tmp_path / "out")
    assert cut.exit_code == 130 and cut.stdout == ""
    assert f"2 of 3 tiles are kept in {tmp_path / 'out.part'}: run the same command again" in cut.stderr
    finder.left = 1000
    result = run("everything", images, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["tiles"], summary["resumed"], summary["objects"], len(finder.seen)) == (3, 2, 6, 3)
    assert [(one["planes"], one["objects"], one["linked_along"]) for one in summary["images"]] == [
        (1, 1, None), (1, 3, None), (1, 2, None),
    ]  # fmt: skip
    assert not (tmp_path / "out.part").exists()


def test_options_reach_the_work(run, tmp_path, finder):
    channels = np.stack([squares(1), squares(4, 90)]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "two.tif", channels, imagej=True, metadata={"axes": "CYX"})
    options = ("--tile", 40, "--halo", 8, "--at", "c=1", "--contrast", "10,95", "--format", "geojson")
    result = run("everything", tmp_path / "two.tif", "-o", tmp_path / "out.geojson", "--device", "cpu", *options)
    assert result.exit_code == 0, result.output
    assert len(finder.seen) == 4 and {limits for _settings, limits in finder.seen} == {(10.0, 95.0)}
    assert len(json.loads((tmp_path / "out.geojson").read_text())["features"]) == 4
    assert finder.loaded == [("bundled", "cpu")]


def test_a_folder_is_a_stack_where_an_axis_is_named(run, tmp_path, finder):
    folder = tmp_path / "slices"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(squares(2)).save(folder / f"{number}.png")
    result = run("everything", folder, "-o", tmp_path / "out.tif", "--axis", "z")
    assert result.exit_code == 0, result.output
    assert tifffile.imread(tmp_path / "out.tif").shape == (3, 48, 64)
    assert result.stdout.startswith(f"{tmp_path / 'out.tif'}: 2 objects on 3 planes, in ")


def test_tracks_of_a_time_series_are_written_beside_its_labels(run, tmp_path, finder):
    tifffile.imwrite(tmp_path / "movie.tif", np.stack([squares(2)] * 3), imagej=True, metadata={"axes": "TYX"})
    result = run("everything", tmp_path / "movie.tif", "-o", tmp_path / "out.tif", "--tracks")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out_track.txt").read_text() == "1 0 2 0\n2 0 2 0\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mode", "dense"), "has no dense maps of objects. Use --mode grid."),
        (("--axis", "q"), "no axis 'q'"),
        (("--scheduler", "dusk"), "is no scheduler"),
        (("--format", "png"), "not a format of masks"),
        (("--tile", 40, "--halo", 20), "Choose larger tiles, or a smaller overlap"),
        (("--at", "z=7"), "has no plane at z = 7"),
        (("--tracks",), "no image is linked along t"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work(run, tmp_path, finder, options, words):
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([squares(1)] * 2), imagej=True, metadata={"axes": "ZYX"})
    result = run("everything", tmp_path / "stack.tif", "-o", tmp_path / "out.tif", *options)
    assert result.exit_code == 1 and words in result.stderr and not finder.seen
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == []


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("out.tif", "3 images are written into a folder, and out.tif is a file's name"),
        ("nowhere/out", "There is no folder"),
        (".", "which would be replaced"),
        ("images/b.png", "never written to"),
    ],
)
def test_images_are_never_written_over(run, images, tmp_path, finder, output, words):
    result = run("everything", images, "-o", tmp_path / output, "--force")
    assert result.exit_code == 1 and words in result.stderr and not finder.seen
    assert len(list(images.iterdir())) == 4


def test_an_output_that_is_there_stays_unless_forced(run, images, tmp_path, finder):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    refused = run("everything", images, "-o", tmp_path / "out")
    assert refused.exit_code == 1 and "exists" in refused.stderr
    assert (tmp_path / "out" / "mine.txt").exists()


def test_the_bundled_model_finds_objects(run, tmp_path):
    from napari_sam import samples

    pixels = samples.fluorescence()[0][0][:120, :160]
    tifffile.imwrite(tmp_path / "cells.tif", pixels)
    result = run("everything", tmp_path / "cells.tif", "-o", tmp_path / "out.tif", "--json", "--device", "cpu")
    finding.forget_predictors()
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["objects"] == tifffile.imread(tmp_path / "out.tif").max() >= 3
