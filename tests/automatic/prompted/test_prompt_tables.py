"""Points and boxes out of CSV files."""

from __future__ import annotations

import pytest

from napari_sam.automatic.prompted.tables import read_boxes, read_points
from napari_sam.errors import InputError
from napari_sam.prompts import BoxPrompt, PointPrompt


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "y,x\n1.5,2\n3,4\n",
        "x,y\n2,1.5\n4,3\n",
        "1.5,2\n3,4\n",
        "Y, X\r\n1.5,2\r\n\r\n3,4\r\n",
        "name,x,y\na,2,1.5\nb,4,3\n",
        "index,axis-0,axis-1\n0.0,1.5,2.0\n1.0,3.0,4.0\n",
        "index,axis-0,axis-1,axis-2\n0,5,1.5,2\n1,5,3,4\n",
    ],
)
def test_points_of_any_spelling(write, text):
    assert read_points(write(text)) == (PointPrompt((1.5, 2)), PointPrompt((3, 4)))


def test_a_byte_order_mark_is_no_letter(write):
    assert read_points(write("y,x\n1,2\n", "utf-8-sig")) == (PointPrompt((1, 2)),)


def test_a_polarity_counts(write):
    found = read_points(write("index,axis-0,axis-1,polarity\n0,1,2,positive\n1,3,4,negative\n"))
    assert found == (PointPrompt((1, 2)), PointPrompt((3, 4), positive=False))


@pytest.mark.parametrize("text", ["y0,x0,y1,x1\n1,2,3,4\n", "1,2,3,4\n", "x1,y1,x0,y0\n4,3,2,1\n"])
def test_boxes_of_any_spelling(write, text):
    assert read_boxes(write(text)) == (BoxPrompt((1, 2), (3, 4)),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "no columns y and x"),
        ("1,2,3\n", "no columns y and x"),
        ("y,x\n1,two\n", "line 2: 'two' is no number"),
        ("y,x\n1,nan\n", "'nan' is no number"),
        ("y,x\n1\n", "line 2: 1 columns instead of 2"),
        ("y,x\n", "no point on an object"),
        ("index,axis-0,axis-1,axis-2\n0,1,2,3\n1,2,2,3\n", "several planes"),
    ],
)
def test_what_is_no_table_of_points_is_refused_with_words(write, text, words):
    with pytest.raises(InputError, match=words):
        read_points(write(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y,x\n1,2\n", "no columns y0"),
        ("index,shape-type,vertex-index,axis-0,axis-1\n0,line,0,1,2\n0,line,1,5,6\n", "no box"),
    ],
)
def test_what_is_no_table_of_boxes_is_refused_with_words(write, text, words):
    with pytest.raises(InputError, match=words):
        read_boxes(write(text))


def test_a_missing_file_is_refused_with_words(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_points(tmp_path / "none.csv")
