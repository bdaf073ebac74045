"""The table of CLIP models, which compare images with phrases: a new one is one row here.

Any other model that open_clip knows is named as open_clip names it. Sizes are what the parameters weigh in float32;
models under a non-commercial licence are not listed.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from napari_sam.errors import WeightsError
from napari_sam.files import format_bytes

HUB_PREFIX = "hf-hub:"
"""What open_clip writes before the name of a repository of the Hugging Face hub."""


CONFIG_FILE = "open_clip_config.json"
"""What open_clip reads first in the folder of a model."""

TOWER_CONFIG = "config.json"
"""Configuration of a text tower of the package transformers, in the folder of a model that has one."""

WEIGHTS_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
)
"""Names of the weights in such a folder; open_clip takes the first that is there."""


@dataclass(frozen=True, slots=True)
class ClipModel:
    """What is known of a CLIP model before it is on this machine.

    Attributes
    ----------
    name : str
        What a person types.
    source : str
        What open_clip calls it: ``ARCHITECTURE:TAG`` of its own table, or ``hf-hub:OWNER/REPOSITORY``. Empty for a
        folder that somebody brought.
    title : str
        What a person reads in a list.
    use_for : str
        One line that helps to choose.
    megabytes : int or None
        Size of the download, about; None where it is not known.
    licence : str
        SPDX name where there is one.
    needs_transformers : bool
        Whether its text tower is made by the package ``transformers``, which is not installed with this one.
    """

    name: str
    source: str
    title: str
    use_for: str = ""
    megabytes: int | None = None
    licence: str = ""
    needs_transformers: bool = False

    @property
    def approximate_size(self) -> int | None:
        """Bytes of the download, about."""
        return None if self.megabytes is None else self.megabytes * 10**6

    @property
    def size_text(self) -> str:
        """The size as a person reads it."""
        return "" if self.approximate_size is None else f"~{format_bytes(self.approximate_size)}"

    @property
    def folder_name(self) -> str:
        """Name of its folder among the weights: `name`, less what a file system does not take."""
        return self.name.replace(":", "--").replace("/", "--")


DEFAULT = "clip-datacomp"

CLIP_MODELS = (
    ClipModel(
        DEFAULT,
        "ViT-B-32-256:datacomp_s34b_b86k",
        "CLIP ViT-B/32, 256 px, DataComp",
        "The default: quick on a CPU, knows everyday words.",
        605,
        "MIT",
    ),
    ClipModel(
        "clip-datacomp-large",
        "ViT-L-14:datacomp_xl_s13b_b90k",
        "CLIP ViT-L/14, DataComp",
        "Knows more, takes ten times as long; for a GPU.",
        1710,
        "MIT",
    ),
    ClipModel(
        "clip-biomed",
        "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        "BiomedCLIP",
        "Figures of biomedical papers: microscopy, radiology. Needs the package transformers.",
        784,
        "MIT",
        needs_transformers=True,
    ),
    ClipModel(
        "clip-quilt",
        "hf-hub:wisdomik/QuiltNet-B-32",
        "QuiltNet ViT-B/32",
        "Histopathology.",
        605,
        "MIT",
    ),
)
"""What ``napari-sam models list`` shows, the cheapest first."""


def is_clip_name(text: str) -> bool:
    """Tell whether a name can only be that of a CLIP model, rightly spelt or not."""
    return text.startswith("clip-") or ":" in text


def named(text: str) -> ClipModel | None:
    """Return the model of a name of the table, of an ``hf-hub:`` repository, or of an ``ARCHITECTURE:TAG``.

    Nothing is looked up that would need open_clip; None where a name is none of these.
    """
    for model in CLIP_MODELS:
        if text in (model.name, model.source):
            return model
    return ClipModel(text, text, text) if all(text.partition(":")) else None


def unknown(text: str) -> WeightsError:
    """Say that there is no such model, and which name is near."""
    near = difflib.get_close_matches(text, [model.name for model in CLIP_MODELS], 1, 0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    return WeightsError(
        f"There is no text model {text!r}.{hint} `napari-sam models list` shows them; a model of open_clip is "
        "ARCHITECTURE:TAG or hf-hub:OWNER/NAME, and a folder is given by its path."
    )
