"""The copy of what a run learns from."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from material_scenery import plane

from napari_sam.errors import InputError
from napari_sam.training.material import TaughtPlane, load_material, save_material


def same(one, other):
    assert (one.name, one.group, one.complete) == (other.name, other.group, other.complete)
    for a, b in ((one.image, other.image), (one.labels, other.labels)):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


shapes = st.tuples(st.integers(1, 20), st.integers(1, 20))


@st.composite
def any_plane(draw):
    shape = draw(shapes)
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]))
    return TaughtPlane(
        draw(st.text()),
        draw(st.text(max_size=9)),
        draw(arrays.arrays(np.uint8, (*shape, 3))),
        draw(arrays.arrays(dtype, shape)),
        draw(st.booleans()),
    )


@given(planes=st.lists(any_plane(), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_planes_come_back_to_the_last_bit(tmp_path, planes):
    save_material(planes, tmp_path / "deep" / "material")
    back = load_material(tmp_path / "deep" / "material")
    assert len(back) == len(planes)
    for one, other in zip(planes, back, strict=True):
        same(one, other)
    # What was there before is gone.
    assert len(list((tmp_path / "deep" / "material").iterdir())) <= len(planes) + 1


def test_a_name_leads_nowhere(tmp_path):
    save_material([plane(name="../../etc/passwd")], tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert load_material(tmp_path / "m")[0].name == "../../etc/passwd"


def test_a_cut_leaves_what_was_there(tmp_path, monkeypatch):
    save_material([plane(0), plane(1)], tmp_path)
    replace = os.replace
    left = [1]

    def cut(source, target):
        if not left.pop():
            raise KeyboardInterrupt
        left.append(0)
        replace(source, target)

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        save_material([plane(2), plane(3)], tmp_path)
    monkeypatch.undo()
    for one, other in zip([plane(0), plane(1)], load_material(tmp_path), strict=True):
        same(one, other)
    save_material([plane(2)], tmp_path)
    same(plane(2), load_material(tmp_path)[0])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.fixture
def kept(tmp_path):
    save_material([plane(0), plane(1)], tmp_path)
    return tmp_path


def index_of(folder):
    return json.loads((folder / "material.json").read_text(encoding="utf-8"))


def test_damaged_pixels_are_said(kept):
    path = next(kept.glob("plane-*.npz"))
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[place] ^= 255
        path.write_bytes(damaged)
        # A byte of the archive's own book-keeping may say nothing of the pixels.
        try:
            back = load_material(kept)
        except InputError as error:
            assert str(path) in str(error)
        else:
            same(plane(0), back[0])
            same(plane(1), back[1])
    for size in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            load_material(kept)
    path.unlink()
    with pytest.raises(InputError, match="There is no file"):
        load_material(kept)


def test_exchanged_pixels_are_said(kept):
    one, two = sorted(kept.glob("plane-*.npz"))
    one.write_bytes(two.read_bytes())
    with pytest.raises(InputError, match="not those that were written"):
        load_material(kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.update(format="other"),
        lambda index: index.update(version=2),
        lambda index: index.pop("planes"),
        lambda index: index["planes"][0].pop("group"),
        lambda index: index["planes"][0].update(name=5),
        lambda index: index["planes"][0].update(complete="yes"),
        lambda index: index["planes"][0].update(pixels="../../secret"),
        lambda index: index.update(planes=[3]),
    ],
)
def test_a_damaged_index_is_said(kept, change):
    index = index_of(kept)
    change(index)
    (kept / "material.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"material\.json"):
        load_material(kept)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "null"])
def test_what_is_no_index_is_said(kept, text):
    (kept / "material.json").write_text(text)
    with pytest.raises(InputError, match=r"material\.json"):
        load_material(kept)


def test_a_folder_without_a_copy_is_said(tmp_path):
    with pytest.raises(InputError, match=r"no file .*material\.json"):
        load_material(tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_material([plane()], tmp_path / "file" / "material")
