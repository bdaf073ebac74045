"""Words for how far a data set is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WRITING = "Writing the data set"
CANCELLED = "Cancelled: nothing was written."


def images_done(done: int, skipped: int, count: int) -> str:
    """Say how many images of a series are done."""
    return f"{done} of {count} images done{f', {skipped} skipped' if skipped else ''}."


def planes_done(annotated: int, count: int) -> str:
    """Say how many planes of a stack are annotated."""
    return f"{annotated} of {count} planes annotated."


def taught(name: str, rows: Sequence[tuple[str, float, float]], *, kept: bool) -> str:
    """Say what a teaching brought, such as "my-cells: 1 click .59 → .70, AP@50 .32 → .49."."""
    parts = [f"{what} {_share(before)} → {_share(after)}" for what, before, after in rows]
    return f"Last teaching, {name}{'' if kept else ' (not kept)'}: {', '.join(parts)}."


def written(folder: str, images: int, objects: int) -> str:
    """Say what was written."""
    counts = f"{images} image{'' if images == 1 else 's'} with {objects} object{'' if objects == 1 else 's'}"
    return f"{counts} in {folder}."


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
