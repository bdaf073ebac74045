"""Teaching from a session, with a program in the place of the learning: what it is given, how it goes, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import killed_dock
import numpy as np
import pytest
import tifffile

from fake_engine import FakeEngine
from fake_finetune import STEP, behave
from napari_sam.errors import InputError
from napari_sam.session import Session
from napari_sam.teaching import Teaching, messages, process
from napari_sam.teaching.runs import TeachingRun, find_resumable, propose_name
from napari_sam.training.material import load_material

MINUTE = 60.0


def about(home, name="mine"):
    return json.loads((home / "teaching" / name / "about.json").read_text())


def until(true, teaching):
    """Take news until something is so; a safety net of a minute."""
    limit = time.monotonic() + MINUTE
    while not true():
        teaching._worker.deliver()
        assert time.monotonic() < limit, teaching.state
        time.sleep(0.005)


def begin_hanging(teaching, behaviour="hangs"):
    """Teach until the program says its first words; return what the test kills."""
    behave(teaching, behaviour)
    teaching.teach("mine", 5)
    until(lambda: teaching.state.words == STEP, teaching)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_is_labelled_becomes_a_model(teaching, session, home, squares):
    seen = []
    teaching.changed.connect(lambda state: seen.append((state.stage, state.words, state.fraction)))
    teaching.teach("mine", 5)
    assert teaching.state.stage == "gathering"
    assert teaching.state.busy
    teaching.wait(MINUTE)
    state = teaching.state
    assert (state.stage, state.name, state.kept) == ("done", "mine", True)
    assert state.words.startswith("Better on images that it has not seen")
    assert state.words.endswith("Kept as mine.")
    assert state.rows[0] == ("1 click", 0.5, 0.6)
    assert next(stage for stage, *_ in seen) == "gathering"
    planes = load_material(home / "teaching" / "mine" / "material")
    assert [plane.name for plane in planes] == ["cells, z = 1", "cells, z = 2"]
    assert np.array_equal(planes[0].labels, squares[1])
    # As it is shown: grey values 0 to 200 as black to white.
    assert planes[0].image[squares[1] > 0].max() in (178, 179)  # 140 of 200
    given = about(home)["arguments"]
    for option, value in (("--model", "bundled"), ("--name", "mine"), ("--minutes", "5"), ("--device", "auto")):
        assert given[given.index(option) + 1] == value
    assert "--json" in given
    assert "--keep-worse" not in given
    teaching.use()
    assert session.model == "mine"


def test_the_words_and_the_share_of_the_program_are_passed_on(teaching):
    begin_hanging(teaching)
    assert teaching.state.stage == "running"
    assert teaching.state.fraction == 0.5


def test_planes_are_those_of_the_axes_on_screen(teaching, viewer, home):
    viewer.dims.order = (1, 0, 2)
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    planes = load_material(home / "teaching" / "mine" / "material")
    assert planes[0].name.startswith("cells, y = ")
    assert planes[0].labels.shape == (4, 80)


def test_channels_that_are_seen_together_are_learnt_from_as_they_are_seen(teaching, session, viewer, home, squares):
    image = session.image
    image.colormap = "red"
    # Behind the objects, where the image has nothing.
    other = viewer.add_image(
        (np.where(squares > 0, 0, 50)).astype(np.uint8), contrast_limits=(0, 100), colormap="green", blending="additive"
    )
    session.image = image
    session.channels.choose([image, other])
    session.wait(MINUTE)
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    plane = load_material(home / "teaching" / "mine" / "material")[0]
    inside, outside = squares[1] > 0, squares[1] == 0
    assert (plane.image[inside] == plane.image[inside][0]).all()
    assert plane.image[inside][0].tolist() in ([178, 0, 0], [179, 0, 0])
    assert np.abs(plane.image[outside].astype(int) - (51, 127, 0)).max() <= 1
    # By itself again.
    session.channels.choose([])
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    plane = load_material(home / "teaching" / "mine" / "material")[0]
    assert plane.image[inside][0].tolist() in ([178] * 3, [179] * 3)


def test_the_other_images_of_a_series_are_learnt_from(viewer, tmp_path, squares, home):
    for name in ("a", "b", "c", "d"):
        tifffile.imwrite(tmp_path / f"{name}.tif", (squares[1] > 0).astype(np.uint8) * 100 + ord(name))
    for name in ("b", "c"):
        tifffile.imwrite(tmp_path / f"{name}_labels.tif", squares[1].astype(np.uint16))
    session = Session(viewer, engine_factory=lambda model, device, _progress: FakeEngine(model, device))
    teaching = Teaching(session)
    behave(teaching, "better")
    session.series.open(tmp_path)
    session.wait(MINUTE)
    session.series.mark("skipped")
    session.series.next()
    session.wait(MINUTE)
    session.series.mark("done")
    teaching.watch(True)
    teaching.wait(MINUTE)
    assert teaching.state.source == "9 objects on 1 plane of b.tif, and 1 other labelled image of the series."
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    planes = load_material(home / "teaching" / "mine" / "material")
    assert sorted(plane.name for plane in planes) == ["b.tif", "c.tif"]
    # Somebody works on c, and may not be through with it.
    assert {plane.name: plane.complete for plane in planes}["c.tif"] is False
    session.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no sessions of processes")
def test_the_process_is_apart_and_gives_way(teaching, home):
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    # The priority is set once the process is there, which may be after it has asked.
    assert about(home)["session"] == about(home)["pid"] != os.getsid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="no nice values")
def test_other_programs_go_first(teaching, home):
    begin_hanging(teaching)
    assert os.getpriority(os.PRIO_PROCESS, about(home)["pid"]) > os.getpriority(os.PRIO_PROCESS, 0)


def test_cancel_keeps_what_was_learnt_and_it_goes_on(teaching, home):
    begin_hanging(teaching)
    pid = about(home)["pid"]
    teaching.cancel()
    assert teaching.state.words == messages.STOPPING
    teaching.wait(MINUTE)
    assert not is_alive(pid)
    assert (teaching.state.stage, teaching.state.resumable) == ("stopped", "mine")
    assert "Go on" in teaching.state.words
    teaching.go_on()
    teaching.wait(MINUTE)
    assert teaching.state.stage == "done"
    assert teaching.state.resumable == ""
    with pytest.raises(InputError, match="No teaching was cut"):
        teaching.go_on()  # what is at its end is not gone on with


def test_cancel_while_labels_are_read_leaves_nothing(teaching, home, monkeypatch):
    reading, go = threading.Event(), threading.Event()

    def read(_sources, *, most_planes, progress):
        reading.set()
        go.wait(MINUTE)
        progress(0.5)
        raise AssertionError("it was to stop")

    monkeypatch.setattr("napari_sam.teaching.job.read_material", read)
    teaching.teach("mine", 1)
    assert reading.wait(MINUTE)
    teaching.cancel()
    go.set()
    teaching.wait(MINUTE)
    assert (teaching.state.stage, teaching.state.resumable) == ("stopped", "")
    assert not (home / "teaching" / "mine").exists()


def test_a_program_that_does_not_listen_is_killed(teaching, home, monkeypatch):
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    begin_hanging(teaching, "stubborn")
    pid = about(home)["pid"]
    teaching.cancel()
    teaching.wait(MINUTE)
    assert teaching.state.stage == "stopped"
    assert not is_alive(pid)


@pytest.mark.skipif(sys.platform == "win32", reason="no signal 9")
def test_killed_from_outside_it_goes_on(teaching, home):
    begin_hanging(teaching)
    os.kill(about(home)["pid"], signal.SIGKILL)
    teaching.wait(MINUTE)
    assert teaching.state.stage == "failed"
    assert "signal 9" in teaching.state.words
    assert "Go on" in teaching.state.words
    teaching.go_on()
    teaching.wait(MINUTE)
    assert teaching.state.stage == "done"


def test_closing_in_the_middle_leaves_no_process(teaching, session, home):
    begin_hanging(teaching)
    pid = about(home)["pid"]
    session.close()  # and with it teaching; threads that stay fail the test
    limit = time.monotonic() + MINUTE
    while is_alive(pid):
        assert time.monotonic() < limit
        time.sleep(0.01)
    with pytest.raises(InputError, match="ended"):
        teaching.go_on()


def test_what_is_no_answer_is_passed_over(teaching):
    behave(teaching, "garbage")
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    assert teaching.state.stage == "done"


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("error", "There are fewer than 3 objects. Label some more."),
        ("crash", "Teaching broke off (code 3): RuntimeError: the moon is full. Go on takes it up again."),
        ("silent", "Teaching broke off (code 0)"),
    ],
)
def test_a_failure_is_told_in_words(teaching, behaviour, words):
    behave(teaching, behaviour)
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    assert teaching.state.stage == "failed"
    assert words in teaching.state.words


def test_a_program_that_is_not_there_is_told_in_words(teaching, tmp_path):
    teaching.program = (str(tmp_path / "no-python"),)
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    assert teaching.state.stage == "failed"
    assert "cannot be used" in teaching.state.words


def test_too_few_objects_are_told_before_anything_runs(teaching, session, home):
    session.target.data = np.where(session.target.data == 1, 1, 0)
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    assert teaching.state.stage == "failed"
    assert "object" in teaching.state.words
    assert not (home / "teaching" / "mine" / "about.json").exists()


def test_a_model_that_is_not_better_is_kept_only_when_asked(teaching, home):
    behave(teaching, "worse")
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    assert teaching.state.stage == "done"
    assert not teaching.state.kept
    assert teaching.state.words.endswith("Not kept: your model is as it was.")
    teaching.use()
    assert teaching._session.model == "bundled"
    teaching.keep()
    teaching.wait(MINUTE)
    assert teaching.state.kept
    assert "--keep-worse" in about(home)["arguments"]
    with pytest.raises(InputError, match="not kept"):
        teaching.keep()


def test_a_run_that_was_cut_is_offered_another_day(teaching, session):
    begin_hanging(teaching)
    teaching.cancel()
    teaching.wait(MINUTE)
    teaching.close()
    later = Teaching(session)
    behave(later, "better")
    later.watch(True)
    later.wait(MINUTE)
    assert (later.state.stage, later.state.resumable) == ("idle", "mine")
    assert later.state.words == messages.cut("mine")
    later.go_on()
    later.wait(MINUTE)
    assert later.state.stage == "done"
    later.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signal 9")
def test_where_the_window_is_killed_it_goes_on_after_a_restart(teaching, home):
    path = os.pathsep.join([str(Path(killed_dock.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    window = subprocess.Popen(
        [sys.executable, killed_dock.__file__], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}, text=True
    )
    assert window.stdout is not None
    assert window.stdout.readline() == "learning\n"
    window.kill()
    window.communicate()
    # The real program saves and ends when it says something next, as nobody listens; this one says nothing more.
    os.kill(about(home)["pid"], signal.SIGKILL)
    teaching.watch(True)
    teaching.wait(MINUTE)
    assert teaching.state.resumable == "mine"
    assert teaching.state.words == messages.cut("mine")
    teaching.go_on()
    teaching.wait(MINUTE)
    assert teaching.state.stage == "done"
    assert about(home)["arguments"][-1] == "--json"


def test_what_there_is_to_learn_from_is_counted_anew_after_changes(teaching, session, monkeypatch):
    monkeypatch.setattr("napari_sam.teaching.teaching._REST_S", 0.0)
    teaching.watch(True)
    teaching.wait(MINUTE)
    assert teaching.state.source == "9 objects on 2 planes of cells."
    session.target.data_setitem((np.array([3, 3]), np.array([5, 5]), np.array([70, 71])), 12)
    teaching.wait(MINUTE)
    assert teaching.state.source == "10 objects on 3 planes of cells."
    session.target = None
    teaching.wait(MINUTE)
    assert not teaching.state.has_source
    teaching.watch(False)
    session.new_target()
    assert not teaching._worker.busy()


def test_without_labels_there_is_nothing_to_teach(teaching, session):
    session.target = None
    with pytest.raises(InputError, match="Label some objects first"):
        teaching.teach("mine", 1)
    with pytest.raises(InputError, match="No teaching was cut"):
        teaching.go_on()


@pytest.mark.parametrize("name", ["", "a b", "../up", "-x", "x" * 65, "x.", "a/b"])
def test_names_that_cannot_be_had(teaching, name):
    assert teaching.name_problem(name)
    with pytest.raises(InputError):
        teaching.teach(name, 1)


def test_names_of_models_are_taken(teaching):
    assert "already" in teaching.name_problem("bundled")
    assert "already" in teaching.name_problem("Bundled")
    assert teaching.name_problem("my-cells.v2") == ""


@pytest.mark.parametrize(
    ("image", "name"),
    [("plate 7.ome.tif", "plate-7"), ("bundled", "bundled-2"), ("Zellen µ.png", "Zellen"), ("***", "taught")],
)
def test_a_name_is_made_of_the_images(image, name):
    assert propose_name(image) == name


def test_a_second_try_replaces_what_was_not_kept(teaching, home):
    behave(teaching, "worse")
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    (home / "teaching" / "mine" / "old").write_text("of the first try")
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    assert not (home / "teaching" / "mine" / "old").exists()


def test_only_one_model_is_taught_at_a_time(teaching):
    begin_hanging(teaching)
    with pytest.raises(InputError, match="is being taught"):
        teaching.teach("other", 1)


def test_the_machine_that_the_session_works_with_teaches_too(teaching, session, home):
    session.device = "tcp://lab-gpu:8786"
    session.wait(MINUTE)
    teaching.teach("mine", 1)
    teaching.wait(MINUTE)
    given = about(home)["arguments"]
    assert given[given.index("--device") + 1] == "tcp://lab-gpu:8786"


def test_a_run_on_another_machine_is_offered_another_day(home):
    run = TeachingRun("mine", "bundled", 2.5, "tcp://lab-gpu:8786")
    run.folder.mkdir(parents=True)
    run.save()
    assert not run.resumable
    assert find_resumable() is None
    (run.folder / "remote.json").write_text("{}")
    assert run.resumable
    assert find_resumable() == run
    (run.folder / "report.json").write_text("{}")
    assert find_resumable() is None


def test_a_run_says_what_it_is(home):
    run = TeachingRun("mine", "bundled", 2.5, "cpu")
    assert run.folder == home / "teaching" / "mine"
    assert run.arguments()[-3:] == ["--device", "cpu", "--json"]
    assert not run.resumable
