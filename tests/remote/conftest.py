"""Schedulers with workers: in processes of their own, as on another machine, or in threads of this one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from napari_sam.remote import encoder

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def cluster(folder: Any, *, processes: bool, workers: int) -> Iterator[Any]:
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
    ) as started:
        yield started


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[Any]:
    """Two workers in processes of their own."""
    with cluster(tmp_path_factory.mktemp("processes"), processes=True, workers=2) as started:
        yield started


@pytest.fixture
def threads(tmp_path) -> Iterator[Any]:
    """One worker in a thread of this process."""
    with cluster(tmp_path / "threads", processes=False, workers=1) as started:
        yield started


@pytest.fixture
def without_rest(monkeypatch):
    monkeypatch.setattr(encoder, "REST_S", 0.0)
