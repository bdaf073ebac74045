"""The dock: small Qt panels that draw the session's state and call its commands. The only place that knows Qt."""

from napari_sam.widgets.dock import SamDock

__all__ = ["SamDock"]
