"""What runs on the other machine: it finds the model there, keeps it, and encodes with it."""

from __future__ import annotations

import platform
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.checkpoints.weights import ensure, imported, resolve
from napari_sam.device import choose_device, describe_device, is_out_of_memory
from napari_sam.embedding import Embedding, embedding_key, encode_plane, encoder_dtype
from napari_sam.errors import DeviceError, WeightsError
from napari_sam.model.digest import code_digest
from napari_sam.planes.plane import Plane
from napari_sam.remote.cluster import require_distributed

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.cache.packed import PackedEmbedding
    from napari_sam.checkpoints.loading import LoadedModel
    from napari_sam.checkpoints.registry import ModelSpec
    from napari_sam.progress import Progress

_lock = threading.Lock()
_loaded: dict[ModelReference, LoadedModel] = {}
"""The last model of this process: loading one takes longer than many planes."""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model, so that another machine finds the same.

    Attributes
    ----------
    name : str
        A name of the registry or of an imported model, or an absolute path.
    weights : str
        Digest of its weights.
    """

    name: str
    weights: str

    @classmethod
    def of(cls, model: str | os.PathLike[str], weights: str) -> ModelReference:
        """Refer to what `napari_sam.load_predictor` takes."""
        path = Path(model).expanduser()
        return cls(str(path.resolve()) if path.is_file() and str(model) != path.stem else str(model), weights)


@dataclass(frozen=True, slots=True)
class MachineDescription:
    """The machine that encodes.

    Attributes
    ----------
    name : str
        Of the machine.
    device : str
        Words for what it computes on.
    networks : str
        Digest of the networks there.
    """

    name: str
    device: str
    networks: str


@dataclass(frozen=True, slots=True, eq=False)
class EncodingRequest:
    """A plane to encode.

    Attributes
    ----------
    model : ModelReference
        By which model.
    pixels : numpy.ndarray, shape (H, W) or (H, W, 3), uint8
        What the model shall see; one channel where all three are alike.
    spacing : (float, float)
        Distance between pixels along y and x.
    topic, ticket : str
        Under which events of Dask to report how far it is, and as what.
    """

    model: ModelReference
    pixels: NDArray[np.uint8]
    spacing: tuple[float, float]
    topic: str
    ticket: str

    @classmethod
    def of(cls, plane: Plane, model: ModelReference, topic: str, ticket: str) -> EncodingRequest:
        """Ask for a plane."""
        pixels = plane.rendered if plane.rgb else plane.rendered[..., 0].copy()
        return cls(model, pixels, plane.spacing, topic, ticket)


def describe(model: ModelReference) -> MachineDescription:
    """Load a model, and tell what computes with it.

    Raises
    ------
    WeightsError
        If this machine does not have these weights.
    """
    with _lock:
        loaded = _load(model)
    device = describe_device(loaded.model.device, encoder_dtype(loaded.model))
    return MachineDescription(platform.node(), device, code_digest())


def encode(request: EncodingRequest) -> PackedEmbedding:
    """Encode a plane.

    Raises
    ------
    WeightsError
        If this machine does not have these weights.
    DeviceError
        If the memory of its device runs out.
    """
    plane = Plane(request.pixels, spacing=request.spacing)
    with _lock:
        loaded = _load(request.model)
        frame = loaded.model.frame(plane.shape, plane.spacing)
        try:
            features = encode_plane(loaded.model, plane, frame, _reporter(request))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            words = f"The machine {platform.node()} ran out of memory on {describe_device(loaded.model.device)}."
            # An error of torch may not survive the way, and its traceback would hold what filled the memory.
            raise DeviceError(words) from None
        # In whatever precision it was made, the key is the one by which the other side knows weights and networks.
        return Embedding(embedding_key(loaded.digest, frame, plane), loaded.digest, frame, features).packed()


def _reporter(request: EncodingRequest) -> Progress:
    """Make what tells the machine that waits how far the encoder is."""
    worker: Any = require_distributed().get_worker()

    def report(share: float, /) -> None:
        worker.log_event(request.topic, [request.ticket, share])

    return report


def _load(model: ModelReference) -> LoadedModel:
    """Return a model of this machine, loading it if it is not the last one; the lock is held."""
    if model not in _loaded:
        # The old model goes first: two may not fit into memory.
        _loaded.clear()
        _loaded[model] = _find(model)
    return _loaded[model]


def _find(model: ModelReference) -> LoadedModel:
    """Find weights by their name, or else among those that were imported here under another."""
    twin = next((spec for spec in imported() if spec.sha256 == model.weights), None)
    try:
        path, spec = (ensure(twin), twin) if twin is not None else resolve(model.name)
        loaded = load_checkpoint(path, architecture=_architecture(spec), device=choose_device())
    except WeightsError as error:
        raise WeightsError(
            f"The machine {platform.node()} cannot load {model.name}: {error} A file that only this computer has is "
            "copied there and taken in by `napari-sam models import FILE`."
        ) from error
    if loaded.digest != model.weights:
        raise WeightsError(
            f"The machine {platform.node()} has other weights of {model.name} than this computer. Download or import "
            "the same file on both, or choose another device."
        )
    return loaded


def _architecture(spec: ModelSpec | None) -> str | None:
    return None if spec is None else spec.architecture
