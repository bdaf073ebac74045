from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from napari_sam.evaluation.synthetic_volumes import synthetic_volume
from stack_scenery import BrightEngine, stack, truth

SAME = (16, 20, 6)


@pytest.fixture
def engine(monkeypatch):
    from napari_sam.inference.engine import Engine

    fake = BrightEngine()
    fake.predictor.notes = ()
    monkeypatch.setattr(Engine, "load", lambda *_, **__: fake)
    return fake


@pytest.fixture
def drifting(tmp_path):
    """A stack of nine planes on which a disc drifts; it is gone on the last two."""
    planes = stack(*((12 + k, 15 + k, 6) for k in range(7)), None, None)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path, planes.data, imagej=True, resolution=(4.0, 4.0), metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    )
    return path, planes


def test_writes_the_object_with_the_spacing_of_the_stack(run, engine, drifting, tmp_path):
    path, planes = drifting
    result = run("propagate", path, "--point", "3,15,18", "-o", tmp_path / "labels.tif", "--label", 7)
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(tmp_path / "labels.tif")
    assert np.array_equal(labels, np.where(planes.data > 100, 7, 0))
    from napari_sam.io.stacks import open_stack

    with open_stack(tmp_path / "labels.tif") as written, open_stack(path) as source:
        assert written.spacing == pytest.approx(source.spacing)
        assert written.units == source.units
    assert "Up: stopped at z = 7: the object is not there any more." in result.stdout
    assert "Down: stopped at z = -1: the range ends there." in result.stdout
    assert os.listdir(tmp_path).count("labels.tif.part") == 0


def test_json(run, engine, drifting, tmp_path, read_json):
    path, planes = drifting
    found = read_json(run("propagate", path, "--point", "3,15,18", "-o", tmp_path / "labels.tif", "--json").stdout)
    assert [plane["plane"] for plane in found["planes"]] == list(range(7))
    assert [plane["annotated"] for plane in found["planes"]] == [k == 3 for k in range(7)]
    assert found["planes"][0]["area"] == truth(planes, 0).sum()
    assert {ending["reason"] for ending in found["endings"]} == {"empty", "range-end"}


def test_a_range_and_a_stop_mark(run, engine, drifting, tmp_path, read_json):
    path, _ = drifting
    arguments = ("--point", "3,15,18", "--point", "5,17,20,-", "--range", "2:7", "--json")
    found = read_json(run("propagate", path, *arguments, "-o", tmp_path / "labels.tif").stdout)
    assert [plane["plane"] for plane in found["planes"]] == [2, 3, 4]
    assert {ending["reason"] for ending in found["endings"]} == {"mark", "range-end"}


def test_clicks_on_one_plane_belong_together_and_several_planes_count(run, engine, drifting, tmp_path, read_json):
    path, _ = drifting
    arguments = ("--point", "1,13,16", "--point", "1,2,2,-", "--box", "5,10,13,25,28", "--json")
    found = read_json(run("propagate", path, *arguments, "-o", tmp_path / "labels.tif").stdout)
    assert [plane["plane"] for plane in found["planes"] if plane["annotated"]] == [1, 5]
    assert len(engine.asked[0][1].points) == 2
    assert engine.asked[1][1].box is not None
    assert [ending["reason"] for ending in found["endings"]].count("met") == 2


def test_other_axes(run, engine, drifting, tmp_path):
    path, planes = drifting
    for axis, point in ((1, "3,15,18"), ("x", "3,15,18")):
        output = tmp_path / f"labels{axis}.tif"
        result = run("propagate", path, "--point", point, "--axis", axis, "-o", output)
        assert result.exit_code == 0, result.output
        labels = tifffile.imread(output)
        assert labels.shape == planes.data.shape
        assert labels[3, 15, 18]
        assert not labels[planes.data < 100].any()


