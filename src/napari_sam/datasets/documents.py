"""Files that anybody may have made: JSON of a bounded size, numbers that are numbers, masks that fit into memory."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import format_bytes, open_plain, printable
from napari_sam.io.memory import largest_read, require_room
from napari_sam.io.reading import reading, require_file
from napari_sam.io.writing import replacing_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.masks import BoxedMask

# Bytes of Python's objects for a byte of JSON: lists of two small numbers take that many.
_PARSED = 16
_LONGEST_NAME = 1000
_LARGEST_SIDE = 1 << 24


class EmptyMaskError(InputError):
    """A mask has no pixels on its image."""


class Intake:
    """One file that is being read: what is wrong with it, and how much memory its masks take.

    Parameters
    ----------
    path : Path
        The file.
    faults : list of str, optional
        Gathers what is wrong with parts of the file, which are left out. Default: the first is raised.
    """

    def __init__(self, path: Path, faults: list[str] | None = None) -> None:
        self.path = path
        self._faults = faults
        self._most = largest_read()
        self._kept = 0
        self._left_out: Counter[str] = Counter()

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Read a part, "annotation 3" say; whatever goes wrong in it is an `InputError` that names file and part.

        Masks without pixels are left out: they come from programs that round, and do no harm.
        """
        with self.whole(), reading(self.path, what):
            try:
                yield
            except EmptyMaskError as error:
                self.leave_out("objects that cover no pixel")
                self.fault(f"{what}: {error}")
            except InputError as error:
                raise InputError(f"{self.path}, {what}: {error}") from error

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Read all of it; an `InputError` is one of the faults."""
        try:
            yield
        except InputError as error:
            if self._faults is None:
                raise
            self._faults.append(str(error))

    def fault(self, words: str) -> None:
        """Tell of what is wrong and does no harm: only whoever gathers faults hears of it."""
        if self._faults is not None:
            self._faults.append(f"{self.path}, {words}")

    def leave_out(self, what: str) -> None:
        """Count what is not read, "lines" say."""
        self._left_out[what] += 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of what was read so far."""
        return tuple(f"Left out: {count} {what}." for what, count in self._left_out.items())

    def allow(self, size: int) -> None:
        """Refuse `size` bytes more than the masks that were kept, where that is too much.

        Raises
        ------
        InputError
        """
        if self._kept + size > self._most:
            raise InputError(
                f"its masks take more than {format_bytes(self._most)} of memory, half of what is free. "
                "Split the file, or close other programs; if its images are small, the file is damaged."
            )

    def keep(self, mask: BoxedMask) -> BoxedMask:
        """Count a mask that stays in memory, and return it."""
        self.allow(mask.mask.nbytes)
        self._kept += mask.mask.nbytes
        return mask


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If it is none, does not fit into memory, or has numbers that are none, such as NaN.
    """
    require_file(path)
    with reading(path), open_plain(path) as file:
        require_room(path, path.stat().st_size * _PARSED)
        return json.loads(file.read(), parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file in one step.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    # Whole, which json writes many times quicker than bit by bit.
    write_text(path, json.dumps(document, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    """Return a number of NumPy's, which boxes and scores may be, as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def write_text(path: Path, content: str) -> None:
    """Write a text file in one step.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    with replacing_result(path) as temporary, temporary.open("x", encoding="utf-8", newline="\n") as file:
        file.write(content)


def record(value: Any, what: str) -> dict[str, Any]:
    """Return what has to be a JSON object."""
    if not isinstance(value, dict):
        raise InputError(f"{what} is not a record of names and values.")
    return value


def items(value: Any, what: str) -> list[Any]:
    """Return what has to be a JSON list."""
    if not isinstance(value, list):
        raise InputError(f"{what} is not a list.")
    return value


def finite(value: Any, what: str) -> float:
    """Return what has to be a number, as a float."""
    # bool is a kind of int in Python; huge integers overflow.
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if isfinite(number):
            return number
    raise InputError(f"{what} is not a number.")


def whole(value: Any, what: str, least: int = 0, most: int = 2**53) -> int:
    """Return what has to be a whole number in bounds, as an int; 3.0 is one."""
    number = finite(value, what)
    if not (number.is_integer() and least <= number <= most):
        raise InputError(f"{what} is not a whole number from {least} to {most}.")
    return int(number)


def numbers(value: Any, what: str, count: int) -> list[float]:
    """Return so many finite numbers out of a list."""
    found = [finite(one, what) for one in items(value, what)]
    if len(found) != count:
        raise InputError(f"{what} has {len(found)} numbers, not {count}.")
    return found


def share(value: Any, what: str) -> float | None:
    """Return a score; None where there is none."""
    return None if value is None else finite(value, what)


def text(value: Any, what: str) -> str:
    """Return what has to be a text, less what a terminal would obey."""
    if not isinstance(value, str):
        raise InputError(f"{what} is not a text.")
    return printable(value, _LONGEST_NAME)


def image_shape(image: dict[str, Any]) -> tuple[int, int]:
    """Return height and width of an image record."""
    height, width = (whole(image.get(side), side, 1, _LARGEST_SIDE) for side in ("height", "width"))
    return height, width
