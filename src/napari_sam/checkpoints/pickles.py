"""A look at a pickle before it is opened: whether that would end soon.

What a pickle may *call* is not judged here: PyTorch's restricted unpickler refuses everything that could run code. But
it takes instructions as long as there are some, and a few dozen can build a tuple whose hash takes longer than a life.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_MOST_STEPS = 1_000_000  # instructions: a ViT-H with the state of its optimizer has 60,000
_MOST_PARTS = 100_000  # of one tuple, its tuples' parts counted as often as they are seen

_KEEPING = ("PUT", "BINPUT", "LONG_BINPUT")
_TAKING = ("GET", "BINGET", "LONG_BINGET")


class PickleError(Exception):
    """A pickle is damaged, or would take too long to open; the message says which."""


def check_pickle(file: BinaryIO) -> object:
    """Walk through one pickle without opening it; the file is left behind it.

    Parameters
    ----------
    file : binary file
        At the start of a pickle; small, for it is read as the pickle says.

    Returns
    -------
    object
        The last number or text that it mentions.

    Raises
    ------
    PickleError
        If it is no pickle, is cut, or would take too long.
    """
    machine = _Machine()
    try:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if step > _MOST_STEPS:
                raise PickleError("it has more parts than any model")
            machine.take(opcode, argument)
    except PickleError:
        raise
    except Exception as error:  # whoever forges a pickle chooses which
        raise PickleError("it is cut or damaged") from error
    return machine.last


class _Machine:
    """The unpickler's stack, of the number of parts that each object has as a tuple; None is a mark."""

    def __init__(self) -> None:
        self._stack: list[int | None] = []
        self._kept: dict[object, int | None] = {}
        self.last: object = None

    def take(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Follow one instruction, as its description in `pickletools` says."""
        before, after = list(opcode.stack_before), list(opcode.stack_after)
        parts = 0
        if pickletools.stackslice in before:  # everything above the last mark, and the mark
            while (top := self._stack.pop()) is not None:
                parts += top
            before = before[: before.index(pickletools.markobject)]
        # What an instruction takes from the stack goes into what it puts there.
        for _ in before:
            parts += self._stack.pop() or 0
        # Only tuples are hashed through and through; lists and dicts cannot be keys.
        whole = 1 + parts if opcode.name.startswith("TUPLE") else 1
        if whole > _MOST_PARTS:
            raise PickleError("it has more parts than any model")
        self._stack.extend(None if kind is pickletools.markobject else whole for kind in after)
        if opcode.name in _KEEPING:
            self._kept[argument] = self._stack[-1]
        elif opcode.name == "MEMOIZE":
            # The newer protocols number what they keep by themselves.
            self._kept[len(self._kept)] = self._stack[-1]
        elif opcode.name in _TAKING:
            self._stack[-1] = self._kept[argument]
        elif argument is not None:
            self.last = argument
