"""Journals on the command line: listed, shown, and made into labels."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tifffile

from napari_sam.io.stacks import open_stack
from napari_sam.journal import Journal, encode_mask

SHAPE = (20, 30)
CALIBRATION = {"axes": ["z", "y", "x"], "scale": [2.0, 0.25, 0.25], "units": ["micrometer"] * 3}


def square(y, x, side=4):
    mask = np.zeros(SHAPE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def record(mask, label, *, z=None, depth=5, image="cells", target="SAM labels", kind="accepted", **more):
    index = [None, None] if z is None else [z, None, None]
    return {
        "kind": kind,
        "image": image,
        "shape": list(SHAPE) if z is None else [depth, *SHAPE],
        "plane": {"axes": [0, 1] if z is None else [1, 2], "index": index, "digest": ""},
        "prompts": {"format": "napari-sam-prompts", "version": 1, "prompts": [{"type": "point"}, {"type": "point"}]},
        "target": target,
        "label": label,
        "box": [1, 2, 3, 4],
        "mask": encode_mask(mask, (0, 0), SHAPE),
        "score": 0.9,
        **more,
    }


@pytest.fixture
def open_journal(home):
    opened = []

    def open_one():
        opened.append(Journal())
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()


@pytest.fixture
def journal(open_journal):
    return open_journal()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "labels.tif"


def test_all_journals_are_listed_with_date_images_and_objects(run, journal, open_journal, read_json):
    assert "no journals yet" in run("journal", "list").stdout
    journal.add(**record(square(1, 1), 1))
    journal.add(**record(square(9, 9), 2, image="nuclei"))
    other = open_journal()
    other.add(**record(square(1, 1), 1, image="embryo [raw]"))
    shown = run("journal", "list").stdout
    assert journal.session in shown and other.session in shown
    assert "cells, nuclei" in shown and "embryo [raw]" in shown
    rows = read_json(run("journal", "list", "--json").stdout)
    assert [row["objects"] for row in rows] == [2, 1]
    assert all(row["time"].startswith("20") for row in rows)


def test_a_journal_that_cannot_be_read_does_not_hide_the_others(run, journal, home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # words are broken in two where a temporary folder has a long name
    journal.add(**record(square(1, 1), 1))
    (home / "journal" / "bad.jsonl").write_text("nothing\n")
    shown = run("journal", "list")
    assert (shown.exit_code, journal.session in shown.stdout, "not a journal" in shown.stdout) == (0, True, True)


def test_objects_are_shown_without_those_that_were_undone(run, journal, read_json):
    for z in range(3):
        journal.add(**record(square(z, 1), 1, z=z, calibration=CALIBRATION))
    journal.add("withdrawn", of=[0, 1])
    journal.add("withdrawn", of=2)
    journal.add("restored", of=2)
    shown = run("journal", "show").stdout
    assert "z = 2" in shown and "z = 1" not in shown
    assert "2 points" in shown and "0.90" in shown and "1, 2, 3, 4" in shown
    for name in (journal.session, journal.path.name, journal.path):
        [row] = read_json(run("journal", "show", name, "--json").stdout)["objects"]
        assert (row["number"], row["label"], row["plane"], row["prompts"]) == (2, 1, "z = 2", ["point", "point"])


def test_labels_are_made_anew(run, journal, out):
    journal.add(**record(square(1, 1), 1))
    journal.add(**record(square(9, 9), 2))
    journal.add(**record(square(1, 20), 3))
    journal.add("withdrawn", of=2)
    journal.add(**record(square(10, 10), 2))  # a correction: overlaps what it takes the place of
    result = run("journal", "restore", "-o", out)
    assert result.exit_code == 0, result.output
    assert "2 objects" in result.stdout
    assert np.array_equal(tifffile.imread(out), square(1, 1) * 1 + square(10, 10) * 2)


def test_classes_and_marks_are_written_beside_the_labels(run, journal, out):
    about = {"identity": {"source": "", "image": "i", "layer": "l"}}
    journal.add(**record(square(1, 1), 1, **{"class": "mitosis"}), **about)
    journal.add(**record(square(9, 9), 2), **about)
    journal.add(**record(square(1, 20), 3), **about)
    journal.add("withdrawn", of=2)  # counted from 0
    noted = {"image": "cells", "shape": list(SHAPE), "target": "SAM labels", **about}
    journal.add("noted", **noted, column="reviewed", values={"2": "checked", "3": "checked", "x": 7})
    journal.add("noted", **noted, column="class", values={"2": "=debris"})
    result = run("journal", "restore", "-o", out)
    assert result.exit_code == 0, result.output
    beside = out.with_suffix(".csv")
    assert beside.read_text("utf-8") == "id,class,reviewed\n1,mitosis,\n2,=debris,checked\n"
    assert str(beside) in result.stdout.replace("\n", "")
    out.unlink()
    result = run("journal", "restore", "-o", out)
    assert result.exit_code != 0
    assert "labels.csv exists" in " ".join(result.stderr.split())
    assert not out.exists()


def test_a_stack_is_written_as_one_with_its_spacing(run, journal, out):
    for z in (1, 2, 3):
        journal.add(**record(square(z, 1), 7, z=z, calibration=CALIBRATION))
    journal.add(**record(np.zeros(SHAPE, bool), 7, z=3, kind="erased"))
    assert run("journal", "restore", "-o", out).exit_code == 0
    with open_stack(out) as stack:
        assert (stack.axes, stack.shape) == ("zyx", (5, *SHAPE))
        assert stack.spacing == pytest.approx((2.0, 0.25, 0.25))
        assert stack.units == ("micrometer",) * 3
        for z in range(5):
            assert np.array_equal(stack.data[z], square(z, 1) * (7 if z in (1, 2) else 0))


def test_nothing_is_lost_where_a_layer_of_the_same_name_began_again(run, journal, out):
    journal.add(**record(square(1, 1), 1))
    journal.add(**record(square(9, 9), 1))
    result = run("journal", "restore", "-o", out)
    assert "another number" in result.stderr
    assert np.array_equal(tifffile.imread(out), square(1, 1) * 1 + square(9, 9) * 2)


def test_several_layers_are_not_mixed(run, journal, out):
    journal.add(**record(square(1, 1), 1))
    journal.add(**record(square(9, 9), 1, target="other"))
    journal.add(**record(square(9, 9), 1, image="nuclei"))
    result = run("journal", "restore", "-o", out)
    assert result.exit_code == 1
    assert '"other" of "cells"' in result.stderr and "--target" in result.stderr
    assert not out.exists()
    assert run("journal", "restore", "-o", out, "--image", "cells", "--target", "other").exit_code == 0
    assert tifffile.imread(out)[9, 9] == 1
    assert run("journal", "restore", "-o", out, "--image", "none", "--force").exit_code == 1


def test_outputs_follow_the_same_rules(run, journal, out):
    journal.add(**record(square(1, 1), 1))
    out.write_bytes(b"precious")
    result = run("journal", "restore", "-o", out)
    assert (result.exit_code, "--force" in result.stderr) == (1, True)
    assert out.read_bytes() == b"precious"
    assert run("journal", "restore", "-o", out, "--force").exit_code == 0
    before = journal.path.read_bytes()
    os.link(journal.path, out.with_name("hard.tif"))
    for name in (journal.path, out.with_name("hard.tif")):
        assert run("journal", "restore", "-o", name, "--force").exit_code == 1
    assert journal.path.read_bytes() == before
    assert run("journal", "restore", "-o", out.with_suffix(".png")).exit_code == 1


def test_a_journal_without_the_shape_is_refused(run, journal, out):
    whole = record(square(1, 1), 1)
    journal.add(**{key: value for key, value in whole.items() if key != "shape"})
    result = run("journal", "restore", "-o", out)
    assert (result.exit_code, "how large the image is" in result.stderr) == (1, True)
    assert not out.exists()


def test_shapes_that_no_memory_holds_are_one_line(run, journal, out):
    forged = record(square(1, 1), 1, z=2, depth=10**15)
    journal.add(**forged)
    result = run("journal", "restore", "-o", out)
    assert (result.exit_code, "memory" in result.stderr, result.stderr.count("\n")) == (1, True, 1)


@pytest.mark.parametrize(
    "forged",
    [
        {"label": "one"},
        {"label": -1},
        {"plane": None},
        {"plane": {"axes": [0, 9], "index": [None, None]}},
        {"plane": {"axes": [1, 0], "index": [None, None]}},
        {"mask": {"size": [10**9, 10**9], "counts": [10**18]}},
        {"mask": {"size": list(SHAPE)}},
        {"mask": {"size": list(SHAPE), "counts": None}},
        {"box": [1, 2]},
        {"shape": "large"},
        {"prompts": 5},
        {"score": "good"},
    ],
)
def test_records_that_make_no_sense_are_left_out_and_counted(run, journal, out, forged):
    journal.add(**record(square(1, 1), 1))
    journal.add(**record(square(9, 9), 2) | forged)
    shown = run("journal", "show")
    assert (shown.exit_code, "1 damaged record" in shown.stderr) == (0, True)
    assert run("journal", "restore", "-o", out).exit_code == 0
    assert np.array_equal(tifffile.imread(out), square(1, 1) * 1)


@pytest.mark.parametrize("counts", [[5], ["a"], [[1]], [10**30]])
def test_masks_that_make_no_sense_are_one_line(run, journal, out, counts):
    journal.add(**record(square(1, 1), 1) | {"mask": {"size": list(SHAPE), "counts": counts}})
    result = run("journal", "restore", "-o", out)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("Error: ")
    journal.add(**record(square(9, 9), 2))
    result = run("journal", "restore", "-o", out)
    assert (result.exit_code, "1 damaged record" in result.stderr) == (0, True)
    assert np.array_equal(tifffile.imread(out), square(9, 9) * 2)


def test_no_such_journal(run, home, out):
    assert "no journals yet" in run("journal", "show").stderr
    result = run("journal", "show", "none")
    assert (result.exit_code, "There is no journal none" in result.stderr) == (1, True)
