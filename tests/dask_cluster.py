"""A real scheduler with workers, which nobody but this machine reaches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def cluster(folder: Any, *, processes: bool, workers: int, **more: Any) -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=processes,
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        local_directory=str(folder),
        memory_limit=None,
        silence_logs=50,
        **more,
    ) as started:
        yield started
