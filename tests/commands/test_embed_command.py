from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import fakes
from fakes import BrightnessModel
from napari_sam.cache.disk import DiskStore
from napari_sam.cache.file_format import read_entry
from napari_sam.inference.engine import Engine
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

SCRIPT = f"""
import sys, time
sys.path.insert(0, {os.path.dirname(fakes.__file__)!r})
import napari_sam.inference.engine
from fakes import BrightnessModel
from napari_sam.cli import app
from napari_sam.predictor import Predictor

class Slow(BrightnessModel):
    def encode(self, pixels, progress):
        time.sleep(0.05)
        return super().encode(pixels, progress)

napari_sam.inference.engine.load_predictor = lambda *_args, **_more: Predictor(Slow(), "weights")
app()
"""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> BrightnessModel:
    """The model that the command gets, whatever it asks for."""
    fake = BrightnessModel()
    monkeypatch.setattr(
        "napari_sam.inference.engine.load_predictor", lambda *_args, **_more: Predictor(fake, "weights")
    )
    return fake


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(50, 4000, (6, 20, 30)).astype(np.uint16)


@pytest.fixture
def stack(tmp_path: Path, volume: np.ndarray) -> Path:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, volume, imagej=True, metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def embed(run: Callable[..., Result], read_json: Callable) -> Callable[..., dict]:
    """Run `napari-sam embed` and give what it says in JSON."""

    def call(*arguments: object) -> dict:
        result = run("embed", *arguments, "--json")
        assert result.exit_code == 0, result.output
        return read_json(result.stdout)

    return call


def entries(home: Path) -> list[Path]:
    folder = home / "embeddings"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_it_fills_the_cache_once(run, stack, home, model):
    first = run("embed", stack)
    assert first.exit_code == 0, first.output
    assert "6 of 6 planes embedded" in first.stdout
    assert str(home / "embeddings") in first.stdout
    assert len(entries(home)) == 6
    again = run("embed", stack)
    assert "0 of 6 planes embedded" in again.stdout
    assert "6 were there before" in again.stdout
    assert model.encoded == 6


def test_a_damaged_entry_is_made_again(embed, stack, home, model):
    embed(stack)
    damaged = entries(home)[2]
    damaged.write_bytes(damaged.read_bytes()[:100])
    said = embed(stack)
    assert (said["embedded"], said["there_before"]) == (1, 5)
    for path in entries(home):
        read_entry(path, path.stem)


def test_the_dock_finds_what_was_embedded_ahead(embed, stack, volume, model):
    components = pytest.importorskip("napari.components")
    from napari_sam.session import Session

    embed(stack)
    viewer = components.ViewerModel()
    viewer.add_image(volume)
    session = Session(viewer, engine_factory=lambda *_: Engine(Predictor(model, "weights")))
    try:
        for plane in range(6):
            viewer.dims.set_current_step(0, plane)
            session.points.add((plane, 8, 8))
            session.wait(60)
            assert session.state.candidates
    finally:
        session.close()
    assert model.encoded == 6


def test_the_window_can_be_said(embed, stack, volume, model):
    embed(stack, "--contrast", "100,900", "--range", "2:3")
    engine = Engine(Predictor(model, "weights"))
    assert [engine.is_cached(Plane(plane, (100, 900))) for plane in volume] == [False, False, True, False, False, False]


@pytest.mark.parametrize("axis", ["1", "y"])
def test_planes_along_another_axis(axis, embed, stack, volume, model):
    assert embed(stack, "--axis", axis)["planes"] == 20
    engine = Engine(Predictor(model, "weights"))
    limits = float(volume.min()), float(volume.max())
    assert all(engine.is_cached(Plane(volume[:, y], limits)) for y in range(20))


def test_more_axes_are_gone_through_or_fixed(embed, tmp_path, model):
    movie = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 20, 30)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", movie, imagej=True, metadata={"axes": "TZCYX"})
    assert embed(tmp_path / "movie.tif", "--at", "c=1", "--axis", "t", "--range", ":1")["planes"] == 3
    engine = Engine(Predictor(model, "weights"))
    assert all(engine.is_cached(Plane(movie[0, z, 1], (0, 255))) for z in range(3))
    assert model.encoded == 3
    assert embed(tmp_path / "movie.tif")["planes"] == 24


