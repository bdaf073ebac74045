"""What napari's command palette runs: every action, on the session of the window that the person works in.

The manifest names a function of this module for each action of `napari_sam.session.actions`; they are made when napari
asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari
from napari.utils.notifications import show_info

from napari_sam.session.actions import ACTIONS
from napari_sam.widgets.dock import SamDock

if TYPE_CHECKING:
    from collections.abc import Callable

NO_DOCK = "SAM live is not open in this window: open Plugins > SAM live > Segment first."


def __getattr__(name: str) -> Callable[[], None]:
    """Make what runs the action of this id, as the manifest names it."""
    if name not in ACTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def run() -> None:
        run_action(name)

    return run


def run_action(name: str) -> None:
    """Run an action in the current viewer, or say why that is not possible.

    Parameters
    ----------
    name : str
        Its id in `ACTIONS`.
    """
    dock = _open_dock()
    if dock is None:
        show_info(NO_DOCK)
        return
    action, session = dock.session.actions[name], dock.session
    if action.enabled(session.state):
        action.run(session)
    else:
        show_info(f"{action.title} has nothing to do now. {action.tooltip}")


def _open_dock() -> SamDock | None:
    """Find the dock in the current window: the one opened last, where there are several."""
    viewer = napari.current_viewer()
    if viewer is None:
        return None
    docks = [widget for widget in viewer.window.dock_widgets.values() if isinstance(widget, SamDock)]
    return next((dock for dock in reversed(docks) if dock.isEnabled()), None)  # greyed out: its session ended
