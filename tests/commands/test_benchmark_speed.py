from __future__ import annotations

import json

import pytest

from napari_sam.evaluation.speed import measuring
from napari_sam.evaluation.speed.report import (
    FamilyTimes,
    Machine,
    SpeedReport,
    Spread,
    TaskTimes,
)


@pytest.fixture
def asked(monkeypatch):
    """What is measured; ours takes 2 s, the other 5 s."""
    settings = []

    def measure(wanted, progress):
        settings.append(wanted)
        rate = Spread.of([500e9])
        tasks = (TaskTimes("embed 1024 x 1024", {"bundled": Spread.of([2.0, 2.5]), "other": Spread.of([4.5])}, 9e11),)
        family = FamilyTimes("bundled", "Bundled model", ("bundled", "other"), tasks, rate)
        machine = Machine("A processor", "Linux", "CPU (2 threads)", 2, 2, rate, rate, {"torch": "2.9"})
        return SpeedReport("2026-11-27", machine, 3, (), (family,), (), ("Something is left out.",))

    monkeypatch.setattr(measuring, "measure_speed", measure)
    return settings


def test_table_machine_and_notes(run, asked):
    result = run("benchmark", "speed", "--threads", 2, "--model", "bundled", "--points-per-side", 8)
    assert result.exit_code == 0, result.output
    for words in ("A processor, 2 cores", "Bundled model", "2.25 s", "4.50 s", "2.00", "Note: Something is left out."):
        assert words in result.stdout
    assert asked == [measuring.SpeedSettings(("bundled",), 5, 2, "cpu", False, 8)]


def test_quick_is_two_rounds_unless_said_otherwise(run, asked):
    run("benchmark", "speed", "--quick")
    run("benchmark", "speed", "--quick", "--rounds", 4)
    assert [(one.rounds, one.quick) for one in asked] == [(2, True), (4, True)]


def test_json_alone_on_standard_output_and_files(run, asked, tmp_path):
    result = run("benchmark", "speed", "--json", "-o", tmp_path / "report")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["families"][0]["tasks"][0]["ratio"] == 2.0
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "speed.json",
        "speed.md",
        "speed.png",
        "speed.svg",
    ]


def test_a_model_that_nobody_knows_is_told_before_anything_is_measured(run, asked):
    result = run("benchmark", "speed", "--model", "sam_vit_z")
    assert result.exit_code == 1 and "Choose one of: sam_vit_b, mobile_sam, bundled." in result.stderr
    assert not asked
