"""Which networks can be taught a little: what of them learns, and what it costs to encode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_sam.errors import InputError
from napari_sam.model.compact.model import CompactSam
from napari_sam.training.networks.compact import TrainableCompact
from napari_sam.training.networks.sam import TrainableSam

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam.model.protocol import Features, PromptTensors
    from napari_sam.training.networks.base import Network


class Adaptable(Protocol):
    """A network that answers prompts, and what of it may learn."""

    @property
    def canvas_side(self) -> int | None:
        """The side that every plane is brought to, where encoding takes seconds; None where small crops are cheap."""

    @property
    def window(self) -> int | None:
        """Side of the part of a plane that the dense head learns from in a step, in its logits; None: the whole."""

    def is_late(self, parameter: str) -> bool:
        """Tell whether a parameter, by its name, comes after the costly part of the image encoder."""

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, H, W) uint8."""

    def is_pretrained(self, parameter: str) -> bool:
        """Tell whether a parameter, by its name, has learnt from many images, and should change slowly."""

    def begin(self, pixels: Tensor) -> Features:
        """Compute of a plane, (1, 3, H, W) normalised, what does not change: it can be kept."""

    def resume(self, encoded: Features) -> Features:
        """Give the features of planes out of what `begin` gave of each, with gradient."""

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts; see `napari_sam.training.trainable.Trainable.respond`."""

    def dense(self, features: Features, windows: Sequence[tuple[slice, slice]] | None) -> Tensor | None:
        """Find all objects at once; see `napari_sam.training.trainable.Trainable.dense`."""


def adaptable(network: Network, encoder_blocks: int = 0) -> Adaptable:
    """Take a network as one that can be taught.

    Parameters
    ----------
    network : CompactSam or Sam
    encoder_blocks : int
        How many of the last blocks of a SAM's image encoder learn as well.

    Raises
    ------
    InputError
        If it has not so many.
    """
    match network:
        case CompactSam():
            if encoder_blocks:
                raise InputError("The late part of the bundled model's encoder always learns. Leave out its blocks.")
            return TrainableCompact(network.config, network)
        case _:
            if encoder_blocks > network.image_encoder.depth:
                raise InputError(f"This model's image encoder has {network.image_encoder.depth} blocks. Take fewer.")
            return TrainableSam(network, encoder_blocks)