def test_time_and_depth(run, engine, tmp_path):
    data = np.zeros((3, 4, 32, 40), np.uint8)
    data[1] = stack(*[SAME] * 4).data
    data[2, 2] = stack(SAME).data[0]
    path = tmp_path / "stack.npy"
    np.save(path, data)
    assert run("propagate", path, "--point", "1,2,16,20", "-o", tmp_path / "z.tif").exit_code == 0
    labels = tifffile.imread(tmp_path / "z.tif")
    assert np.array_equal(labels[1] > 0, data[1] > 0)
    assert not labels[[0, 2]].any()
    assert run("propagate", path, "--point", "1,2,16,20", "--axis", "t", "-o", tmp_path / "t.tif").exit_code == 0
    labels = tifffile.imread(tmp_path / "t.tif")
    assert labels[1:, 2].any(axis=(1, 2)).all()
    assert not labels[:, [0, 1, 3]].any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "at least one --point"),
        (("--point", "3,15"), "a coordinate per axis of the stack, Z,Y,X"),
        (("--point", "a,b,c"), "numbers with commas"),
        (("--point", "9,15,18"), "z = 9 lies outside"),
        (("--point", "3,15,99"), "outside the image"),
        (("--point", "3,15,18,-"), "No plane has the object"),
        (("--box", "3,1,1,5"), "5 numbers"),
        (("--point", "3,15,18", "--axis", "t"), "There is no axis t"),
        (("--point", "3,15,18", "--range", "7:2"), "A:B"),
        (("--point", "3,15,18", "--strategy", "magic"), "There is no strategy 'magic'"),
        (("--point", "0,12,15", "--range", "3:5"), "outside --range"),
        (("--point", "3,1,1"), "finds no object on plane 3"),
    ],
)
def test_mistakes_are_told_in_words(run, engine, drifting, tmp_path, arguments, words):
    result = run("propagate", drifting[0], *arguments, "-o", tmp_path / "labels.tif", env={"COLUMNS": "300"})
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert sorted(os.listdir(tmp_path)) == ["napari-sam-home", "stack.tif"] or os.listdir(tmp_path) == ["stack.tif"]


def test_prompts_at_different_times_are_refused(run, engine, tmp_path):
    np.save(tmp_path / "stack.npy", np.zeros((3, 4, 32, 40), np.uint8))
    arguments = ("--point", "1,2,16,20", "--point", "2,2,16,20", "-o", tmp_path / "labels.tif")
    result = run("propagate", tmp_path / "stack.npy", *arguments)
    assert result.exit_code == 1
    assert "The prompts differ in t." in result.output


@pytest.mark.parametrize(
    ("name", "words"), [("labels.jpg", "labels are written as"), ("no/labels.tif", "no folder"), ("stack.tif", "image")]
)
def test_outputs_that_cannot_be_written_are_refused_before_the_work(run, engine, drifting, tmp_path, name, words):
    result = run("propagate", drifting[0], "--point", "3,15,18", "-o", tmp_path / name, "--force")
    assert result.exit_code == 1
    assert words in result.output
    assert not engine.asked


def test_does_not_overwrite(run, engine, drifting, tmp_path):
    output = tmp_path / "labels.tif"
    output.write_bytes(b"precious")
    result = run("propagate", drifting[0], "--point", "3,15,18", "-o", output)
    assert result.exit_code == 1
    assert "--force" in result.output
    assert output.read_bytes() == b"precious"
    assert run("propagate", drifting[0], "--point", "3,15,18", "-o", output, "--force").exit_code == 0
    assert tifffile.imread(output).any()


class TestCutShort:
    def cut(self, run, engine, drifting, tmp_path, after):
        """Run until the model was asked so many times, then press Ctrl-C."""
        answer = engine.predict

        def predict(*arguments, **options):
            if len(engine.asked) >= after:
                raise KeyboardInterrupt
            return answer(*arguments, **options)

        engine.predict = predict
        result = run("propagate", drifting[0], "--point", "3,15,18", "-o", tmp_path / "labels.tif")
        engine.predict = answer
        engine.asked.clear()
        return result

    def test_the_same_command_goes_on(self, run, engine, drifting, tmp_path):
        result = self.cut(run, engine, drifting, tmp_path, after=4)
        assert result.exit_code == 130
        assert "3 results are kept" in result.output
        assert not (tmp_path / "labels.tif").exists()
        result = run("propagate", drifting[0], "--point", "3,15,18", "-o", tmp_path / "labels.tif")
        assert result.exit_code == 0, result.output
        assert "Going on after 3 results" in result.output
        assert len(engine.asked) == 1 + 4  # the annotated plane, three planes that are left, and one too many
        assert np.array_equal(tifffile.imread(tmp_path / "labels.tif") > 0, drifting[1].data > 100)

    def test_before_the_first_result_nothing_is_kept(self, run, engine, drifting, tmp_path):
        result = self.cut(run, engine, drifting, tmp_path, after=1)
        assert result.exit_code == 130
        assert "Nothing was written." in result.output
        assert sorted(path.suffix for path in tmp_path.glob("*.*")) == [".tif"]

    def test_a_line_that_was_cut_short_is_done_again(self, run, engine, drifting, tmp_path):
        self.cut(run, engine, drifting, tmp_path, after=4)
        part = tmp_path / "labels.tif.part"
        part.write_bytes(part.read_bytes()[:-20])
        result = run("propagate", drifting[0], "--point", "3,15,18", "-o", tmp_path / "labels.tif")
        assert "Going on after 2 results" in result.output
        assert np.array_equal(tifffile.imread(tmp_path / "labels.tif") > 0, drifting[1].data > 100)

    def test_another_command_does_not_go_on_with_it(self, run, engine, drifting, tmp_path):
        self.cut(run, engine, drifting, tmp_path, after=4)
        part = (tmp_path / "labels.tif.part").read_bytes()
        other = ("propagate", drifting[0], "--point", "3,16,18", "-o", tmp_path / "labels.tif")
        result = run(*other)
        assert result.exit_code == 1
        assert "another command" in result.output
        assert (tmp_path / "labels.tif.part").read_bytes() == part
        assert run(*other, "--force").exit_code == 0