def test_a_single_plane_and_colour(embed, tmp_path, model, volume):
    tifffile.imwrite(tmp_path / "plane.tif", volume[0])
    assert embed(tmp_path / "plane.tif")["planes"] == 1
    colour = np.random.default_rng(0).integers(0, 255, (4, 20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "colour.tif", colour, photometric="rgb")
    assert embed(tmp_path / "colour.tif")["planes"] == 4
    engine = Engine(Predictor(model, "weights"))
    assert engine.is_cached(Plane(volume[0]))
    assert all(engine.is_cached(Plane(plane)) for plane in colour)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--axis", "3"], "0 to 2"),
        (["--axis", "t"], "z, y, x"),
        (["--range", "4"], "A:B"),
        (["--range", "4:2"], "A < B"),
        (["--range", "4:7"], "<= 6"),
        (["--range", "a:b"], "A:B"),
        (["--at", "y=1"], "planes lie in that axis"),
        (["--at", "z=1"], "follow each other"),
        (["--at", "q=1"], "no axis q"),
    ],
)
def test_planes_that_are_not_there(options, words, run, stack, model):
    result = run("embed", stack, *options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert model.encoded == 0


def test_options_that_are_none(run, stack, tmp_path, volume):
    assert run("embed", stack, "--at", "z").exit_code == 2
    assert run("embed", stack, "--contrast", "9,1").exit_code == 2
    tifffile.imwrite(tmp_path / "plane.tif", volume[0])
    result = run("embed", tmp_path / "plane.tif", "--range", "0:1")
    assert "single plane" in result.stderr


def test_what_does_not_fit_is_not_begun(run, stack, home, model):
    assert run("cache", "limit", "5kB").exit_code == 0
    result = run("embed", stack)
    assert result.exit_code == 1
    assert "napari-sam cache limit" in result.stderr
    assert model.encoded == 1


def test_a_full_disk_is_an_error_here(run, stack, monkeypatch, model):
    written = []

    def fill(path, packed):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        path.write_bytes(b"")

    monkeypatch.setattr("napari_sam.cache.disk.write_entry", fill)
    result = run("embed", stack)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert "2 of 6 planes are in the cache" in result.stderr


def test_planes_that_are_seen_through_crops_are_refused(run, stack, monkeypatch, model):
    monkeypatch.setattr("napari_sam.planes.fits", lambda *_: False)
    result = run("embed", stack)
    assert result.exit_code == 1
    assert "crops around the prompts" in result.stderr
    assert model.encoded == 0


def test_without_a_cache_there_is_nothing_to_fill(run, stack, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM_CACHE", "off")
    for command in (("embed", stack), ("cache", "info"), ("cache", "clear")):
        result = run(*command)
        assert result.exit_code == 1
        assert "NAPARI_SAM_CACHE" in result.stderr


def test_ctrl_c_says_how_far_it_came(run, stack, home, monkeypatch, model):
    encode = model.encode

    def interrupted(pixels, progress):
        if model.encoded == 2:
            raise KeyboardInterrupt
        return encode(pixels, progress)

    monkeypatch.setattr(model, "encode", interrupted)
    result = run("embed", stack)
    assert result.exit_code == 130
    assert "2 of 6 planes are in the cache" in result.stderr
    assert len(entries(home)) == 2


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_in_the_middle_it_leaves_a_sound_cache_and_goes_on(embed, tmp_path, home, model):
    count = 60
    planes = np.random.default_rng(0).integers(0, 255, (count, 300, 400)).astype(np.uint8)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, planes, photometric="minisblack")
    with subprocess.Popen([sys.executable, "-c", SCRIPT, "embed", str(path)]) as process:
        deadline = time.monotonic() + 120
        while len(entries(home)) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    whole = [entry for entry in entries(home) if entry.suffix == ".embedding"]
    assert 0 < len(whole) < count
    for entry in whole:
        read_entry(entry, entry.stem)
    said = embed(path)
    assert (said["planes"], said["there_before"], said["embedded"]) == (count, len(whole), count - len(whole))
    assert model.encoded == count - len(whole)
    assert DiskStore(home / "embeddings").usage().count == count


def test_cache_info_limit_and_clear(run, embed, stack, home, read_json, model):
    embed(stack)
    used = sum(path.stat().st_size for path in entries(home))
    about = read_json(run("cache", "info", "--json").stdout)
    assert (about["folder"], about["embeddings"], about["bytes"]) == (str(home / "embeddings"), 6, used)
    assert run("cache", "limit", f"{used - 1} bytes").exit_code == 0
    text = run("cache", "info").stdout
    assert re.search(r": [1-5] embeddings, ", text)
    assert run("cache", "limit", "default").exit_code == 0
    assert read_json(run("cache", "info", "--json").stdout)["limit"] > used
    assert run("cache", "limit", "much").exit_code == 1
    kept = len(list((home / "embeddings").glob("*.embedding")))
    assert run("cache", "clear", input="n\n").exit_code == 1
    assert len(list((home / "embeddings").glob("*.embedding"))) == kept
    result = run("cache", "clear", "--yes")
    assert f"{kept} embeddings deleted" in result.stdout
    assert not list((home / "embeddings").glob("*.embedding"))


def test_the_documents_explain_every_option():
    import typer

    from napari_sam.cli import app

    command = typer.main.get_command(app).commands["embed"]
    real = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    section = text.partition("\n## embed")[2].partition("\n## ")[0]
    explained = set(re.findall(r"`(--[a-z-]+)", section.partition("|---|")[2]))
    assert explained == real - {"--debug"}
