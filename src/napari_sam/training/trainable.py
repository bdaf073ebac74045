"""What the training loop asks of a network, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam.model.protocol import Features, PromptTensors

NetworkT = TypeVar("NetworkT", bound=nn.Module)
NetworkT_co = TypeVar("NetworkT_co", bound=nn.Module, covariant=True)


class Trainable(Protocol[NetworkT_co]):
    """A network, and how it answers a batch: with gradient, on several planes at once, every mask that it has."""

    @property
    def network(self) -> NetworkT_co:
        """What is trained; its parameters are changed in place, those aside that want no gradient."""

    @property
    def description(self) -> str:
        """All that is needed, besides weights, to build the network again: goes into the checkpoint."""

    @property
    def saves_whole(self) -> bool:
        """Whether a checkpoint holds all weights; else those alone that learn, the others being known."""

    def is_pretrained(self, parameter: str) -> bool:
        """Tell whether a parameter, by its name, has learnt from other images before, and should change slowly."""

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, H, W) uint8."""

    def resume(self, encoded: Features) -> Features:
        """Give the features of planes of which something was computed before; see `Batch.encoded`."""

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts.

        Parameters
        ----------
        features : tuple of Tensor
            What `features` gave.
        objects : Tensor, shape (B,), int64
            The plane of each object.
        prompts : PromptTensors
            Pixels of the planes, (x, y), pixel-centred; a box of NaN is no box.

        Returns
        -------
        logits : Tensor, shape (B, 4, H / 4, W / 4)
            The single mask, then the three candidates.
        scores : Tensor, shape (B, 4)
            Predicted IoU.
        """

    def dense(self, features: Features, windows: Sequence[tuple[slice, slice]] | None) -> Tensor | None:
        """Return the logits of a head that finds all objects at once; None without one, or where it does not learn.

        Parameters
        ----------
        features : tuple of Tensor
            What `features` gave.
        windows : sequence of (slice, slice) or None
            See `napari_sam.training.data.batches.Batch`.

        Returns
        -------
        Tensor, shape (N, 3, H / 4, W / 4), or None
            Of the windows alone, where there are some.
        """
