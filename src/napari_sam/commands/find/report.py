"""What ``napari-sam find`` tells of what it found."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from rich.table import Table

from napari_sam.commands.common import table_console

if TYPE_CHECKING:
    from napari_sam.batch.matching.report import MatchReport
    from napari_sam.batch.run import BatchResult

_SHOWN = 3  # digits of a score


def report(
    output: Path,
    result: "BatchResult",
    classes: tuple[str, ...],
    by: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Tell what was found, as a table and a sentence, or as JSON with what it was compared by."""
    reports = [(str(one.image.path), one.matching) for one in result.images if one.matching is not None]
    rows = [
        ({"image": image} if len(reports) > 1 else {}) | _row(one, classes)
        for image, told in reports
        for one in told.objects
    ]
    candidates = sum(told.candidates for _image, told in reports)
    if as_json:
        typer.echo(json.dumps({"output": str(output), "candidates": candidates, **by, "objects": rows}, indent=2))
        return
    if len(reports) > 1:
        table_console().print(_image_table(reports, classes))
    elif rows:
        table_console().print(_object_table(rows))
    best = max((told.best for _image, told in reports), default=0.0)
    typer.echo(f"{output}: {_summary(rows, candidates, best, classes, len(reports))}")


def _row(one: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    """Gather what is told of one object."""
    scores = [round(score, _SHOWN) for score in one.matches]
    phrase = {"phrase": one.category} if classes else {}
    each = {"scores": dict(zip(classes, scores, strict=True))} if classes else {}
    centre = [round(at, 1) for at in one.centre]
    return {"label": one.number, **phrase, "score": max(scores), **each, "area": one.area, "centre": centre}


def _object_table(rows: list[dict[str, Any]]) -> Table:
    """Lay the objects out, those of one phrase together and the surest first."""
    axes = ("y, x", "z, y, x")[len(rows[0]["centre"]) > 2] if len(rows[0]["centre"]) < 4 else "..., y, x"
    phrases = ("Phrase",) if "phrase" in rows[0] else ()
    table = Table("Object", *phrases, "Score", "Area (px)", f"Centre ({axes})", box=None, padding=(0, 2, 0, 0))
    for row in sorted(rows, key=lambda row: (row.get("phrase", ""), -row["score"])):
        phrase = (escape(row["phrase"]),) if phrases else ()
        centre = ", ".join(f"{at:.0f}" for at in row["centre"])
        table.add_row(str(row["label"]), *phrase, f"{row['score']:.2f}", str(row["area"]), centre)
    return table


def _image_table(reports: "list[tuple[str, MatchReport]]", classes: tuple[str, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("Image")
    for title in (*map(escape, classes), "Objects", "Candidates"):
        table.add_column(title, justify="right")
    for image, told in reports:
        each = (sum(one.category == name for one in told.objects) for name in classes)
        table.add_row(escape(Path(image).name), *map(str, each), str(len(told.objects)), str(told.candidates))
    return table


def _summary(rows: list[dict[str, Any]], candidates: int, best: float, classes: tuple[str, ...], images: int) -> str:
    """Say how many objects were found, or how near the nearest was."""
    where = f"on {images} images" if images > 1 else "on this image"
    if not candidates:
        return f"0 objects: the model finds none {where} at all."
    of = f"of {candidates:,} candidates" + (f" {where}" if images > 1 else "")
    if not rows:
        other = "words" if classes else "examples"
        return f"0 objects {of}; the highest score is {best:.2f}. Try a lower --threshold, or other {other}."
    counts = {phrase: sum(row["phrase"] == phrase for row in rows) for phrase in classes}
    each = f" ({', '.join(f'{count} {phrase}' for phrase, count in counts.items())})" if counts else ""
    return f"{len(rows):,} object{'' if len(rows) == 1 else 's'} {of}{each}."
