"""What every test gets: its own home folder, no network but loopback, a fixed seed, and a check for leaks.

Nothing here imports torch, napari or Qt: tests of the core run where none of them is installed.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import random
import socket
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

# Before torch is imported anywhere: tests use tiny tensors, which more threads only slow down, and in a parallel run
# the other cores have tests of their own. The process that starts the others has read this file, too, and they inherit
# what it has set here.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
else:
    os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))
# numba, with which napari colours labels, sets the threads of torch to its own number when it begins. A plugin of
# pytest has imported it by now: it reads the variable anew, because a number that differs from the one that its threads
# were launched with is an error at the next function that it compiles. The module that launches them keeps a copy.
os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"]
if "numba" in sys.modules:
    sys.modules["numba"].config.reload_config()
if "numba.np.ufunc.parallel" in sys.modules:
    sys.modules["numba.np.ufunc.parallel"].NUM_THREADS = int(os.environ["NUMBA_NUM_THREADS"])

import numpy as np
import pytest

from own_screen import close_screen, open_screen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS = ("napari_sam", "napari-sam")
SCREEN = pytest.StashKey[subprocess.Popen[bytes] | None]()
GRACE = 60.0  # seconds that a closed worker may take to end, on a machine that is busy with other things


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes (make long)")
    parser.addoption("--seeds", default="100:140", help="FIRST:LAST random seeds of make stress")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SCREEN] = open_screen()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what imports have made: it stays, and every window is followed by a search.

    What tests make is searched as before.
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    close_screen(config.stash.get(SCREEN, None))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes unless it is asked for: the same is tried with fewer orders or actions."""
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session", autouse=True)
def _away_from_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep fixtures of a whole module, which are made before `home`, out of the person's own folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_SAM_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("NAPARI_SAM_CACHE", raising=False)
        patch.delenv("NAPARI_SAM_CACHE_SIZE", raising=False)
        yield


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a folder of its own for weights, caches and journals."""
    folder = tmp_path / "napari-sam-home"
    monkeypatch.setenv("NAPARI_SAM_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    random.seed(0)
    np.random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        _check_address(sock, address)
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        _check_address(sock, address)
        return connect_ex(sock, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check_host(host)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


@pytest.fixture(autouse=True)
def _no_leaks(home: Path) -> Iterator[None]:
    """Fail a test that leaves a thread or a window of ours behind.

    Asks for `home` only so that it is set up early, and therefore checks late, after viewers were closed.
    """
    threads_before, widgets_before = set(_our_threads()), weakref.WeakSet(_our_widgets())
    yield
    deadline = time.monotonic() + GRACE
    while (threads := set(_our_threads()) - threads_before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not threads, f"threads still run after the test: {sorted(t.name for t in threads)}"
    widgets = _leaked_widgets(widgets_before)
    assert not widgets, f"widgets still exist after the test: {widgets}"


def _check_address(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):  # local sockets, such as the display's, are free
        _check_host(address[0])


def _check_host(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host or "localhost"
    try:
        loopback = name == "localhost" or ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        pytest.fail(f"The test tried to reach {name}: tests may use loopback only.")


def _our_threads() -> Iterator[threading.Thread]:
    """Live threads that this package named or whose work it defines."""
    for thread in threading.enumerate():
        origin = getattr(getattr(thread, "_target", None), "__module__", None) or type(thread).__module__
        if thread.name.startswith(OURS) or origin.startswith(OURS):
            yield thread


def _our_widgets() -> Iterator[Any]:
    """Every live widget whose class this package defines, with or without a parent."""
    if "qtpy.QtWidgets" not in sys.modules:
        return
    application = sys.modules["qtpy.QtWidgets"].QApplication.instance()
    if application is None:
        return
    for widget in application.allWidgets():
        if type(widget).__module__.startswith(OURS):
            yield widget


def _leaked_widgets(before: weakref.WeakSet[Any]) -> list[str]:
    """Names of new widgets that survive deferred deletion and a garbage collection."""
    if all(widget in before for widget in _our_widgets()):
        return []
    gc.collect()
    core = sys.modules["qtpy.QtCore"]
    core.QCoreApplication.sendPostedEvents(None, core.QEvent.Type.DeferredDelete)
    return [type(widget).__name__ for widget in _our_widgets() if widget not in before]
