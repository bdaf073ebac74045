"""Time that `napari-sam` needs to answer without a model, in fresh processes: processor time, the best of some rounds.

python benchmarks/start.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

CASES = (["--help"], ["--version"], ["segment", "--help"], ["models", "list"])


def spent() -> float:
    """Processor time of the processes that have ended, seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(arguments: list[str]) -> float:
    """Run the command once."""
    before = spent()
    subprocess.run([sys.executable, "-m", "napari_sam", *arguments], capture_output=True, check=True)
    return spent() - before


def main() -> None:
    """Time each command, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for case in CASES:
        best = min(seconds(case) for _ in range(options.rounds))
        print(f"napari-sam {' '.join(case):20}{best:8.2f} s")


if __name__ == "__main__":
    main()
