"""From a checkpoint file to a model that is ready to run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

import torch

from napari_sam.checkpoints import decoders
from napari_sam.checkpoints.adapters.base_model import apply_adapter, find_base
from napari_sam.checkpoints.adapters.file import ADAPTER, adapter_of
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.reading import read_checkpoint
from napari_sam.checkpoints.text_weights import without_unusable_words
from napari_sam.errors import WeightsError
from napari_sam.files import absence, printable
from napari_sam.model.compact.model import build_compact
from napari_sam.model.encoders.tiny_vit import fuse_batch_norms
from napari_sam.model.protocol import TextPromptable
from napari_sam.model.sam.checkpoint_keys import LITE, decoder_weights, mismatch, recognise, require_match
from napari_sam.model.sam.instance_decoder import PART, DenseSam, transposed_upsamplers
from napari_sam.model.sam.medsam import LiteMedSam, MedSam
from napari_sam.model.sam.sam import Sam
from napari_sam.model.weightless import weightless
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from napari_sam.model.protocol import PromptableModel
    from napari_sam.model.sam.checkpoint_keys import Checkpoint
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.progress import Progress

TaughtT = TypeVar("TaughtT", bound=TextPromptable)

MEDSAM = "medsam_vit_b"
"""The one architecture that weights alone do not tell: they are a ViT-B's."""

_BOXES: dict[str, type[Sam]] = {MEDSAM: MedSam, LITE: LiteMedSam}
"""Architectures that answer boxes only."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and where it came from.

    Attributes
    ----------
    model : PromptableModel
        In evaluation mode, its weights frozen, on the device that was asked for.
    architecture : str
        "compact", "sam_vit_b", "mobile_sam", "medsam_vit_b", "lite_medsam", "sam_hq_vit_h", ...
    digest : str
        SHA-256 of the file, in hexadecimal; where a decoder of instances is used that lies beside it, or it is an
        adapter to another model, of the digests of both.
    notes : tuple of str
        What a person should know about it, in sentences.
    """

    model: PromptableModel
    architecture: str
    digest: str
    notes: tuple[str, ...] = ()


def load_checkpoint(
    path: Path,
    *,
    architecture: str | None = None,
    device: str | torch.device = "cpu",
    progress: Progress = no_progress,
) -> LoadedModel:
    """Load a model from a file. Code in the file is never run.

    Of ``vit_b.pt``, a decoder of instances in ``vit_b_decoder.pt`` beside it is used if it fits.

    Parameters
    ----------
    path : Path
        A checkpoint of PyTorch (.pth, .pt) or a .safetensors file; the contents count, not the name. An adapter is
        added to the model that it was taught to, which has to be on this machine.
    architecture : str or None
        What the file should be; None recognises it. MedSAM has the same weights as SAM's ViT-B and another
        preprocessing, so only this argument, or "medsam" in the file's name, tells it apart.
    device : str or torch.device
        Where the model shall run.
    progress : Progress
        Called after every mebibyte that is read for the checksum; may raise `Cancelled`.

    Raises
    ------
    WeightsError
        If there is no such file, it is damaged, it holds code, or it is not the model that was asked for.
    """
    if missing := absence(path):
        raise WeightsError(f"{missing} Download the model again, or choose another file.")
    try:
        contents, metadata = read_checkpoint(path)
        second = None
        if metadata.get("architecture") == ADAPTER:
            return _adapted(path, contents, metadata, architecture, device, progress)
        if metadata.get("architecture") == "compact":
            model, name, notes = _compact(path, contents, metadata, architecture, device)
        else:
            model, name, notes, second = _sam(path, contents, metadata, architecture, device)
        _require_finite(path, model)
        digest = _digest(path, second, progress)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}. Check the disk.") from error
    return LoadedModel(cast("PromptableModel", model), name, digest, notes)


def _adapted(
    path: Path,
    contents: object,
    metadata: dict[str, str],
    architecture: str | None,
    device: str | torch.device,
    progress: Progress,
) -> LoadedModel:
    """Load the model that an adapter was taught to, and add what it has learnt."""
    adapter = adapter_of(path, contents, metadata)
    row, base = find_base(adapter.origin)
    loaded = load_checkpoint(base, architecture=row.architecture, device=device, progress=progress)
    if architecture not in (None, loaded.architecture):
        raise _mismatch(path, loaded.architecture, architecture)
    tensors, faults = _for_decoder_there(adapter.tensors, loaded.model, row.title)
    apply_adapter(path, cast("nn.Module", loaded.model), tensors, space=adapter.space)
    digest = hashlib.sha256(f"{loaded.digest} {file_digests(path, ['sha256'])['sha256']}".encode()).hexdigest()
    note = f"{row.title}, taught on images of its user's own."
    return LoadedModel(loaded.model, loaded.architecture, digest, (note, *loaded.notes, *faults))


