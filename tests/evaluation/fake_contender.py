"""A contender that measures nothing: it answers what its name says, dies, or fails."""

from __future__ import annotations

import json
import sys


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        match request["task"]:
            case "die":
                sys.stderr.write("no memory left\n")
                sys.exit(3)
            case "fail":
                answer = {"error": "ValueError: not today"}
            case _:
                answer = {"asked": request, "name": sys.argv[1]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
