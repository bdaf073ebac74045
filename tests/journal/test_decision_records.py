"""What was decided about proposals, as the journal gives it back."""

from __future__ import annotations

import math

import pytest

from napari_sam.journal import Journal
from napari_sam.journal.notes.decisions import (
    DECIDED,
    ImageIdentity,
    PlaneDecisions,
    StageCounts,
    decided_fields,
    read_decisions,
)

NAMES = ("score", "size")


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def target(name="cells", folder="/data", source=None):
    """Name a labels layer of an image."""
    return {
        "image": name,
        "identity": {
            "source": f"{folder}/{name}.tif" if source is None else source,
            "image": f"image {name}",
            "layer": f"labels {name}",
        },
        "shape": [10, 10],
        "target": "labels",
    }


def write(journal, label, kind="accepted", *, found=True, where=None):
    more = {"found": {"mode": "auto"}} if found else {}
    return journal.add(kind, **(where or target()), label=label, plane={"index": [None, None]}, **more)


def decide(journal, labels, rejected=0, where=None, names=NAMES, value=0.5):
    """Accept objects, and reject some; return the numbers of the records."""
    entries = [write(journal, label, where=where) for label in labels]
    proposals = [(label, (value, 1.0)) for label in labels] + [(0, (0.1, 2.0))] * rejected
    fields = decided_fields(names, proposals, (None, None))
    return [*entries, journal.add(DECIDED, **(where or target()), model="bundled", mode="auto", **fields)]


def read(journal, name="cells", folder="/data"):
    return read_decisions(journal.database, ImageIdentity(f"image {name}", f"{folder}/{name}.tif"))


def test_decisions_come_back_with_their_features(journal):
    decide(journal, [1, 2], rejected=1)
    [plane] = read(journal).planes
    rows = ((0.5, 1.0), (0.5, 1.0), (0.1, 2.0))
    assert plane == PlaneDecisions("bundled", "auto", plane.plane, NAMES, rows, ("accepted", "accepted", "rejected"))
    assert read(journal).annotated == {"[null, null]"}


def test_what_is_done_to_an_object_later_changes_the_verdict(journal):
    decide(journal, [1, 2, 3])
    write(journal, 1, found=False)
    write(journal, 2, "erased")
    assert read(journal).planes[0].verdicts == ("corrected", "rejected", "accepted")
    assert read(journal).counts == StageCounts(accepted=1, corrected=1, rejected=1)


def opened_again(name="cells", layer="again"):
    """Name the labels layer that saved labels of an image were opened in."""
    where = target(name)
    return where | {"identity": where["identity"] | {"layer": f"{layer} {name}"}, "target": f"{name}.tif labels"}


def test_what_is_done_in_another_layer_later_changes_the_verdict(journal):
    decide(journal, [1, 2, 3])
    write(journal, 1, found=False, where=opened_again())
    write(journal, 2, "erased", where=opened_again())
    assert read(journal).counts == StageCounts(accepted=1, corrected=1, rejected=1)
    write(journal, 3, found=False, where=opened_again(layer="once more"))
    write(journal, 1, "erased", where=opened_again(layer="once more"))
    assert read(journal).counts == StageCounts(corrected=1, rejected=2)


def test_new_objects_of_another_layer_are_no_corrections(journal):
    decide(journal, [1, 2])
    decide(journal, [1], where=opened_again())
    again = opened_again(layer="once more")
    journal.add("accepted", **again, label=2, plane={"index": [None, None]}, asked={"replaces": False})
    assert read(journal).counts == StageCounts(by_hand=1, accepted=3, missed=1)


def test_two_layers_that_are_drawn_in_in_turns_are_two(journal):
    other = opened_again(layer="nuclei")
    write(journal, 9, found=False, where=other)
    decide(journal, [1, 2])
    write(journal, 1, found=False, where=other)
    assert read(journal).counts == StageCounts(by_hand=2, accepted=2, missed=2)


def test_what_is_painted_on_counts_as_corrected(journal):
    decide(journal, [1, 2, 3])
    journal.add("painted", **target(), plane={"index": [None, None]}, labels=[1, 2, 70], gone=[2])
    journal.add("painted", **target(), plane={"index": [None, None]}, labels="all")
    assert read(journal).counts == StageCounts(accepted=1, corrected=1, rejected=1)


def test_a_correction_that_is_undone_is_none(journal):
    decide(journal, [1])
    number = write(journal, 1, found=False)
    journal.add("withdrawn", of=number)
    assert read(journal).planes[0].verdicts == ("accepted",)


def test_decisions_that_are_undone_are_none(journal):
    entries = decide(journal, [1, 2])
    journal.add("withdrawn", of=entries)
    assert read(journal).planes == ()
    journal.add("restored", of=entries)
    assert len(read(journal).planes) == 1


def test_the_images_of_a_folder_are_one_data_set(journal):
    decide(journal, [1], where=target("cells"))
    decide(journal, [1, 2], where=target("more"))
    decide(journal, [1, 2, 3], where=target("other", folder="/elsewhere"))
    assert read(journal, "new").counts.accepted == 3
    assert read(journal, "new").annotated == set()
    assert read(journal, "other", "/elsewhere").counts.accepted == 3
    assert read(journal, "new", "/nowhere").planes == ()


def test_images_without_a_file_are_not_of_one_data_set(journal):
    decide(journal, [1], where=target("one", source=""))
    decide(journal, [1, 2], where=target("two", source=""))
    assert read_decisions(journal.database, ImageIdentity("image two", "")).counts.accepted == 2


def test_an_image_is_known_again_by_its_pixels(journal):
    journal.note_pixels("image one", "digest")
    journal.note_pixels("image two", "digest")
    decide(journal, [1], where=target("one", source=""))
    decide(journal, [1, 2], where=target("two", source=""))
    assert read_decisions(journal.database, ImageIdentity("image two", "")).counts.accepted == 3


def test_the_newest_come_first(journal):
    decide(journal, [1], value=0.2)
    decide(journal, [2], value=0.9)
    assert [plane.features[0][0] for plane in read(journal).planes] == [0.9, 0.2]


def test_objects_drawn_by_hand_are_told_from_those_that_were_found(journal):
    write(journal, 1, found=True)  # in a stack, say
    write(journal, 2, found=False)
    write(journal, 3, found=False)
    write(journal, 3, "erased")
    assert read(journal).counts == StageCounts(by_hand=1)
    decide(journal, [4])
    assert read(journal).counts == StageCounts(by_hand=1, accepted=1, missed=1)


@pytest.mark.parametrize(
    "proposals",
    [
        [{"label": 1}],
        [{"label": 1, "features": [1.0]}],
        [{"label": 1, "features": [math.nan, 1.0]}],
        [{"label": 1, "features": ["much", "little"]}],
        [7],
    ],
)
def test_a_record_that_says_something_strange_is_left_out(journal, proposals):
    decide(journal, [1])
    strange = {"plane": {"index": [None, None]}, "features": list(NAMES), "proposals": proposals}
    journal.add(DECIDED, **target(), model="bundled", mode="auto", **strange)
    assert len(read(journal).planes) == 1


def test_an_image_that_the_journal_does_not_know_has_no_decisions(journal):
    write(journal, 1)
    assert read(journal, "new", "/nowhere").counts == StageCounts()
