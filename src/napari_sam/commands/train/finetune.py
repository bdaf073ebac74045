"""``napari-sam train finetune``: teach a model one's own images."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import getting, reported, table_console
from napari_sam.commands.options.shared import Debug, Device
from napari_sam.commands.train.watching import stoppable, together, watched
from napari_sam.commands.train.words import clip_elsewhere, clip_model
from napari_sam.errors import Cancelled, InputError, NapariSamError
from napari_sam.progress import Progress

if TYPE_CHECKING:
    from napari_sam.checkpoints.adapters.file import AdapterOrigin
    from napari_sam.training.finetune.learning import FinetuneConfig
    from napari_sam.training.finetune.report import FinetuneReport
    from napari_sam.training.material import MaterialSplit, TaughtPlane
    from napari_sam.training.networks.base import BaseModel
    from napari_sam.training.ranks import Ranks
    from napari_sam.training.text.embeddings import ClipModelToUse


def finetune(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Images whose objects are labelled, or folders of them. Labels are looked for beside each image "
            "(NAME_labels.tif and the like) and in a folder `labels`.",
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", help="The labels of an image, where they lie elsewhere; as many as images, in order."),
    ] = None,
    journal: Annotated[
        bool,
        typer.Option("--journal", help="Take what was accepted in the dock on these images out of the journal."),
    ] = False,
    material: Annotated[
        Path | None,
        typer.Option("--material", help="A folder of planes and labels that the dock has written, instead of images."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the run; one that holds a run that was cut goes on with it."),
    ] = Path("taught-model"),
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="What is taught: a name of `napari-sam models list`. It is not changed."),
    ] = "bundled",
    name: Annotated[
        str | None, typer.Option("--name", help="What to call the taught model, as a row of `napari-sam models list`.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.05, help="Of learning; measuring takes its own time.")] = 10.0,
    complete: Annotated[
        bool | None,
        typer.Option(
            "--complete/--partial",
            help="Whether every object is labelled, so that what is unlabelled is background. Default: told from "
            "the labels.",
        ),
    ] = None,
    planes: Annotated[int, typer.Option(min=1, help="Planes to take of each stack, at most, spread evenly.")] = 24,
    rank: Annotated[int, typer.Option(min=1, max=64, help="Of the adapters: more learns more, and weighs more.")] = 16,
    encoder_blocks: Annotated[
        int,
        typer.Option(
            min=0,
            help="Last blocks of a SAM's image encoder that learn, too; of the bundled model, a part always does. "
            "On a processor, each takes seconds a step.",
        ),
    ] = 0,
    text: Annotated[
        bool,
        typer.Option(
            "--text", help="Teach words, too: objects are asked for by what a CLIP model makes of pictures of them."
        ),
    ] = False,
    clip: Annotated[
        str, typer.Option("--clip", help="The CLIP model of --text: one of `napari-sam models list`, or a folder.")
    ] = "clip-datacomp",
    licence: Annotated[str, typer.Option(help="Of the taught model, such as CC-BY-4.0: goes into its card.")] = "",
    keep_worse: Annotated[
        bool, typer.Option("--keep-worse", help="Keep the model even if it is not better on what it has not seen.")
    ] = False,
    device: Device = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell how it goes as lines of JSON on standard output, for other programs.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Teach a model your own images; it is kept if it is better on some that it has not seen.

    Ctrl-C keeps what was done, and the same command goes on.
    """
    with (
        reported(debug),
        stoppable() as stop,
        together() as ranks,
        _watched(output, stop, as_json=as_json, silent=not ranks.first) as (progress, tell),
    ):
        from napari_sam.checkpoints.importing import import_file
        from napari_sam.remote.addresses import is_address
        from napari_sam.training.finetune.learning import FinetuneConfig
        from napari_sam.training.finetune.leavings import ADAPTER_FILE, clear_remains
        from napari_sam.training.material import split_material

        config = FinetuneConfig(
            minutes=minutes, rank=rank, encoder_blocks=encoder_blocks, licence=licence, keep_worse=keep_worse
        )
        tell("Reading images")
        # Soon done: the bar is for what takes minutes.
        taught = _planes(images or [], labels or [], material, complete, planes, stop, journal=journal)
        split = split_material(taught)
        tell(split.words)
        if is_address(device):
            if ranks.count > 1:
                raise InputError("torchrun shares out the devices of this computer. Leave one of the two out.")
            words = clip_elsewhere(clip) if text else ""
            report = _teach_elsewhere(device, config, model, taught, material, output, progress, tell, words)
        else:
            report = _teach_here(
                device, config, model, split, output, progress, tell, ranks, clip_model(clip, device) if text else None
            )
        called = None
        if report.kept and name is not None and ranks.first:
            called = import_file(output / ADAPTER_FILE, name).name
            clear_remains(output)
        if as_json and ranks.first:
            _said(report=report.to_dict(), name=called)
    if not as_json and ranks.first:
        _show(report, output, called)


@contextmanager
def _watched(
    output: Path, stop: Callable[[], None], *, as_json: bool, silent: bool
) -> Iterator[tuple[Progress, Callable[[str], None]]]:
    """Show how a run goes, for a person or for another program."""
    if silent or not as_json:
        with watched(output, stop, silent=silent) as shown:
            yield shown
        return

    def progress(fraction: float, /) -> None:
        stop()
        if not _said(fraction=round(fraction, 4)):
            # The window that listened was killed: what was learnt is saved, as with a Ctrl-C.
            raise Cancelled("Nobody listens any more.")

    def tell(words: str) -> None:
        _said(words=words)

    try:
        yield progress, tell
    except NapariSamError as error:
        _said(**{"stopped" if isinstance(error, Cancelled) else "error": str(error)})
        raise


