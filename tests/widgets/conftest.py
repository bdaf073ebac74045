"""A real window, real mouse and key events, and an engine that answers at once.

The tests of this folder need a display: a desktop's, or ``xvfb-run -a pytest tests/widgets``.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

# Triton, which torch loads for its optimisers, brings an LLVM of its own. Loaded after the one of Mesa's software
# renderer, as when tests of the training run in this process after those of the window, it crashes the process.
with suppress(ImportError):
    import triton  # noqa: F401

try:
    import qtpy.QtWidgets  # noqa: F401  # fails where no Qt binding is installed
except ImportError:
    MISSING = "no Qt binding; run: pip install 'napari[all]'"
else:
    on_screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    MISSING = "" if on_screen else "no display; run: xvfb-run -a pytest tests/widgets"

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from desk import Desk, DiscEngine

collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if MISSING:
        terminalreporter.write_line(f"tests/widgets was left out: {MISSING}", yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "widgets":
            item.add_marker(pytest.mark.gui)


@pytest.fixture
def engine() -> DiscEngine:
    from desk import DiscEngine

    return DiscEngine()


@pytest.fixture
def open_desk(make_napari_viewer: Callable, qtbot, engine: DiscEngine) -> Iterator[Callable[..., Desk]]:
    """Return a function that opens a window with an image of two discs and the dock, and waits for the encoder."""
    from desk import Desk, discs, end_sessions

    def open_it(
        *,
        image: bool = True,
        order: tuple[int, int] | None = None,
        dock: bool = True,
        settle: bool = True,
        show: bool = True,
        **layer: object,
    ) -> Desk:
        viewer = make_napari_viewer(show=show)
        viewer.window._qt_window.resize(1200, 900)
        if image:
            viewer.add_image(discs(), name="discs", **layer)
        if order is not None:
            viewer.dims.order = order
        viewer.reset_view()
        desk = Desk(viewer, qtbot, engine, dock=dock)
        if dock and settle:
            desk.settle()
        return desk

    yield open_it
    end_sessions(qtbot)