def _for_decoder_there(
    tensors: dict[str, Tensor], model: object, title: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Leave out what a decoder of instances has learnt, where that is a file of its own which is not here."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(PART)}
    if isinstance(model, DenseSam) or len(kept) == len(tensors):
        return tensors, ()
    # Prompts are answered without it.
    return kept, (f"It was also taught to find objects by micro-sam's decoder, which {title} has not here.",)


def _compact(
    path: Path, contents: object, metadata: dict[str, str], architecture: str | None, device: str | torch.device
) -> tuple[nn.Module, str, tuple[str, ...]]:
    """Build the bundled model from its tensors, half precision on disk, and its configuration."""
    if architecture not in (None, "compact"):
        raise _mismatch(path, "compact", architecture)
    config = metadata.get("config", "")
    weights, space, notes = without_unusable_words(cast("dict[str, Tensor]", contents), metadata)
    with weightless():  # shapes are compared before memory is taken for them
        require_match(weights, _taught(build_compact(config), space).state_dict())
    model = _taught(build_compact(config), space)  # anew, for it has tables that are in no file
    model.load_state_dict({key: value.float() for key, value in weights.items()})
    _freeze(model.to(device))
    return model, "compact", notes


def _digest(path: Path, second: Path | None, progress: Progress) -> str:
    digest = file_digests(path, ["sha256"], progress)["sha256"]
    if second is None:
        return digest
    return hashlib.sha256(f"{digest} {file_digests(second, ['sha256'])['sha256']}".encode()).hexdigest()


def _sam(
    path: Path, contents: object, metadata: dict[str, str], architecture: str | None, device: str | torch.device
) -> tuple[nn.Module, str, tuple[str, ...], Path | None]:
    """Build a SAM of whatever kind from its tensors; return the file beside it of which something is used, too."""
    found = recognise(contents)
    name, notes = found.architecture, found.notes
    if architecture is None and name != LITE and "medsam" in path.stem.lower():
        architecture = MEDSAM
        notes += ("Taken for MedSAM because of its file name: boxes only, and MedSAM's own preprocessing.",)
    if architecture == MEDSAM and name == "sam_vit_b":
        name = MEDSAM
    if architecture not in (None, name):
        raise _mismatch(path, name, architecture)
    _require_backed(path, [*found.state.values(), *found.decoder.values()])
    found, second, faults = _with_second_file(path, found)
    notes += faults
    state, space, more = without_unusable_words(found.state, metadata, boxes_only=name in _BOXES)
    notes += more
    with weightless():
        model = _taught(_BOXES.get(name, Sam)(found.config), space)
    require_match(state, model.state_dict())
    if found.decoder or second is not None:
        dense, decoder = _with_decoder(found)
        if unfit := _unfit(dense, decoder, name):
            # Prompts are answered without it.
            where = "in the file" if second is None else f"in {second.name}"
            notes += (f"micro-sam's decoder for automatic segmentation is {where} but not used: {unfit}.",)
            second = None
        else:
            model, state = dense, state | decoder
    model.to_empty(device=device).load_state_dict(state)
    _freeze(model)
    fuse_batch_norms(model)
    return model, name, notes, second


def _with_second_file(path: Path, found: Checkpoint) -> tuple[Checkpoint, Path | None, tuple[str, ...]]:
    """Add the decoder that lies beside a checkpoint, if it has none itself; say why one cannot be used."""
    second = None if found.decoder else decoders.beside(path)
    if second is None:
        return found, None, ()
    try:
        decoder = decoder_weights(read_checkpoint(second)[0])
        _require_backed(second, [*decoder.values()])
        _require_numbers(second, decoder)
    except WeightsError as error:
        # Prompts are answered without it.
        return found, None, (f"Objects are not found by micro-sam's decoder: {error}",)
    return replace(found, decoder=decoder), second, ()


def _taught(model: TaughtT, space: ClipSpace | None) -> TaughtT:
    """Add the text projection that a checkpoint has, its weights still random."""
    if space is not None:
        model.take_words(space)
    return model


def _with_decoder(found: Checkpoint) -> tuple[DenseSam, dict[str, Tensor]]:
    """Make a SAM with a decoder of instances, without memory, and give the decoder's part of its state."""
    with weightless():
        model = DenseSam(found.config, transposed_upsamplers(found.decoder))
    known = model.state_dict().keys()
    # Trainers may keep the encoder among the decoder's weights once more.
    return model, {PART + key: value for key, value in found.decoder.items() if PART + key in known}


def _unfit(model: DenseSam, decoder: Mapping[str, Tensor], name: str) -> str:
    """Say why a decoder of instances cannot be used; "" if it can."""
    if name == MEDSAM:
        return "it was not trained with MedSAM's preprocessing"
    expected = {key: value for key, value in model.state_dict().items() if key.startswith(PART)}
    faults = mismatch(decoder, expected)
    return f"it has another layout, weights {faults}" if faults else ""


def _require_backed(path: Path, tensors: Sequence[Tensor]) -> None:
    """Refuse tensors that repeat a few numbers without end: a file of a kilobyte would fill the memory."""
    if any(value.is_meta for value in tensors) or sum(map(torch.numel, tensors)) > path.stat().st_size:
        raise WeightsError(
            f"{path.name} is damaged: it describes more weights than it holds. Download it again, or export it anew."
        )


def _require_finite(path: Path, model: nn.Module) -> None:
    """Refuse weights that are not numbers: such a model finds no object anywhere, and does not say why."""
    _require_numbers(path, model.state_dict())


def _require_numbers(path: Path, state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        if value.is_floating_point() and value.numel() and not torch.stack(torch.aminmax(value)).isfinite().all():
            raise WeightsError(
                f"{path.name} is damaged: its weights {printable(name)} are not all finite numbers, as after a "
                "training that failed. Download it again, or take an earlier state of the training."
            )


def _freeze(model: nn.Module) -> None:
    model.eval().requires_grad_(requires_grad=False)


def _mismatch(path: Path, found: str, wanted: str | None) -> WeightsError:
    return WeightsError(
        f"{path.name} holds a model of architecture {found}, not {wanted}. Choose the file that belongs to the model, "
        "or import this one as a model of its own."
    )
