"""A CLIP model that turns phrases and pictures into vectors that can be compared."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from napari_sam.device import choose_device, describe_device, is_out_of_memory
from napari_sam.errors import DeviceError, WeightsError
from napari_sam.files import read_small
from napari_sam.progress import no_progress
from napari_sam.remote.addresses import device_here
from napari_sam.text import store
from napari_sam.text.models import CONFIG_FILE, TOWER_CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.progress import Progress

_BATCH = 32


class TextImageEncoder:
    """A model of open_clip in evaluation mode, with what prepares its inputs; see `load_encoder`.

    Parameters
    ----------
    model : torch.nn.Module
        With ``encode_text``, ``encode_image`` and ``logit_scale``, on `device`.
    tokenizer : callable
        From a list of phrases to tokens, (n, length) int64.
    preprocess : callable
        From a picture of Pillow to what the model takes, (3, side, side) float32.
    device : torch.device
    name : str
        What a person calls the model.
    clip, source : str
        See `napari_sam.text.store.identity`.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Callable[[list[str]], Tensor],
        preprocess: Callable[[Image.Image], Tensor],
        device: torch.device,
        name: str,
        clip: str = "",
        source: str = "",
    ) -> None:
        self.name, self.clip, self.source = name, clip or name, source
        self._model = model
        self._tokenizer = tokenizer
        self._preprocess = preprocess
        self._device = device
        self._phrases: dict[str, NDArray[np.float32]] = {}

    @property
    def device_text(self) -> str:
        """Words for the device that it runs on."""
        return describe_device(self._device)

    @property
    def logit_scale(self) -> float:
        """Factor between a cosine and a logit, as the model learned it (the inverse temperature of CLIP)."""
        return float(self._model.logit_scale.detach().exp())

    def encode_text(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Encode phrases; each is encoded once and kept.

        Returns
        -------
        numpy.ndarray, shape (n, d), float32
            Of length 1 each.

        Raises
        ------
        DeviceError
            If the device's memory runs out.
        """
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._phrases]
        for start in range(0, len(new), _BATCH):
            part = new[start : start + _BATCH]
            vectors = self._run(self._model.encode_text, self._tokenizer(part))
            self._phrases.update(zip(part, vectors, strict=True))
        return np.stack([self._phrases[phrase] for phrase in phrases])

    def encode_images(
        self, images: Iterable[NDArray[np.uint8]], count: int | None = None, progress: Progress = no_progress
    ) -> NDArray[np.float32]:
        """Encode pictures, in batches.

        Parameters
        ----------
        images : iterable of numpy.ndarray, shape (h, w, 3), uint8
            RGB, of any sizes. Only a batch of them is held at a time.
        count : int, optional
            How many there are, for the progress; default: the length of `images`.
        progress : Progress
            Called after every batch; may raise `Cancelled`.

        Returns
        -------
        numpy.ndarray, shape (n, d), float32
            Of length 1 each.

        Raises
        ------
        DeviceError
            If the device's memory runs out.
        """
        total = len(images) if count is None else count  # type: ignore[arg-type]  # whoever gives no count gives a list
        vectors: list[NDArray[np.float32]] = []
        batch: list[Tensor] = []
        done = 0
        progress(0.0)
        for done, image in enumerate(images, 1):
            batch.append(self._preprocess(Image.fromarray(image)))
            if len(batch) == _BATCH:
                vectors.append(self._run(self._model.encode_image, torch.stack(batch)))
                batch.clear()
                progress(done / max(total, done))
        if batch:
            vectors.append(self._run(self._model.encode_image, torch.stack(batch)))
        progress(1.0)
        return np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float32)

    def _run(self, encode: Callable[[Tensor], Tensor], inputs: Tensor) -> NDArray[np.float32]:
        try:
            with torch.inference_mode():
                vectors = functional.normalize(encode(inputs.to(self._device)).float(), dim=-1)
                result: NDArray[np.float32] = vectors.cpu().numpy()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                f"The memory of {self.device_text} is too small for {self.name}. Close other programs that use it, or "
                'choose the device "cpu".'
            ) from error
        return result


def load_encoder(
    name: str, device: str = "auto", *, offline: bool = False, progress: Progress = no_progress
) -> TextImageEncoder:
    """Load a CLIP model. Code in its files is never run, and the network is not asked where they are on disk.

    Parameters
    ----------
    name : str
        What `napari_sam.text.store.lookup` takes: a name of the table, a folder, or open_clip's own name.
    device : str
        "auto", or the name of a device. With the address of another machine, words are encoded here all the same.
    offline : bool
        Never download.
    progress : Progress
        Called while a download goes on; may raise `Cancelled`.

    Raises
    ------
    WeightsError
        If there is no such model, it cannot be had or is damaged, or a package is missing that it needs.
    DeviceError
        If the device does not exist here, or its memory is too small.
    """
    place = choose_device(device_here(device))
    model = store.lookup(name)
    if model.needs_transformers:
        _require_transformers(model.title)  # before hundreds of megabytes are downloaded for nothing
    folder = store.ensure(model, progress, offline=offline)
    changed = _local_tower(model.title or model.name, folder)
    import open_clip

    try:
        # A folder is never looked for in the network, a name of open_clip would be.
        clip, preprocess = open_clip.create_model_from_pretrained(
            f"local-dir:{folder}", device=place, weights_only=True, **changed
        )
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    except Exception as error:  # open_clip lets through what torch, timm, safetensors and transformers raise
        if is_out_of_memory(error):
            raise DeviceError(
                f'The memory of {describe_device(place)} is too small for {model.name}. Choose the device "cpu".'
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(store.damaged(model.name, folder, reason.rstrip("."))) from error
    clip.eval().requires_grad_(False)
    return TextImageEncoder(clip, tokenizer, preprocess, place, model.name, *store.identity(model))


def _local_tower(title: str, folder: Path) -> dict[str, Any]:
    """Return what to change in a model's configuration so that its text tower is read from its own folder.

    A text tower of transformers is made from the configuration of another repository of the hub, which open_clip asks
    for even where the model itself is a local folder.
    """
    try:
        config = json.loads(read_small(folder / CONFIG_FILE))
        text_cfg = config["model_cfg"]["text_cfg"]
        tower = text_cfg.get("hf_model_name")
        needed = tower or text_cfg.get("hf_tokenizer_name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(store.damaged(title, folder, f"its {CONFIG_FILE} is not one of open_clip's")) from error
    if needed:
        _require_transformers(title)
    if not tower:
        return {}
    if not (folder / TOWER_CONFIG).is_file():
        raise WeightsError(
            f"{folder} lacks {TOWER_CONFIG}, the configuration of its text tower ({tower}). Get the folder with "
            "`napari-sam models download`, which puts it there, and copy it as a whole."
        )
    return {"text_cfg": {**text_cfg, "hf_model_name": str(folder), "hf_model_pretrained": False}}


def _require_transformers(title: str) -> None:
    if find_spec("transformers") is None:
        raise WeightsError(
            f"{title} needs the package transformers to read text, which is not installed. Run "
            "`pip install transformers`, or choose another text model."
        )
