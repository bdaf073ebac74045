"""What is never written over: inputs under any name, what is no regular file, and what is there without --force."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.prompts import PointPrompt, PromptSet


@pytest.fixture
def image(tmp_path):
    """Write an image that passes for labels, too."""
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8))
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "labels.tif"


def other_names(path):
    """Give every way to say a file: its name, a detour, a link, a hard link, a link in another folder."""
    folder = path.parent / "sub"
    folder.mkdir()
    (folder / "link.tif").symlink_to(path)
    os.link(path, folder / "hard.tif")
    (path.parent / "again").symlink_to(path.parent)
    return [
        path,
        folder / ".." / path.name,
        folder / "link.tif",
        folder / "hard.tif",
        path.parent / "again" / path.name,
    ]


@pytest.mark.parametrize("options", [[], ["--force"], ["--append"], ["--append", "--force"]])
def test_the_image_is_never_the_output(run, predictor, image, options):
    before = image.read_bytes()
    for name in other_names(image):
        result = run("segment", image, "-o", name, "--point", "20,30", *options)
        assert result.exit_code == 1
        assert "never written to" in result.stderr
        assert image.read_bytes() == before
    assert not predictor.loaded


@pytest.mark.parametrize("options", [[], ["--force"], ["--append"]])
def test_the_image_is_never_the_overlay(run, predictor, image, out, options):
    before = image.read_bytes()
    for name in other_names(image):
        result = run("segment", image, "-o", out, "--overlay", name, "--point", "20,30", *options)
        assert result.exit_code == 1
        assert "never written to" in result.stderr
        assert image.read_bytes() == before
    assert not out.exists()


def test_prompts_and_checkpoints_are_never_the_output(run, predictor, image, out, tmp_path):
    prompts, model = tmp_path / "prompts.tif", tmp_path / "model.tif"
    prompts.write_text(PromptSet((PointPrompt((20, 30)),)).to_json())
    model.write_bytes(b"weights")
    for name in (prompts, model):
        before = name.read_bytes()
        for where in (["-o", name], ["-o", out, "--overlay", name]):
            result = run("segment", image, "--prompts", prompts, "--model", model, "--force", *where)
            assert (result.exit_code, "never written to" in result.stderr) == (1, True)
        assert name.read_bytes() == before


def test_an_overlay_that_is_there_is_not_lost_by_accident(run, predictor, image, out, tmp_path):
    overlay = tmp_path / "figure.png"
    overlay.write_bytes(b"precious")
    for options in ([], ["--append"]):
        result = run("segment", image, "-o", out, "--overlay", overlay, "--point", "20,30", *options)
        assert result.exit_code == 1
        assert f"{overlay} exists" in result.stderr and "--force" in result.stderr
        assert overlay.read_bytes() == b"precious"
        assert not out.exists()
    assert not predictor.loaded
    assert run("segment", image, "-o", out, "--overlay", overlay, "--point", "20,30", "--force").exit_code == 0
    with Image.open(overlay) as picture:
        assert picture.size == (80, 60)


@pytest.mark.parametrize("options", [[], ["--force"], ["--append"]])
@pytest.mark.parametrize("kind", ["pipe", "link to nothing", "link to a pipe", "folder"])
def test_only_regular_files_are_written(run, predictor, image, out, tmp_path, kind, options):
    pipe, odd = tmp_path / "pipe.tif", tmp_path / "odd.tif"
    os.mkfifo(pipe)
    match kind:
        case "pipe":
            os.mkfifo(odd)
        case "link to nothing":
            odd.symlink_to(tmp_path / "nothing")
        case "link to a pipe":
            odd.symlink_to(pipe)
        case "folder":
            odd.mkdir()
    before = os.lstat(odd)
    for where in (["-o", odd], ["-o", out, "--overlay", odd]):
        result = run("segment", image, *where, "--point", "20,30", *options)
        assert result.exit_code == 1, result.output
        assert result.stderr.startswith(f"Error: {odd} ")
        assert os.lstat(odd).st_ino == before.st_ino
        assert not out.exists()
    assert not predictor.loaded


def test_one_file_is_not_two_outputs(run, predictor, image, out):
    result = run("segment", image, "-o", out, "--overlay", out, "--point", "20,30")
    assert (result.exit_code, "both" in result.stderr) == (1, True)
    assert not out.exists()


@pytest.mark.parametrize("name", ["o.png", "o.jpg", "o", "o.npy", "o.tif.gz"])
def test_labels_are_of_the_kind_that_their_name_says(run, predictor, image, tmp_path, name):
    result = run("segment", image, "-o", tmp_path / name, "--point", "20,30")
    assert (result.exit_code, "written as .tif" in result.stderr) == (1, True)
    assert not (tmp_path / name).exists()
    assert not predictor.loaded


@pytest.mark.parametrize("name", ["o.pdf", "o", "o.gif"])
def test_overlays_are_of_the_kind_that_their_name_says(run, predictor, image, out, tmp_path, name):
    result = run("segment", image, "-o", out, "--overlay", tmp_path / name, "--point", "20,30")
    assert (result.exit_code, "written as .png" in result.stderr) == (1, True)
    assert not out.exists()


def test_names_may_be_as_long_as_the_disk_allows(run, predictor, image, tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    for length in (251, longest):
        labels, overlay = tmp_path / ("l" * (length - 4) + ".tif"), tmp_path / ("o" * (length - 4) + ".png")
        result = run("segment", image, "-o", labels, "--overlay", overlay, "--point", "20,30")
        assert result.exit_code == 0, result.output
        assert tifffile.imread(labels).max() == 1
    result = run("segment", image, "-o", tmp_path / ("l" * (longest - 3) + ".tif"), "--point", "20,30")
    assert (result.exit_code, "shorter name" in result.stderr) == (1, True)


def test_damaged_labels_to_append_to_are_one_line(run, predictor, image, out):
    tifffile.imwrite(out, np.zeros((60, 80), np.uint16), compression="zlib")
    whole = out.read_bytes()
    for damaged in (b"", whole[:20], whole[:-40], b"II*\0" + b"\xff" * 40):
        out.write_bytes(damaged)
        result = run("segment", image, "-o", out, "--append", "--point", "20,30")
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
        assert out.read_bytes() == damaged
