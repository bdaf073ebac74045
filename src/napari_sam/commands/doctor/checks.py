"""What a person, or whoever helps them, wants to know when something does not work."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from napari_sam import _conflict
from napari_sam.checkpoints import receipts, weights
from napari_sam.checkpoints.registry import BUNDLED, list_models
from napari_sam.errors import Cancelled
from napari_sam.files import HOME_VARIABLE, format_bytes
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam.checkpoints.registry import ModelSpec
    from napari_sam.progress import Progress

_PACKAGES = ("napari-sam-live", "napari", "npe2", "numpy", "torch", "qtpy", "safetensors", "open_clip_torch")
_BINDINGS = ("PyQt6", "PySide6", "PyQt5")
_FAULTY = frozenset({"6.12.0"})
"""Versions of PySide6 that lose a reference to None with every call that returns none, which does harm before Python
3.12."""
_ABORTS = (
    "This PySide6 ends napari after some minutes on Python 3.11, without a word. Run `pip install 'PySide6!=6.12.0'`, "
    "or take PyQt6 or Python 3.12."
)


class Verdict(StrEnum):
    """What a finding means."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    subject : str
        What was looked at.
    verdict : Verdict
        BROKEN is what keeps the plugin from working; NOTE is what a person may want to change.
    text : str
        What was found, and what to do.
    """

    subject: str
    verdict: Verdict
    text: str


def diagnose(progress: Progress = no_progress) -> tuple[Finding, ...]:
    """Look at versions, Qt, devices and weights, and make a test prediction.

    Parameters
    ----------
    progress : Progress
        Called between checks and while weights are read; may raise `Cancelled`.

    Returns
    -------
    tuple of Finding
        In the order to read them; nothing is raised for what is broken.
    """
    findings = [
        *_versions(),
        _old_plugin(),
        _qt(),
        *_safely("devices", _devices),
        _folder(),
        *_safely("teaching", _teaching),
    ]
    # The bundled model even where its file is gone: that is something to report.
    present = [spec for spec in (*list_models(), *weights.imported()) if weights.find(spec) or spec.bundled]
    for done, spec in enumerate(present):
        part = _part(progress, done, len(present) + 1)
        findings += _safely(f"weights {spec.name}", partial(_weights, spec, part))
    findings += _safely("test prediction", _test_prediction)
    progress(1.0)
    return tuple(findings)


def _safely(subject: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """Turn whatever a check raises into a finding: a report must not end at the first thing that is broken."""
    try:
        return look()
    # A cancel is no finding.
    except Cancelled:
        raise
    except Exception as error:
        return [Finding(subject, Verdict.BROKEN, str(error) or type(error).__name__)]


def _versions() -> list[Finding]:
    findings = [Finding("python", Verdict.OK, f"{platform.python_version()} on {platform.platform()}")]
    for package in _PACKAGES:
        try:
            findings.append(Finding(package, Verdict.OK, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(
                Finding(package, Verdict.BROKEN, "not installed. Run `pip install --upgrade napari-sam-live`.")
            )
    return findings


def _old_plugin() -> Finding:
    message = _conflict.conflict()
    if message is None:
        return Finding("old napari-sam", Verdict.OK, "not installed")
    return Finding("old napari-sam", Verdict.BROKEN, message)


def _qt() -> Finding:
    """Look for a Qt binding without importing it: on a machine without a display that can end the program."""
    found = [name for name in _BINDINGS if importlib.util.find_spec(name)]
    if not found:
        return Finding(
            "Qt binding",
            Verdict.NOTE,
            "none. The command line works without; for the window run `pip install 'napari-sam-live[all]'`.",
        )
    words = ", ".join(f"{name} {_version(name)}" for name in found)
    if "PySide6" in found and _version("PySide6") in _FAULTY and sys.version_info < (3, 12):
        return Finding("Qt binding", Verdict.NOTE, f"{words}. {_ABORTS}")
    chosen = os.environ.get("QT_API")
    return Finding("Qt binding", Verdict.OK, words + (f" (QT_API={chosen})" if chosen else ""))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # conda names some bindings otherwise
        return "(version unknown)"


def _devices() -> list[Finding]:
    import torch

    from napari_sam.device import available_devices, describe_device, devices_without_code

    names = available_devices()
    findings = [Finding(f"device {name}", Verdict.OK, describe_device(torch.device(name))) for name in names]
    if without := devices_without_code():
        findings.append(Finding("GPU", Verdict.NOTE, without))
    elif names == ("cpu",):
        text = "no GPU that torch can use. Large models take seconds for a plane; the bundled one does not need it."
        findings.append(Finding("GPU", Verdict.NOTE, text))
    return findings


def _folder() -> Finding:
    folder = receipts.weights_folder()
    # The folder may not have been made yet: the nearest one above it is on the same disk.
    there = next(path for path in (folder, *folder.parents) if path.exists())
    words = f"{folder} ({format_bytes(shutil.disk_usage(there).free)} free)"
    if not os.access(there, os.W_OK):
        return Finding(
            "weights folder",
            Verdict.NOTE,
            f"{words}, which cannot be written to: models cannot be downloaded. Set {HOME_VARIABLE} to another.",
        )
    return Finding("weights folder", Verdict.OK, words)


def _teaching() -> list[Finding]:
    """Tell what models that were taught take; of those that are in use, little is left."""
    from napari_sam.teaching.runs import size_of_runs

    folder, count, size = size_of_runs()
    if not count:
        return [Finding("teaching", Verdict.OK, "no models were taught in the dock")]
    words = f"{folder} ({count} run{'' if count == 1 else 's'}, {format_bytes(size)})"
    return [Finding("teaching", Verdict.OK, f"{words}. Folders of runs that you do not go on with may be deleted")]


def _part(progress: Progress, done: int, count: int) -> Progress:
    """Report one of `count` equal parts of the whole, after `done` of them."""
    return lambda fraction: progress((done + fraction) / count)


def _size(path: Path) -> str:
    return format_bytes(path.stat().st_size)


def _weights(spec: ModelSpec, progress: Progress) -> list[Finding]:
    words = weights.verify(spec, progress)
    path = weights.target_path(spec)
    return [Finding(f"weights {spec.name}", Verdict.OK, f"{path} ({_size(path)}), {words}")]


def _test_prediction() -> list[Finding]:
    """Let the bundled model segment a disc in noise, with a box, on the CPU.

    A box, because it names one object only: a wrong answer then means a broken installation, not a choice.
    """
    import numpy as np

    from napari_sam.masks import iou
    from napari_sam.predictor import load_predictor
    from napari_sam.prompts import BoxPrompt

    y, x = np.mgrid[:256, :256]
    disc = (y - 120) ** 2 + (x - 140) ** 2 < 40**2
    # The same noise each time, so that reports can be compared.
    image = (60 + 120 * disc + np.random.default_rng(0).normal(0, 8, disc.shape)).astype(np.float32)
    predictor = load_predictor(BUNDLED, "cpu")
    box = BoxPrompt((80, 100), (160, 180))
    predictor.predict(predictor.embed(image), [box])  # torch sets itself up in the first run, which is not timed
    start = time.perf_counter()
    embedding = predictor.embed(image)
    encoded = time.perf_counter()
    mask = predictor.predict(embedding, [box]).masks[0]
    done = time.perf_counter()
    agreement = iou(mask, disc)
    words = (
        f"IoU {agreement:.2f} with a disc of 256 x 256 px, {1e3 * (encoded - start):.0f} ms to encode, "
        f"{1e3 * (done - encoded):.0f} ms to predict, {predictor.device_text}"
    )
    if agreement < 0.5:
        return [Finding("test prediction", Verdict.BROKEN, f"{words}: wrong. Reinstall torch and napari-sam-live.")]
    return [Finding("test prediction", Verdict.OK, words)]