@pytest.mark.slow
def test_goes_on_after_kill_9(tmp_path, home):
    volume = synthetic_volume("vessels", 0, (10, 40, 40))
    np.save(tmp_path / "stack.npy", volume.image)
    label = np.bincount(volume.labels.ravel())[1:].argmax() + 1
    z, y, x = np.argwhere(volume.labels == label)[np.count_nonzero(volume.labels == label) // 2]
    output, part = tmp_path / "labels.tif", tmp_path / "labels.tif.part"
    arguments = [tmp_path / "stack.npy", "--point", f"{z},{y},{x}", "--device", "cpu", "-o", output]
    command = [sys.executable, "-c", "from napari_sam.cli import app; app()", "propagate", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not (part.exists() and part.read_bytes().count(b"\n") > 2):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    kept = part.read_bytes()
    kept = kept[: kept.rindex(b"\n") + 1]
    subprocess.run(command, check=True, timeout=200, stdout=subprocess.DEVNULL)
    assert not part.exists()
    found = tifffile.imread(output) > 0
    assert np.count_nonzero(found.any(axis=(1, 2))) > kept.count(b"mask")
    from napari_sam.journal import decode_mask

    for line in kept.splitlines()[1:]:
        if "mask" in (step := json.loads(line)):
            assert np.array_equal(found[step["index"]], decode_mask(step["mask"]))


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_neither_labels_nor_what_is_kept_of_them_take_the_place_of_an_input(run, engine, drifting, tmp_path, options):
    path, _ = drifting
    before = path.read_bytes()
    os.link(path, tmp_path / "hard.tif")
    os.link(path, tmp_path / "labels.tif.part")
    (tmp_path / "soft.tif.part").symlink_to(path)
    for output in (path, tmp_path / "hard.tif", tmp_path / "labels.tif", tmp_path / "soft.tif"):
        result = run("propagate", path, "--point", "3,15,18", "-o", output, *options)
        assert result.exit_code == 1, result.output
        assert "itself" in result.stderr
        assert path.read_bytes() == before


@pytest.mark.parametrize("options", [[], ["--force"]])
@pytest.mark.parametrize("name", ["labels.tif.part", "labels.zarr"])
def test_what_is_something_else_is_not_replaced(run, engine, drifting, tmp_path, name, options):
    path, _ = drifting
    if name.endswith(".part"):
        mine, output = tmp_path / name, tmp_path / "labels.tif"
    else:
        (tmp_path / name).mkdir()
        mine, output = tmp_path / name / "notes.txt", tmp_path / name
    mine.write_text("something of mine")
    result = run("propagate", path, "--point", "3,15,18", "-o", output, *options)
    assert (result.exit_code, "something else" in result.stderr) == (1, True)
    assert mine.read_text() == "something of mine"
    assert not engine.asked


def test_a_part_that_was_cut_in_its_first_line_starts_anew(run, engine, drifting, tmp_path):
    path, _ = drifting
    (tmp_path / "labels.tif.part").write_text('{"format":"napari-sam-pro')
    assert run("propagate", path, "--point", "3,15,18", "-o", tmp_path / "labels.tif").exit_code == 0
