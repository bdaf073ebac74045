"""A viewer with a session on it, and after every action a look at whether all is as it must be."""

from __future__ import annotations

import json
import logging

import numpy as np
from known_answers import REFUSAL, key_of
from label_model import LabelModel, first_by_level
from napari.components import ViewerModel
from napari.layers import Labels
from stepped import SteppedWorker

from napari_sam.journal import decode_mask, read_journal
from napari_sam.journal.notes.decisions import PAINTED
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet
from napari_sam.session import Session, messages
from napari_sam.session import session as session_module

SCENES = (("plane", "stack"), ("stack", "twin"), ("plane", "other"))
"""Images of a viewer; those of the same shape lie on each other."""
SHAPES = {"plane": (32, 32), "other": (32, 32), "stack": (6, 24, 24), "twin": (6, 24, 24)}
SIDES = (1, 5)
"""Of the fields of the two images, pixels: what is alike in small ones has branches, in large ones hardly ever."""
FORESEEN = (REFUSAL, messages.TARGET_GONE, messages.IMAGE_GONE, messages.NOTHING_FREE, messages.EMPTY_MASK)
"""Failures that are none of the session's."""
GREYS = np.array([0, 60, 120, 180, 240], np.uint8)


def picture(shape, seed, side=5):
    """Fields of a few grey values, at random, so many pixels wide and high; no two planes alike."""
    *planes, height, width = shape
    coarse = np.random.default_rng(seed).integers(0, len(GREYS), [*planes, -(-height // side), -(-width // side)])
    return np.ascontiguousarray(GREYS[coarse].repeat(side, -2).repeat(side, -1)[..., :height, :width])


class Errors(logging.Handler):
    """Keeps what the package logs as an error: what nobody foresaw."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.seen = []

    def emit(self, record):
        self.seen.append(record)


class Bench:
    """A viewer with two images, a session on it, and the model of what its labels must be."""

    def __init__(self, engine, active=0):
        self.viewer = ViewerModel()
        self.images = [
            self.viewer.add_image(picture(SHAPES[name], number, SIDES[number]), contrast_limits=(0, 255), name=name)
            for number, name in enumerate(SCENES[active % len(SCENES)])
        ]
        self.engine = engine
        self.model = LabelModel()
        self._errors = Errors()
        logging.getLogger("napari_sam").addHandler(self._errors)
        self._closet = []
        self._count = 0
        self._targets = {}
        self._skips = 0
        self._answered = None
        self._picked = False
        self._stopped = True
        self._failing = False
        self.session = None
        self._open()

    def close(self):
        self.session.close()
        logging.getLogger("napari_sam").removeHandler(self._errors)

    def _open(self):
        self.worker = SteppedWorker()
        original, session_module.Worker = session_module.Worker, lambda post=None: self.worker
        try:
            self.session = Session(self.viewer, engine_factory=lambda *_: self.engine)
        finally:
            session_module.Worker = original
        self.session.prefetch = False
        self._read = self._counted = 0
        self.model.start()
        self._levels = {self.model.level}
        self._contents = self._drawn()
        self._note()

    def act(self, name, number):
        """Do one thing, and look."""
        self._count += 1
        self._failing = False
        before = self._question()
        self._levels = {self.model.level}
        getattr(self, name)(number)
        self._note()
        if self._question() != before:
            self._skips = 0
            self._stopped = self._stopped and self._failing
        self.check()

    # -- what is on the screen --------------------------------------------------------------------

    @property
    def _prompts(self):
        return self.session._components.prompt_layers

    def _index(self):
        """The plane on screen: for each axis of the image its index, None for those shown; None when there is none."""
        image, dims = self.session.image, self.viewer.dims
        if image is None or dims.ndisplay != 2:
            return None
        spare = dims.ndim - image.ndim
        shown = [axis - spare for axis in dims.displayed]
        if min(shown) < 0:
            return None
        at = np.round(np.array(dims.point)[spare:]).astype(int).tolist()
        if any(axis not in shown and not 0 <= at[axis] < side for axis, side in enumerate(image.data.shape)):
            return None
        return tuple(None if axis in shown else at[axis] for axis in range(image.ndim))

    def _place(self, index):
        return tuple(slice(None) if at is None else at for at in index)

    def _said(self):
        """The prompts on the screen; empty where they name nothing."""
        image, index = self.session.image, self._index()
        if index is None:
            return PromptSet()
        shown = [axis for axis, at in enumerate(index) if at is None]
        shape = [image.data.shape[axis] for axis in shown]

        def here(positions):
            return all(at is None or (np.round(positions[..., axis]) == at).all() for axis, at in enumerate(index))

        points, box = [], None
        if (layer := self._prompts.points) is not None:
            for position, polarity in zip(layer.data, layer.features["polarity"], strict=True):
                y, x = position[shown]
                if here(position) and -0.5 <= y <= shape[0] - 0.5 and -0.5 <= x <= shape[1] - 0.5:
                    points.append(PointPrompt((y, x), polarity != "negative"))
        if (layer := self._prompts.shapes) is not None:
            for corners in layer.data:
                low, high = corners[:, shown].min(axis=0), corners[:, shown].max(axis=0)
                if here(corners) and (high > -0.5).all() and (low < np.array(shape) - 0.5).all():
                    box = BoxPrompt(tuple(low), tuple(high))
        said = PromptSet((*points, *([] if box is None else [box])))
        return said if box is not None or any(point.positive for point in points) else PromptSet()

    def _question(self):
        """What an answer on the screen must be the answer to; None when nothing is asked."""
        said, image = self._said(), self.session.image
        if not len(said):
            return None
        return key_of(image.data[self._place(self._index())], tuple(map(float, image.contrast_limits)), said)

    def _drawn(self):
        """All that is drawn, on all planes."""
        points, shapes = self._prompts.points, self._prompts.shapes
        clicks = [] if points is None else zip(points.data.tolist(), points.features["polarity"], strict=True)
        return [*clicks], [] if shapes is None else [corners.tolist() for corners in shapes.data]

    def _labels(self):
        """The Labels layers of the viewer, without the preview."""
        preview = self.session._components.preview.layer
        return [layer for layer in self.viewer.layers if isinstance(layer, Labels) and layer is not preview]

    # -- what came of it --------------------------------------------------------------------------

    def _drew(self):
        """Take note of what the person drew, as one step."""
        if self._drawn() != self._contents and self.session.image is not None:
            self.model.drawn(self.session.image)
        self._note()

    def _note(self):
        """Take note of what the session did by itself: layers that it made, objects that had waited, prompts back."""
        made = [layer for layer in self._labels() if layer not in self.model.arrays]
        for layer in made:
            self.model.arrays[layer] = np.zeros(layer.data.shape, int)
        image = self.session.image
        if image is not None:
            self._targets[image] = self.session.target
        failed = []
        while len(self.model.waiting) > self.session.state.waiting:
            accept = self.model.waiting.pop(0)
            if not self._is_fulfilled(accept, made):
                failed.append(accept)
        self.model.unwritten += [accept for accept in failed if accept.image in self.viewer.layers]
        left = [(one.image, one.request.prompts) for one in self.session._components.accepts._unwritten]
        for accept in list(self.model.unwritten):
            if (accept.image, accept.said) in left:
                left.remove((accept.image, accept.said))
                continue
            self.model.unwritten.remove(accept)
            if accept.image in self.viewer.layers and not self.model.withdraw(accept):
                self.model.drawn(accept.image)
        self._contents = self._drawn()
        self._levels.add(self.model.level)

    def _is_fulfilled(self, accept, made):
        """Write an accept that had waited, as the rules have it; tell whether it could be."""
        if self.engine.failed.get(accept.key):
            return False
        target = self._targets.get(accept.image)
        target = target if target in self.viewer.layers else None
        if accept.image in self.viewer.layers and (accept.layer is None or accept.layer is target):
            if target is None:
                target = next((layer for layer in made if layer.data.shape == accept.image.data.shape), None)
                self._targets[accept.image] = target
            accept.layer = target
        if accept.layer not in self.viewer.layers:
            return False
        return self.model.fulfil(accept)

    # -- what must be true ------------------------------------------------------------------------

    def check(self):
        session, state = self.session, self.session.state
        assert not self._errors.seen, self._errors.seen[0].getMessage()
        if state.status.kind == "failed":
            assert any(why in state.status.text for why in FORESEEN), state.status.text
        for layer in self._labels():
            expected = self.model.arrays[layer]
            wrong = [] if np.array_equal(layer.data, expected) else np.argwhere(layer.data != expected).tolist()
            assert not wrong, f"{len(wrong)} pixels of {layer.name}, such as {wrong[0]}, are not what they must be"
        for image in self.images:
            done, past = session._components.log.history(image), self.model.past(image)
            steps = [(len(one.done), len(one.undone)) for one in (done, past)]
            assert steps[0] == steps[1], f"steps to undo and redo of {image.name}: {steps[0]}, expected {steps[1]}"
        if self._idle:
            assert not state.waiting, "accepted objects wait, and nothing is under way"
        assert session.level == self.model.level, "another level is remembered than that of the object picked last"
        self._check_candidates()
        self._check_journal()

    @property
    def _idle(self):
        return not self.worker._waiting and self.worker.begun is None and not self.worker._outbox

    def _check_candidates(self):
        state, preview = self.session.state, self.session._components.preview.layer
        key = self._question()
        if not state.candidates:
            self._answered = None
            assert preview is None or not preview.data.any(), "a mask is shown that cannot be accepted"
            if self._idle:
                assert key is None or self._stopped, "prompts have no answer, and none is under way"
            return
        if state.asking:
            return
        assert key is not None, "a candidate is acceptable, and no prompts are there"
        expected, shown = self.engine.right(key), [self._whole(candidate, key[1]) for candidate in state.candidates]
        assert np.array_equal(shown, expected), "the candidates are not the answer to the prompts"
        if key != self._answered:
            # An object that was written just before or after this answer came may have changed the level.
            first = [first_by_level(expected, level) + self._skips for level in self._levels]
            assert state.selected in [at % len(expected) for at in first], "the level says another candidate"
            self._answered, self._picked = key, self._skips > 0
        assert preview is not None and preview in self.viewer.layers, "an acceptable candidate has no preview"
        assert np.array_equal(preview.data.reshape(key[1]), expected[state.selected]), "another mask is shown"
        index = self._index()
        at = preview.data_to_world((0,) * preview.ndim)
        assert all(i is None or at[axis] == i for axis, i in enumerate(index)), "the preview is on another plane"

    def _whole(self, candidate, shape):
        mask = np.zeros(shape, bool)
        (top, left), (height, width) = candidate.origin, candidate.mask.shape
        mask[top : top + height, left : left + width] = candidate.mask
        return mask

    def _check_journal(self):
        """Compare what the journal says more than at the last look."""
        recorder, expected = self.session._components.recorder, self.model.journal
        if self._read < len(expected) or recorder.count > self._counted:
            self._counted = recorder.count
            # What napari's own brush changed is noted for the counts of stages; the model here knows no such notes.
            kept = [
                (number, one)
                for number, one in enumerate(read_journal(recorder.path, recorder.session))
                if one["kind"] != PAINTED
            ]
            numbers = [number for number, _record in kept]
            for _number, record in kept[self._read :]:
                self._compare(record, expected[self._read], numbers)
                self._read += 1
        assert self._read == len(expected), f"not in the journal: {expected[self._read :]}"

    def _compare(self, record, expected, numbers):
        kind, *what = expected
        assert record["kind"] == kind
        if kind == "accepted":
            label, said, mask = what
            assert record["label"] == label
            assert PromptSet.from_json(json.dumps(record["prompts"])) == said
            assert np.array_equal(decode_mask(record["mask"]), mask)
        else:
            assert [numbers.index(record["of"])] == what
