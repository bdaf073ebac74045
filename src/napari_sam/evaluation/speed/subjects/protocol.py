"""What is asked of a package that is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Point = tuple[float, float]
"""(y, x), data pixels."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender works.

    Attributes
    ----------
    family : str
        A name of `napari_sam.evaluation.speed.contenders.FAMILIES`.
    folder : Path
        Where images and weights are.
    device : str
        A device of torch.
    module : str
        The package to measure; "" for ours.
    """

    family: str
    folder: Path
    device: str
    module: str = ""

    @property
    def weights(self) -> Path:
        """File of the random weights that all contenders of the family load."""
        return self.folder / f"{self.family}.pth"


class Subject(Protocol):
    """A package with its model, used as its documentation says."""

    untimed: Mapping[str, Callable[..., dict[str, Any]]]
    """What else it can be asked, by name; it answers with what goes into the line of JSON."""

    def start(self) -> None:
        """Import the package, with all that the work needs."""

    def load(self) -> None:
        """Read the weights, ready to run."""

    def embed(self, image: NDArray[np.uint8]) -> None:
        """Run the image encoder on an (H, W, 3) image, and keep what it gives."""

    def predict(self, point: Point) -> None:
        """Answer a single point with three masks of the image's full size, on the host."""

    def predict_many(self, points: Sequence[Point]) -> None:
        """Answer many points, each an object of its own with one mask of full size, on the host."""

    def everything(self, image: NDArray[np.uint8], side: int) -> int:
        """Embed an image, ask at side x side points, and return how many good masks there are, by default settings."""

    def answers(self, point: Point) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Answer a point: masks of full size, (3, H, W), and logits as the decoder gives them, the best first."""
