"""Planes that are encoded once, in all their turns, so that every step of learning costs the decoder alone.

For models whose image encoder stays as it is and takes seconds for a plane. What is computed lies in files, half as
precise: a run that was cut, or that is repeated with more labels, does not compute it again.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_sam.files import part_path, replacing
from napari_sam.progress import no_progress
from napari_sam.training.data.batches import Batch, choose_objects, dense_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.model.protocol import Features, PromptableModel
    from napari_sam.progress import Progress
    from napari_sam.training.data.object_texts import ObjectTexts
    from napari_sam.training.finetune.known import KnownEmbeddings
    from napari_sam.training.material import TaughtPlane

TURNS = 8
"""Of a plane by quarters, and mirrored."""

_DENSE_STRIDE = 4  # pixels for each of the dense logits, along each axis
_CELL = 4  # of them for each cell of the features


@dataclass(frozen=True, slots=True)
class EncodedPlane:
    """A plane in one of its turns.

    Attributes
    ----------
    plane : int
        Place among the planes.
    turn : int
        0 to 7.
    file : Path
        Its features.
    """

    plane: int
    turn: int
    file: Path


def encode_planes(
    model: PromptableModel,
    digest: str,
    planes: Sequence[TaughtPlane],
    folder: Path,
    *,
    seconds: float,
    known: KnownEmbeddings | None = None,
    begin: Callable[[Tensor], Features] | None = None,
    progress: Progress = no_progress,
) -> list[EncodedPlane]:
    """Encode every plane as it is, and as many turned ones as there is time for.

    Parameters
    ----------
    model : PromptableModel
        Whose encoder stays as it is.
    digest : str
        Of its weights: files of another model are not taken.
    planes : sequence of TaughtPlane
    folder : Path
        Gets the files.
    seconds : float
        After which no turned plane is begun.
    known : KnownEmbeddings, optional
        Where planes as they are may be found. Of turned ones nobody has made any.
    begin : callable, optional
        Computes of a plane, (1, 3, side, side) normalised, what is kept; default: its features.
    progress : Progress
        May raise `Cancelled`; what was encoded stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    started, found = time.monotonic(), []
    wanted = [(turn, index) for turn in range(TURNS) for index in range(len(planes))]
    for done, (turn, index) in enumerate(wanted):
        image = turned(planes[index].image, turn)
        name = hashlib.sha256(f"{digest}{image.shape}".encode() + image.tobytes()).hexdigest()[:32]
        file = folder / f"{name}.safetensors"
        if not _is_whole(file):
            if turn and time.monotonic() - started > seconds:
                continue
            features = known.features(model, image) if known is not None and not turn else None
            if features is None:
                frame = model.frame((image.shape[0], image.shape[1]))
                with torch.inference_mode():
                    features = (begin or model.encode)(model.preprocess(image, frame))
            tensors = {str(place): part.half().cpu().contiguous() for place, part in enumerate(features)}
            with replacing(file, part_path(file)) as part_file:
                save_file(tensors, part_file)
        found.append(EncodedPlane(index, turn, file))
        progress((done + 1) / len(wanted))
    return found


def _is_whole(file: Path) -> bool:
    try:
        with safe_open(file, framework="pt") as opened:
            return bool(opened.keys())
    except (OSError, SafetensorError):
        return False


def turned(image: NDArray[Any], turn: int) -> NDArray[Any]:
    """Turn (H, W, ...) by quarters, 0 to 3, and from 4 on mirror it before."""
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4))


class EncodedSource:
    """Draws batches of planes that were encoded before: a `napari_sam.training.data.batches.BatchSource`.

    Parameters
    ----------
    model : PromptableModel
        Lays planes on its canvas.
    planes : sequence of TaughtPlane
    encoded : sequence of EncodedPlane
    window : int, optional
        Side of the part of each plane that the dense head learns from, cells of its logits; default: all of it.
    texts : ObjectTexts, optional
        What stands for words, of the objects of the planes.
    """

    def __init__(
        self,
        model: PromptableModel,
        planes: Sequence[TaughtPlane],
        encoded: Sequence[EncodedPlane],
        window: int | None = None,
        texts: ObjectTexts | None = None,
    ) -> None:
        self._model, self._planes, self._encoded, self._window = model, planes, encoded, window
        self._texts = texts

    def draw(self, rng: Generator, images: int, objects: int, side: int) -> Batch:
        """Draw `images` planes on canvases of `side` pixels, at most `objects` objects of each."""
        features: list[Features] = []
        owners: list[int] = []
        masks: list[NDArray[np.bool_]] = []
        dense: list[Tensor] = []
        windows: list[tuple[slice, slice]] = []
        texts: list[NDArray[np.float32]] = []
        complete = []
        while len(features) < images:
            entry = self._encoded[int(rng.integers(len(self._encoded)))]
            plane = self._planes[entry.plane]
            labels = self._on_canvas(turned(plane.labels, entry.turn), side)
            chosen = choose_objects(rng, labels[None], objects)
            if not chosen:
                continue
            owners += [len(features)] * len(chosen)
            masks += [labels == label for _, label in chosen]
            with safe_open(entry.file, framework="pt") as file:
                features.append(tuple(file.get_tensor(str(place)).float() for place in range(len(file.keys()))))
            if self._texts is not None:
                texts.append(self._texts.draw(rng, entry.plane, [label for _, label in chosen]))
            targets = dense_targets(labels)
            if self._window is not None:
                rows, columns = _window(rng, labels == chosen[0][1], self._window)
                targets = targets[:, rows, columns]
                windows.append((rows, columns))
            dense.append(targets)
            complete.append(plane.complete)
        return Batch(
            torch.zeros(images, 3, 0, 0, dtype=torch.uint8),
            torch.tensor(owners),
            torch.from_numpy(np.stack(masks)).float()[:, None],
            torch.stack(dense),
            torch.tensor(complete),
            texts=torch.from_numpy(np.concatenate(texts)) if texts else None,
            encoded=tuple(torch.cat(parts) for parts in zip(*features, strict=True)),
            windows=tuple(windows) or None,
        )

    def _on_canvas(self, labels: NDArray[np.integer[Any]], side: int) -> NDArray[np.int32]:
        """Bring labels where the model sees them, by the nearest pixel; beyond the plane there is background."""
        frame = self._model.frame((labels.shape[0], labels.shape[1]))
        rows, columns = (
            np.minimum(((np.arange(to) + 0.5) * of / to).astype(np.intp), of - 1)
            for of, to in zip(frame.plane, frame.content, strict=True)
        )
        canvas = np.zeros((side, side), np.int32)
        canvas[: len(rows), : len(columns)] = labels[rows[:, None], columns[None]]
        return canvas


def _window(rng: Generator, mask: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """Draw a square of dense logits around a pixel of an object, on whole cells of the features."""
    pixels = np.flatnonzero(mask)
    pixel = pixels[rng.integers(len(pixels))]
    found = []
    for at, of in zip(np.unravel_index(pixel, mask.shape), mask.shape, strict=True):
        # The object may be anywhere in the window, so that its surroundings are seen on all sides.
        start = at // _DENSE_STRIDE - rng.integers(side)
        start = int(np.clip(start, 0, of // _DENSE_STRIDE - side)) // _CELL * _CELL
        found.append(slice(start, start + side))
    return found[0], found[1]
