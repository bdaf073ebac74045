"""One worker is asked to do something, and waited for."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, wait
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from napari_sam.errors import Cancelled, DeviceError, NapariSamError
from napari_sam.remote import cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.progress import Progress

ANSWER_S = 5
"""Seconds to wait for a scheduler."""
_STEP_S = 0.05
"""Seconds between two looks whether the work is still wanted."""
_LOOK_S = 0.5
"""Seconds between two looks whether the worker is still there."""


class WorkerLostError(DeviceError):
    """A worker, or its scheduler, is not reached any more."""


def present_workers(client: Any, address: str) -> list[str]:
    """Give the workers that there are now.

    Raises
    ------
    WorkerLostError
        If the scheduler is gone.
    """
    try:
        if client.status == "running":
            return cluster.workers_of(client, ANSWER_S)
    # Anything may be gone by then.
    except (OSError, AttributeError, RuntimeError) as error:
        raise WorkerLostError(cluster.lost(address)) from error
    raise WorkerLostError(cluster.lost(address))


def ask_worker(
    client: Any, address: str, worker: str, work: Callable[[Any], Any], argument: Any, progress: Progress
) -> Any:
    """Wait for what one worker does.

    Parameters
    ----------
    client : distributed.Client
    address : str
        Of its scheduler, for messages.
    worker : str
        Address of the worker.
    work : callable
        Called there, with `argument`.
    argument
    progress : Progress
        Called while it is waited for; may raise `Cancelled`, which ends the waiting.

    Raises
    ------
    DeviceError
        If the worker is gone (`WorkerLostError`), or cannot do it.
    """
    future = client.submit(work, argument, pure=False, workers=[worker])
    answer = asyncio.run_coroutine_threadsafe(_answer(client, future), client.loop.asyncio_loop)
    looked = monotonic()
    try:
        while not wait([answer], _STEP_S).done:
            progress(0.0)
            # For a worker that has gone, Dask would wait for ever: nobody else may do its work.
            if monotonic() - looked > _LOOK_S:
                if worker not in present_workers(client, address):
                    raise WorkerLostError(cluster.lost(address))
                looked = monotonic()
        return answer.result()
    except (Cancelled, DeviceError):
        raise
    except NapariSamError as error:
        raise DeviceError(str(error)) from error
    except (CancelledError, asyncio.CancelledError) as error:
        # As Dask says that the scheduler is gone.
        raise WorkerLostError(cluster.lost(address)) from error
    except Exception as error:
        raise DeviceError(cluster.worker_failed(error)) from error
    finally:
        answer.cancel()


async def _answer(client: Any, future: Any) -> Any:
    """Wait for a future, and bring what came of it; where nobody waits any more, let it not begin."""
    try:
        return await client.gather(future, asynchronous=True)
    except asyncio.CancelledError:
        with suppress(OSError):
            await client.cancel([future], asynchronous=True, force=True)
        raise
