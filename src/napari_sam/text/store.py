"""Folders of CLIP models on this machine: each holds what open_clip reads as a local folder, and can be carried."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam.checkpoints.container import container_problem
from napari_sam.checkpoints.download import partial_size as partial_size_of_file
from napari_sam.checkpoints.receipts import weights_folder
from napari_sam.checkpoints.weights import State
from napari_sam.errors import WeightsError
from napari_sam.files import size_on_disk
from napari_sam.progress import no_progress
from napari_sam.text.hub import download_model
from napari_sam.text.models import CLIP_MODELS, CONFIG_FILE, WEIGHTS_FILES, ClipModel, is_clip_name, named, unknown

if TYPE_CHECKING:
    from napari_sam.progress import Progress


def lookup(text: str) -> ClipModel:
    """Return the model that a person named.

    Parameters
    ----------
    text : str
        A name of `CLIP_MODELS`, the path of a folder, open_clip's ``ARCHITECTURE:TAG`` or ``hf-hub:OWNER/NAME``, or the
        name of a folder among the weights. A name of the table wins over a folder of the same name; write ``./name``
        for the folder.

    Raises
    ------
    WeightsError
        If it is none of these; the message names the nearest.
    """
    by_name = named(text)
    if by_name in CLIP_MODELS:
        return by_name
    # Before names with a colon: that is also what a path on Windows has.
    if Path(text).expanduser().is_dir():
        return ClipModel(str(Path(text).expanduser()), "", text)
    if by_name is not None:
        return by_name
    if (weights_folder() / text / CONFIG_FILE).is_file():
        return ClipModel(text, "", text)
    if len(Path(text).parts) > 1:
        raise WeightsError(f"There is no folder {text}. Give one that holds {CONFIG_FILE} and {WEIGHTS_FILES[0]}.")
    raise unknown(text)


def knows(text: str) -> bool:
    """Tell whether a name can only be that of a CLIP model, rightly spelt or not; paths are not looked at."""
    return is_clip_name(text) or (weights_folder() / text / CONFIG_FILE).is_file()


def on_disk() -> tuple[ClipModel, ...]:
    """Models among the weights that are not in the table, by name."""
    known = {model.folder_name for model in CLIP_MODELS}
    names = sorted(path.parent.name for path in weights_folder().glob(f"*/{CONFIG_FILE}"))
    return tuple(ClipModel(name, "", name) for name in names if name not in known)


def target_folder(model: ClipModel) -> Path:
    """Folder where a model lies, or will lie: its own path, or one among the weights."""
    path = Path(model.name)
    return path if not model.source and path.is_dir() else weights_folder() / model.folder_name


def identity(model: ClipModel) -> tuple[str, str]:
    """Name a model in the same way on every machine, wherever its folder lies.

    Returns
    -------
    name : str
        Of its folder.
    source : str
        What open_clip calls it; empty where nobody knows.
    """
    if model.source:
        return model.folder_name, model.source
    folder = target_folder(model).resolve().name
    return folder, next((row.source for row in CLIP_MODELS if row.folder_name == folder), "")


def weights_file(folder: Path) -> Path | None:
    """Return the file with the weights in a model's folder; None if there is none."""
    return next((folder / name for name in WEIGHTS_FILES if (folder / name).is_file()), None)


def status(model: ClipModel) -> State:
    """Say where a model stands, without reading it."""
    folder = target_folder(model)
    # The configuration is written last: without it, the folder is one of a download that was cut.
    if not (folder / CONFIG_FILE).is_file() and model.source:
        return State.TO_DOWNLOAD
    return State.ON_DISK if (folder / CONFIG_FILE).is_file() and weights_file(folder) else State.DAMAGED


def partial_size(model: ClipModel) -> int:
    """Bytes of an unfinished download; 0 if there is none."""
    folder = target_folder(model)
    return max(partial_size_of_file(folder / name) for name in WEIGHTS_FILES)


def ensure(model: ClipModel, progress: Progress = no_progress, *, offline: bool = False) -> Path:
    """Return a model's folder, downloading what is missing.

    Parameters
    ----------
    model : ClipModel
        From `lookup`.
    progress : Progress
        Called while a download goes on; may raise `Cancelled`.
    offline : bool
        Never ask the network. It is not asked either where the model is on disk.

    Raises
    ------
    WeightsError
        If the model is not here and cannot be had; the message says how to bring it in.
    """
    state, folder = status(model), target_folder(model)
    if state is State.ON_DISK:
        return folder
    if not model.source:
        raise WeightsError(
            f"{folder} holds no text model: {CONFIG_FILE} and {WEIGHTS_FILES[0]} have to lie in it. Copy the whole "
            "folder that `napari-sam models download` made."
        )
    if offline:
        raise WeightsError(f"{model.name} is not on this machine. {how_to_bring(model)}")
    download_model(model, folder, how_to_bring(model), progress)
    return folder


def how_to_bring(model: ClipModel) -> str:
    """Tell the way that works without a network: another machine, and a stick."""
    return (
        f"On a machine with a network, run `napari-sam models download {model.name}` and copy the folder that it names "
        f"to {target_folder(model)} here, or to any place and give that with `--text-model FOLDER`."
    )


def verify(model: ClipModel, progress: Progress = no_progress) -> str:
    """Look at the form of a model's files; no checksum of them is published.

    Returns
    -------
    str
        With what they were compared, for a person.

    Raises
    ------
    WeightsError
        If they are not there, or cut.
    """
    folder = ensure(model, offline=True)
    weights = weights_file(folder)
    problem = container_problem(weights, progress) if weights else "it is missing"
    if problem:
        raise WeightsError(damaged(model.name, folder, problem))
    return "well-formed (no checksum is published)"


def damaged(name: str, folder: Path, problem: str) -> str:
    """Say that a model's folder cannot be used, and what to do."""
    among = folder.parent == weights_folder()
    cure = f"Run `napari-sam models remove {name}` and get it again" if among else "Copy the folder again"
    return f"{name} ({folder}) is damaged: {problem}. {cure}."


def remove(model: ClipModel) -> int:
    """Delete a model's folder among the weights, with what an unfinished download left; return the bytes freed.

    Raises
    ------
    WeightsError
        If it lies elsewhere, or cannot be deleted.
    """
    folder = target_folder(model)
    if folder.parent != weights_folder():
        raise WeightsError(f"{folder} is yours, and not deleted from here. Delete it by hand.")
    freed = size_on_disk(folder)
    try:
        # A link to a folder elsewhere is taken away, the folder stays.
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            shutil.rmtree(folder)
    except OSError as error:
        raise WeightsError(
            f"{error.filename} cannot be deleted: {error.strerror}. Delete it by hand, or change its permissions."
        ) from error
    return freed
