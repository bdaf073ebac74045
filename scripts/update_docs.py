"""Writes what the documents and the manifest take from the code: models, keys, commands, accuracy of the bundled model.

A table stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``. Run it after a change of
`napari_sam.checkpoints.registry`, `napari_sam.session.actions` or the bundled weights; ``--check`` only says which
files are out of date, and a test runs that.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam import list_models
from napari_sam.session.actions import ACTIONS, legend

if TYPE_CHECKING:
    from napari_sam import ModelSpec

ROOT = Path(__file__).parents[1]
FILES = ("README.md", "docs/models.md", "docs/keys.md")
MANIFEST = "src/napari_sam/napari.yaml"


def models_table() -> str:
    """One row for each checkpoint of the registry, in its order."""
    rows = [("Name", "Use it for", "Trained on", "Size", "Licence"), ("---",) * 5]
    rows += [
        (f"[`{m.name}`]({m.project})" if m.project else f"`{m.name}`", m.use_for, m.domain, _size(m), m.licence)
        for m in list_models()
    ]
    return _table(rows)


def keys_table() -> str:
    """One row for each line of the legend, in the order of the dock's legend."""
    rows = [("Key", "", "What it does"), ("---",) * 3]
    for line in legend(ACTIONS.values()):
        rows.append((line.between.join(f"`{key}`" for key in line.keys), line.title, line.tooltip))
    return _table(rows)


def commands() -> str:
    """One command of the manifest for each action: napari's command palette lists them."""
    lines = []
    for action in ACTIONS.values():
        lines += [
            f"    - id: napari-sam-live.{action.id}",
            f"      title: {json.dumps(action.title, ensure_ascii=False)}",
            f"      short_title: {json.dumps(action.tooltip, ensure_ascii=False)}",
            f"      python_name: napari_sam.widgets.palette:{action.id}",
        ]
    return "\n".join(lines)


def refresh_manifest(text: str) -> str:
    """Put the commands between their marks."""
    marks = re.compile(r"( *# begin actions.*?\n).*?( *# end actions\n)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}{commands()}\n{found[2]}", text)


def accuracy_table() -> str:
    """Accuracy of the bundled model on held-out images, from its model card."""
    columns = ("1 click", "3 clicks", "5 clicks", "box", "NoC@85", "AP")
    titles = [column if column.isupper() or "@" in column else column.capitalize() for column in columns]
    rows = [("Images", "Objects", *titles), ("---",) * (2 + len(columns))]
    card = json.loads((ROOT / "src" / "napari_sam" / "weights" / "bundled.json").read_text(encoding="utf-8"))
    for kind, measured in card["validation"]["metrics"].items():
        rows.append((kind, f"{measured['objects']:.0f}", *(f"{measured[column]:.2f}" for column in columns)))
    return _table(rows)


def kinds_table() -> str:
    """Accuracy of the bundled model on held-out images of other kinds, from its model card."""
    columns = ("1 click", "best of 3", "3 clicks", "5 clicks", "box")
    rows = [("Kind", "Objects", *(column.capitalize() for column in columns)), ("---",) * (2 + len(columns))]
    card = json.loads((ROOT / "src" / "napari_sam" / "weights" / "bundled.json").read_text(encoding="utf-8"))
    words = {one["set"]: one["kind"] for data in card["data"] for one in data.get("sets", ())}
    never = set(card["validation"]["kinds"]["held_out"])
    for kind, measured in card["validation"]["kinds"]["metrics"].items():
        name = words.get(kind, kind) + (" (never trained on)" if kind in never else "")
        rows.append((name, f"{measured['objects']:.0f}", *(f"{measured[column]:.2f}" for column in columns)))
    return _table(rows)


def _size(model: ModelSpec) -> str:
    if model.bundled:
        return "in the package"
    size = model.approximate_size
    return "unknown" if size is None else f"{size / 1e6:,.0f} MB"


def _table(rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def refresh(text: str, tables: dict[str, str]) -> str:
    """Put the tables between their marks."""
    for name, table in tables.items():
        marks = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        text = marks.sub(lambda found, table=table: f"{found[1]}\n{table}\n\n{found[2]}", text)
    return text


def main() -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description="Write the tables that the documents take from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    check = parser.parse_args().check
    tables = {"models": models_table(), "keys": keys_table(), "accuracy": accuracy_table(), "kinds": kinds_table()}
    stale = []
    for name in (*FILES, MANIFEST):
        path = ROOT / name
        old = path.read_text(encoding="utf-8")
        new = refresh_manifest(old) if name == MANIFEST else refresh(old, tables)
        if new != old:
            stale.append(name)
            if not check:
                path.write_text(new, encoding="utf-8")
    print(
        "\n".join(f"{'out of date' if check else 'written'}: {name}" for name in stale) or "all tables are up to date"
    )
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
