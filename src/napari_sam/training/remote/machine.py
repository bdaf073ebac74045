"""What the other machine does: it takes files, runs ``napari-sam train finetune`` on them, and tells how it goes.

The run is a process of its own, which goes on while nobody listens, and which whoever asks next finds again. Functions
here are called on a worker of Dask, and return soon.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam import __version__
from napari_sam.checkpoints.adapters.base_model import find_base
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.registry import list_models
from napari_sam.checkpoints.weights import imported
from napari_sam.device import choose_device, describe_device
from napari_sam.errors import InputError, WeightsError
from napari_sam.files import home, read_small, write_whole
from napari_sam.io.reading import require
from napari_sam.model.digest import code_digest
from napari_sam.remote.cluster import EXTRA
from napari_sam.training.finetune.leavings import ADAPTER_FILE, REPORT
from napari_sam.training.loop import LOG

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.checkpoints.adapters.file import AdapterOrigin

PROGRAM = (sys.executable, "-m", "napari_sam", "train", "finetune")
MODEL_FILE = "model"
"""Name under which weights arrive."""

BLOCK = 1 << 22
"""Bytes that travel at a time."""

_FOLDER, _MATERIAL, _RUN = "taught-for-others", "material", "run"
_OUTPUT, _ERRORS, _PROCESS = "output.jsonl", "errors.log", "process.json"
_KEPT_S = 30 * 86400
"""Seconds after which what nobody came back for is deleted."""
_KEY = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_LAST = 300  # letters of the log that are told
_lock = threading.Lock()
_processes: dict[str, subprocess.Popen[bytes]] = {}
"""Those that this worker has started; others are told by their number."""


@dataclass(frozen=True, slots=True)
class TeachingMachine:
    """The machine that teaches.

    Attributes
    ----------
    name : str
        Of the machine.
    device : str
        Words for what it computes on.
    version, networks : str
        Of napari-sam-live there, and the digest of its networks.
    has_run : bool
        Whether the run that was asked for has been there before.
    """

    name: str
    device: str
    version: str
    networks: str
    has_run: bool


@dataclass(frozen=True, slots=True)
class FilePart:
    """A piece of a file.

    Attributes
    ----------
    key : str
        Of the run.
    name : str
        Of the file.
    offset : int
        Byte with which it begins.
    data : bytes
    size : int
        Of the whole file.
    """

    key: str
    name: str
    offset: int
    data: bytes = b""
    size: int = 0


@dataclass(frozen=True, slots=True)
class TeachingOrder:
    """What to run.

    Attributes
    ----------
    key : str
        Of the run.
    model : str
        Name of the base model there.
    options : tuple of str
        Of the command, those that name folders and the model aside.
    """

    key: str
    model: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TeachingNews:
    """What a run said.

    Attributes
    ----------
    lines : bytes
        Whole lines of JSON.
    offset : int
        Where the next ones begin.
    running : bool
        Whether it still runs.
    last : str
        The last line of its log, where it does not; "" for none.
    """

    lines: bytes
    offset: int
    running: bool
    last: str = ""


def look(key: str) -> TeachingMachine:
    """Describe this machine, and whether it has a run; runs that nobody came back for are deleted."""
    folder = _folder(key)
    _sweep()
    device = describe_device(choose_device())
    return TeachingMachine(platform.node(), device, __version__, code_digest(), (folder / _PROCESS).is_file())


def base_name(origin: AdapterOrigin) -> str:
    """Return what a model is called here, by its checksum; "" where it is not here."""
    try:
        return find_base(origin)[0].name
    except WeightsError:
        return ""


def take_model(order: tuple[str, str]) -> str:
    """Import the model that has arrived; return what it is called here.

    Parameters
    ----------
    order : (str, str)
        Key of the run, and the name that the model has at home.

    Raises
    ------
    WeightsError
        If it cannot be imported.
    """
    key, name = order
    file = _folder(key) / MODEL_FILE
    taken = {row.name.lower() for row in (*list_models(), *imported())}
    wanted, number = name, 1
    while wanted.lower() in taken:
        number += 1
        wanted = f"{name[:56]}-{number}"
    row = import_file(file, wanted)
    file.unlink()
    return row.name


def lacking(offer: tuple[str, dict[str, int]]) -> list[str]:
    """Return the names of files that are not whole here yet.

    Parameters
    ----------
    offer : (str, dict of str to int)
        Key of the run; names and sizes.
    """
    key, sizes = offer
    return [name for name, size in sizes.items() if not _has(_place(key, name), size)]


def take(part: FilePart) -> None:
    """Take a piece of a file; with the last one it gets its name.

    Raises
    ------
    InputError
        If pieces are missing before it.
    """
    path = _place(part.key, part.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_name(path.name + ".part")
    with growing.open("r+b" if part.offset else "wb") as file:
        if os.fstat(file.fileno()).st_size < part.offset:
            raise InputError(f"A piece of {part.name} did not arrive. Run the command again.")
        file.seek(part.offset)
        file.write(part.data)
        file.truncate()
    if part.offset + len(part.data) >= part.size:
        os.replace(growing, path)


def begin(order: TeachingOrder) -> None:
    """Run the command, unless it runs already."""
    folder = _folder(order.key)
    with _lock:
        if _running(order.key):
            return
        (folder / _RUN).mkdir(parents=True, exist_ok=True)
        command = [
            *PROGRAM,
            *("--material", str(folder / _MATERIAL), "-o", str(folder / _RUN), "--model", order.model, "--json"),
            *order.options,
        ]
        with (folder / _OUTPUT).open("wb") as output, (folder / _ERRORS).open("wb") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=_environment(),
                # It outlives the worker.
                **_apart(),
            )
        _processes[order.key] = process
        about = {"pid": process.pid, "began": _began(process.pid)}
        write_whole(folder / _PROCESS, json.dumps(about))


def listen(place: tuple[str, int]) -> TeachingNews:
    """Return what a run has said from some byte on.

    Parameters
    ----------
    place : (str, int)
        Key of the run, and the byte.
    """
    key, offset = place
    folder = _folder(key)
    # First this: what is said between the two is heard.
    running = _running(key)
    with (folder / _OUTPUT).open("rb") as file:
        file.seek(offset)
        data = file.read(BLOCK)
    lines = data[: data.rfind(b"\n") + 1]
    last = "" if running else _last_line(folder / _ERRORS)
    return TeachingNews(lines, offset + len(lines), running, last)


def stop(key: str) -> None:
    """Ask a run to end: it saves what was learnt."""
    with suppress(OSError, ValueError):
        if _running(key):
            _process(key).terminate()


def outcome(key: str) -> dict[str, int]:
    """Name the files that came of a run, with their sizes; the report comes last."""
    folder = _folder(key) / _RUN
    found = [*sorted(folder.glob("before-after-*.png")), folder / ADAPTER_FILE, folder / LOG, folder / REPORT]
    return {path.name: path.stat().st_size for path in found if path.is_file()}


def give(part: FilePart) -> bytes:
    """Return a piece of a file that came of a run."""
    _require(_NAME, part.name)
    with (_folder(part.key) / _RUN / part.name).open("rb") as file:
        file.seek(part.offset)
        return file.read(BLOCK)


def forget(key: str) -> None:
    """Delete a run that is at its end."""
    if not _running(key):
        shutil.rmtree(_folder(key), ignore_errors=True)


def _folder(key: str) -> Path:
    _require(_KEY, key)
    return home() / _FOLDER / key


def _place(key: str, name: str) -> Path:
    _require(_NAME, name)
    return _folder(key) / (name if name == MODEL_FILE else f"{_MATERIAL}/{name}")


def _require(pattern: re.Pattern[str], name: str) -> None:
    """Take no name that could lead out of the folder."""
    if not pattern.fullmatch(name):
        raise InputError(f"{name!r} is no name of a run or of its files.")


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _running(key: str) -> bool:
    if (own := _processes.get(key)) is not None:
        if own.poll() is None:
            return True
        del _processes[key]
        return False
    try:
        return bool(_process(key).is_running())
    except (OSError, ValueError, LookupError):
        return False


def _process(key: str) -> Any:
    """Return the process of a run that an earlier worker has started.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    psutil = _psutil()
    about = json.loads(read_small(_folder(key) / _PROCESS))
    try:
        process = psutil.Process(int(about["pid"]))
        # Numbers are given anew.
        if process.create_time() != about["began"] or process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessLookupError
    except psutil.Error as error:
        raise ProcessLookupError from error
    return process


def _psutil() -> Any:
    """Import ``psutil``, which comes with Dask."""
    return require("psutil", EXTRA, "Teaching for other machines")


def _began(pid: int) -> float:
    psutil = _psutil()
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _environment() -> dict[str, str]:
    """Give the variables of this process, but for those by which Dask gives each worker one thread."""
    import dask.config

    limits = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    kept = {name: value for name, value in os.environ.items() if str(limits.get(name)) != value}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def _apart() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:_LAST].rstrip(".")
    return ""


def _sweep() -> None:
    """Delete runs that nobody came back for."""
    for folder in (home() / _FOLDER).glob("*"):
        with suppress(OSError):
            old = time.time() - max(path.stat().st_mtime for path in (folder, *folder.iterdir())) > _KEPT_S
            if old and _KEY.fullmatch(folder.name) and not _running(folder.name):
                shutil.rmtree(folder, ignore_errors=True)
