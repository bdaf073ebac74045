"""Tasks on Dask: in threads or processes of this machine, or on the workers of a scheduler anywhere.

Workers write what they find into the folder of the run, under names that depend on the task alone. So it does no harm
that a task is done twice, and a worker that is killed costs no more than the task that it was at.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.batch.open_stacks import close_stacks
from napari_sam.batch.tasks import describe, do
from napari_sam.errors import InputError, NapariSamError
from napari_sam.io.reading import require
from napari_sam.remote import cluster
from napari_sam.remote.addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_sam.batch.finding import DescribedFinder, FinderDescription
    from napari_sam.batch.tasks import TileTask
    from napari_sam.progress import Progress

THREADS, PROCESSES = "threads", "processes"
RETRIES = 2
"""How often a task that failed is tried again."""
_ANSWER = "20s"
"""How long to wait for a scheduler."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a task was not done, and where."""

    worker: str
    words: str


def _attempt(task: TileTask) -> _Failure | None:
    """Do a task on a worker. What goes wrong comes back as words: an error may not survive the way."""
    try:
        do(task)
    except NapariSamError as error:
        words = str(error)
    # A worker has many ways to fail, a device that is lost say, and another one may do better.
    except Exception as error:
        words = f"{task.plane.path}: {type(error).__name__}: {error}"
    else:
        return None
    return _Failure(cluster.require_distributed().get_worker().address, words)


class DaskExecutor:
    """Does tasks on the workers of a Dask scheduler.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe(self, finder: DescribedFinder, folder: Path) -> FinderDescription:
        """Ask a finder on a worker."""
        self._require_workers()
        found: FinderDescription = self._answer(self._client.submit(describe, finder, folder, pure=False))
        return found

    def run(self, tasks: Sequence[TileTask], progress: Progress) -> None:
        """Do all tasks; one that fails is tried again, on another worker if there is one."""
        self._require_workers()
        futures = self._client.map(_attempt, tasks, pure=False)
        # How often each has failed, by its key: a second attempt is a future of its own.
        at = {future.key: (number, 0) for number, future in enumerate(futures)}
        done, waiting = 0, cluster.require_distributed().as_completed(futures, loop=self._client.loop)
        try:
            for future in waiting:
                number, failed = at.pop(future.key)
                failure = self._answer(future)
                if failure is None:
                    done += 1
                    progress(done / len(tasks))
                elif failed == RETRIES:
                    raise InputError(failure.words)
                else:
                    again = self._submit_again(tasks[number], failure)
                    at[again.key] = number, failed + 1
                    waiting.add(again)
        finally:
            # Of what is still under way nobody waits for the end.
            self._client.cancel(list(waiting.futures), force=True)
            with suppress(OSError):
                self._client.run(close_stacks)

    def _submit_again(self, task: TileTask, failure: _Failure) -> Any:
        others = [worker for worker in self._workers() if worker != failure.worker]
        return self._client.submit(_attempt, task, pure=False, workers=others or None, allow_other_workers=bool(others))

    def _workers(self) -> list[str]:
        return cluster.workers_of(self._client)

    def _require_workers(self) -> None:
        if not self._workers():
            raise InputError(cluster.no_workers(self._client.scheduler.address))

    def _answer(self, future: Any) -> Any:
        """Return what came of a future, or say in words why nothing did."""
        try:
            return future.result()
        except NapariSamError:
            raise
        except cluster.require_distributed().KilledWorker as error:
            raise InputError(
                "Worker processes ended again and again at one tile, mostly because memory ran out. Use fewer workers, "
                "or smaller tiles (--tile)."
            ) from error
        except Exception as error:
            raise InputError(cluster.worker_failed(error)) from error


@contextmanager
def on_dask(scheduler: str, folder: Path, workers: int | None = None) -> Iterator[DaskExecutor]:
    """Connect to a scheduler, or start one here for as long as the block runs.

    Parameters
    ----------
    scheduler : str
        "threads", "processes", or the address of a scheduler, ``tcp://HOST:8786``. Its workers see images and output
        under the same paths as this machine.
    folder : Path
        Where workers that are started here keep their files.
    workers : int, optional
        How many are started here. Default: one for each core.

    Raises
    ------
    InputError
        If Dask is not installed, or there is no scheduler.
    """
    distributed = cluster.require_distributed()
    if scheduler not in (THREADS, PROCESSES) and not is_address(scheduler):
        raise InputError(
            f"{scheduler!r} is no scheduler. Write threads, processes, or an address such as tcp://HOST:8786."
        )
    if is_address(scheduler):
        with cluster.connect(scheduler, _ANSWER) as client:
            yield DaskExecutor(client)
        return
    count = workers or os.cpu_count() or 1
    processes = scheduler == PROCESSES
    with (
        require("dask", cluster.EXTRA, "Several workers").config.set({"temporary-directory": str(folder)}),
        distributed.LocalCluster(
            n_workers=count if processes else 1,
            threads_per_worker=1 if processes else count,
            processes=processes,
            # Nobody else may send tasks. Between threads, too: without, Dask asks which network the machine is in.
            host="127.0.0.1",
            protocol="tcp",
            # Any port: the usual one may be taken by another run.
            dashboard_address="127.0.0.1:0",
            local_directory=str(folder),
            # Dask would end a worker that it finds too large, and with it the task.
            memory_limit=None,
            silence_logs=50,
        ) as started,
        cluster.connect(started, _ANSWER) as client,
    ):
        yield DaskExecutor(client)
