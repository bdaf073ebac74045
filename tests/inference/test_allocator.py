from __future__ import annotations

import ctypes
import sys

import pytest

from napari_sam.inference import allocator


@pytest.fixture(autouse=True)
def _looked_for_anew():
    allocator._trim.cache_clear()
    yield
    allocator._trim.cache_clear()


class Library:
    """A C library of glibc's kind, which counts."""

    def __init__(self, answer=1):
        self.asked = []

        def trim(pad):
            self.asked.append(pad)
            return answer

        self.malloc_trim = trim


@pytest.mark.parametrize("answer", [0, 1])
def test_the_c_library_is_asked_to_keep_nothing(monkeypatch, answer):
    library = Library(answer)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    assert allocator.give_back() is bool(answer)
    assert allocator.give_back() is bool(answer)
    assert library.asked == [0, 0]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_no_library_is_touched_on_other_systems(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: pytest.fail("it was opened"))
    assert not allocator.give_back()


@pytest.mark.parametrize("problem", [OSError, AttributeError])
def test_libraries_without_it_are_left_alone(monkeypatch, problem):
    def missing(_name):
        raise problem

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not allocator.give_back()
    assert not allocator.give_back()


def test_it_does_no_harm_here():
    kept = bytearray(b"kept") * 1000
    allocator.give_back()
    assert kept == bytearray(b"kept") * 1000
