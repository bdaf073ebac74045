from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.prompts import AreaPrompt, BoxPrompt, MaskPrompt, PointPrompt, PromptSet, ScribblePrompt


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "labels.tif"


def test_click_becomes_a_label(run, predictor, image, out):
    result = run("segment", image, "-o", out, "--point", "20,30")
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(out)
    assert labels.shape == (60, 80)
    assert labels.dtype == np.uint16
    assert labels[20, 30] == 1
    assert labels[20, 40] == 0
    area = int((labels == 1).sum())
    assert f"object 1, {area} px, estimated IoU 0.88" in result.stdout
    assert "ms to encode" in result.stdout
    assert "CPU (fake)" in result.stdout
    assert predictor.loaded == [("bundled", "auto")]
    with tifffile.TiffFile(out) as file:
        assert file.pages[0].compression.name == "ADOBE_DEFLATE"


def test_all_prompts_reach_the_predictor_in_order(run, predictor, image, out, tmp_path):
    file = tmp_path / "prompts.json"
    earlier = PromptSet((PointPrompt((1, 2)), MaskPrompt(np.ones((4, 4)))))
    file.write_text(earlier.to_json())
    options = ["--point", "20,30,+", "--point=21.5,31, -", "--box", "5,6,40,50", "--prompts", file]
    result = run("segment", image, "-o", out, *options, "--model", "mobile_sam", "--device", "cpu")
    assert result.exit_code == 0, result.output
    expected = (*earlier, PointPrompt((20, 30)), PointPrompt((21.5, 31), positive=False), BoxPrompt((5, 6), (40, 50)))
    assert predictor.prompts == [PromptSet(expected)]
    assert predictor.loaded == [("mobile_sam", "cpu")]


def test_lines_and_areas_reach_the_predictor(run, predictor, image, out, tmp_path):
    lines = ["--scribble", "20,30;22,35;20,40", "--scribble", "50,60;50,70,-"]
    corners = ["--polygon", "10,10;10,30;30,30;30,10", "--polygon=1,1;1,4;4,4;4,1,-"]
    result = run("segment", image, "-o", out, *lines, *corners, "--overlay", tmp_path / "seen.png")
    assert result.exit_code == 0, result.output
    square = np.ones((20, 20), bool)
    expected = (
        ScribblePrompt([(20, 30), (22, 35), (20, 40)]),
        ScribblePrompt([(50, 60), (50, 70)], False),
        AreaPrompt((10, 10), square),
        AreaPrompt((1, 1), square[:3, :3], False),
    )
    assert predictor.prompts == [PromptSet(expected)]
    assert tifffile.imread(out)[20, 20] == 1
    assert (np.asarray(Image.open(tmp_path / "seen.png")) == (0, 158, 115)).all(axis=2).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scribble", "20;30"], "'20' is not Y,X"),
        (["--scribble", "20,30;20,x"], "is not Y,X"),
        (["--scribble", "nan,3"], "finite numbers"),
        (["--polygon", "1,1;2,2"], "has 2 corners"),
        (["--polygon", "100,1;100,9;120,5"], "encloses no pixel"),
        (["--scribble", "100,1;100,9"], "scribble lies outside"),
    ],
)
def test_what_is_no_line_or_area_is_said_before_a_model_is_loaded(run, predictor, image, out, options, words):
    result = run("segment", image, "-o", out, *options)
    assert result.exit_code != 0
    assert words in " ".join(result.output.replace("│", " ").split())
    assert not predictor.loaded and not out.exists()


def test_contrast_limits_are_the_window_of_the_plane(run, predictor, image, out):
    assert run("segment", image, "-o", out, "--point", "20,30", "--contrast-limits", "10,99.5").exit_code == 0
    assert predictor.planes[0].contrast_limits == (10.0, 99.5)


def test_append_takes_the_next_id_and_empty_pixels_only(run, predictor, image, out):
    run("segment", image, "-o", out, "--point", "20,30")
    first = tifffile.imread(out)
    result = run("segment", image, "-o", out, "--append", "--point", "20,33")
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(out)
    assert (labels[first == 1] == 1).all()
    assert labels[20, 38] == 2
    assert f"object 2, {(labels == 2).sum()} px" in result.stdout
    assert "more belong to other objects" in result.stdout


