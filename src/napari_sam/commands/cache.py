"""``napari-sam cache``: where embeddings are kept, how many, and how to be rid of them."""

import json
from typing import Annotated

import typer

from napari_sam.commands.common import reported
from napari_sam.commands.options.shared import Debug, JsonSentence, Yes
from napari_sam.files import format_bytes, parse_bytes

app = typer.Typer(no_args_is_help=True, help="Show, limit and clear the embeddings that are kept on disk.")


@app.command()
def info(
    as_json: JsonSentence = False,
    debug: Debug = False,
) -> None:
    """Show where embeddings are kept, how many there are, and how many bytes they may take."""
    from napari_sam.cache import settings
    from napari_sam.cache.disk import DiskStore

    with reported(debug):
        store = DiskStore(settings.required_folder())
        usage, most = store.usage(), store.limit
        if as_json:
            about = {"folder": str(store.folder), "embeddings": usage.count, "bytes": usage.nbytes, "limit": most}
            typer.echo(json.dumps(about, indent=2))
            return
        typer.echo(
            f"{store.folder}: {usage.count} embeddings, {format_bytes(usage.nbytes)} of {format_bytes(most)} at most."
        )


@app.command()
def limit(
    size: Annotated[str, typer.Argument(metavar="SIZE", help='A size such as 20GB, or "default".')],
    debug: Debug = False,
) -> None:
    """Choose how many bytes of embeddings are kept; those not used for longest go first."""
    from napari_sam.cache import settings
    from napari_sam.cache.disk import DiskStore

    with reported(debug):
        folder = settings.required_folder()
        settings.choose_limit(folder, None if size == "default" else parse_bytes(size))
        # Opened only now, to go by the new limit.
        store = DiskStore(folder)
        store.make_room()
        typer.echo(f"{folder} holds {format_bytes(store.limit)} at most from now on.")


@app.command()
def clear(
    yes: Yes = False,
    debug: Debug = False,
) -> None:
    """Delete every embedding; they are computed again when they are needed."""
    from napari_sam.cache import settings
    from napari_sam.cache.disk import DiskStore

    with reported(debug):
        store = DiskStore(settings.required_folder())
        usage = store.usage()
        # Nothing would be lost with an empty one.
        if usage.count and not yes:
            typer.confirm(f"Delete {usage.count} embeddings, {format_bytes(usage.nbytes)}?", abort=True)
        freed = store.clear()
        typer.echo(f"{store.folder}: {freed.count} embeddings deleted, {format_bytes(freed.nbytes)} freed.")
