"""From the Hugging Face hub to a folder that open_clip reads without a network.

The hub is asked which files there are, with their sizes and checksums; the files come with our own download, which goes
on where it was cut. Models with a text tower of the package transformers read the configuration of the tower, and its
tokenizer, from repositories of their own: these are put into the folder, too.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam.checkpoints import download
from napari_sam.checkpoints.download.source import checkpoint_problem
from napari_sam.errors import WeightsError
from napari_sam.files import read_small, write_whole
from napari_sam.progress import no_progress
from napari_sam.text.models import CONFIG_FILE, HUB_PREFIX, TOWER_CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.progress import Progress
    from napari_sam.text.models import ClipModel

_SAFE, _PICKLE = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_MOST_WEIGHTS = 12_000_000_000  # bytes: more than the largest CLIP model of open_clip has
_MOST_TEXT = 100_000_000  # bytes: tokenizers of many languages have some tens of millions
_COPY = "hub_config.json"  # the repository's own configuration, until the folder is whole


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the network.

    Attributes
    ----------
    url : str
    size : int or None
        Bytes.
    sha256 : str or None
        Lower-case hexadecimal.
    """

    url: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class _Transfer:
    """Where files go, and how that is told."""

    model: ClipModel
    folder: Path
    advice: str
    progress: Progress

    def get(self, file: RemoteFile, name: str) -> Path:
        """Bring a file to the folder under a name."""
        weights = name not in (_COPY, TOWER_CONFIG, *_TOKENIZER_FILES)
        source = download.DownloadSource(
            self.model.name,
            (file.url,),
            file.size,
            ("sha256", file.sha256) if file.sha256 else None,
            _MOST_WEIGHTS if weights else _MOST_TEXT,
            checkpoint_problem if weights else _no_problem,
        )
        target = self.folder / name
        try:
            # The small ones are done in no time, and would take the bar back.
            download.download(source, target, self.progress if weights else self._only_cancel)
        except WeightsError as error:
            raise WeightsError(str(error).replace(download.by_hand(source), self.advice)) from error
        return target

    def _only_cancel(self, _share: float, /) -> None:
        self.progress(0.0)


def download_model(model: ClipModel, folder: Path, advice: str, progress: Progress = no_progress) -> None:
    """Bring a model to a folder.

    Parameters
    ----------
    model : ClipModel
        One with a `source`.
    folder : Path
        Made if it is not there. Its ``open_clip_config.json`` is written last, when all else is right.
    advice : str
        What to do where there is no network: a sentence for the message.
    progress : Progress
        Called about ten times a second with the share of the weights; may raise `Cancelled`.

    Raises
    ------
    WeightsError
        If open_clip or the hub knows no such model, or it cannot be downloaded.
    """
    transfer = _Transfer(model, folder, advice, progress)
    if model.source.startswith(HUB_PREFIX):
        files = _repository(model.source.removeprefix(HUB_PREFIX), transfer)
        config = _hub_config(files, transfer)
    else:
        config, files = _built_in(transfer)
    _get_tower(config["model_cfg"].get("text_cfg", {}), files, transfer)
    weights = next((name for name in files if name in (_SAFE, _PICKLE) or name.endswith(".pth")), None)
    if weights is None:
        raise WeightsError(f"{model.source} holds no weights that open_clip reads. Choose another model.")
    transfer.get(files[weights], weights)
    try:
        write_whole(folder / CONFIG_FILE, json.dumps(config, indent=2))
        # Nothing but the model is to be carried.
        for left in (folder / _COPY, *folder.glob("*.lock")):
            left.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"{folder} cannot be written to: {error.strerror or error}.") from error


