"""``napari-sam segment`` with files of prompts: an object for each."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.prompts import BoxPrompt, PointPrompt


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "labels.tif"


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("y,x\n20,30\n40,60\n")
    return path


@pytest.fixture
def boxes(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("y0,x0,y1,x1\n2,3,10,12\n")
    return path


@pytest.fixture
def rough(tmp_path):
    labels = np.zeros((60, 80), np.uint16)
    labels[17:23, 27:33] = 40
    labels[38:43, 58:63] = 7
    path = tmp_path / "rough.tif"
    tifffile.imwrite(path, labels)
    return path


def test_each_point_and_each_box_of_a_file_is_an_object(run, predictor, image, out, points, boxes):
    result = run("segment", image, "-o", out, "--points", points, "--boxes", boxes)
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(out)
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]
    assert labels[20, 30]
    assert labels[40, 60]
    assert labels[5, 5]
    assert "3 objects of 3 prompts" in result.stdout
    asked = {prompt for prompts in predictor.prompts for prompt in prompts}
    assert asked == {PointPrompt((20, 30)), PointPrompt((40, 60)), BoxPrompt((2, 3), (10, 12))}


def test_labels_are_made_exact_and_keep_their_ids(run, predictor, image, out, rough):
    result = run("segment", image, "-o", out, "--labels", rough)
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(out)
    assert sorted(np.unique(labels)) == [0, 7, 40]
    # The fake model draws a disc of five pixels around the deepest point.
    assert (labels == 40).sum() > 60
    assert (labels == 7).sum() > 60
    assert "2 of 2 objects made exact, 0 left as they were" in result.stdout
    assert all(prompts.mask is not None for prompts in predictor.prompts)


def test_what_the_model_is_not_sure_of_stays_as_it_was(run, predictor, image, out, rough):
    predictor.score = 0.4
    result = run("segment", image, "-o", out, "--labels", rough)
    np.testing.assert_array_equal(tifffile.imread(out), tifffile.imread(rough))
    assert "0 of 2 objects made exact, 2 left as they were" in result.stdout


def test_objects_are_added_to_labels_that_are_there(run, predictor, image, out, points):
    before = np.zeros((60, 80), np.uint16)
    before[0:5, 0:5] = 9
    before[20, 30] = 3
    tifffile.imwrite(out, before)
    assert run("segment", image, "-o", out, "--points", points, "--append").exit_code == 0
    labels = tifffile.imread(out)
    assert labels[20, 30] == 3
    assert labels[20, 31] == 10
    assert labels[40, 60] == 11


def test_an_input_is_never_written_over(run, predictor, image, rough):
    before = rough.read_bytes()
    result = run("segment", image, "-o", rough, "--labels", rough, "--force")
    assert result.exit_code == 1
    assert rough.read_bytes() == before


def test_masks_are_cleaned_up_as_one_is(run, predictor, image, out, points, tmp_path):
    options = ("--grow", "2", "--grey-range", "60,255", "--fill-holes")
    assert run("segment", image, "-o", out, "--points", points, *options).exit_code == 0
    for number, at in enumerate(("20,30", "40,60"), 1):
        alone = tmp_path / f"{number}.tif"
        assert run("segment", image, "-o", alone, "--point", at, *options).exit_code == 0
        one = tifffile.imread(alone) > 0
        np.testing.assert_array_equal(tifffile.imread(out) == number, one)
        assert one.sum() > 50


def test_what_the_clean_up_empties_is_left_out_and_counted(run, predictor, image, out, boxes, points):
    result = run("segment", image, "-o", out, "--points", points, "--boxes", boxes, "--smallest-part", "80")
    assert result.exit_code == 0, result.output
    # Discs of 81 pixels, and a box of 90.
    assert sorted(np.unique(tifffile.imread(out))) == [0, 1, 2, 3]
    result = run("segment", image, "-o", out, "--force", "--points", points, "--boxes", boxes, "--smallest-part", "85")
    assert "1 objects of 3 prompts, clean-up leaves nothing of 2, " in result.stdout
    result = run("segment", image, "-o", out, "--force", "--points", points, "--smallest-part", "85")
    assert result.exit_code == 1
    assert "clean-up leaves nothing of 2" in result.output


def test_labels_that_the_clean_up_empties_stay_as_they_were(run, predictor, image, out, rough):
    result = run("segment", image, "-o", out, "--labels", rough, "--smallest-part", "85")
    np.testing.assert_array_equal(tifffile.imread(out), tifffile.imread(rough))
    assert "0 of 2 objects made exact, 2 left as they were, clean-up leaves nothing of 2, " in result.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--points", "{points}", "--point", "1,2"], "for many objects"),
        (["--labels", "{rough}", "--points", "{points}"], "says already where objects are"),
        (["--labels", "{rough}", "--append"], "says already where objects are"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, image, out, points, rough, options, words):
    given = [option.format(points=points, rough=rough) for option in options]
    result = run("segment", image, "-o", out, *given)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())
    assert not out.exists()


def test_labels_of_another_image_are_refused(run, image, out, tmp_path):
    path = tmp_path / "other.tif"
    tifffile.imwrite(path, np.ones((10, 10), np.uint8))
    result = run("segment", image, "-o", out, "--labels", path)
    assert result.exit_code == 1
    assert "10 x 10 px, the image 60 x 80 px" in result.output


def test_a_point_outside_the_image_is_refused_before_the_model_is_loaded(run, predictor, image, out, tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("500,3\n")
    result = run("segment", image, "-o", out, "--points", path)
    assert result.exit_code == 1
    assert "outside the image" in result.output
    assert not predictor.loaded
