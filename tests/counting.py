"""How much a function does, in lines of Python: the same number on a quiet machine and on a busy one."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, ModuleType


class Count:
    """Lines that were run so far."""

    lines = 0


@contextmanager
def lines_of(package: ModuleType) -> Iterator[Count]:
    """Count the lines of a module, or of all modules of a package, that this thread runs meanwhile."""
    assert package.__file__ is not None
    path = Path(package.__file__)
    ours = str(path.parent if path.name == "__init__.py" else path)
    count, before = Count(), sys.gettrace()

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ours):
            return None
        count.lines += event == "line"
        return trace

    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)
