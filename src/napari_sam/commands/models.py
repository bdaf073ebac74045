"""``napari-sam models``: what there is, what is here, and how it gets here."""

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.checkpoints.registry import ARCHITECTURES, ModelSpec, list_models
from napari_sam.commands.common import reported, table_console, transfer_bar, work_bar
from napari_sam.commands.options.shared import Debug, JsonTable, Yes
from napari_sam.errors import Cancelled, WeightsError
from napari_sam.files import format_bytes, size_on_disk

if TYPE_CHECKING:
    from napari_sam.text.models import ClipModel

app = typer.Typer(no_args_is_help=True, help="List, download, import, verify and remove models.")

_STYLES = {"bundled": "green", "on disk": "green", "to download": "", "damaged": "bold red"}


@app.command("list")
def list_(as_json: JsonTable = False, debug: Debug = False) -> None:
    """Show every model, what it is for, and whether it is on this machine."""
    from napari_sam.checkpoints import receipts

    with reported(debug):
        rows = [*(_row(spec) for spec in _all_models()), *(_clip_row(model) for model in _all_clip_models())]
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
            return
        console = table_console()
        console.print(_table(rows))
        # Not broken into lines, so that the path can be copied.
        console.print(f"Folder: {receipts.weights_folder()}", highlight=False, soft_wrap=True)


@app.command()
def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from `napari-sam models list`.")],
    debug: Debug = False,
) -> None:
    """Download models; one that was cut off goes on where it stopped.

    What is downloaded may be carried to a machine without a network: files with `napari-sam models import`, the folders
    of text models by copying them.
    """
    from napari_sam.checkpoints import decoders

    with reported(debug):
        for keeper, spec in [_lookup(name) for name in names]:  # a mistyped name must not cost the time of the others
            try:
                with transfer_bar(spec.name, spec.approximate_size) as progress:
                    path = keeper.ensure(spec, progress)
                if isinstance(spec, ModelSpec) and decoders.is_missing(spec):
                    with transfer_bar(f"{spec.name}, decoder", None) as progress:
                        decoders.ensure(spec, progress)
            except KeyboardInterrupt as error:
                kept = format_bytes(keeper.partial_size(spec))
                raise Cancelled(
                    f"Cancelled. {kept} of {spec.name} are kept: run the command again to go on."
                ) from error
            typer.echo(f"{spec.name}: {path} ({format_bytes(size_on_disk(path))})")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A checkpoint that someone carried in: .pth, .pt or .safetensors.")],
    name: Annotated[str | None, typer.Option(help="What to call a file that is none of the published ones.")] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help=f"How to read it, where its keys do not tell: {', '.join(ARCHITECTURES)}."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Copy a checkpoint into the folder; published ones are recognised by their checksum."""
    from napari_sam.checkpoints.importing import import_file

    with reported(debug):
        with work_bar(f"Importing {file.name}") as progress:
            spec = import_file(file, name, architecture, progress)
        typer.echo(f"Imported as {spec.name}. Use it with `--model {spec.name}`, or choose it in the dock.")


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Default: every model on this machine.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Read models and compare their checksums; exit with 1 if one is damaged."""
    from napari_sam.checkpoints import weights
    from napari_sam.text import store

    with reported(debug):
        here: list[tuple[ModuleType, Any]] = [(weights, spec) for spec in _all_models()]
        here += [(store, model) for model in _all_clip_models()]
        # Damaged ones, too: only what is not here at all is left out.
        here = [(keeper, spec) for keeper, spec in here if keeper.status(spec) is not weights.State.TO_DOWNLOAD]
        specs = [_lookup(name) for name in names] if names else here
        damaged = 0
        for keeper, spec in specs:
            try:
                with work_bar(f"Reading {spec.name}") as progress:
                    words = keeper.verify(spec, progress)
            except WeightsError as error:
                damaged += 1
                typer.echo(f"{spec.name}: {error}", err=True)
            else:
                typer.echo(f"{spec.name}: right ({words})")
        # Only now: a damaged file must not keep the others from being looked at.
        if damaged:
            raise typer.Exit(1)


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from `napari-sam models list`.")],
    yes: Yes = False,
    debug: Debug = False,
) -> None:
    """Delete models from this machine, with what unfinished downloads left."""
    with reported(debug):
        specs = [_lookup(name) for name in names]
        if not yes:
            typer.confirm(f"Delete {', '.join(spec.name for _keeper, spec in specs)} from this machine?", abort=True)
        for keeper, spec in specs:
            typer.echo(f"{spec.name}: {format_bytes(keeper.remove(spec))} freed")


def _lookup(name: str) -> tuple[ModuleType, Any]:
    """Return who keeps the model called `name`, checkpoints or text models, and the model."""
    from napari_sam.checkpoints import weights
    from napari_sam.text import store

    keeper = store if store.knows(name) else weights
    return keeper, keeper.lookup(name)


def _all_models() -> list[ModelSpec]:
    from napari_sam.checkpoints import weights

    return [*list_models(), *weights.imported()]


def _all_clip_models() -> "list[ClipModel]":
    from napari_sam.text import store
    from napari_sam.text.models import CLIP_MODELS

    return [*CLIP_MODELS, *store.on_disk()]


def _clip_row(model: "ClipModel") -> dict[str, Any]:
    """Gather what the list says of one text model."""
    from napari_sam.checkpoints.weights import State
    from napari_sam.text import store

    state = store.status(model)
    return {
        "name": model.name,
        "title": model.title,
        "architecture": "clip",
        "size": None,
        "size_text": model.size_text,
        "licence": model.licence,
        "domain": "words",
        "use_for": model.use_for,
        "state": str(state),
        "partial": store.partial_size(model),
        "path": None if state is State.TO_DOWNLOAD else str(store.target_folder(model)),
        "urls": [],
        "project": model.source,
    }


def _row(spec: ModelSpec) -> dict[str, Any]:
    """Gather what the list says of one model."""
    from napari_sam.checkpoints import weights

    path = weights.find(spec)
    return {
        "name": spec.name,
        "title": spec.title,
        "architecture": spec.architecture,
        "size": spec.size,
        "size_text": spec.size_text,
        "licence": spec.licence,
        "domain": spec.domain,
        "use_for": spec.use_for,
        "state": str(weights.status(spec)),
        "partial": weights.partial_size(spec),
        "path": None if path is None else str(path),
        "urls": list(spec.urls),
        "project": spec.project,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    """Lay the rows out, those of one domain together."""
    table = Table("Name", "Size", "Licence", "State", "Use it for", box=None, padding=(0, 2, 0, 0))
    # People look for these: where there is little room, the longer words are broken into lines.
    for column in (table.columns[0], table.columns[1], table.columns[3]):
        column.no_wrap = True
    for domain in dict.fromkeys(row["domain"] for row in rows):
        table.add_section()
        table.add_row(f"[bold]{escape(domain.capitalize())}[/]")
        for row in rows:
            if row["domain"] == domain:
                name, licence, use_for = (escape(row[key]) for key in ("name", "licence", "use_for"))
                table.add_row(f"  {name}", _size_cell(row), licence, _state_cell(row), use_for)
    return table


def _size_cell(row: dict[str, Any]) -> str:
    """Write the size of the file that is here, or else of the one that there is to have."""
    return row["size_text"] if row["path"] is None else format_bytes(size_on_disk(Path(row["path"])))


def _state_cell(row: dict[str, Any]) -> str:
    text = row["state"] + (f" ({format_bytes(row['partial'])} here)" if row["partial"] else "")
    style = _STYLES[row["state"]]
    return f"[{style}]{text}[/]" if style else text
