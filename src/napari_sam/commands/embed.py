"""``napari-sam embed``: encode the planes of a stack ahead, so that clicks on them are answered at once."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.commands.common import getting, reported, work_bar
from napari_sam.commands.options.shared import (
    Debug,
    Device,
    FixedPlaces,
    JsonSentence,
    Model,
    PlaneSpan,
    StackContrast,
    limits,
)
from napari_sam.commands.options.stack import find_axis, find_span
from napari_sam.errors import CacheError, Cancelled, InputError
from napari_sam.files import format_bytes

if TYPE_CHECKING:
    from napari_sam.cache.disk import DiskStore
    from napari_sam.inference.engine import Engine
    from napari_sam.io.stacks import ImageStack
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress


@dataclass(frozen=True)
class _Wanted:
    """Planes of a stack: those of `span` along `axis`, in each row.

    A row has the index of each axis, None for the two of the planes. A single plane has no axis.
    """

    axis: int | None
    rows: list[tuple[int | None, ...]]
    span: range

    def __len__(self) -> int:
        return len(self.rows) * len(self.span)


@dataclass
class _Tally:
    """What was done so far."""

    planes: int
    embedded: int = 0
    there_before: int = 0
    bytes: int = 0  # of those embedded
    seconds: float = 0.0

    @property
    def done(self) -> int:
        return self.embedded + self.there_before


def embed(
    stack: Annotated[Path, typer.Argument(help="An image, or a stack of planes.")],
    model: Model = "bundled",
    device: Device = "auto",
    axis: Annotated[
        str | None,
        typer.Option(
            metavar="AXIS", help="What planes follow each other along: a name such as z or t, or a number. Default: z."
        ),
    ] = None,
    span: PlaneSpan = None,
    fixed: FixedPlaces = None,
    contrast_limits: StackContrast = None,
    as_json: JsonSentence = False,
    debug: Debug = False,
) -> None:
    """Encode the planes of a stack ahead, into the cache that the dock and the command line share."""
    window = limits(contrast_limits)
    places = [_place(text) for text in fixed or ()]
    with reported(debug):
        from napari_sam.cache.disk import DiskStore
        from napari_sam.cache.settings import required_folder
        from napari_sam.io.stacks import open_stack

        # First of all: without a folder, everything else would be in vain.
        store = DiskStore(required_folder())
        with open_stack(stack) as opened:
            wanted = _choose(opened, axis, span, places)
            tally = _Tally(len(wanted))
            engine = _engine(model, device, store)
            for note in (*opened.notes, *engine.predictor.notes):
                typer.echo(f"Note: {note}", err=True)
            with work_bar(f"Embedding {stack.name}") as progress:
                try:
                    for plane in _planes(opened, wanted, window):
                        _embed_one(engine, store, plane, tally, progress)
                except KeyboardInterrupt as error:
                    raise Cancelled(
                        f"Cancelled. {tally.done} of {tally.planes} planes are in the cache: run the command again to "
                        "go on."
                    ) from error
        _report(stack, store, tally, as_json=as_json)


def _place(text: str) -> tuple[str, int]:
    """Read ``AXIS=I``."""
    axis, _, index = text.partition("=")
    try:
        return axis, int(index)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not AXIS=I: an axis and an index on it.") from None


def _choose(stack: "ImageStack", axis: str | None, span: str | None, fixed: list[tuple[str, int]]) -> _Wanted:
    """Find the planes that the options name."""
    count = len(stack.shape)
    if count == 2:
        if axis or span or fixed:
            raise InputError("This is a single plane: it has nothing for --axis, --range or --at.")
        return _Wanted(None, [(None, None)], range(1))
    # find gives -1 where there is no z: then the first axis.
    along = max(0, stack.axes.find("z")) if axis is None else find_axis(axis, stack.axes)
    # The last two of the others lie in the plane, as they do in napari.
    shown = [other for other in range(count) if other != along][-2:]
    places: list[Sequence[int | None]] = [range(length) for length in stack.shape]
    for other in shown:
        places[other] = [None]
    places[along] = [0]
    for name, index in fixed:
        other = find_axis(name, stack.axes)
        if other == along or other in shown:
            raise InputError(f"--at {name}={index}: planes lie in that axis or follow each other along it.")
        places[other] = [index]
    return _Wanted(along, list(itertools.product(*places)), find_span(span, stack.shape[along]))


def _engine(model: str, device: str, store: "DiskStore") -> "Engine":
    """Load the model, with a cache that keeps everything on disk, however quick it was, and nothing in memory."""
    from napari_sam.cache.memory import EmbeddingCache
    from napari_sam.inference.engine import Engine

    with getting(model) as progress:
        return Engine.load(model, device, progress, cache=EmbeddingCache(0, store, worth=0.0))


def _planes(stack: "ImageStack", wanted: _Wanted, window: tuple[float, float] | None) -> Iterator["Plane"]:
    """Read the planes, one at a time."""
    import numpy as np

    from napari_sam.planes.plane import Plane

    if wanted.axis is None:
        yield Plane(
            np.asarray(stack.data), window or stack.contrast_limits, spacing=(stack.spacing[0], stack.spacing[1])
        )
        return
    for row in wanted.rows:
        planes = stack.planes(wanted.axis, row, contrast_limits=window)
        for index in wanted.span:
            yield planes[index]


def _embed_one(engine: "Engine", store: "DiskStore", plane: "Plane", tally: _Tally, progress: "Progress") -> None:
    """Embed one plane, unless that was done before, and wait until it is on disk."""
    from napari_sam.cache.file_format import largest_size
    from napari_sam.planes import fits

    if not fits(plane.shape, engine.predictor.canvas_side, plane.spacing):
        raise InputError(
            f"Planes of {plane.shape[0]} x {plane.shape[1]} px are looked at through crops around the prompts, which "
            "cannot be known ahead. Only planes that the model sees as a whole can be embedded ahead."
        )
    start = time.perf_counter()
    computed = engine.prepare(plane, lambda fraction: progress((tally.done + fraction) / tally.planes))
    # Waited for: what is counted as done is on the disk.
    engine.cache.flush()
    tally.seconds += time.perf_counter() - start
    packed = engine.cache.get(engine.predictor.key(plane))
    size = 0 if packed is None else largest_size(packed)
    # The first plane tells, as all are of one size.
    if tally.done == 0 and (needed := size * tally.planes) > store.limit:
        raise CacheError(
            f"{tally.planes} planes need about {format_bytes(needed)}, but the cache holds {format_bytes(store.limit)} "
            "at most, so the first would be gone before the last are there. Let it hold more by "
            "`napari-sam cache limit`, or choose fewer planes by --range."
        )
    # What could not be written is told here, and not raised.
    if store.problem:
        raise CacheError(f"{store.problem} {tally.done} of {tally.planes} planes are in the cache.")
    if computed:
        tally.embedded += 1
        tally.bytes += size
    else:
        tally.there_before += 1
    progress(tally.done / tally.planes)


def _report(stack: Path, store: "DiskStore", tally: _Tally, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**asdict(tally), "folder": str(store.folder)}, indent=2))
        return
    before = f", {tally.there_before} were there before" if tally.there_before else ""
    typer.echo(
        f"{stack}: {tally.embedded} of {tally.planes} planes embedded in {tally.seconds:.1f} s{before}. "
        f"{format_bytes(tally.bytes)} written to {store.folder}."
    )
