"""A run from images to files, which goes on where it was cut short."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from napari_sam import __version__
from napari_sam.batch.output import write
from napari_sam.batch.plan import plan_record
from napari_sam.batch.results import assemble
from napari_sam.batch.tasks import require_version
from napari_sam.errors import Cancelled, InputError
from napari_sam.files import write_whole
from napari_sam.io.outputs import reason, remedy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_sam.batch.finding import DescribedFinder, FinderDescription
    from napari_sam.batch.local import Executor
    from napari_sam.batch.plan import PlannedImage
    from napari_sam.batch.results import ImageLabels
    from napari_sam.datasets.table import DatasetFormat
    from napari_sam.progress import Progress

FORMAT = "napari-sam-everything"
VERSION = 1
_ABOUT, _LOCK = "run.json", "run.lock"
_FOUND = 0.95
"""Share of the work that is done when all tiles are."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """What a run did.

    Attributes
    ----------
    images : tuple of ImageLabels
        Whose labels are gone with the folder of the run.
    tiles, resumed : int
        Tiles of all planes, and how many of them an earlier attempt had done.
    seconds : float
        What this attempt took.
    """

    images: tuple[ImageLabels, ...]
    tiles: int
    resumed: int
    seconds: float


@contextmanager
def run_folder(folder: Path, *, anew: bool = False) -> Iterator[Path]:
    """Give a run its folder, which stays where the run is cut short, if anything was done.

    Parameters
    ----------
    folder : Path
        Beside the output. What an earlier attempt has left there is kept.
    anew : bool
        Drop what is there.

    Raises
    ------
    InputError
        If something else lies there, another process is at work in it, or it cannot be made.
    """
    if folder.exists() and not _is_run(folder):
        raise InputError(f"{folder} is in the way and holds something else. Move it, or choose another output.")
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise InputError(f"Another command is at work in {folder}. Wait for it, or choose another output.") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be used: {reason(error)}. {remedy(error)}") from error
    try:
        if anew:
            for path in folder.iterdir():
                if path.name != _LOCK:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield folder
    finally:
        lock.release()
        # Nothing to go on from, and nothing that another run should respect.
        if not _has_records(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_run(folder: Path) -> bool:
    """Tell the folder of a run, also of one that was cut short before it had found anything, from any other."""
    return folder.is_dir() and ((folder / _ABOUT).is_file() or {one.name for one in folder.iterdir()} <= {_LOCK})


def _has_records(folder: Path) -> bool:
    return any(path.name != "plan.json" for path in folder.glob("[0-9]*/*/*.json"))


def run_batch(
    images: Sequence[PlannedImage],
    finder: DescribedFinder,
    executor: Executor,
    folder: Path,
    output: Path,
    kind: DatasetFormat,
    progress: Progress,
    *,
    description: FinderDescription | None = None,
    tracks: bool = False,
) -> BatchResult:
    """Find everything in images and write it.

    What was done in an earlier attempt is not done again; files are those of a run in one go.

    Parameters
    ----------
    images : sequence of PlannedImage
        In folders within `folder`.
    finder : DescribedFinder
    executor : Executor
        Who looks.
    folder : Path
        From `run_folder`; it is emptied when the output is written.
    output : Path
        See `napari_sam.batch.output.require_place`.
    kind : DatasetFormat
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    description : FinderDescription, optional
        Of the finder, where it is known.
    tracks : bool
        Whether to write the tracks of time series, too.

    Raises
    ------
    InputError
        If the folder is another run's, an image cannot be read, or the output cannot be written.
    Cancelled
        If it was interrupted; the same call goes on.
    """
    start = time.monotonic()
    about = description or executor.describe(finder, folder)
    require_version(about)
    _claim(folder, images, about)
    total = sum(len(image.planes) * len(image.tiles.tiles) for image in images)
    tasks = [task for image in images for task in image.missing(finder)]
    resumed = total - len(tasks)

    def found(share: float) -> None:
        progress(_FOUND * (resumed + share * len(tasks)) / total)

    try:
        found(0.0)
        executor.run(tasks, found)
        _require_all(images, finder, folder)
        results = []
        for number, image in enumerate(images):

            def within(share: float, done: int = number) -> None:
                progress(_FOUND + (1 - _FOUND) * (done + share) / len(images))

            results.append(assemble(image, about, within))
        write(output, results, kind, tracks=tracks)
    except (KeyboardInterrupt, Cancelled) as error:
        left = sum(len(image.missing(finder)) for image in images)
        kept = f"{total - left} of {total} tiles are kept in {folder}: run the same command again to go on."
        raise Cancelled(f"Cancelled. {kept if left < total else 'Nothing was written.'}") from error
    for image in images:
        shutil.rmtree(image.folder)
    return BatchResult(tuple(results), total, resumed, time.monotonic() - start)


def _require_all(images: Sequence[PlannedImage], finder: DescribedFinder, folder: Path) -> None:
    """Refuse to go on without tiles that workers have done and this machine does not see."""
    left = sum(len(image.missing(finder)) for image in images)
    if left:
        raise InputError(
            f"{left} tiles are done, but this machine does not see them in {folder}. Workers have to write into the "
            "same folder, under the same path. Where a network drive is only slow, run the same command again."
        )


def _claim(folder: Path, images: Sequence[PlannedImage], about: FinderDescription) -> None:
    """Write down what the run is about; refuse what was found for something else."""
    path = folder / _ABOUT
    own: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "package": __version__,
        "images": plan_record(images),
        "weights": about.weights,
        "query": about.query,
        "settings": {"kind": type(about.settings).__name__, **asdict(about.settings)},
    }
    # Through JSON and back, or it would not equal what is read: tuples become lists there.
    text = json.dumps(own, indent=1)
    try:
        there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError):
        there = {}
    if there is not None and there != json.loads(text) and _has_records(folder):
        raise InputError(
            f"{folder} holds what another command has found, which was cut short. Run that one again, or use --force "
            "to start anew."
        )
    try:
        write_whole(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from error
