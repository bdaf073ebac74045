"""Schedulers with workers: in processes of their own, as on another machine, or in threads of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dask_cluster import cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


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
