"""A SAM, as the training loop takes it."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from napari_sam.model.protocol import PromptTensors
from napari_sam.model.sam.instance_decoder import PART, DenseSam
from napari_sam.model.text_projection import given

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from napari_sam.model.protocol import Features
    from napari_sam.model.sam.sam import Sam

T = TypeVar("T")

_WINDOW = 12  # cells of the embedding that the decoder of instances learns from in a step, along each axis
_AROUND = 2  # cells on each side that it sees as well: its borders are then no borders
_LOGITS, _FINE = 4, 16  # dense logits, and maps of the decoder, for a cell of the embedding, along each axis


class TrainableSam:
    """A SAM to train: crops are of the size of its canvas.

    Parameters
    ----------
    network : Sam
    encoder_blocks : int
        How many of the last blocks of its image encoder learn, with the neck after them; 0: nothing of it does.
    """

    def __init__(self, network: Sam, encoder_blocks: int = 0) -> None:
        self.network = network
        encoder = network.image_encoder
        self._fixed = encoder.depth - encoder_blocks if encoder_blocks else None
        late = [] if self._fixed is None else encoder.after(self._fixed)
        learning = {id(parameter) for module in late for parameter in module.parameters()}
        self._late = frozenset(name for name, parameter in network.named_parameters() if id(parameter) in learning)
        self.canvas_side: int | None = network.config.side
        # The decoder of instances draws at full resolution: of a whole plane, that is 100 times a mask's work.
        dense = isinstance(network, DenseSam)
        self.window = _LOGITS * min(_WINDOW, network.config.grid) if dense else None

    def is_late(self, parameter: str) -> bool:
        """Tell whether a parameter is of what reads prompts and draws masks, or finds all objects at once."""
        return parameter in self._late or parameter.startswith(("mask_decoder.", "prompt_encoder.", PART))

    def is_pretrained(self, parameter: str) -> bool:
        """Tell whether a parameter is of the image encoder, which has seen many more images than are taught."""
        return parameter.startswith("image_encoder.")

    def features(self, images: Tensor) -> Features:
        """Encode N planes, (N, 3, side, side) uint8, one after the other: each fills a processor or a GPU."""
        config = self.network.config
        mean, std = (
            images.new_tensor(v, dtype=torch.float32)[:, None, None] for v in (config.pixel_mean, config.pixel_std)
        )
        seen = [self.network.encode(((image.float() - mean) / std)[None]) for image in images]
        return tuple(torch.cat(parts) for parts in zip(*seen, strict=True))

    def begin(self, pixels: Tensor) -> Features:
        """Compute of a plane what does not change: its features, or what the blocks that learn go on with."""
        if self._fixed is None:
            return self.network.encode(pixels)
        tokens, early = self.network.image_encoder.begin(pixels, self._fixed)
        # Nothing but SAM-HQ reads early features.
        return (tokens, early) if self.network.config.high_quality else (tokens,)

    def resume(self, encoded: Features) -> Features:
        """Run the blocks that learn, plane by plane."""
        if self._fixed is None:
            return encoded
        found = []
        for row in range(len(encoded[0])):
            own = [part[row : row + 1] for part in encoded]
            found.append(_checkpointed(partial(self._finish, self._fixed), *own))
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

    def _finish(self, fixed: int, *encoded: Tensor) -> Features:
        embedding, early = self.network.image_encoder.finish(encoded[0], encoded[-1], fixed)
        return self.network.mask_decoder.prepare(embedding, early)

    def respond(self, features: Features, objects: Tensor, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Answer prompts: objects of one plane with like prompts together, exactly as they are answered in use."""
        order: list[int] = []
        found: list[tuple[Tensor, Tensor]] = []
        for rows in _alike(objects, prompts):
            plane = int(objects[rows[0]])
            own = tuple(part[plane : plane + 1] for part in features)
            told = _without_padding(prompts, torch.tensor(rows, device=objects.device))
            answer = self.network.decode_every(own, told)
            found.append((answer.logits, answer.scores))
            order += rows
        back = torch.tensor(order, device=objects.device).argsort()
        logits, scores = (torch.cat(parts)[back] for parts in zip(*found, strict=True))
        return logits, scores

    def dense(self, features: Features, windows: Sequence[tuple[slice, slice]] | None) -> Tensor | None:
        """Return the logits of micro-sam's decoder, where there is one that learns, at a quarter of its resolution."""
        if not isinstance(self.network, DenseSam):
            return None
        decoder = self.network.instance_decoder
        if not any(parameter.requires_grad for parameter in decoder.parameters()):
            return None
        grid = self.network.config.grid
        whole = (slice(0, _LOGITS * grid),) * 2
        return torch.cat(
            [
                _checkpointed(partial(_decoded, decoder, rows=rows, columns=columns), embedding[None])
                for embedding, (rows, columns) in zip(features[0], windows or [whole] * len(features[0]), strict=True)
            ]
        )


def _checkpointed(work: Callable[..., T], *given: Tensor) -> T:
    """Compute with gradient, and again when it is asked for: what is kept until then is kept of one part at a time."""
    if not torch.is_grad_enabled():
        return work(*given)
    result: T = checkpoint(work, *given, use_reentrant=False, preserve_rng_state=False)
    return result


def _decoded(decoder: Callable[[Tensor], Tensor], embedding: Tensor, rows: slice, columns: slice) -> Tensor:
    """Decode a part of an embedding, (1, C, g, g); what is around it is seen, too, as far as it matters."""
    grid = embedding.shape[-1]
    seen = [
        (max(0, side.start // _LOGITS - _AROUND), min(grid, side.stop // _LOGITS + _AROUND)) for side in (rows, columns)
    ]
    (top, bottom), (left, right) = seen
    logits = F.avg_pool2d(decoder(embedding[..., top:bottom, left:right]), _FINE // _LOGITS)
    y, x = rows.start - _LOGITS * top, columns.start - _LOGITS * left
    return logits[..., y : y + rows.stop - rows.start, x : x + columns.stop - columns.start]


def _alike(objects: Tensor, prompts: PromptTensors) -> list[list[int]]:
    """Sort objects by plane and by the kinds of their prompts."""
    count = len(objects)
    nothing = torch.zeros(count, dtype=torch.bool, device=objects.device)
    boxed = nothing if prompts.boxes is None else given(prompts.boxes)
    masked = nothing if prompts.masks is None else prompts.masks.flatten(1).any(1)
    worded = nothing if prompts.texts is None else given(prompts.texts)
    kinds = torch.cat((torch.stack((objects, boxed, masked, worded), 1), prompts.labels < 0), 1).tolist()
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, kind in enumerate(kinds):
        groups[tuple(kind)].append(row)
    return list(groups.values())


def _without_padding(prompts: PromptTensors, rows: Tensor) -> PromptTensors:
    """Take the prompts of some objects that have the same kinds of them."""
    there = prompts.labels[rows[0]] >= 0
    boxes, masks, texts = (
        None if part is None else part[rows] for part in (prompts.boxes, prompts.masks, prompts.texts)
    )
    return PromptTensors(
        prompts.points[rows][:, there],
        prompts.labels[rows][:, there],
        None if boxes is None or not given(boxes).all() else boxes,
        None if masks is None or not masks.any() else masks,
        None if texts is None or not given(texts).all() else texts,
    )
