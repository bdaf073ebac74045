"""``napari-sam find``: the objects of an image that fit words, as labels."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import getting, reported, table_console, text_encoder, work_bar
from napari_sam.commands.options.shared import Debug, Device, ImageContrast, JsonTable, Model, limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.automatic import DenseSettings, GridSettings, Proposal
    from napari_sam.planes.plane import Plane
    from napari_sam.text.ranking import Ranking

_SHOWN = 3  # digits of a score


def find(
    image: Annotated[Path, typer.Argument(help="A 2-D image: TIFF, PNG or JPEG; grey, RGB or RGBA.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The labels file to write, a TIFF.")],
    text: Annotated[
        list[str] | None, typer.Option("--text", help="What to look for, in English. Repeatable: each is a class.")
    ] = None,
    negative: Annotated[
        list[str] | None, typer.Option("--negative", help="What looks like it and is not wanted. Repeatable.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0, max=1, help="Least score of an object, 0 to 1. Default with words: 0.5."),
    ] = None,
    text_model: Annotated[
        str,
        typer.Option(
            "--text-model", help="A clip model of `napari-sam models list`, downloaded if need be, or its folder."
        ),
    ] = "clip-datacomp",
    model: Model = "bundled",
    device: Device = "auto",
    contrast_limits: ImageContrast = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there; never an input.")] = False,
    as_json: JsonTable = False,
    debug: Debug = False,
) -> None:
    """Find the objects of an image that fit words, and write them as labels."""
    from napari_sam.io.labels import require_tiff, write_labels
    from napari_sam.io.outputs import require_output
    from napari_sam.io.planes import read_plane
    from napari_sam.planes.plane import Plane
    from napari_sam.text.query import TextQuery
    from napari_sam.text.ranking import THRESHOLD, rank

    if not text:
        raise typer.BadParameter("Give what to look for: --text WORDS.")
    # Not within `reported`: typer tells of a mistake in an option, with the usage.
    window = limits(contrast_limits)
    with reported(debug):
        query = TextQuery(tuple(text), tuple(negative or ()))
        require_tiff(output)
        require_output(
            output, [path for path in (image, Path(model), Path(text_model)) if path.exists()], replace=force
        )
        plane = Plane(read_plane(image), window)
        encoder = text_encoder(text_model, device)
        proposals, settings = _proposals(plane, model, device)
        with work_bar("Comparing with words") as progress:
            ranking = rank(encoder, plane.rendered, [found.mask for found in proposals], query, progress)
        chosen = ranking.chosen(THRESHOLD if threshold is None else threshold)
        labels, places = _lay(proposals, chosen, plane.shape, settings)
        write_labels(output, labels)
        rows = [_row(number, labels, ranking, place) for number, place in enumerate(places, 1)]
        if as_json:
            summary = {"output": str(output), "candidates": len(proposals), "text_model": encoder.name}
            typer.echo(json.dumps({**summary, "objects": rows}, indent=2))
            return
        if rows:
            table_console().print(_table(rows))
        typer.echo(f"{output}: {_summary(rows, ranking)}")


def _proposals(plane: "Plane", model: str, device: str) -> "tuple[list[Proposal], DenseSettings | GridSettings]":
    """Find what may be an object on a plane, whatever it is; return the best first, and how they were found."""
    from napari_sam.automatic import dense_settings_for, find_proposals, grid_settings_for
    from napari_sam.predictor import load_predictor

    with getting(model) as progress:
        predictor = load_predictor(model, device, progress=progress)
    for note in predictor.notes:
        typer.echo(f"Note: {note}", err=True)
    settings = dense_settings_for(predictor) if predictor.has_dense_head else grid_settings_for(model)
    with work_bar("Encoding") as progress:
        embedding = predictor.embed(plane, progress=progress)
    with work_bar("Looking for objects") as progress:
        proposals = find_proposals(predictor, embedding, settings, progress, plane=plane)
    good = [found for found in proposals if found.score >= settings.least_score]
    return sorted(good, key=lambda found: -found.rank), settings


def _lay(
    proposals: "list[Proposal]",
    chosen: "NDArray[np.bool_]",
    shape: tuple[int, int],
    settings: "DenseSettings | GridSettings",
) -> "tuple[NDArray[np.integer[Any]], list[int]]":
    """Lay the chosen candidates on an empty plane; return the labels, and which candidate each object is."""
    import numpy as np

    from napari_sam.automatic.proposals import lay, renumbered

    places = np.flatnonzero(chosen)
    masks = [proposals[place].mask for place in places]
    laid = lay(masks, shape, overlap=settings.most_common, least_area=settings.least_area)
    kept = np.unique(laid[laid > 0])
    smallest = np.uint16 if len(kept) <= np.iinfo(np.uint16).max else np.uint32
    labels: NDArray[np.integer[Any]] = renumbered(laid).astype(smallest)
    return labels, [int(place) for place in places[kept - 1]]


def _row(number: int, labels: "NDArray[np.integer[Any]]", ranking: "Ranking", place: int) -> dict[str, Any]:
    """Gather what is told of one object."""
    import numpy as np

    phrases = ranking.query.phrases
    rows, columns = np.nonzero(labels == number)
    scores = [round(float(score), _SHOWN) for score in ranking.scores[place]]
    return {
        "label": number,
        "phrase": phrases[ranking.classes[place]],
        "score": max(scores),
        "scores": dict(zip(phrases, scores, strict=True)),
        "area": len(rows),
        "centre": [round(float(rows.mean()), 1), round(float(columns.mean()), 1)],
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    """Lay the objects out, those of one phrase together and the surest first."""
    table = Table("Object", "Phrase", "Score", "Area (px)", "Centre (y, x)", box=None, padding=(0, 2, 0, 0))
    for row in sorted(rows, key=lambda row: (row["phrase"], -row["score"])):
        y, x = row["centre"]
        table.add_row(
            str(row["label"]), escape(row["phrase"]), f"{row['score']:.2f}", str(row["area"]), f"{y:.0f}, {x:.0f}"
        )
    return table


def _summary(rows: list[dict[str, Any]], ranking: "Ranking") -> str:
    """Say how many objects were found, or how near the nearest was."""
    if not len(ranking):
        return "0 objects: the model finds none on this image at all."
    of = f"of {len(ranking)} candidates"
    if not rows:
        return (
            f"0 objects {of}; the highest score is {ranking.best.max():.2f}. Try a lower --threshold, or other words."
        )
    counts = {phrase: sum(row["phrase"] == phrase for row in rows) for phrase in ranking.query.phrases}
    each = ", ".join(f"{count} {phrase}" for phrase, count in counts.items())
    return f"{len(rows)} object{'' if len(rows) == 1 else 's'} {of} ({each})."
