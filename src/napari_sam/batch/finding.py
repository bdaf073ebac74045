"""What looks for objects, in a form that can be sent to another process: it loads its model there, once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from napari_sam import __version__
from napari_sam.automatic import dense_settings_for, find_proposals, grid_settings_for
from napari_sam.errors import InputError
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from napari_sam.automatic import DenseSettings, GridSettings, Proposal
    from napari_sam.planes.plane import Plane
    from napari_sam.predictor import Embedding, Predictor
    from napari_sam.progress import Progress

SearchMode = Literal["auto", "dense", "grid"]

_EMBEDDED = 0.3
"""Share of a picture's work that is done when it is encoded."""

_lock = threading.Lock()
_loaded: dict[tuple[str, str], Predictor] = {}
"""Models of this process, by model and device: loading one takes longer than many tiles."""


@dataclass(frozen=True, slots=True)
class FinderDescription:
    """What the objects that a finder finds depend on, beside the picture.

    Attributes
    ----------
    weights : str
        Digest of the model's weights.
    settings : DenseSettings or GridSettings
        What counts as an object.
    notes : tuple of str
        What a person should know of the model.
    version : str
        Of this package, where the finder is.
    query : str
        What is looked for, in words or as a digest; empty: everything.
    least_match : float
        How well an object must fit what is looked for, 0 to 1.
    classes : tuple of str
        What the objects that fit each of the things that are looked for are called; empty: nothing.
    """

    weights: str
    settings: DenseSettings | GridSettings
    notes: tuple[str, ...] = ()
    version: str = __version__
    query: str = ""
    least_match: float = 0.0
    classes: tuple[str, ...] = ()


class DescribedFinder(Protocol):
    """A finder of `napari_sam.automatic.tiles` that can be pickled, and tells what its answers depend on."""

    def __call__(self, plane: Plane, progress: Progress, /) -> list[Proposal]:
        """Return masks on the pixels of the plane."""

    def describe(self) -> FinderDescription:
        """Load what is needed, and tell."""


@dataclass(frozen=True, slots=True)
class ModelFinder:
    """Finds objects by a model.

    Attributes
    ----------
    model, device : str
        As for `napari_sam.load_predictor`.
    mode : {"auto", "dense", "grid"}
        Whether the model's dense maps say where objects are, or a grid of points; "auto": the maps, if it has any.
    """

    model: str
    device: str = "auto"
    mode: SearchMode = "auto"

    def describe(self) -> FinderDescription:
        """Load the model, and tell how objects are found.

        Raises
        ------
        InputError
            If the model cannot work in this mode.
        """
        predictor = loaded_predictor(self.model, self.device)
        if self.mode == "dense" and not predictor.has_dense_head:
            raise InputError(f"{predictor.name} has no dense maps of objects. Use --mode grid.")
        return FinderDescription(predictor.weights, self.settings(predictor), tuple(predictor.notes))

    def __call__(self, plane: Plane, progress: Progress, /) -> list[Proposal]:
        """Encode a picture and find what may be an object on it."""
        return self.search(plane, progress)[1]

    def search(self, plane: Plane, progress: Progress) -> tuple[Embedding, list[Proposal]]:
        """Encode a picture and find what may be an object on it; return what it was encoded to as well."""
        predictor = loaded_predictor(self.model, self.device)
        embedding = predictor.embed(plane, progress=lambda share: progress(_EMBEDDED * share))

        def within(share: float) -> None:
            progress(_EMBEDDED + (1 - _EMBEDDED) * share)

        return embedding, find_proposals(predictor, embedding, self.settings(predictor), within, plane=plane)

    def settings(self, predictor: Predictor) -> DenseSettings | GridSettings:
        """Return what counts as an object."""
        dense = self.mode == "dense" or (self.mode == "auto" and predictor.has_dense_head)
        return dense_settings_for(predictor) if dense else grid_settings_for(self.model)


def loaded_predictor(model: str, device: str, progress: Progress = no_progress) -> Predictor:
    """Load a model, once in this process for all its threads."""
    from napari_sam.predictor import load_predictor

    with _lock:
        if (model, device) not in _loaded:
            _loaded[model, device] = load_predictor(model, device, progress=progress)
        return _loaded[model, device]


def forget_predictors() -> None:
    """Let go of the models of this process."""
    with _lock:
        _loaded.clear()
