"""The way there and back: material and model are sent, the run is listened to, what came of it is fetched."""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam import __version__
from napari_sam.errors import Cancelled, DeviceError, InputError, NapariSamError
from napari_sam.files import format_bytes, part_path, read_small, replacing, write_whole
from napari_sam.model.digest import code_digest
from napari_sam.progress import no_progress
from napari_sam.remote import cluster
from napari_sam.remote.asking import ANSWER_S, WorkerLostError, ask_worker, present_workers
from napari_sam.training.finetune.leavings import REPORT, finished_report
from napari_sam.training.finetune.report import FinetuneReport
from napari_sam.training.material.storing import INDEX_FILE
from napari_sam.training.remote import machine
from napari_sam.training.remote.machine import FilePart, TeachingMachine, TeachingOrder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam.checkpoints.adapters.file import AdapterOrigin
    from napari_sam.progress import Progress

ABOUT = "remote.json"
"""Says, in the folder of a run, that it goes on elsewhere."""

_LISTEN_S = 0.3
"""Seconds between two questions how it goes."""
_RETRIES = 3
"""How often a machine that was lost is looked for."""
_RETURN_S = 20.0
"""Seconds in which a worker is started anew."""
_STOP_S = 60.0
"""Seconds that a run there has to end by itself."""
_FETCHED = re.compile(r"adapter\.safetensors|report\.json|log\.jsonl|before-after-\d{1,3}\.png")
_LARGEST = 1 << 30  # bytes of a file that is fetched


@dataclass(frozen=True, slots=True)
class RemoteLesson:
    """What is to be taught elsewhere.

    Attributes
    ----------
    material : Path
        Folder of planes, as `napari_sam.training.material.save_material` writes it.
    origin : AdapterOrigin
        The model that is taught.
    weights : Path
        Its file, which is sent where the other machine does not have it.
    rank : int
        Of the adapters.
    options : tuple of str
        More options of ``napari-sam train finetune``.
    encoder_blocks : int
        Of the image encoder that learn.
    clip : str
        Name of the CLIP model whose words are taught, as the other machine knows it; "" where none are.
    """

    material: Path
    origin: AdapterOrigin
    weights: Path
    rank: int
    options: tuple[str, ...] = ()
    encoder_blocks: int = 0
    clip: str = ""

    @property
    def key(self) -> str:
        """Name of the run there: the same labels, model and adapters are the same run, from wherever they are sent."""
        index = json.loads(read_small(self.material / INDEX_FILE, 1 << 26))
        adapters = [self.rank, self.encoder_blocks] if self.encoder_blocks else [self.rank]
        words = json.dumps([index["planes"], self.origin.sha256, *adapters, *self._words], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:32]

    @property
    def adapters(self) -> tuple[str, ...]:
        """Options of the command that say what learns."""
        blocks = ("--encoder-blocks", str(self.encoder_blocks)) if self.encoder_blocks else ()
        return ("--rank", str(self.rank), *blocks, *self._words)

    @property
    def _words(self) -> tuple[str, ...]:
        return ("--text", "--clip", self.clip) if self.clip else ()

    @property
    def files(self) -> dict[str, Path]:
        """The files of the material, the index last: it names what is there."""
        found = {path.name: path for path in sorted(self.material.glob("plane-*.npz"))}
        return found | {INDEX_FILE: self.material / INDEX_FILE}


