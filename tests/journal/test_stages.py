"""How far a data set is, and how fast its objects came about, by the journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from napari_sam.journal import Journal
from napari_sam.journal.notes.decisions import DECIDED, ImageIdentity, StageCounts, decided_fields
from napari_sam.journal.notes.stages import StagePace, read_stages

IMAGE = ImageIdentity("image cells", "/data/cells.tif")


class Clock(datetime):
    """Tells the time that a test says."""

    current = datetime(2026, 1, 1, tzinfo=UTC)

    @classmethod
    def now(cls, tz=None):
        return cls.current


@pytest.fixture
def journal(tmp_path, monkeypatch):
    Clock.current = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr("napari_sam.journal.writing.datetime", Clock)
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def target(name="cells", layer="labels"):
    identity = {"source": f"/data/{name}.tif", "image": f"image {name}", "layer": f"{layer} {name}"}
    return {"image": name, "identity": identity, "shape": [4, 10, 10], "target": "labels"}


def write(journal, label, after, kind="accepted", mode="", plane=0, **where):
    """Write a record so many seconds after the last one."""
    Clock.current += timedelta(seconds=after)
    more = {"found": {"mode": mode}} if mode else {}
    return journal.add(kind, **target(**where), label=label, plane={"index": [plane, None, None]}, **more)


def decide(journal, labels, after, rejected=0):
    """Accept proposals at once, and reject others."""
    for number, label in enumerate(labels):
        write(journal, label, 0.01 if number else after, mode="auto")
    proposals = [(label, (0.5,)) for label in labels] + [(0, (0.1,))] * rejected
    journal.add(
        DECIDED, **target(), model="bundled", mode="auto", **decided_fields(("score",), proposals, (0, None, None))
    )


def read(journal, image=IMAGE):
    return read_stages(journal.database, image)


def test_objects_per_minute_at_each_stage(journal):
    write(journal, 1, 0)
    for label in (2, 3, 4):
        write(journal, label, 10)
    decide(journal, range(5, 25), after=30, rejected=4)
    write(journal, 7, 15)
    write(journal, 8, 5, kind="erased")
    found = read(journal)
    assert found.counts == StageCounts(by_hand=4, accepted=18, corrected=1, rejected=5, missed=4)
    # Of the first one nobody knows how long it took; what is deleted takes time, too.
    assert found.pace["by_hand"] == StagePace(3, 30.0)
    assert found.pace["accepted"].objects == 20
    assert found.pace["accepted"].seconds == pytest.approx(30.19, abs=0.05)
    assert found.pace["corrected"].objects == 1
    assert found.pace["by_hand"].per_minute == pytest.approx(6)


def test_pauses_are_left_out_with_what_came_of_them(journal):
    write(journal, 1, 0)
    write(journal, 2, 120)
    write(journal, 3, 121)
    decide(journal, range(4, 14), after=3600)
    found = read(journal)
    assert found.pace["by_hand"] == StagePace(1, 120.0)
    assert "accepted" not in found.pace
    assert found.counts.accepted == 10


def test_what_was_undone_takes_time_and_is_no_object(journal):
    write(journal, 1, 0)
    number = write(journal, 2, 20)
    journal.add("withdrawn", of=number)
    write(journal, 2, 10)
    assert read(journal).pace["by_hand"] == StagePace(1, 30.0)


def test_objects_of_whole_stacks_are_a_stage_of_their_own(journal):
    write(journal, 1, 0)
    for plane in range(3):
        write(journal, 2, 20 if not plane else 0.01, mode="auto", plane=plane)
    write(journal, 3, 10, mode="prompts")
    found = read(journal)
    assert found.automatic == 1
    assert found.counts.by_hand == 2
    assert found.pace["automatic"].objects == 1
    assert found.annotated == 3


def test_all_sessions_and_all_images_of_a_folder_count(journal, tmp_path):
    write(journal, 1, 0)
    write(journal, 1, 30, name="more")
    other = Journal(tmp_path)
    write(other, 2, 30, layer="again")
    write(other, 3, 12, layer="again")
    other.close()
    found = read(journal)
    assert found.counts.by_hand == 4
    # Each session has a clock of its own.
    assert found.pace["by_hand"] == StagePace(2, 42.0)
    assert found.annotated == 1


def test_nothing_is_known_of_an_image_without_records(journal):
    write(journal, 1, 0)
    found = read(journal, ImageIdentity("other", "/elsewhere/other.tif"))
    assert (found.counts, found.pace, found.annotated) == (StageCounts(), {}, 0)
