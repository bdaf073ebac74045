"""Write docs/benchmarks.md, and the plot on it, from what `napari-sam benchmark speed -o FOLDER` measured.

    python scripts/speed_page.py FOLDER/speed.json [--gpu FOLDER/speed.json]

The numbers are kept in docs/benchmarks.json, so that the page can be written again when its words change.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from napari_sam.evaluation.report.speed_files import docs_page
from napari_sam.evaluation.report.speed_plot import draw_speed
from napari_sam.evaluation.speed.report import SpeedReport

DOCS = Path(__file__).parents[1] / "docs"
PAGE, NUMBERS, PLOT = "benchmarks.md", "benchmarks.json", "images/benchmarks.png"


def page(numbers: dict[str, Any]) -> str:
    """Write the page from the numbers of the runs: "cpu", and "gpu" or None."""
    gpu = None if numbers["gpu"] is None else SpeedReport.from_json(numbers["gpu"])
    return docs_page(SpeedReport.from_json(numbers["cpu"]), gpu, PLOT)


def main() -> None:
    """Read the command line, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cpu", type=Path, help="speed.json of a run on a processor")
    parser.add_argument("--gpu", type=Path, help="speed.json of a run on a GPU")
    options = parser.parse_args()
    runs = {"cpu": options.cpu, "gpu": options.gpu}
    numbers = {name: None if path is None else json.loads(path.read_text("utf-8")) for name, path in runs.items()}
    (DOCS / NUMBERS).write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    (DOCS / PAGE).write_text(page(numbers), encoding="utf-8")
    draw_speed(SpeedReport.from_json(numbers["cpu"])).savefig(DOCS / PLOT, dpi=110)
    print(f"{PAGE}, {NUMBERS} and {PLOT} are written")


if __name__ == "__main__":
    main()