def teach_elsewhere(
    address: str,
    lesson: RemoteLesson,
    folder: Path,
    *,
    progress: Progress = no_progress,
    tell: Callable[[str], None] | None = None,
) -> FinetuneReport:
    """Teach a model on a worker of a Dask scheduler, or go on with, or listen to, a run that is there already.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://lab-gpu:8786``.
    lesson : RemoteLesson
    folder : Path
        Gets what comes of it: the adapter, the report, pictures and the log.
    progress : Progress
        Called with the share that is done there; may raise `Cancelled`, upon which the run there is stopped, and saves
        what was learnt.
    tell : callable, optional
        Called with what is said there.

    Raises
    ------
    InputError
        If the folder holds another run, or no scheduler answers.
    DeviceError
        If the machine is lost, or cannot do it. What was begun there goes on; the same call finds it again.
    NapariSamError
        If the run there fails, with its words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, address, lesson.key)
    if (done := finished_report(folder)) is not None:
        return done
    run = _RemoteRun(address, lesson, folder, progress, tell or (lambda _words: None))
    with run:
        for _ in range(_RETRIES):
            # A worker that was started anew, or a line that was cut for a moment.
            with suppress(WorkerLostError):
                return run.to_its_end()
            run.connect_anew()
        return run.to_its_end()


class _RemoteRun:
    """A run on another machine, from here to its end."""

    def __init__(
        self, address: str, lesson: RemoteLesson, folder: Path, progress: Progress, tell: Callable[[str], None]
    ) -> None:
        self._address, self._lesson, self._folder = address, lesson, folder
        self._progress, self._tell = progress, tell
        self._key = lesson.key
        self._worker = self._machine = ""
        self._client: Any = None

    def __enter__(self) -> _RemoteRun:
        self._client = cluster.connect(self._address, f"{ANSWER_S}s")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # it may be gone
            self._client.close(1.0)

    def connect_anew(self) -> None:
        """Reach a worker again, after it was lost.

        Raises
        ------
        DeviceError
            If there is none; the words say what becomes of the run.
        """
        self._tell(f"The machine at {self._address} was lost; looking for it")
        self.__exit__()
        deadline = time.monotonic() + _RETURN_S
        try:
            self.__enter__()
            while not present_workers(self._client, self._address):
                self._look_for_cancel()
                if time.monotonic() > deadline:
                    raise InputError(cluster.no_workers(self._address))
                time.sleep(_LISTEN_S)
        except (InputError, WorkerLostError) as error:
            raise DeviceError(
                f"The machine at {self._address} is not reached any more. If it is still on, the teaching there "
                "goes on without this computer. Give the same command again, or press Go on, to take it up."
            ) from error

    def to_its_end(self) -> FinetuneReport:
        """Send what is not there, begin or find the run, listen to its end, and fetch what came of it."""
        found = self._choose_worker()
        self._tell(f"Teaching on {found.name}, {found.device}")
        model = self._base()
        self._send_material()
        self._ask(machine.begin, TeachingOrder(self._key, model, (*self._lesson.adapters, *self._lesson.options)))
        report = self._listened()
        self._fetch()
        if report.kept:
            # What was not kept can be, without learning again.
            self._ask(machine.forget, self._key)
        return report

    # -- the machine ----------------------------------------------------------------------------------

    def _choose_worker(self) -> TeachingMachine:
        """Find the worker that has this run, else take the first."""
        workers = present_workers(self._client, self._address)
        if not workers:
            raise DeviceError(cluster.no_workers(self._address))
        seen: list[tuple[str, TeachingMachine]] = []
        for worker in workers:
            seen.append((worker, self._ask(machine.look, self._key, worker)))
            if seen[-1][1].has_run:
                break
        self._worker, found = seen[-1] if seen[-1][1].has_run else seen[0]
        self._machine = found.name
        if (found.version, found.networks) != (__version__, code_digest()):
            raise DeviceError(
                f"The machine {found.name} has another version of napari-sam-live than this computer. "
                "Install one version on both."
            )
        return found

    def _ask(
        self, work: Callable[[Any], Any], argument: Any, worker: str = "", progress: Progress | None = None
    ) -> Any:
        progress = progress or (lambda _: self._look_for_cancel())
        return ask_worker(self._client, self._address, worker or self._worker, work, argument, progress)

    def _look_for_cancel(self) -> None:
        self._progress(0.0)

    # -- the way there --------------------------------------------------------------------------------

    def _base(self) -> str:
        """Return what the model is called there, sent if need be."""
        origin = self._lesson.origin
        if name := self._ask(machine.base_name, origin):
            return str(name)
        self._send(machine.MODEL_FILE, self._lesson.weights, f"Sending {origin.name}")
        return str(self._ask(machine.take_model, (self._key, origin.name)))

    def _send_material(self) -> None:
        files = self._lesson.files
        sizes = {name: path.stat().st_size for name, path in files.items()}
        for name in self._ask(machine.lacking, (self._key, sizes)):
            self._send(name, files[name], "Sending labels")

    def _send(self, name: str, path: Path, what: str) -> None:
        size = path.stat().st_size
        self._tell(f"{what} to {self._machine} ({format_bytes(size)})")
        with path.open("rb") as file:
            offset = 0
            while data := file.read(machine.BLOCK):
                self._ask(machine.take, FilePart(self._key, name, offset, data, size))
                offset += len(data)

    # -- meanwhile ------------------------------------------------------------------------------------

    def _listened(self) -> FinetuneReport:
        """Pass on what is said there until it ends."""
        said: dict[str, Any] = {}
        cancelled: Cancelled | None = None
        offset, share, deadline = 0, 0.0, 0.0
        while True:
            try:
                # Once it is to stop, nothing more is to interrupt the listening.
                news = self._ask(machine.listen, (self._key, offset), progress=no_progress if cancelled else None)
                offset = news.offset
                for line in _lines(news.lines):
                    said |= line
                    if isinstance(words := line.get("words"), str) and not cancelled:
                        self._tell(words)
                    if isinstance(fraction := line.get("fraction"), int | float):
                        share = min(max(float(fraction), 0.0), 1.0)
                if not cancelled:
                    self._progress(share)
            except Cancelled as error:
                cancelled, deadline = error, time.monotonic() + _STOP_S
                self._ask(machine.stop, self._key, progress=no_progress)
                continue
            if not news.running and not news.lines:
                break
            if cancelled and time.monotonic() > deadline:
                raise cancelled
            if not news.lines:
                time.sleep(_LISTEN_S)
        if cancelled:
            raise cancelled
        return self._concluded(said, news.last)

    def _concluded(self, said: dict[str, Any], last: str) -> FinetuneReport:
        if isinstance(report := said.get("report"), dict):
            return FinetuneReport.from_dict(report)
        if isinstance(error := said.get("error"), str) and error:
            raise NapariSamError(f"{self._machine}: {error}")
        ended = "was stopped there" if "stopped" in said else f"broke off{f': {last}' if last else ''}"
        raise NapariSamError(f"The teaching on {self._machine} {ended}. Give the same command again to go on.")

    # -- the way back ---------------------------------------------------------------------------------

    def _fetch(self) -> None:
        sizes = {name: size for name, size in self._ask(machine.outcome, self._key).items() if _FETCHED.fullmatch(name)}
        for old in (*self._folder.glob("before-after-*.png"), self._folder / "adapter.safetensors"):
            old.unlink(missing_ok=True)
        # The report last: where it is, the run is over.
        for name in sorted(sizes, key=lambda name: name == REPORT):
            if sizes[name] > _LARGEST:
                raise DeviceError(f"{name} of {self._machine} has {format_bytes(sizes[name])}: it is not fetched.")
            path = self._folder / name
            with replacing(path, part_path(path)) as part, part.open("wb") as file:
                while file.tell() < sizes[name]:
                    data = self._ask(machine.give, FilePart(self._key, name, file.tell()))
                    if not data:
                        raise DeviceError(f"{name} of {self._machine} did not arrive whole. Give the command again.")
                    file.write(data)


def _claim(folder: Path, address: str, key: str) -> None:
    """Write down that the run of a folder is elsewhere, or see that it is the same.

    Raises
    ------
    InputError
        If the folder holds another.
    """
    about = folder / ABOUT
    if about.exists():
        with suppress(OSError, ValueError, KeyError):
            if json.loads(read_small(about))["key"] == key:
                write_whole(about, json.dumps({"address": address, "key": key}))
                return
    elif not (folder / "run.json").exists():
        write_whole(about, json.dumps({"address": address, "key": key}))
        return
    raise InputError(
        f"{folder} holds a run with another model, other labels or another rank, or one of another device. Give "
        "another folder, or delete this one."
    )


def _lines(data: bytes) -> list[dict[str, Any]]:
    """Read the objects that stand in lines; what is none is passed over."""
    found = []
    for line in data.splitlines():
        with suppress(ValueError, RecursionError):
            if isinstance(said := json.loads(line), dict):
                found.append(said)
    return found
