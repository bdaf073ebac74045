"""Runs of teaching on the disk: each has a folder, which says what it is, so that it goes on another day."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.checkpoints.registry import list_models
from napari_sam.checkpoints.weights import imported
from napari_sam.errors import InputError
from napari_sam.files import home, read_small, size_on_disk, write_whole
from napari_sam.teaching import messages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.training.finetune.report import FinetuneReport

_FOLDER, _FILE, _LOG, _MATERIAL = "teaching", "teaching.json", "teaching.log", "material"
# As `napari_sam.training` names them, which is not imported here: it takes torch.
_CHECKPOINT, _REPORT, _PICTURES = "checkpoint.pt", "report.json", "before-after-*.png"
_ELSEWHERE = "remote.json"  # where another machine learns
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_LONGEST = 48  # letters of a name that is proposed, which leaves room for a number


@dataclass(frozen=True, slots=True)
class TeachingRun:
    """One run.

    Attributes
    ----------
    name : str
        Of the model that comes of it, and of the folder.
    model : str
        What is taught.
    minutes : float
        Of learning.
    device : str
        "auto", a torch device, or the address of a Dask scheduler whose worker learns.
    """

    name: str
    model: str
    minutes: float
    device: str = "auto"

    @property
    def folder(self) -> Path:
        """Where everything of the run is."""
        return home() / _FOLDER / self.name

    @property
    def material(self) -> Path:
        """Where the planes are that it learns from."""
        return self.folder / _MATERIAL

    @property
    def log(self) -> Path:
        """What the process wrote on standard error."""
        return self.folder / _LOG

    @property
    def pictures(self) -> list[Path]:
        """Pictures of before and after, in their order; none before the end."""
        return sorted(self.folder.glob(_PICTURES))

    @property
    def resumable(self) -> bool:
        """Whether it was cut after it had learnt something."""
        return self._begun is not None and not (self.folder / _REPORT).is_file()

    @property
    def _begun(self) -> Path | None:
        """The file that says that something was learnt, here or elsewhere; None where nothing was."""
        files = (self.folder / _CHECKPOINT, self.folder / _ELSEWHERE)
        return next((file for file in files if file.is_file()), None)

    @property
    def saved_at(self) -> float:
        """When something was learnt last, in seconds since the epoch; 0 where nothing was."""
        return 0.0 if self._begun is None else self._begun.stat().st_mtime

    def arguments(self, *, keep_worse: bool = False) -> list[str]:
        """Give the arguments of ``napari-sam train finetune``."""
        return [
            *("--material", str(self.material), "-o", str(self.folder), "--model", self.model, "--name", self.name),
            *("--minutes", f"{self.minutes:g}", "--device", self.device, "--json"),
            *(["--keep-worse"] if keep_worse else []),
        ]

    def save(self) -> None:
        """Write down what it is."""
        about = {"name": self.name, "model": self.model, "minutes": self.minutes, "device": self.device}
        write_whole(self.folder / _FILE, json.dumps(about, indent=1) + "\n")


def size_of_runs() -> tuple[Path, int, int]:
    """Tell where runs are, how many there are, and how many bytes they take."""
    folder = home() / _FOLDER
    return folder, len(list(folder.glob(f"*/{_FILE}"))), size_on_disk(folder)


def find_resumable() -> TeachingRun | None:
    """Find the run that was cut last; None where all came to their end. Folders that cannot be read are passed over."""
    found = []
    for file in (home() / _FOLDER).glob(f"*/{_FILE}"):
        try:
            about = json.loads(read_small(file))
            run = TeachingRun(str(about["name"]), str(about["model"]), float(about["minutes"]), str(about["device"]))
            if run.name == file.parent.name and run.resumable:
                found.append((run.saved_at, run))
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return max(found, key=lambda pair: pair[0])[1] if found else None


def last_report() -> tuple[str, FinetuneReport] | None:
    """Read what came of the run that ended last, with its name; None where none did."""
    # Here, as it takes torch.
    from napari_sam.training.finetune.report import FinetuneReport

    files = sorted((home() / _FOLDER).glob(f"*/{_REPORT}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        try:
            return file.parent.name, FinetuneReport.from_dict(json.loads(read_small(file)))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, InputError):
            continue
    return None


def name_problem(name: str) -> str:
    """Say why a taught model cannot have a name; "" where it can."""
    if not _NAME.fullmatch(name):
        return messages.no_name(name)
    # Letters of two cases are one file on some systems.
    return messages.taken(name) if name.lower() in _taken() else ""


def propose_name(image: str) -> str:
    """Make a free name for a model out of that of an image, such as "plate-7" of "plate 7.ome.tif"."""
    stem = re.sub(r"(\.ome)?\.[A-Za-z][A-Za-z0-9]{0,5}$", "", image)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:_LONGEST].rstrip("-_") or "taught"
    return _free(stem, _taken())


def _free(stem: str, taken: Sequence[str]) -> str:
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def _taken() -> list[str]:
    return [row.name.lower() for row in (*list_models(), *imported())]
