"""Results of one run on disk, so that it goes on from where it was cut short.

One file, one JSON object a line: first what the run is about, then a line for every result, on the disk before
`Record.add` returns. Masks are encoded as in the journal.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.io.outputs import reason, remedy
from napari_sam.masks import decode_boxed, encode_mask
from napari_sam.propagation.results import Ending, PropagationStep, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from napari_sam.masks import BoxedMask

FORMAT = "napari-sam-propagation"
VERSION = 1
_START = f'{{"format":"{FORMAT}"'.encode()


class Record:
    """The results of a run, those of an earlier attempt included.

    Parameters
    ----------
    path : Path
        Made if it is not there. A last line that was cut short is dropped.
    about : mapping of str to Any
        What the run depends on; anything that JSON can hold. Results of a run that is about something else are refused.
    anew : bool
        Drop what is there.

    Raises
    ------
    InputError
        If the file holds results of another run, is of a newer version, or cannot be written.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], *, anew: bool = False) -> None:
        self.path = path
        self._places: list[int] = []  # where each line starts, bytes
        self._masks: dict[int, int] = {}  # the line of each plane
        # Through JSON and back, or it would not equal what is read: tuples become lists there.
        header = json.loads(json.dumps({"format": FORMAT, "version": VERSION, "about": about}))
        # What was opened is closed again if the file turns out to be of no use.
        with ExitStack() as undo:
            try:
                # Not in append mode, in which every write goes to the end, wherever the file was truncated.
                self._file = undo.enter_context(path.open("r+b" if path.exists() else "w+b"))
                self._refuse_others()
                if anew:
                    self._file.truncate(0)
                if not self._look_through(header):
                    self._append(header)
            except OSError as error:
                raise InputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from error
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._places and not len(self) and not self._file.closed:
            self.remove()  # nothing to go on from, and nothing that another run should respect
        self.close()

    def __len__(self) -> int:
        return max(0, len(self._places) - 1)

    def __iter__(self) -> Iterator[PropagationStep | Ending]:
        """Yield the results, oldest first."""
        for number in range(1, len(self._places)):
            yield _from_dict(self._line(number))

    def add(self, result: PropagationStep | Ending) -> None:
        """Put a result on the disk."""
        if isinstance(result, PropagationStep):
            self._masks[result.index] = len(self._places)
        self._append(_to_dict(result))

    def boxed(self, index: int) -> BoxedMask | None:
        """Return the mask of a plane; None where there is none."""
        number = self._masks.get(index)
        return None if number is None else decode_boxed(self._line(number)["mask"])

    def close(self) -> None:
        """Close the file, which stays."""
        with suppress(OSError):  # a full disk, of which `add` has told; the next run drops the line cut short
            self._file.close()

    def remove(self) -> None:
        """Close the file and delete it, once the result is safe elsewhere."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _refuse_others(self) -> None:
        """Refuse a file that is no record, not even the first line of one that was cut short."""
        start = self._file.read(len(_START))
        self._file.seek(0)
        if start != _START[: len(start)]:
            raise InputError(f"{self.path} is in the way and holds something else. Move it, or choose another output.")

    def _look_through(self, header: dict[str, Any]) -> bool:
        """Find the lines; tell whether there are any that count."""
        place, own = 0, True
        for line in self._file:
            try:
                data = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                data = None
            if not isinstance(data, dict):
                break
            own = own and (bool(self._places) or data == header)
            if "mask" in data:
                self._masks[data["index"]] = len(self._places)
            self._places.append(place)
            place += len(line)
        if not own and len(self):
            raise InputError(
                f"{self.path} holds planes of another command, which was cut short. Run that one again, or use "
                "--force to start anew."
            )
        if not own:
            # No more than the header of a run that found nothing: its file is taken over.
            self._places.clear()
        self._file.truncate(place if own else 0)
        return bool(self._places)

    def _append(self, data: dict[str, Any]) -> None:
        # To the end first, because reading a line moves the place.
        self._places.append(self._file.seek(0, os.SEEK_END))
        try:
            self._file.write(json.dumps(data, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {reason(error)}. {remedy(error)}") from error

    def _line(self, number: int) -> Any:
        self._file.seek(self._places[number])
        return json.loads(self._file.readline())


def _to_dict(result: PropagationStep | Ending) -> dict[str, Any]:
    match result:
        case PropagationStep():
            boxed = result.boxed
            encoded = encode_mask(boxed.mask, boxed.origin, boxed.plane)
            # Full precision, so that a run that goes on gives what one in a single go gives.
            numbers = {"score": float(result.score), "overlap": float(result.overlap)}
            return {"index": result.index, "direction": result.direction, **numbers, "mask": encoded}
        case Ending():
            return {"index": result.index, "direction": result.direction, "reason": result.reason.value}


def _from_dict(data: Mapping[str, Any]) -> PropagationStep | Ending:
    if "reason" in data:
        return Ending(data["index"], data["direction"], Reason(data["reason"]))
    return PropagationStep(data["index"], decode_boxed(data["mask"]), data["score"], data["overlap"], data["direction"])