def _said(**line: object) -> bool:
    """Write a line of JSON; tell whether there is somebody who could read it."""
    try:
        typer.echo(json.dumps(line))
    except BrokenPipeError:
        # What Python writes at its end would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _teach_here(
    device: str,
    config: "FinetuneConfig",
    model: str,
    split: "MaterialSplit",
    output: Path,
    progress: Progress,
    tell: Callable[[str], None],
    ranks: "Ranks",
    clip: "ClipModelToUse | None",
) -> "FinetuneReport":
    from napari_sam.cache import settings
    from napari_sam.cache.disk import DiskStore
    from napari_sam.device import choose_device
    from napari_sam.training.finetune.run import finetune as teach
    from napari_sam.training.networks.base import read_base

    def base() -> "tuple[BaseModel, AdapterOrigin]":
        path, origin = _origin(model)
        read = read_base(path, origin.architecture or None)
        return read, replace(origin, architecture=read.architecture)

    chosen = ranks.device(str(choose_device(device)))
    # A model that is not here is downloaded by the first process, and found by the others.
    place = settings.folder()
    cache = None if place is None else DiskStore(place)
    return teach(
        config,
        *ranks.in_turn(base),
        split,
        output,
        device=chosen,
        progress=progress,
        tell=tell,
        ranks=ranks,
        cache=cache,
        clip=clip,
    )


def _teach_elsewhere(
    address: str,
    config: "FinetuneConfig",
    model: str,
    planes: "list[TaughtPlane]",
    material: Path | None,
    output: Path,
    progress: Progress,
    tell: Callable[[str], None],
    clip: str,
) -> "FinetuneReport":
    """Send labels, and the model if need be, to the machine behind an address, and fetch what was learnt."""
    from napari_sam.training.finetune.leavings import MATERIAL
    from napari_sam.training.material import save_material
    from napari_sam.training.remote.sending import RemoteLesson, teach_elsewhere

    path, origin = _origin(model)
    if material is None:
        material = output / MATERIAL
        save_material(planes, material)
    options = ["--minutes", f"{config.minutes:g}", "--licence", config.licence]
    options += ["--keep-worse"] if config.keep_worse else []
    lesson = RemoteLesson(material, origin, path, config.rank, tuple(options), config.encoder_blocks, clip)
    return teach_elsewhere(address, lesson, output, progress=progress, tell=tell)


def _planes(
    images: list[Path],
    labels: list[Path],
    material: Path | None,
    complete: bool | None,
    planes: int,
    stop: Callable[[], None],
    *,
    journal: bool,
) -> "list[TaughtPlane]":
    """Read what is to be learnt from."""
    from napari_sam.training.material import (
        JournalObjects,
        LabelledFile,
        LabelledFolder,
        MaterialSource,
        load_material,
        read_material,
    )

    if material is not None:
        if images or labels or journal:
            raise InputError("Give images, or the folder of --material, not both.")
        return load_material(material)
    if not images:
        raise InputError("Give at least one image whose objects are labelled, or a folder of them.")
    if labels and len(labels) != len(images):
        raise InputError(
            f"There are {len(images)} images and {len(labels)} --labels. Give one for each image, in order."
        )
    if journal and labels:
        raise InputError("Give --labels, or --journal, not both.")
    sources: list[MaterialSource] = [
        JournalObjects(image)
        if journal
        else (LabelledFolder if image.is_dir() else LabelledFile)(image, labels[place] if labels else None)
        for place, image in enumerate(images)
    ]
    return read_material(sources, complete=complete, most_planes=planes, progress=lambda _share: stop())


def _origin(model: str) -> "tuple[Path, AdapterOrigin]":
    """Find the model, downloading it first if it is not here."""
    from napari_sam.checkpoints.adapters.base_model import find_base
    from napari_sam.checkpoints.adapters.file import AdapterOrigin
    from napari_sam.checkpoints.checksums import file_digests
    from napari_sam.checkpoints.weights import resolve

    with getting(model) as progress:
        path, row = resolve(model, progress)
    if row is None:
        raise InputError(
            f"{path} is no model of `napari-sam models list`. Import it first, so that it is found whenever what was "
            f"taught to it is used: `napari-sam models import {path} --name NAME`."
        )
    origin = AdapterOrigin(file_digests(path, ["sha256"])["sha256"], row.name, row.architecture or "")
    find_base(origin)  # what could not be found later must not be taught now
    return path, origin


def _show(report: "FinetuneReport", output: Path, name: str | None) -> None:
    """Say how good it is, where everything is, and how to use it."""
    from napari_sam.training.finetune.leavings import ADAPTER_FILE

    table = Table("", "before", "after", title=f"On {report.after.get('objects', 0):.0f} objects it has not seen")
    for measure, before, after in report.rows():
        table.add_row(escape(measure), f"{before:.3f}", f"{after:.3f}")
    console = table_console()
    console.print(table)
    console.print(escape(report.verdict))
    if not report.kept:
        console.print("Not kept. To keep it all the same, run the command again with --keep-worse.")
        return
    used = name if name is not None else str(output / ADAPTER_FILE)
    console.print(f"Model: {escape(str(output / ADAPTER_FILE))}", soft_wrap=True)
    console.print(f"Use it: napari-sam segment IMAGE -o labels.tif --model {escape(used)}", soft_wrap=True)
