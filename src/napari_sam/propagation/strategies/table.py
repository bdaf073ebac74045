"""The strategies by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.propagation.strategies.flow import Flow
from napari_sam.propagation.strategies.interpolate import Interpolate
from napari_sam.propagation.strategies.previous import Previous
from napari_sam.propagation.strategies.projection import Projection

if TYPE_CHECKING:
    from napari_sam.propagation.strategies.protocol import Strategy

STRATEGIES: dict[str, Strategy] = {
    "flow": Flow(),
    "previous": Previous(),
    "interpolate": Interpolate(),
    "projection": Projection(),
}
"""Ways to carry an object, by name; the form of the dock and the command line read this table."""

DEFAULT_STRATEGY = "flow"
