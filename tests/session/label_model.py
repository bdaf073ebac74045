"""What the labels must hold, worked out from nothing but what was on the screen when something was pressed.

Written anew from the rules that the documents state, and sharing no code with the session: it keeps whole planes where
the session keeps boxes, and plain lists where the session keeps queues and requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

STEPS = 100
"""Steps that can be undone."""


def levels(masks):
    """Name the candidates of an answer by their size, as far as they differ: which is the first of each level.

    Parameters
    ----------
    masks : numpy.ndarray
        (n, H, W) bool, best first.
    """
    different = []
    for index, mask in enumerate(masks):
        if mask.any() and not any(alike(mask, masks[other]) for other in different):
            different.append(index)
    large_first = sorted(different, key=lambda index: -np.count_nonzero(masks[index]))
    names = {2: ("whole", "subpart"), 3: ("whole", "part", "subpart")}.get(len(large_first), ())
    return dict(zip(names, large_first, strict=False))


def alike(one, other):
    """Tell whether two masks are one thing seen twice."""
    return bool(np.count_nonzero(one & other) >= 0.9 * np.count_nonzero(one | other))


def first_by_level(masks, level):
    """Tell which candidate is shown first to who wants a level."""
    return levels(masks).get(level, 0)


def level_after(masks, choice, level):
    """Tell which level is wanted after a candidate was picked and accepted."""
    there = levels(masks)
    if not there:
        return level
    if alike(masks[choice], masks[0]):
        return "best"
    return next((name for name, index in there.items() if alike(masks[choice], masks[index])), level)


@dataclass(eq=False)
class Hand:
    """The object that was accepted last: its layer, its id, and its mask on the planes where it was accepted."""

    layer: Any
    label: int
    planes: dict


@dataclass(eq=False)
class Write:
    """Pixels of one plane that changed, with their values before and since."""

    layer: Any
    place: tuple
    label: int
    changed: np.ndarray
    before: np.ndarray
    after: np.ndarray


@dataclass(eq=False)
class Accept:
    """An accept, with all that counts at the moment at which it is pressed."""

    image: Any
    index: tuple  # for each axis of the image, its index; None for those on screen
    said: Any
    key: tuple
    right: Any  # tells, once it is asked, the masks that are the right answer
    choice: int  # counted from the first that is shown by the level
    level: str
    layer: Any
    only_empty: bool
    picked: bool = False
    again: Hand | None = None
    undecided: bool = False
    write: Write | None = None

    @property
    def place(self):
        return tuple(slice(None) if at is None else at for at in self.index)

    @cached_property
    def masks(self):
        return self.right(self.key)

    @property
    def candidate(self):
        """Which of the candidates is written."""
        return (first_by_level(self.masks, self.level) + self.choice) % len(self.masks)

    @property
    def mask(self):
        return self.masks[self.candidate]


@dataclass(eq=False)
class Step:
    """A step of the history of an image; an accept, or what was drawn or cleared."""

    accept: Accept | None = None
    held: Hand | None = None
    holds: Hand | None = None


@dataclass
class Past:
    done: list = field(default_factory=list)
    undone: list = field(default_factory=list)


class LabelModel:
    """Labels layers as plain arrays, and what may still come to them."""

    def __init__(self):
        self.arrays = {}
        self.newest = {}
        """By layer, the write that napari's own undo takes back first, where that is known."""
        self.journal = []
        """What the journal must say: kind, and id and mask, or what it is about."""
        self.start()

    def start(self):
        """Begin a session: nothing waits, nothing can be undone, and nothing is in hand."""
        self._pasts = {}
        self.level = "best"
        """Which candidate is shown first."""
        self.hands = {}
        self.waiting = []
        self.unwritten = []
        self.journal.clear()
        self._numbers = {}

    # -- the history ------------------------------------------------------------------------------

    def past(self, image):
        return self._pasts.setdefault(image, Past())

    def do(self, image, step):
        past = self.past(image)
        past.done = [*past.done, step][-STEPS:]
        past.undone.clear()

    def drawn(self, image):
        self.do(image, Step())

    def withdraw(self, accept):
        """Take back an accept as if it had never been pressed, if it is the newest step; tell whether it was."""
        past = self.past(accept.image)
        if not past.done or past.done[-1].accept is not accept:
            return False
        past.done.pop()
        past.undone.clear()
        return True

    def undo(self, image):
        """Take back the newest step; tell whether there was any."""
        past = self.past(image)
        if not past.done:
            return False
        accept = past.done[-1].accept
        for pending in (self.waiting, self.unwritten):
            if accept in pending:
                pending.remove(accept)
                return self.withdraw(accept)
        step = past.done.pop()
        past.undone.append(step)
        if accept is not None and accept.write is not None:
            write = accept.write
            now = self.arrays[write.layer][accept.place]
            ours = write.changed & (now == write.after)
            now[ours] = write.before[ours]
            self._touched(write.layer)
            self.journal.append(("withdrawn", self._numbers[accept]))
        if step.held is not step.holds:
            self.hands[image] = step.held
        return True

    def redo(self, image):
        """Do the step undone last again; tell whether there was any."""
        past = self.past(image)
        if not past.undone:
            return False
        step = past.undone.pop()
        past.done.append(step)
        accept = step.accept
        if accept is not None and accept.write is not None:
            write = accept.write
            now = self.arrays[write.layer][accept.place]
            free = write.changed & (now == write.before)
            now[free] = write.after[free]
            self._touched(write.layer)
            self.journal.append(("restored", self._numbers[accept]))
        if step.held is not step.holds:
            self.hands[image] = step.holds
        return True

    def _touched(self, layer):
        self.newest.pop(layer, None)

    # -- accepting --------------------------------------------------------------------------------

    def press(self, accept):
        """Let an accept wait for its turn."""
        self.waiting.append(accept)
        hand = self.hands.get(accept.image)
        self.do(accept.image, Step(accept, hand, hand))

    def accept(self, accept):
        """Write an object at once; tell whether it could be."""
        held = self.hands.get(accept.image)
        hand = self._write(accept)
        if hand is None:
            return False
        self.hands[accept.image] = hand
        self.do(accept.image, Step(accept, held, hand))
        return True

    def fulfil(self, accept):
        """Write an object that waited; tell whether it could be."""
        held = self.hands.get(accept.image)
        if accept.undecided and held is not None and held.layer is accept.layer:
            accept.again = held if self.belongs(held, accept) else None
        elif accept.again is not None and held is not None:
            if (held.layer, held.label) == (accept.again.layer, accept.again.label):
                accept.again = held
        hand = self._write(accept)
        if hand is None:
            return False
        self.hands[accept.image] = hand
        for step in self.past(accept.image).done:
            if step.accept is accept:
                step.held, step.holds = held, hand
        return True

    def belongs(self, hand, accept):
        """Tell whether a mask is that of the object in hand: more than half of the greater of the two is in both."""
        record = hand.planes.get(accept.index)
        if record is None or None not in accept.index or all(at is None for at in accept.index):
            return False
        there = self.arrays[hand.layer][accept.place] == hand.label
        rows, columns = np.nonzero(record)
        box = there[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        areas = np.count_nonzero(record), np.count_nonzero(accept.mask)
        return bool(box.any()) and np.count_nonzero(there & accept.mask) > max(areas) / 2

    def _write(self, accept):
        """Write an object; return it, or None when nothing can be written."""
        hand = self._write_pixels(accept)
        if hand is not None and accept.picked:
            self.level = level_after(accept.masks, accept.candidate, self.level)
        return hand

    def _write_pixels(self, accept):
        if not accept.mask.any():
            return None
        array, again = self.arrays[accept.layer], accept.again
        now = array[accept.place]
        label = int(array.max()) + 1 if again is None else again.label
        before, after = now.copy(), now.copy()
        if again is not None:
            after[after == label] = 0
        after[accept.mask & (after == 0) if accept.only_empty else accept.mask] = label
        changed = after != before
        hand = Hand(accept.layer, label, {} if again is None else dict(again.planes))
        if not changed.any():
            if again is None or not (now == label).any():
                return None
            hand.planes[accept.index] = accept.mask
            return hand
        now[...] = after
        accept.write = Write(accept.layer, accept.place, label, changed, before, after)
        self.newest[accept.layer] = accept.write
        hand.planes[accept.index] = after == label
        self._numbers[accept] = len(self.journal)
        self.journal.append(("accepted", label, accept.said, after == label))
        return hand

    # -- what the person does in napari -----------------------------------------------------------

    def paint(self, layer, place, label):
        self.arrays[layer][place] = label
        self._touched(layer)

    def napari_undo(self, layer):
        """Take back what napari's own undo must take back first, where that is known; tell whether it is."""
        write = self.newest.pop(layer, None)
        if write is not None:
            now = self.arrays[layer][write.place]
            now[write.changed] = write.before[write.changed]
        return write is not None
