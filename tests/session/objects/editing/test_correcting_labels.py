"""Objects that another tool got wrong, each corrected with one click, by the bundled model."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_sam import samples
from napari_sam.masks import iou

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "correct_labels.py"


@pytest.fixture
def benchmark(monkeypatch):
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location("correct_labels", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "correct_labels", module)  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def test_ten_wrong_nuclei_become_right_with_one_click_each(benchmark):
    [(image, options, _kind)] = samples.fluorescence()
    faults = benchmark.make_faults(samples.labels_of("fluorescence"))
    before = np.array([iou(fault.wrong, fault.truth) for fault in faults])
    after = np.array(benchmark.correct(faults, image, **options))
    assert len(faults) == 10 and before.mean() < 0.6
    assert after.mean() > 0.8
    # One may go wrong: it is seen before it is accepted, and a second click mends it.
    assert (after < before).sum() <= 1