def test_append_over_others(run, predictor, image, out):
    run("segment", image, "-o", out, "--point", "20,30")
    assert run("segment", image, "-o", out, "--append", "--over-others", "--point", "20,33").exit_code == 0
    labels = tifffile.imread(out)
    assert labels[20, 33] == 2
    assert labels[20, 25] == 1


def test_append_without_a_file_starts_one(run, predictor, image, out):
    assert run("segment", image, "-o", out, "--append", "--point", "20,30").exit_code == 0
    assert tifffile.imread(out).max() == 1


def test_many_ids_need_the_wider_type(run, predictor, image, out):
    before = np.zeros((60, 80), np.uint16)
    before[0, 0] = 65535
    tifffile.imwrite(out, before)
    assert run("segment", image, "-o", out, "--append", "--point", "20,30").exit_code == 0
    labels = tifffile.imread(out)
    assert labels.dtype == np.uint32
    assert labels[20, 30] == 65536
    assert labels[0, 0] == 65535


def test_labels_that_are_there_are_not_lost_by_accident(run, predictor, image, out):
    out.write_bytes(b"precious")
    result = run("segment", image, "-o", out, "--point", "20,30")
    assert result.exit_code == 1
    assert "--append" in result.stderr
    assert "--force" in result.stderr
    assert out.read_bytes() == b"precious"
    assert not predictor.loaded  # said before any work
    assert run("segment", image, "-o", out, "--force", "--point", "20,30").exit_code == 0
    assert tifffile.imread(out).max() == 1


def test_object_that_is_there_already_is_not_written_twice(run, predictor, image, out):
    run("segment", image, "-o", out, "--point", "20,30")
    before = out.read_bytes()
    result = run("segment", image, "-o", out, "--append", "--point", "20,30")
    assert result.exit_code == 1
    assert "--over-others" in result.stderr
    assert out.read_bytes() == before


def test_empty_answer_writes_nothing(run, predictor, image, out):
    result = run("segment", image, "-o", out, "--point", "20,30,-")
    assert result.exit_code == 1
    assert "finds no object" in result.stderr
    assert not out.exists()


def test_overlay_shows_outline_and_prompts(run, predictor, image, out, tmp_path):
    overlay = tmp_path / "overlay.png"
    options = ["--point", "20,30", "--point", "50,70,-", "--box", "10,20,40,60", "--overlay", overlay]
    assert run("segment", image, "-o", out, *options).exit_code == 0
    picture = np.asarray(Image.open(overlay))
    assert picture.shape == (60, 80, 3)
    assert tuple(picture[20, 30]) == (0, 158, 115)
    assert tuple(picture[50, 70]) == (230, 159, 0)
    assert tuple(picture[10, 40]) == (240, 228, 66)
    assert tuple(picture[9, 40]) == (255, 255, 255)  # the mask fills the box; its outline is just outside


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--point", "-5,3"], "y=-5, x=3 lies outside the image of 60 x 80"),
        (["--point", "60,3"], "outside the image"),
        (["--box", "-20,-20,-10,-10"], "box lies outside"),
        (["--box", "5,5,5,5"], "no area"),
        (["--box", "1,1,9,9", "--box", "2,2,8,8"], "one box, not 2"),
        (["--prompts", "none.json"], "cannot be read"),
    ],
)
def test_prompts_that_cannot_be_used_are_one_line_and_exit_1(run, predictor, image, out, options, words):
    result = run("segment", image, "-o", out, *options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not predictor.loaded  # said before a model is loaded


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--point", "five,3"],
        ["--point", "5"],
        ["--point", "5,3,4"],
        ["--point", "nan,3"],
        ["--box", "1,2,3"],
        ["--point", "5,3", "--contrast-limits", "9,1"],
        ["--point", "5,3", "--no-such-option"],
    ],
)
def test_mistakes_in_options_exit_2(run, predictor, image, out, options):
    result = run("segment", image, "-o", out, *options)
    assert result.exit_code == 2
    assert not predictor.loaded


