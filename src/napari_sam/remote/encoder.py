"""Has planes encoded on the workers of a Dask scheduler, and does without them where they fail."""

from __future__ import annotations

import logging
import threading
import uuid
import warnings
import weakref
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from napari_sam.errors import DeviceError, InputError
from napari_sam.model.digest import code_digest
from napari_sam.remote import cluster
from napari_sam.remote.asking import ANSWER_S, ask_worker, present_workers
from napari_sam.remote.worker import EncodingRequest, MachineDescription, ModelReference, describe, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from napari_sam.cache.packed import PackedEmbedding
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress

_log = logging.getLogger(__name__)

REST_S, LONGEST_REST_S = 60.0, 3600.0
"""Seconds after a failure during which nobody is asked, and after many: a person should not wait at every plane."""
_ATTEMPTS = 2


class RemoteEncoder:
    """The image encoder of a model, on another machine.

    Safe to use from several threads.

    Parameters
    ----------
    address : str
        Of a Dask scheduler, such as ``tcp://lab-gpu:8786``.

    Attributes
    ----------
    notice : str
        Why planes are not encoded there now; "" while they are.

    Raises
    ------
    DeviceError
        If no scheduler answers there within a few seconds, it has no workers, or Dask is not installed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._client: Any = None
        self._finalizer: Any = None
        self._topic = f"napari-sam-{uuid.uuid4().hex}"
        self._shares: dict[str, float] = {}
        self._model: ModelReference | None = None
        self._machine: MachineDescription | None = None
        self._worker = ""
        self._rest = self._rests_until = 0.0
        self.notice = ""
        if not present_workers(self._connected(), address):
            raise DeviceError(cluster.no_workers(address))

    @property
    def text(self) -> str:
        """Words for the machine and its address."""
        return self._address if self._machine is None else f"{self._machine.name}, {self._address}"

    def use_model(self, model: str | PathLike[str], weights: str, progress: Progress) -> None:
        """Have a worker load a model, and make sure that it is the one that is used here.

        Parameters
        ----------
        model : str or path
            As for `napari_sam.load_predictor`.
        weights : str
            Digest of its weights here.
        progress : Progress
            Called while it is waited for.

        Raises
        ------
        DeviceError
            If it cannot, has other weights or another version of this package.
        Cancelled
            If `progress` raises it.
        """
        reference = ModelReference.of(model, weights)
        machine: MachineDescription = self._ask(describe, reference, progress)
        if machine.networks != code_digest():
            raise DeviceError(
                f"The machine {machine.name} has another version of napari-sam-live than this computer. "
                "Install one version on both."
            )
        self._model, self._machine = reference, machine

    def encode(self, plane: Plane, key: str, progress: Progress) -> PackedEmbedding | None:
        """Encode a plane.

        Parameters
        ----------
        plane : Plane
            What travels is the picture that the model sees.
        key : str
            That of the embedding here.
        progress : Progress
            Called while it is waited for; may raise `Cancelled`, which ends the waiting.

        Returns
        -------
        PackedEmbedding or None
            None where nobody could: a warning and `notice` say why, and for a while nobody is asked again.
        """
        if self._model is None:
            raise RuntimeError("use_model comes first")
        if monotonic() < self._rests_until:
            return None
        ticket = uuid.uuid4().hex
        request = EncodingRequest.of(plane, self._model, self._topic, ticket)
        self._shares[ticket] = 0.0
        try:
            packed: PackedEmbedding = self._ask(encode, request, lambda _: progress(self._shares[ticket]))
            if packed.key != key:
                raise DeviceError(
                    f"The machine at {self._address} encodes with other weights than this computer. Restart its worker."
                )
        except DeviceError as error:
            self._rest = min(2 * self._rest, LONGEST_REST_S) or REST_S
            self._rests_until = monotonic() + self._rest
            self.notice = f"Planes are encoded on this computer for now. {error}"
            warnings.warn(self.notice, RuntimeWarning, stacklevel=3)
            return None
        finally:
            del self._shares[ticket]
        self.notice, self._rest = "", 0.0
        return packed

    def _ask(self, work: Callable[[Any], Any], argument: Any, progress: Progress) -> Any:
        """Have a worker do something, and another one if the first cannot."""
        asked: list[str] = []
        failure = DeviceError(cluster.no_workers(self._address))
        for _ in range(_ATTEMPTS):
            client = self._connected()
            left = [worker for worker in present_workers(client, self._address) if worker not in asked]
            if not left:
                break
            # The one that was asked before has the model in memory.
            asked.append(self._worker if self._worker in left else left[0])
            try:
                answer = ask_worker(client, self._address, asked[-1], work, argument, progress)
            except DeviceError as error:
                _log.debug("worker %s failed", asked[-1], exc_info=True)
                failure = error
            else:
                self._worker = asked[-1]
                return answer
        raise failure

    def _connected(self) -> Any:
        """Return a client, a new one where the last has lost its scheduler."""
        with self._lock:
            if self._client is None or self._client.status != "running":
                if self._finalizer is not None:
                    self._finalizer()
                try:
                    self._client = cluster.connect(self._address, f"{ANSWER_S}s")
                except InputError as error:
                    raise DeviceError(str(error)) from error
                self._client.subscribe_topic(self._topic, partial(_note_share, self._shares))
                self._finalizer = weakref.finalize(self, _close, self._client)
                # At exit, Dask closes its clients itself, and no thread can be started any more.
                self._finalizer.atexit = False
            return self._client


def _note_share(shares: dict[str, float], event: tuple[float, tuple[str, float]]) -> None:
    """Note how far a plane is; one that nobody waits for any more is left out."""
    ticket, share = event[1]
    if ticket in shares:
        shares[ticket] = share


def _close(client: Any) -> None:
    """Close a client on a thread of its own: it waits for a scheduler that may be gone, and this may be a window."""
    threading.Thread(target=client.close, name="close the Dask client", daemon=True).start()
