"""The way to a Dask scheduler, and words for what goes wrong on it."""

from __future__ import annotations

from typing import Any

from napari_sam.errors import InputError
from napari_sam.io.reading import require

EXTRA = "cluster"


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
    try:
        return distributed.Client(where, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {where}. Start one on that machine: dask scheduler") from error
    except TypeError as error:
        # What Dask says where keys and certificates are missing.
        raise InputError(
            f"There is no safe way to {where}: {error}. Name the certificates of your lab in Dask's settings."
        ) from error


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


def worker_failed(error: BaseException) -> str:
    """Say that a worker failed in a way that nobody foresaw."""
    return f"A worker could not do its work: {error}. Workers need napari-sam-live, in the same version as here."
