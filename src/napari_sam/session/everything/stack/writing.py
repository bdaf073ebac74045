"""Writes the objects of a stack into a labels layer, plane by plane, as one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.writing import record_objects
from napari_sam.session.viewing.feature_table import set_classes

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.stack.linking import LinkedPlane, LinkedStack
    from napari_sam.session.labels.writer import LabelWriter
    from napari_sam.session.objects.history import HistoryStep
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder


class StackWriter:
    """Writes one stack.

    Parameters
    ----------
    image : Image
        The image.
    linked : LinkedStack
        The objects.
    matches : tuple of Match or None
        What the objects of each plane were ranked by.
    writer : LabelWriter
        Writes into the target.
    log, recorder
        What keeps the step, for undo, and the records.
    only_empty : bool
        Leave pixels alone that carry a label.

    Raises
    ------
    InputError
        If the target does not hold so many ids.
    """

    def __init__(
        self,
        image: Image,
        linked: LinkedStack,
        matches: tuple[Match | None, ...],
        writer: LabelWriter,
        log: ObjectLog,
        recorder: ObjectRecorder,
        *,
        only_empty: bool,
    ) -> None:
        self.image, self.linked, self.writer = image, linked, writer
        self.trouble = ""
        """What the person should know about the journal; "" when it is well."""
        self.done = 0
        """Planes that were gone through."""
        self._matches, self._log, self._recorder = matches, log, recorder
        self._only_empty = only_empty
        self._offset = writer.reserve(linked.count)
        self._step: HistoryStep | None = None
        self._written: set[int] = set()
        self._outlines = self._planes = 0
        self._classes: dict[int, tuple[float, str]] = {}

    @property
    def taken_back(self) -> bool:
        """Whether the person has undone what was written."""
        step = self._step
        if step is None or step.written is None:
            return False
        newest = step.written.parts[-1]
        # Whoever undoes takes the newest plane back first, or together with the others.
        return newest.holding(newest.change.after) is None

    def write(self, numbers: NDArray[np.int32]) -> None:
        """Write the next plane, given the numbers of its objects, (h, w)."""
        plane, match = self.linked.planes[self.done], self._matches[self.done]
        self.done += 1
        view, start = plane.result.request.source.view, plane.result.request.start
        done = self.writer.write_objects(view, numbers, start, only_empty=self._only_empty, offset=self._offset)
        if done is None:
            return
        edit, _offset = done
        carried = np.where(edit.change.pixels.array(), numbers, 0)

        def tell(number: int) -> dict[str, object]:
            return self._tell(number, plane, match)

        entries, self.trouble = record_objects(
            self.image, plane.result.request, carried, tell, self.writer.layer, self._offset.__add__, self._recorder
        )
        self._outlines, self._planes = self._outlines + len(entries), self._planes + 1
        self._step = (
            self._log.add_written(self.image, edit, entries)
            if self._step is None
            else self._log.grow_written(self.image, self._step, edit, entries)
        )

    def end(self) -> str:
        """End the step; return words for what was done, "" when that was nothing."""
        self.writer.release()
        layer = self.writer.layer
        set_classes(layer, {self._offset + number: name for number, (_score, name) in self._classes.items() if name})
        if not self._written:
            return ""
        divisions = len({mother for mothers in self.linked.parents.values() for mother in mothers})
        text = everything_messages.written_stack(
            len(self._written), self._outlines, self._planes, layer.name, divisions
        )
        return " ".join(filter(None, (text, self.trouble or self.writer.first_notice())))

    def _tell(self, number: int, plane: LinkedPlane, match: Match | None) -> dict[str, object]:
        """Gather what the journal is to know of an object on a plane, and note that it is written."""
        found: dict[str, object] = {"mode": plane.result.request.mode, "linked": self.linked.link}
        if number not in self._written and number in self.linked.parents:
            found["parents"] = [self._offset + mother for mother in self.linked.parents[number]]
        self._written.add(number)
        if (place := plane.places.get(number)) is None:
            return {"found": found | {"filled": True}}
        proposal = plane.result.table.proposals[place]
        found["stability"] = proposal.stability
        if match is not None:
            found |= match.describe(place)
            kind = match.class_of(place)
            # On its planes an object may look different: the best match says what it is.
            score = float(match.scores[place])
            if score > self._classes.get(number, (-1.0, ""))[0]:
                self._classes[number] = score, kind
            if kind:
                return {"found": found, "score": proposal.score, "class": kind}
        return {"found": found, "score": proposal.score}
