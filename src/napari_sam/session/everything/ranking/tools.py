"""The models that rank objects, kept between one query and the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam.inference.request import EngineFactory
    from napari_sam.progress import Progress
    from napari_sam.text.encoder import TextImageEncoder


class RankingTools:
    """The models that queries ask; all but `stage` belongs to the inference thread.

    Parameters
    ----------
    engine : callable
        Gives the engine of a model on a device.
    """

    def __init__(self, engine: EngineFactory) -> None:
        self.engine = engine
        self.stage = ""
        """Words for what is being done; written by the inference thread in one assignment, read by any."""
        self._encoder: TextImageEncoder | None = None
        self._loaded = ("", "")

    def encoder(self, model: str, device: str, progress: Progress) -> TextImageEncoder:
        """Return a CLIP model on a device, loading it if it is not the last one."""
        # Here: torch comes in with it, and a dock opens before torch is imported.
        from napari_sam.text.encoder import load_encoder

        if self._encoder is None or self._loaded != (model, device):
            self._encoder = None  # two may not fit into memory
            self._encoder, self._loaded = load_encoder(model, device, progress=progress), (model, device)
        return self._encoder
