"""``napari-sam journal replay``: the model is asked again for what is recorded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from napari_sam.commands.common import getting, work_bar
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.journal.objects import JournalEntry
    from napari_sam.journal.replaying import Replay, ReplayedEntry


@contextmanager
def open_image(path: Path, shape: tuple[int, ...]) -> Iterator[Any]:
    """Open an image that has the shape that the journal has for it; axes of length 1 may be missing.

    Raises
    ------
    InputError
        If it cannot be read, or has another shape.
    """
    from napari_sam.io.planes import read_plane
    from napari_sam.io.stacks import open_stack

    # A plane of grey values or colours is read as pictures are; all else may be larger than the memory.
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in (3, 4) and shape[0] > 4):
        data = read_plane(path)
        require_shape(path, data.shape, shape)
        yield data.reshape(shape)
        return
    with open_stack(path) as stack:
        require_shape(path, stack.data.shape, shape)
        # Small enough, or nothing has to be brought into another shape.
        yield stack.data if tuple(stack.data.shape) == shape else stack.data[...].reshape(shape)


def require_shape(path: Path, found: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Refuse an image of another shape."""
    if [side for side in found if side != 1] != [side for side in shape if side != 1]:
        sizes = [" x ".join(str(side) for side in one) for one in (found, shape)]
        raise InputError(f"{path} has {sizes[0]} pixels, and the image in the journal {sizes[1]}. Give that image.")


def make_backend(entries: list[JournalEntry], model: str | None, device: str) -> InferenceBackend:
    """Load the model, if anything is to be asked; what it takes to load it is shown."""
    from napari_sam.inference.backend import InferenceBackend, load_engine

    backend = InferenceBackend(load_engine)
    asked = next((entry for entry in entries if entry.asked.get("rounds")), None)
    if asked is not None:
        name = model or str(asked.asked.get("model") or "bundled")
        with getting(name) as progress:
            backend.engine(name, device, progress)
    return backend


def report_all(replay: Replay, entries: list[JournalEntry]) -> list[ReplayedEntry]:
    """Do all entries again, and say for each object what came of it."""
    done = []
    with work_bar("Asking again") as progress:
        for number, found in enumerate(replay.run(entries), 1):
            done.append(found)
            progress(number / len(entries))
    for found in done:
        entry = found.entry
        if found.iou is None:
            words = "taken over as recorded"
        else:
            words = "exact" if found.exact else f"IoU {found.iou:.4f}"
        typer.echo(" ".join(filter(None, (f"object {entry.label}", entry.plane))) + f": {words}")
    return done


def summarize(done: list[ReplayedEntry]) -> str:
    """Say in one line what came of all."""
    asked = [found for found in done if found.iou is not None]
    exact = sum(found.exact for found in asked)
    taken = len(done) - len(asked)
    more = f", {taken} taken over as recorded" if taken else ""
    return f"{exact} of {len(asked)} answers exact{more}"


def warn_of_differences(done: list[ReplayedEntry]) -> None:
    """Say why answers may differ."""
    if any(not found.weights for found in done):
        typer.echo("Note: other weights answered than when the objects were accepted.", err=True)
    if any(not found.pixels for found in done):
        typer.echo("Note: the model saw other pixels than when the objects were accepted.", err=True)
