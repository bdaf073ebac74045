"""Tables as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sam.evaluation.report.tables import Table, TableRow


def markdown_table(table: Table) -> Iterator[str]:
    """Yield the lines of a table; intervals stand in brackets behind their values."""
    titles = (*table.heads, *table.columns)
    yield _row(titles)
    yield _row(("---",) * len(titles))
    for row in table.rows:
        yield _row((*row.heads, *_with_intervals(row)))


def _with_intervals(row: TableRow) -> Iterator[str]:
    for value, interval in zip(row.values, row.intervals, strict=True):
        yield f"{value} ({interval})" if interval else value


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
