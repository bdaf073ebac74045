"""What a run leaves behind: what is only needed to go on is deleted once its model is in use."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.files import read_small
from napari_sam.training.best_checkpoint import BEST
from napari_sam.training.finetune.report import FinetuneReport
from napari_sam.training.loop import CHECKPOINT

if TYPE_CHECKING:
    from pathlib import Path

ADAPTER_FILE = "adapter.safetensors"
REPORT = "report.json"
BEFORE, SAMPLES_BEFORE = "before.npz", "samples-before.npz"
ENCODED = "encoded"
CLIP = "clip"
MATERIAL = "material"
"""Folder of planes that were written for the run alone."""

_ONLY_TO_GO_ON = (CHECKPOINT, BEST, BEFORE, SAMPLES_BEFORE, ENCODED, CLIP, MATERIAL)


def clear_remains(folder: Path) -> None:
    """Delete what is only needed to go on: adapter, report, pictures and log stay.

    Parameters
    ----------
    folder : Path
        Of a run that is at its end, and whose model was imported. What cannot be deleted stays.
    """
    for name in _ONLY_TO_GO_ON:
        path = folder / name
        # The checkpoint first: without it, the run is at its end.
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def finished_report(folder: Path) -> FinetuneReport | None:
    """Return the report of a run whose model is kept, and of which nothing is left to go on with; else None."""
    if (folder / CHECKPOINT).exists() or not (folder / ADAPTER_FILE).exists():
        return None
    try:
        report = FinetuneReport.from_dict(json.loads(read_small(folder / REPORT)))
    except (OSError, ValueError, InputError):
        return None
    return report if report.kept else None
