"""The way to a Dask scheduler, and words for what goes wrong on it."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from napari_sam.errors import InputError
from napari_sam.io.reading import require

EXTRA = "cluster"
_CLOSING_S = 1.0


def require_distributed() -> Any:
    """Import ``distributed``.

    Raises
    ------
    InputError
        If it is not installed; the words say how to.
    """
    return require("distributed", EXTRA, "Several workers and other machines")


def connect(where: Any, timeout: str) -> Any:
    """Connect to a scheduler.

    Parameters
    ----------
    where : str or distributed.LocalCluster
        Its address, or itself. Keys and certificates for ``tls://`` are those of Dask's own settings.
    timeout : str
        How long to wait for it, such as "5s".

    Returns
    -------
    distributed.Client
        To be closed.

    Raises
    ------
    InputError
        If Dask is not installed, or no scheduler answers.
    """
    distributed = require_distributed()
    # In two steps, so that one that does not get through can be closed. Dask closes it whenever garbage is collected:
    # while the next client begins, that waits for itself for ever.
    client = distributed.Client.__new__(distributed.Client)
    try:
        loop = _loop() if isinstance(where, str) else None
        client.__init__(where, timeout=timeout, set_as_default=False, loop=loop)
    # What answers may be anything, and Dask takes its first bytes for sizes.
    except Exception as error:
        with suppress(Exception):  # it may have come to nothing
            client.close(_CLOSING_S)
        raise InputError(_unreachable(where, error)) from error
    return client


@cache
def _loop() -> Any:
    """Start the event loop of this process for all clients: one that loses its scheduler would leave its own behind."""
    runner = require_distributed().utils.LoopRunner()
    runner.start()
    return runner.loop


def _unreachable(where: Any, error: Exception) -> str:
    # What Dask says where keys and certificates are missing.
    if isinstance(error, TypeError):
        return f"There is no safe way to {where}: {error}. Name the certificates of your lab in Dask's settings."
    return f"No Dask scheduler answers at {where}. Start one on that machine: dask scheduler"


def workers_of(client: Any, timeout: float | None = None) -> list[str]:
    """Addresses of the workers that a scheduler has now.

    Raises
    ------
    OSError
        If it does not answer, within `timeout` seconds.
    """
    return list(client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=timeout)["workers"])


def no_workers(address: str) -> str:
    """Say that a scheduler has nobody to work for it."""
    return f"The scheduler at {address} has no workers. Start one: dask worker {address}"


def lost(address: str) -> str:
    """Say that a worker, or its scheduler, has gone."""
    return f"The machine at {address} is not reached any more, or its worker was ended."


def worker_failed(error: BaseException) -> str:
    """Say that a worker failed in a way that nobody foresaw."""
    return f"A worker could not do its work: {error}. Workers need napari-sam-live, in the same version as here."
