from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

import napari_sam.commands.doctor.checks as module
from napari_sam import _conflict
from napari_sam.checkpoints import weights
from napari_sam.commands.doctor.checks import Finding, Verdict, diagnose
from napari_sam.errors import WeightsError


@pytest.fixture
def sound(monkeypatch):
    """A machine whose bundled model is in order."""
    monkeypatch.setattr(module, "_test_prediction", lambda: [Finding("test prediction", Verdict.OK, "IoU 0.95")])
    monkeypatch.setattr(weights, "verify", lambda *_: "sha256 of its model card")
    monkeypatch.setattr(module, "_size", lambda _path: "1 MB")


def by_subject(findings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_sound_machine(run, sound, read_json):
    result = run("doctor", "--json")
    report = read_json(result.stdout)
    assert (result.exit_code, report["ok"]) == (0, True)
    subjects = {finding["subject"]: finding["text"] for finding in report["findings"]}
    assert subjects["numpy"] == importlib.metadata.version("numpy")
    assert "thread" in subjects["device cpu"]
    assert {"python", "torch", "napari", "npe2", "Qt binding", "weights folder", "test prediction"} <= subjects.keys()
    assert "weights bundled" in subjects
    result = run("doctor")
    assert result.exit_code == 0
    assert "Everything is in place." in result.stdout


def test_what_taught_models_take_is_told(run, sound, read_json, home):
    def told():
        report = read_json(run("doctor", "--json").stdout)
        return next(finding["text"] for finding in report["findings"] if finding["subject"] == "teaching")

    assert told() == "no models were taught in the dock"
    folder = home / "teaching" / "mine"
    folder.mkdir(parents=True)
    (folder / "teaching.json").write_text("{}")
    (folder / "checkpoint.pt").write_bytes(b"x" * 2_499_998)
    assert told().startswith(f"{home / 'teaching'} (1 run, 2.5 MB). Folders of runs that you do not go on with")


def test_damaged_weights_are_broken_and_the_report_goes_on(run, sound, monkeypatch, read_json):
    def damaged(*_: object) -> str:
        raise WeightsError("bundled is damaged")

    monkeypatch.setattr(weights, "verify", damaged)
    result = run("doctor", "--json")
    report = read_json(result.stdout)
    assert (result.exit_code, report["ok"]) == (1, False)
    broken = [finding["subject"] for finding in report["findings"] if finding["verdict"] == "broken"]
    assert broken == ["weights bundled"]
    assert report["findings"][-1]["subject"] == "test prediction"
    assert "1 of" in run("doctor").stdout


def test_check_that_fails_altogether_is_a_finding(sound, monkeypatch):
    def crash() -> list[Finding]:
        raise RuntimeError("no driver")

    monkeypatch.setattr(module, "_devices", crash)
    assert by_subject(diagnose())["devices"] == Finding("devices", Verdict.BROKEN, "no driver")


def test_no_qt_is_a_note_only(sound, monkeypatch):
    find_spec = module.importlib.util.find_spec
    monkeypatch.setattr(
        module.importlib.util, "find_spec", lambda name: None if name in module._BINDINGS else find_spec(name)
    )
    finding = by_subject(diagnose())["Qt binding"]
    assert finding.verdict is Verdict.NOTE
    assert "napari-sam-live[all]" in finding.text


@pytest.mark.parametrize(
    ("version", "python", "is_faulty"),
    [("6.12.0", (3, 11, 7), True), ("6.11.3", (3, 11, 7), False), ("6.12.0", (3, 12, 1), False)],
)
def test_a_pyside_that_ends_napari_is_told_of(monkeypatch, version, python, is_faulty):
    find_spec, known = module.importlib.util.find_spec, module._version
    monkeypatch.setattr(
        module.importlib.util,
        "find_spec",
        lambda name: name == "PySide6" if name in module._BINDINGS else find_spec(name),
    )
    monkeypatch.setattr(module, "_version", lambda name: version if name == "PySide6" else known(name))
    monkeypatch.setattr(module.sys, "version_info", python)
    finding = module._qt()
    assert finding.text.startswith(f"PySide6 {version}")
    assert (finding.verdict is Verdict.NOTE and "PySide6!=6.12.0" in finding.text) is is_faulty


def test_prediction_is_made_for_real_and_judged(monkeypatch):
    import napari_sam.predictor as predictor

    (finding,) = module._test_prediction()
    assert finding.verdict is Verdict.OK, finding.text
    assert "ms to predict" in finding.text

    predict = predictor.Predictor.predict

    def wrong(self, embedding, prompts):
        answer = predict(self, embedding, prompts)
        return predictor.Prediction(~answer.masks, answer.scores, answer.logits)

    monkeypatch.setattr(predictor.Predictor, "predict", wrong)
    assert module._test_prediction()[0].verdict is Verdict.BROKEN


def test_missing_package_is_broken(sound, monkeypatch):
    monkeypatch.setattr(module, "_PACKAGES", ("numpy", "no-such-package"))
    assert by_subject(diagnose())["no-such-package"].verdict is Verdict.BROKEN


@pytest.fixture
def old_plugin(monkeypatch, tmp_path):
    """The distribution of 2023, as pip would have left it."""
    folder = tmp_path / "site" / "napari_sam-0.4.13.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: napari-sam\nVersion: 0.4.13\n")
    monkeypatch.syspath_prepend(str(folder.parent))


def test_old_plugin_beside_ours(sound, old_plugin):
    finding = by_subject(diagnose())["old napari-sam"]
    assert finding.verdict is Verdict.BROKEN
    assert "0.4.13" in finding.text
    with pytest.raises(ImportError, match="pip uninstall napari-sam`, then `pip install"):
        _conflict.refuse_conflict()


def test_no_old_plugin(sound):
    assert by_subject(diagnose())["old napari-sam"].verdict is Verdict.OK
    _conflict.refuse_conflict()


def test_progress_rises_to_one(sound):
    seen: list[float] = []
    monotone = seen.append
    diagnose(monotone)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


LIGHT = """
import json, sys
from typer.testing import CliRunner
from napari_sam.cli import app
codes = [CliRunner().invoke(app, arguments).exit_code for arguments in
         (["--help"], ["--version"], ["segment", "--help"], ["models", "list"], ["doctor", "--help"])]
heavy = [n for n in ("torch", "napari", "qtpy", "PyQt6", "PySide6", "scipy", "skimage") if n in sys.modules]
print(json.dumps({"codes": codes, "heavy": heavy}))
"""
HELP = """
import json, sys
from napari_sam.cli import app
app(["--help"], standalone_mode=False)
print(json.dumps([name.split(".")[1] for name in sys.modules if name.startswith("napari_sam.")]))
"""
GROUND = ("errors", "files", "masks", "polygons", "progress")


def test_help_and_list_import_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"codes": [0, 0, 0, 0, 0], "heavy": []}


def test_help_enters_only_the_rooms_it_needs():
    """Which is what makes it quick; `benchmarks/start.py` measures how quick."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    rooms = set(json.loads(done.stdout.splitlines()[-1]))
    assert "cli" in rooms and rooms <= {"cli", "commands", "checkpoints", "prompts", *GROUND}