def _repository(name: str, transfer: _Transfer) -> dict[str, RemoteFile]:
    """Ask the hub for the files of a repository, by name; weights that are no pickle stand before those that are."""
    import huggingface_hub

    transfer.progress(0.0)
    try:
        found = huggingface_hub.HfApi().model_info(name, files_metadata=True, timeout=30).siblings or []
        files = {
            file.rfilename: RemoteFile(
                huggingface_hub.hf_hub_url(name, file.rfilename), file.size, file.lfs.sha256 if file.lfs else None
            )
            for file in found
        }
    except Exception as error:  # each version of the hub's package stands on another package for its requests
        raise WeightsError(
            f"Could not download {transfer.model.name}: the Hugging Face hub was asked for {name} and did not tell its "
            f"files ({_one_line(error)}). Is this machine offline, or behind a proxy (HTTPS_PROXY)? {transfer.advice}"
        ) from error
    return dict(sorted(files.items(), key=lambda item: item[0] != _SAFE))


def _built_in(transfer: _Transfer) -> tuple[dict[str, Any], dict[str, RemoteFile]]:
    """Return the configuration of a model of open_clip's own table, and the files that there are of it."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    architecture, _, tag = transfer.model.source.partition(":")
    model_cfg, known = open_clip.get_model_config(architecture), get_pretrained_cfg(architecture, tag)
    if not model_cfg or not known:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        there = f"It has {', '.join(tags)}" if tags else "`open_clip.list_pretrained()` tells all"
        raise WeightsError(f"open_clip has no weights {transfer.model.source!r}. {there}.")
    if known.get("quick_gelu"):
        model_cfg["quick_gelu"] = True  # the tag knows how it was trained, the architecture does not
    wanted = ("mean", "std", "interpolation", "resize_mode")
    config = {"model_cfg": model_cfg, "preprocess_cfg": {key: known[key] for key in wanted if key in known}}
    repository, name = os.path.split(known.get("hf_hub", ""))
    if not repository:
        return config, {"open_clip_pytorch_model.pth": RemoteFile(known["url"])}
    files = _repository(repository, transfer)
    if not name:
        return config, files
    # One of several in its repository; in the folder it is the only one.
    safe = f"{os.path.splitext(name)[0]}.safetensors"
    chosen = safe if safe in files else name
    if chosen not in files:
        raise WeightsError(f"{repository} on the Hugging Face hub has no file {name} any more. Choose another model.")
    own = _SAFE if chosen == safe else f"open_clip_pytorch_model{'.bin' if name.endswith('.bin') else '.pth'}"
    others = {key: file for key, file in files.items() if key in _TOKENIZER_FILES}
    return config, {own: files[chosen], **others}


def _hub_config(files: dict[str, RemoteFile], transfer: _Transfer) -> dict[str, Any]:
    """Download and read the configuration that a repository has for open_clip."""
    if CONFIG_FILE not in files:
        raise WeightsError(
            f"{transfer.model.source} is no model of open_clip: it has no {CONFIG_FILE}. Choose another."
        )
    try:
        config = json.loads(read_small(transfer.get(files[CONFIG_FILE], _COPY)))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"The {CONFIG_FILE} of {transfer.model.source} cannot be read: {error}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise WeightsError(f"The {CONFIG_FILE} of {transfer.model.source} has no model_cfg. Choose another model.")
    return config


def _get_tower(text_cfg: dict[str, Any], files: dict[str, RemoteFile], transfer: _Transfer) -> None:
    """Bring what transformers reads for a text tower and its tokenizer."""
    tower, tokenizer = text_cfg.get("hf_model_name"), text_cfg.get("hf_tokenizer_name")
    if tower:
        found = _repository(tower, transfer)
        if TOWER_CONFIG not in found:
            raise WeightsError(f"{tower}, the text tower of {transfer.model.name}, has no {TOWER_CONFIG} on the hub.")
        transfer.get(found[TOWER_CONFIG], TOWER_CONFIG)
    if tokenizer:
        own = [name for name in _TOKENIZER_FILES if name in files]
        source = files if own else _repository(tokenizer, transfer)
        for name in own or [name for name in _TOKENIZER_FILES if name in source]:
            transfer.get(source[name], name)


def _no_problem(_path: Path, _progress: Progress) -> None:
    """Take a text file as it comes: it is read right afterwards, or by others who say what is wrong."""


def _one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
