"""Runs tests of the window with other versions of napari, and with both bindings of Qt, and prints a table.

Versions: the oldest napari that pyproject.toml allows, the newest final one, and the newest pre-release. Each is put
into a folder of its own under build/versions/, without what it depends on, and goes before what is installed: a few
megabytes instead of another environment with torch. What a version needs beyond that is told by its failure.

Other Pythons need an environment of their own; those that are not run are named below the table.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "versions"
BINDINGS = {"pyqt6": "PyQt6", "pyside6": "PySide6"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SMOKE = (
    "tests/session/test_napari_private.py",
    "tests/widgets/test_gestures.py::test_click_drag_accept_undo_and_box_wherever_the_image_lies[plain]",
    "tests/widgets/test_held_keys.py::test_next_candidate[as napari has it]",
    "tests/widgets/test_palette.py::test_every_action_is_a_command_of_napari_s",
    "tests/widgets/test_key_editor.py::test_a_new_key_is_shown_everywhere_and_works",
    "tests/widgets/test_lifetime.py::test_a_closed_dock_and_its_session_are_collected",
    "tests/widgets/test_dock_sizes.py::test_all_words_of_all_sections_fit",
    "tests/widgets/test_cleanup_panel.py::test_reset_gives_the_mask_back",
    "tests/widgets/test_keyboard.py::test_check_boxes_and_buttons_do_not_take_it",
)
"""What each version is tried with. Opening a window takes most of the time, so there is one of each kind: private names
of napari, a walk with the mouse from click to box, a held key, the command palette, keys of one's choice, what is left
when the dock is closed, the widths of words, and check boxes, which tell bindings apart."""
# On Python 3.11, 6.12.0 loses a reference to None with every call that returns none, until the interpreter aborts.
PYSIDE = "PySide6-Essentials" + ("!=6.12.0" if sys.version_info < (3, 12) else "")


def versions() -> list[Version]:
    """Find the oldest napari that is allowed, the newest, and the newest pre-release if it is newer than that."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "index", "versions", "napari", "--pre"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"Available versions: (.*)", listed)
    if found is None:
        raise SystemExit(f"the package index lists no versions of napari:\n{listed}")
    known = sorted(Version(text) for text in found[1].split(", "))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = next(r for r in map(Requirement, project["dependencies"]) if r.name == "napari").specifier
    finals = [version for version in known if not version.is_prerelease and version in allowed]
    return list(dict.fromkeys((finals[0], finals[-1], known[-1])))


def overlay(requirement: str, name: str, *options: str) -> Path:
    """Put a package into a folder of its own, once."""
    folder = PLACE / name
    if not folder.exists():
        partial = PLACE / f"{name}.part"
        shutil.rmtree(partial, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(partial), *options, requirement]
        # What pip warns of would stand amid the table.
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{requirement} cannot be installed:\n{done.stderr}")
        partial.rename(folder)
    return folder


def run(version: Version, binding: str, tests: list[str]) -> str:
    """Run the tests with one napari and one binding; return the last line of pytest."""
    folders = [overlay(f"napari=={version}", f"napari-{version}", "--no-deps")]
    if binding == "pyside6":
        # Without its add-ons, such as a browser: a third of the size.
        folders.append(overlay(PYSIDE, re.sub(r"[^\w.]+", "-", PYSIDE).lower()))
    paths = os.pathsep.join(map(str, (*folders, ROOT / "src")))
    environment = {**os.environ, "PYTHONPATH": paths, "QT_API": binding, "PYTEST_QT_API": binding}
    log = PLACE / f"napari-{version}-{binding}.txt"
    done = subprocess.run(
        [str(ROOT / "scripts" / "on-screen.sh"), sys.executable, "-m", "pytest", "-q", "--tb=short", *tests],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    last = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["no output"])[-1].strip("= ")
    if not re.search(r"\d+ (passed|failed|errors?)", last):
        last = f"broke off with exit status {done.returncode}"  # a crash leaves no summary
    return last if done.returncode == 0 else f"{last} (see {log.relative_to(ROOT)})"


def main() -> int:
    """Run all, print the table, and fail if anything failed."""
    parser = argparse.ArgumentParser(description="Run tests of the window with other versions of napari and Qt.")
    parser.add_argument("tests", nargs="*", help="tests to run; by default some of each kind")
    parser.add_argument("--binding", choices=BINDINGS, action="append", help="a binding of Qt; by default both")
    chosen = parser.parse_args()
    tests = chosen.tests or list(SMOKE)
    PLACE.mkdir(parents=True, exist_ok=True)
    here, failed = f"{sys.version_info.major}.{sys.version_info.minor}", False
    print(f"{'Python':8}{'napari':12}{'Qt':10}result")
    for version in versions():
        for binding in chosen.binding or BINDINGS:
            result = run(version, binding, tests)
            failed = failed or "(see " in result
            print(f"{here:8}{version!s:12}{BINDINGS[binding]:10}{result}", flush=True)
    for python in PYTHONS:
        if python != here:
            there = "is on this machine, but needs an environment" if shutil.which(f"python{python}") else "is missing"
            print(f"{python:8}not run: it {there}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
