"""Looks at features of one scale or several: answers in windows that grow while masks touch their edges."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from napari_sam.model.compact import windows as window
from napari_sam.model.compact.layers import HEADS, STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam.model.compact.decoder import MaskDecoder
    from napari_sam.model.protocol import Features, PromptTensors


@dataclass(frozen=True, slots=True)
class Look:
    """What the decoder saw of one object.

    Attributes
    ----------
    logits : Tensor, shape (4, h, w)
        In the window, at stride 4 of the scale: the single mask, then three candidates.
    scores : Tensor, shape (4,)
        Predicted IoU.
    corner : (int, int)
        First cell of the window, (y, x).
    """

    logits: Tensor
    scores: Tensor
    corner: tuple[int, int]


@dataclass(frozen=True, slots=True)
class View:
    """Objects to look at on one scale.

    Attributes
    ----------
    features : tuple of Tensor
        At strides 4, 8 and 16, and the similarity features; of one plane, or one for each object.
    prompts : PromptTensors
        Of B objects, pixels of this scale.
    least : int
        Least side of a window, pixels of this scale.
    most : float
        A window that is wider than this does not grow: what does not fit into it is seen better at a coarser scale.
    """

    features: Features
    prompts: PromptTensors
    least: int
    most: float = math.inf

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, cells of stride 4."""
        return self.features[0].shape[2], self.features[0].shape[3]


@dataclass(frozen=True, slots=True)
class _Objects:
    """The objects of all views, one after the other: the view of each and its row there, and what holds for it."""

    views: Sequence[View]
    owners: list[int]
    rows: list[int]
    prompts: PromptTensors  # without masks, whose size is that of the view
    spans: Tensor
    shapes: Tensor
    most: Tensor

    @classmethod
    def of(cls, views: Sequence[View]) -> _Objects:
        counts = [len(view.prompts.points) for view in views]
        each = torch.tensor(counts)
        return cls(
            views,
            [owner for owner, count in enumerate(counts) for _ in range(count)],
            [row for count in counts for row in range(count)],
            window.joined([replace(view.prompts, masks=None) for view in views]),
            torch.cat([window.extents(view.prompts, view.shape) for view in views]),
            torch.tensor([view.shape for view in views]).repeat_interleave(each, 0),
            torch.tensor([view.most for view in views]).repeat_interleave(each),
        )

    def maps(self, part: int, some: list[int]) -> list[Tensor]:
        """Give a part of the features of some objects, each (C, h, w)."""
        found = []
        for index in some:
            maps = self.views[self.owners[index]].features[part]
            found.append(maps[self.rows[index] if len(maps) > 1 else 0])
        return found

    def masks(self, some: list[int]) -> list[Tensor] | None:
        """Give the earlier masks of some objects, each (1, h, w); None where there is none."""
        if self.views[0].prompts.masks is None:
            return None
        masks = [self.views[self.owners[index]].prompts.masks for index in some]
        return [given[self.rows[index]] for given, index in zip(masks, some, strict=True) if given is not None]


def look(decoder: MaskDecoder, views: Sequence[View], *, multimask: bool) -> list[list[Look]]:
    """Answer objects, each in its own window; windows of one size are decoded together, of whatever scale they are.

    Parameters
    ----------
    decoder : MaskDecoder
    views : sequence of View
        With prompts of the same kinds.
    multimask : bool
        Which masks are to lie wholly in the window: the three candidates, or the single one.

    Returns
    -------
    list of list of Look
        Of each view, of each of its objects.
    """
    if not views:
        return []
    objects = _Objects.of(views)
    shown = slice(1, None) if multimask else slice(0, 1)
    sides = torch.tensor([views[owner].least // STRIDE for owner in objects.owners])
    found: dict[int, Look] = {}
    pending = torch.arange(len(sides))
    while len(pending):
        sizes = window.window_sides(objects.spans[pending], sides[pending], objects.shapes[pending])
        group = pending[(sizes == sizes[0]).all(1)]
        size = int(sizes[0, 0]), int(sizes[0, 1])
        shapes = objects.shapes[group]
        corners = window.window_corners(objects.spans[group], size, shapes)
        masks, scores = _answer(decoder, objects, group, corners, size)
        growing = window.touches(masks[:, shown], corners, size, shapes) & (max(size) * STRIDE <= objects.most[group])
        for row in torch.nonzero(~growing)[:, 0].tolist():
            y, x = corners[row].tolist()
            found[int(group[row])] = Look(masks[row], scores[row].float(), (y, x))
        sides[group[growing]] = 2 * max(size)
        pending = pending[~torch.isin(pending, group[~growing])]
    answers: list[list[Look]] = [[] for _ in views]
    for index, owner in enumerate(objects.owners):
        answers[owner].append(found[index])
    return answers


def _answer(
    decoder: MaskDecoder, objects: _Objects, group: Tensor, corners: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Run the decoder in one window of `size` for each object of a group."""
    some: list[int] = group.tolist()
    f4, f8, f16 = (
        window.cut(objects.maps(part, some), corners // step, (size[0] // step, size[1] // step))
        for part, step in enumerate((1, 2, 4))
    )
    kinds = [keys.flatten(0, 1) for keys in objects.maps(3, some)]
    keys = torch.unflatten(window.cut(kinds, corners, size), 1, (HEADS, -1))
    masks = objects.masks(some)
    told = window.take(objects.prompts, group)
    inside = replace(told, masks=None if masks is None else window.cut(masks, corners, size))
    origin = corners.flip(1).to(f4.device, torch.float32) * STRIDE
    centre = window.centres(objects.spans[group]).to(f4.device)
    answer: tuple[Tensor, Tensor] = decoder((f4, f8, f16), keys, inside, origin, centre)
    return answer