def test_missing_image_and_folder(run, predictor, image, tmp_path):
    result = run("segment", tmp_path / "none.png", "-o", tmp_path / "out.tif", "--point", "1,1")
    assert (result.exit_code, "There is no file" in result.stderr) == (1, True)
    result = run("segment", image, "-o", tmp_path / "none" / "out.tif", "--point", "1,1")
    assert (result.exit_code, "There is no folder" in result.stderr) == (1, True)


def test_append_to_labels_of_another_image(run, predictor, image, out):
    tifffile.imwrite(out, np.zeros((5, 6), np.uint16))
    result = run("segment", image, "-o", out, "--append", "--point", "20,30")
    assert result.exit_code == 1
    assert "5 x 6 px, the image 60 x 80 px" in result.stderr


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(run, predictor, image, out, place):
    command = ["segment", image, "-o", out, "--point", "-5,3"]
    result = run("--debug", *command) if place == "before" else run(*command, "--debug")
    assert type(result.exception).__name__ == "InputError"
    quiet = run(*command)
    assert isinstance(quiet.exception, SystemExit)


def test_notes_of_the_model_are_said(run, predictor, image, out):
    predictor.notes = ("Boxes only.",)
    result = run("segment", image, "-o", out, "--point", "20,30")
    assert "Note: Boxes only." in result.stderr
    assert "Boxes only" not in result.stdout


def test_bundled_model_segments_a_disc_for_real(run, tmp_path):
    """Not faked: what a person gets minutes after the installation, without a network."""
    y, x = np.mgrid[:200, :300]
    disc = np.hypot(y - 90, x - 120) < 35
    picture = (40 + 150 * disc + np.random.default_rng(0).normal(0, 6, disc.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "disc.png")
    result = run("segment", tmp_path / "disc.png", "-o", tmp_path / "out.tif", "--box", "54,84,126,156")
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(tmp_path / "out.tif") == 1
    assert (labels & disc).sum() / (labels | disc).sum() > 0.8


def test_a_small_object_in_a_large_image_is_seen_at_full_detail(run, tmp_path, out):
    """With the bundled model: shrunk as a whole, this plane would show an object of a pixel or two."""
    y, x = np.ogrid[:5000, :5000]
    truth = (y - 4100) ** 2 + (x - 700) ** 2 <= 8**2
    noise = np.random.default_rng(0).integers(0, 40, (5000, 5000), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "large.tif", noise + np.where(truth, 120, 30).astype(np.uint8))
    result = run("segment", tmp_path / "large.tif", "-o", out, "--point", "4100,700", "--device", "cpu")
    assert result.exit_code == 0, result.output
    found = tifffile.imread(out) == 1
    assert (found & truth).sum() / (found | truth).sum() > 0.8
    assert "in a crop" in result.stdout


def test_the_mask_is_cleaned_up_before_it_is_written(run, predictor, image, out):
    run("segment", image, "-o", out, "--point", "20,30")
    plain = tifffile.imread(out) == 1
    result = run("segment", image, "-o", out, "--force", "--point", "20,30", "--grow", "2", "--fill-holes")
    assert result.exit_code == 0, result.output
    y, x = np.indices(plain.shape)
    distance = np.sqrt(
        ((y[..., None] - np.nonzero(plain)[0]) ** 2 + (x[..., None] - np.nonzero(plain)[1]) ** 2).min(-1)
    )
    np.testing.assert_array_equal(tifffile.imread(out) == 1, distance <= 2)


@pytest.mark.parametrize("option", ["--grow=101", "--smooth=-1", "--threshold=nan"])
def test_shaping_out_of_range_is_a_mistake_in_the_option(run, predictor, image, out, option):
    result = run("segment", image, "-o", out, "--point", "20,30", option)
    assert result.exit_code == 2
    assert not out.exists()
    assert predictor.loaded == []
