"""How far a data set is, as the dock shows it, and the data set that is written at the end."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from session_scenery import DISCS, accept, discs

from napari_sam.datasets.surveys import survey
from napari_sam.errors import InputError
from napari_sam.teaching.runs import last_report
from napari_sam.teaching.stages import AnnotationProgress


@pytest.fixture
def follow():
    """Follow the data set of a session."""
    made = []

    def start(session):
        made.append(AnnotationProgress(session))
        made[-1].watch(True)
        made[-1].wait()
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "plate"
    place.mkdir()
    for number in range(1, 4):
        tifffile.imwrite(place / f"cell{number}.tif", discs(high=200 + number))
    return place


@pytest.fixture
def series(viewer, open_session, folder):
    session = open_session()
    session.series.open(folder)
    session.wait(60)
    return session


def report(name, after, home, kept=True):
    """Leave the report of a run of teaching."""
    measures = {"1 click": 0.594, "box": 0.8, "AP@50": 0.32}
    place = home / "teaching" / name
    place.mkdir(parents=True)
    told = {
        "base": "bundled", "minutes": 5, "steps": 70, "planes": 3, "objects": 50, "split": "", "strength": 1.0,
        "before": measures, "after": measures | after, "samples_before": {}, "samples_after": {},
        "better": kept, "kept": kept, "verdict": "",
    }  # fmt: skip
    (place / "report.json").write_text(json.dumps(told))


def test_images_that_are_done_and_objects_at_each_stage(series, follow):
    accept(series, DISCS[0])
    series.series.done()
    series.wait(60)
    series.series.skip()
    series.wait(60)
    progress = follow(series)
    assert progress.state.done == "1 of 3 images done, 1 skipped."
    assert [(row.name, row.objects) for row in progress.state.rows] == [
        ("By hand", 1),
        ("Accepted", 0),
        ("Corrected", 0),
        ("Rejected", 0),
    ]


def test_counts_follow_while_somebody_looks(series, follow, monkeypatch):
    monkeypatch.setattr("napari_sam.teaching.stages.progress._REST_S", 0.0)
    progress = follow(series)
    assert progress.state.rows[0].objects == 0
    accept(series, DISCS[0])
    progress.wait()
    assert progress.state.rows[0].objects == 1
    progress.watch(False)
    accept(series, DISCS[1])
    progress.wait()
    assert progress.state.rows[0].objects == 1


def test_planes_of_a_stack_that_are_annotated(viewer, open_session, follow):
    viewer.add_image(np.stack([discs()] * 5), name="stack")
    viewer.dims.set_current_step(0, 2)
    session = open_session()
    session.wait(60)
    accept(session, (2, *DISCS[0]))
    assert follow(session).state.done == "1 of 5 planes annotated."


def test_what_the_last_teaching_brought(series, follow, home):
    assert follow(series).state.taught == ""
    report("my-cells", {"1 click": 0.699, "AP@50": 0.491}, home)
    progress = follow(series)
    assert progress.state.taught == "Last teaching, my-cells: 1 click .59 → .70, AP@50 .32 → .49."
    (home / "teaching" / "broken").mkdir()
    (home / "teaching" / "broken" / "report.json").write_text("{")
    assert last_report()[0] == "my-cells"


def test_the_data_set_is_written_with_a_card(series, follow, folder, tmp_path):
    accept(series, DISCS[0])
    accept(series, DISCS[1])
    series.series.done()
    series.wait(60)
    accept(series, DISCS[0])  # not saved yet
    progress = follow(series)
    out = tmp_path / "out"
    out.mkdir()
    for name in ("plate-sa1b", "plate-sa1b-2"):
        progress.write(out)
        assert progress.state.writing
        progress.wait()
        assert progress.state.words == f"2 images with 3 objects in {out / name}."
        assert not progress.state.writing
        [*files] = survey(out / name)
        assert [fault for one in files for fault in one.faults] == []
        assert sorted(one.objects for one in files) == [1, 2]
        assert (out / name / "cell1.tif").read_bytes() == (folder / "cell1.tif").read_bytes()
    card = (out / "plate-sa1b" / "README.md").read_text()
    assert "2 images with 3 masks" in card
    assert "series of 3 images, 1 were marked as done, 0 skipped" in card
    assert "| By hand | 3 |" in card


def test_planes_of_a_stack_become_images(viewer, open_session, follow, tmp_path):
    viewer.add_image(np.stack([discs(high=100 + step) for step in range(4)]), name="stack.tif")
    session = open_session()
    session.wait(60)
    for plane in (1, 3):
        viewer.dims.set_current_step(0, plane)
        session.wait(60)
        accept(session, (plane, *DISCS[0]))
    progress = follow(session)
    progress.write(tmp_path)
    progress.wait()
    place = tmp_path / "stack-sa1b"
    assert sorted(path.name for path in place.glob("*.tif")) == ["stack_0001.tif", "stack_0003.tif"]
    assert tifffile.imread(place / "stack_0003.tif").max() == 103


def test_without_labels_nothing_is_written(viewer, open_session, follow, tmp_path):
    viewer.add_image(discs(), name="cells")
    session = open_session()
    session.wait(60)
    progress = follow(session)
    with pytest.raises(InputError, match="Label some objects"):
        progress.write(tmp_path)
    session.new_target()
    progress.write(tmp_path)
    progress.wait()
    assert progress.state.words == "No image has objects yet. Label some first."
    assert list(tmp_path.glob("*sa1b*")) == []
