"""Words as a prompt: the embedding of a CLIP model becomes one more token beside points and boxes.

Kirillov et al., Segment Anything, arXiv 2304.02643, section 7.5 and appendix D.5: trained on what CLIP's image tower
makes of objects, prompted with what its text tower makes of a phrase. No published checkpoint has the weights.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from napari_sam.errors import WeightsError
from napari_sam.files import printable

METADATA = "text_prompt"
"""Entry of a safetensors file's metadata: `ClipSpace.to_json` of the model whose embeddings the weights read."""

PART = "text_projection."
"""What the names of a projection's weights begin with, after the part of the model that it belongs to."""

_WIDEST = 8192  # numbers of an embedding; the largest CLIP has 1280
_LONGEST = 200  # characters of a name


@dataclass(frozen=True, slots=True)
class ClipSpace:
    """Which CLIP model makes the embeddings that weights were trained on: those of another mean nothing to them.

    Attributes
    ----------
    model : str
        What a person calls it: a name of `napari-sam models list`, open_clip's own, or that of a folder.
    source : str
        What open_clip calls it, such as ``ViT-B-32-256:datacomp_s34b_b86k``; empty for a folder that somebody brought.
    width : int
        Numbers of an embedding.
    """

    model: str
    source: str
    width: int

    def __post_init__(self) -> None:
        if not (isinstance(self.width, int) and 1 <= self.width <= _WIDEST):
            raise ValueError(f"a width of {self.width!r}")
        if not all(isinstance(text, str) and len(text) <= _LONGEST for text in (self.model, self.source)):
            raise ValueError("a name that is none")

    def to_json(self) -> str:
        """Write it as it stands in a checkpoint's metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ClipSpace:
        """Read what `to_json` wrote.

        Raises
        ------
        WeightsError
            If it is none.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise WeightsError(
                "The checkpoint does not say which CLIP model its text prompt belongs to "
                f"({printable(str(error), 120)}). Fetch the file again, or train it anew."
            ) from error


class TextProjection(nn.Module):
    """Project CLIP embeddings to tokens.

    Parameters
    ----------
    space : ClipSpace
        Whose embeddings.
    channels : int
        Of a token.
    """

    def __init__(self, space: ClipSpace, channels: int) -> None:
        super().__init__()
        self.space = space
        self.project = nn.Linear(space.width, channels)
        self.kind = nn.Embedding(1, channels)  # says that a token is words, as those of points and corners do

    def forward(self, embeddings: Tensor) -> Tensor:
        """Turn embeddings of length 1, (B, width), into one token each, (B, 1, channels)."""
        # Numbers of the order of one, whatever the width: what layers and optimisers are made for.
        told = math.sqrt(self.space.width) * embeddings
        token: Tensor = self.project(told) + self.kind.weight
        return token[:, None]


def given(embeddings: Tensor) -> Tensor:
    """Tell which of (B, width) embeddings are there, (B,) bool: one of NaN stands for none."""
    return torch.isfinite(embeddings).all(1)
