"""What a strategy is asked, and what it answers. A new one is a module here and a line in `table.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.inference.engine import Engine
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress
    from napari_sam.propagation.results import Annotated


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A plane on which the object is known, with its pixels: all of them, or those of the crop that a run works in.

    Attributes
    ----------
    index : int
    plane : Plane
    mask : numpy.ndarray, shape (H, W), bool
    """

    index: int
    plane: Plane
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One plane to be answered. It, and all masks, may be a crop of the plane, and pixels those of its picture.

    Attributes
    ----------
    index : int
        Which plane.
    plane : Plane
        Its pixels.
    before : tuple of Seen
        The planes that the object was carried over, the last one, a neighbour of `index`, at the end; two at most.
    start : Annotated
        The annotated plane that the direction came from.
    ahead : Annotated or None
        The annotated plane that the direction goes to, if there is one.
    """

    index: int
    plane: Plane
    before: tuple[Seen, ...]
    start: Annotated
    ahead: Annotated | None


@dataclass(frozen=True, slots=True, eq=False)
class StrategyAnswer:
    """What a strategy found on a plane.

    Attributes
    ----------
    mask : numpy.ndarray, shape (H, W), bool
        Empty where the object is not there.
    score : float
        How far it can be trusted, 0 to 1.
    """

    mask: NDArray[np.bool_]
    score: float


class Strategy(Protocol):
    """A way to find an object on the next plane."""

    @property
    def title(self) -> str:
        """A name for a list, such as "Previous mask"."""

    @property
    def description(self) -> str:
        """What it does and when to choose it, in a sentence or two."""

    @property
    def needs_both_ends(self) -> bool:
        """Whether it uses the masks of `Task.start` and `Task.ahead`, which must then be in the crop as a whole."""

    def answer(self, engine: Engine, task: Task, progress: Progress) -> StrategyAnswer:
        """Find the object on one plane; `progress` may raise `Cancelled`."""
