"""Draws the layers that the import contracts of pyproject.toml hold: docs/images/layers.svg.

python scripts/draw_layers.py
"""

from __future__ import annotations

import re
import tomllib
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "layers.svg"

WIDTH, ROW, GAP, MARGIN, TITLE = 320, 28, 6, 20, 52
"""Pixels: a column, a row, between boxes, around all, above the boxes of a column."""
STYLE = (
    "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1f2933;text-anchor:middle}"
    ".title{font-weight:bold}.note{fill:#52606d;font-size:11px}"
    ".room{fill:#e3f0fb;stroke:#3d7ab5}"
)


def contracts(pyproject: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """List what is divided into layers, and its layers from the top: the modules of each."""
    drawn = []
    for contract in pyproject["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            layers = [[name.strip(" ()") for name in re.split(r"[|:]", layer)] for layer in contract["layers"]]
            drawn += [(container, layers) for container in contract["containers"]]
    return drawn


def column(name: str, layers: list[list[str]], left: int) -> list[str]:
    """Draw one set of layers, its highest at the top."""
    middle = left + WIDTH // 2
    lines = [
        f'<text class="title" x="{middle}" y="{MARGIN + 16}">{escape(name)}</text>',
        f'<text class="note" x="{middle}" y="{MARGIN + 34}">imports go down</text>',
    ]
    for number, layer in enumerate(layers):
        top = MARGIN + TITLE + number * (ROW + GAP)
        width = (WIDTH - GAP * (len(layer) - 1)) / len(layer)
        for place, module in enumerate(layer):
            x = left + place * (width + GAP)
            lines += [
                f'<rect class="room" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{ROW}" rx="4"/>',
                f'<text x="{x + width / 2:.1f}" y="{top + ROW - 10}">{escape(module)}</text>',
            ]
    return lines


def draw(pyproject: dict[str, Any]) -> str:
    """Draw all, side by side; the white ground is for readers with a dark page."""
    drawn = contracts(pyproject)
    width = 2 * MARGIN + len(drawn) * WIDTH + (len(drawn) - 1) * 2 * MARGIN
    height = 2 * MARGIN + TITLE + max(len(layers) for _, layers in drawn) * (ROW + GAP) - GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    for number, (name, layers) in enumerate(drawn):
        lines += column(name, layers, MARGIN + number * (WIDTH + 2 * MARGIN))
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(tomllib.loads((ROOT / "pyproject.toml").read_text())), encoding="utf-8", newline="\n")
    print(f"{PICTURE.relative_to(ROOT)} is drawn")


if __name__ == "__main__":
    main()
