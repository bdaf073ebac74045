"""Sizes of the compact model, as they stand in its checkpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from napari_sam.errors import WeightsError
from napari_sam.files import printable
from napari_sam.model.compact.bounds import ratio_problem, setting_problem


@dataclass(frozen=True, slots=True)
class CompactConfig:
    """Sizes of a compact model, and how it lays planes on its canvas; each has a row in `compact_bounds.BOUNDS`.

    Attributes
    ----------
    widths, blocks : (int, int, int)
        Channels and residual blocks of the encoder at strides 4, 8 and 16.
    attention_blocks, attention_heads : int
        The encoder's transformer blocks at stride 16.
    decoder_widths : (int, int, int)
        Channels of the cached features and of the decoder at strides 4, 8 and 16.
    decoder_depth, decoder_heads : int
        The decoder's two-way attention blocks.
    longest, shortest : int
        Limits of a canvas' sides, model pixels: longer planes are shrunk, shorter ones padded.
    preferred, enlarge : float
        A smaller plane is enlarged until its longer side is the geometric mean of what it was and `preferred` model
        pixels, but at most `enlarge` times: details gain by it, and time is paid where there is some to spare.
    window : int
        Least side of the decoder's window, model pixels.
    box_offset : float
        Added to the logits of a mask that a box alone was drawn for, which is else a little too small: mean IoU rises
        from .876 to .883 on held-out nuclei, and from .756 to .762 on 17 other kinds of images.
    ranker : int
        Hidden channels of the network that puts the candidates for a click in order; 0: they go by the decoder's own
        estimates.
    refining_blocks : int
        Residual blocks over the features at stride 8, and as many at stride 4, where there is a trunk: borders are told
        there, and of a trunk those stages are thin.
    backbone : str
        A trunk of `napari_sam.model.encoders.efficientnet`; of `widths` the last is then the attention's,
        and `blocks` say nothing. Empty: plain residual blocks.
    """

    widths: tuple[int, int, int] = (48, 96, 192)
    blocks: tuple[int, int, int] = (2, 2, 2)
    attention_blocks: int = 4
    attention_heads: int = 6
    decoder_widths: tuple[int, int, int] = (32, 64, 128)
    decoder_depth: int = 2
    decoder_heads: int = 4
    longest: int = 1536
    shortest: int = 128
    preferred: float = 1024.0
    enlarge: float = 2.0
    window: int = 192
    box_offset: float = 0.4
    ranker: int = 0
    refining_blocks: int = 0
    backbone: str = ""

    def to_json(self) -> str:
        """Write the configuration as one JSON object, as it stands in a checkpoint's metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CompactConfig:
        """Read what `to_json` wrote.

        Raises
        ------
        WeightsError
            If the text is not a configuration of a compact model.
        """
        try:
            data = json.loads(text)
            if not isinstance(data, dict):
                raise TypeError("it has no settings by name")
            if unknown := data.keys() - {field.name for field in fields(cls)}:
                raise WeightsError(
                    "This compact model has settings that are not known here "
                    f"({', '.join(sorted(map(printable, unknown))[:5])}). Update napari-sam-live."
                )
            if problem := setting_problem(data):
                raise ValueError(problem)
            settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
            config = cls(**settings)
            if problem := ratio_problem(
                config.widths[2], config.attention_heads, config.decoder_widths[2], config.decoder_heads
            ):
                raise ValueError(problem)
        except (TypeError, ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else printable(str(error), 200)
            raise WeightsError(
                f"The checkpoint's description of its compact model cannot be used ({reason}). Fetch the file again."
            ) from error
        return config
