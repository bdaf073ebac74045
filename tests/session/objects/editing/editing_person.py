"""A person who corrects, deletes, merges and divides objects at random, in every tempo and with every write policy.

What the labels must hold is told by rules that know nothing of how the session does it: whole arrays from before and
after each action are compared, and pixels are let change only where the action says so.
"""

from __future__ import annotations

import logging

import numpy as np
from bench import SIDES, Errors, picture
from known_answers import goes_on, has_branches
from napari.components import ViewerModel
from napari.layers import Labels
from stepped import SteppedWorker

from fake_engine import FakeEngine
from napari_sam.prompts import PromptSet
from napari_sam.session import Session
from napari_sam.session import session as session_module

SHAPES = ((32, 32), (4, 24, 24))
PROTECTED = (3, 5)
TOGETHER = ("SAM preview", "SAM objects")
"""Layers that show what is not written yet."""


class WatchedEngine(FakeEngine):
    """Remembers every mask that it answers with, and which one is right after those before it."""

    def __init__(self):
        super().__init__()
        self.given = []
        self.right = {}
        """The right answer to prompts, where it is known what they were added to."""
        self.corrections = 0
        """How many answers went on from the one before them."""
        self._told = []

    def predict(self, plane, prompts, **more):
        # The click that came last counts most: with it, a model takes away what an earlier one gave.
        answer = super().predict(plane, PromptSet(reversed(tuple(prompts))), **more)
        # As large as the plane, so that background alone may go with it; no two alike.
        logits = np.where(answer.masks, 8.0, -8.0) + len(self.asked) / 2**20
        answer.logits = logits.astype(np.float32)
        earlier = None if prompts.mask is None else prompts.mask.logits
        said = PromptSet(prompt for prompt in prompts if prompt is not prompts.mask)
        told = [asked for asked, given in self._told if any(np.array_equal(earlier, one) for one in given)]
        before = next((asked for asked in told if set(asked) < set(said)), None)
        together = None
        if before is not None:
            together = goes_on(
                answer.logits, earlier, {getattr(one, "positive", None) for one in set(said) - set(before)}
            )
        if earlier is None or before is not None:
            self.right[said] = answer.masks if together is None else together > 0
            self.given += list(self.right[said])
            self.corrections += together is not None
        else:
            # With the mask of an object that exists.
            self.right.pop(said, None)
            self.given += list(answer.masks)
            if has_branches(earlier > 0):
                self.given += [mask | (earlier > 0) for mask in answer.masks]
        self._told = [(said, answer.logits if together is None else together), *self._told][:50]
        return answer


class EditingPerson:
    """Every action takes one whole number, in which all its choices are."""

    def __init__(self, scene=0):
        self.viewer, self.engine = ViewerModel(), WatchedEngine()
        shape = SHAPES[scene % len(SHAPES)]
        self.image = self.viewer.add_image(picture(shape, scene, SIDES[scene % 3 % 2]), contrast_limits=(0, 255))
        found = np.zeros(shape, np.int32)
        found[..., 2:9, 3:12], found[..., 12:20, 4:9], found[..., 5:15, 15:20] = 3, 4, 5
        self.viewer.add_labels(found, name="found")
        self.viewer.add_labels(np.zeros(shape, np.uint8), name="narrow")
        self.batch = np.zeros(shape, bool)
        """Pixels of all that was made in batches, and not written yet."""
        self.touched = {}
        self.writes = {}
        self.count = self.written = 0
        self.reopened = False
        self.errors = Errors()
        logging.getLogger("napari_sam").addHandler(self.errors)
        self._open()

    def _open(self):
        original, session_module.Worker = session_module.Worker, lambda post=None: SteppedWorker(post)
        try:
            self.session = Session(self.viewer, image=self.image, engine_factory=lambda *_: self.engine)
        finally:
            session_module.Worker = original
        self.session.prefetch = False
        self.session.protected_ids = PROTECTED
        self.session.target = self.viewer.layers["found"]
        self.writes.clear()
        self.session.wait()

    def close(self):
        self.session.close()
        logging.getLogger("napari_sam").removeHandler(self.errors)

    def act(self, name, number):
        """Do one thing, wait for what comes of it, and look at what became of the labels."""
        self.count += 1
        before, done = self._labels(), self._done()
        self.engine.given = []
        rule = getattr(self, name)(number)
        self.session.wait()
        if self.session.tempo == "batch" or name == "make_batch":
            self.batch |= self._whole(self.engine.given)
        after = self._labels()
        assert not self.errors.seen, self.errors.seen[0].getMessage()
        for layer, now in after.items():
            was = before.get(layer)
            was = np.zeros(now.shape, now.dtype) if was is None else was
            (rule or unchanged)(layer, was, now)
        self._note(before, after, done)
        self._look()
        if not self.session.state.everything.found:
            self.batch[...] = False

    def _look(self):
        """Compare the candidates on the screen with the right answer."""
        live = self.session._components.live
        right = self.engine.right.get(live.answer.request.prompts) if live.answer is not None else None
        if right is not None and live.start is None and live.is_answered:
            shown = [self._shown(candidate)[self._place()] for candidate in self.session.state.candidates]
            np.testing.assert_array_equal(shown, right)

    # -- what there is ----------------------------------------------------------------------------

    def _layers(self):
        return [each for each in self.viewer.layers if isinstance(each, Labels) and each.name not in TOGETHER]

    def _labels(self):
        return {layer: layer.data.copy() for layer in self._layers()}

    def _done(self):
        steps = self.session._components.log.history(self.image).done
        return [step.written for step in steps if step.written is not None]

    def _ids(self):
        target = self.session.target
        return [] if target is None else [int(label) for label in np.unique(target.data) if label]

    def _place(self):
        """The plane on screen, as an index of the data."""
        view = self.session._components.active.view
        return tuple(slice(None) if at is None or isinstance(at, slice) else at for at in view.index)

    def _spot(self, number):
        *_, height, width = self.image.data.shape
        number, y = divmod(number, height)
        place = [y + self.count % 97 / 300, number % width + self.count % 89 / 300]
        return [float(at) for at in self.viewer.dims.current_step[:-2]] + place

    def _whole(self, masks):
        """All pixels of masks of the plane on screen."""
        inside = np.zeros(self.image.data.shape, bool)
        for mask in masks:
            inside[self._place()] |= mask
        return inside

    def _note(self, before, after, done):
        """Keep what the labels held before and since every new step."""
        new = [write for write in self._done() if all(write is not one for one in done)]
        fresh = [write for write in new if id(write) not in self.writes]
        for write in fresh:
            self.writes[id(write)] = (write, before, after, len(fresh) == 1)
            self.written += 1

    # -- rules ------------------------------------------------------------------------------------

    def _written(self, inside=None):
        """Say what objects may do that are written on pixels: by default, of any answer since, or made in a batch."""
        policy, target, batch = self.session.write_policy, self.session.target, self.batch.copy()

        def rule(layer, was, now):
            changed = was != now
            if not changed.any():
                return
            allowed = self._whole(self.engine.given) | batch if inside is None else inside
            labels = set(np.unique(now[changed])) - {0}
            emptied = changed & (now == 0)
            # A corrected object is taken off where it is no longer, and nothing else is.
            assert set(np.unique(was[emptied])) <= labels | set(self._corrected), "pixels of another object are empty"
            assert not (changed & ~emptied & ~allowed).any(), "a pixel outside the mask changed"
            covered = set(np.unique(was[changed & ~emptied])) - labels
            if policy == "empty" or (policy == "overlap" and layer is target):
                assert covered <= {0}, f"{covered} were covered, and only empty pixels may be"
            elif policy == "protect":
                assert not covered & set(PROTECTED), "a protected object was covered"

        picked = self.session._components.current.of(self.image)
        self._corrected = () if picked is None else (picked.label,)
        return rule

    def _exactly(self, expected):
        """Say that the target holds certain labels, and that no other layer changes, if anything is done at all."""
        target, status = self.session.target, self.session

        def rule(layer, was, now):
            if layer is target and not np.array_equal(was, now):
                np.testing.assert_array_equal(now, expected, err_msg=status.state.status.text)
            elif layer is not target:
                unchanged(layer, was, now)

        return rule

    # -- prompts ----------------------------------------------------------------------------------

    def click(self, number, positive=True):
        self.session.use_tool("positive" if positive else "negative")
        rule = self._written()
        turbo = self.session.tempo == "turbo"
        self.session.points.add(self._spot(number))
        return rule if turbo else None

    def click_background(self, number):
        return self.click(number, positive=False)

    def draw_box(self, number):
        self.session.use_tool("box")
        rule, turbo = self._written(), self.session.tempo == "turbo"
        corners = np.array([self._spot(number)] * 4)
        corners[2:, -2] += 4 + number % 7
        corners[1:3, -1] += 4 + number % 5
        self.session.shapes.add([corners], shape_type="rectangle")
        return rule if turbo else None

    def click_and_accept(self, number):
        """Accept before the answer is there."""
        rule = self.click(number)
        if rule is None:
            rule = self._written()
            self.session.accept()
        return rule

    def next_candidate(self, _number):
        self.session.next_candidate()

    def clear(self, _number):
        self.session.clear()

    def escape(self, _number):
        self.session.cancel()

    def scroll(self, number):
        if self.image.ndim > 2:
            self.viewer.dims.set_current_step(0, number % self.image.data.shape[0])

    # -- objects ----------------------------------------------------------------------------------

    def accept(self, _number):
        state = self.session.state
        inside = self.batch.copy()
        if state.candidates and not state.asking:
            inside = self._shown(state.candidates[state.selected]) | (inside if state.everything.found else False)
        rule = self._written(inside)
        self.session.accept()
        return rule

    def _shown(self, candidate):
        inside = np.zeros(self.image.data.shape, bool)
        (top, left), (height, width) = candidate.origin, candidate.mask.shape
        inside[self._place()][top : top + height, left : left + width] = candidate.mask
        return inside

    def make_batch(self, _number):
        self.session.everything.make()

    def accept_all(self, _number):
        rule = self._written(self.batch.copy())
        self.session.everything.accept()
        return rule

    def pick(self, number):
        if ids := self._ids():
            self.session.objects.pick(ids[number % len(ids)])

    def leave(self, _number):
        self.session.objects.leave()

    def delete(self, number):
        if not (ids := self._ids()):
            return None
        label, expected = ids[number % len(ids)], self.session.target.data.copy()
        part = expected[self._place()] if number % 3 == 0 else expected
        part[part == label] = 0
        rule = self._exactly(expected)
        self.session.objects.delete(label, plane_only=number % 3 == 0)
        return rule

    def merge(self, number):
        if len(ids := self._ids()) < 2:
            return None
        first, second = ids[number % len(ids)], ids[(number + 1 + number // 7 % (len(ids) - 1)) % len(ids)]
        if first == second:
            return None
        data = self.session.target.data
        rule = self._exactly(np.where(np.isin(data, (first, second)), first, data))
        self.session.objects.merge((first, second))
        return rule

    def split(self, number):
        if not (ids := self._ids()):
            return None
        target, label = self.session.target, ids[number % len(ids)]
        places = np.argwhere(target.data == label)
        chosen = places[[number % len(places), number * 7 % len(places)]]

        def rule(layer, was, now):
            changed = was != now
            assert layer is target or not changed.any()
            assert set(np.unique(was[changed])) <= {label}, "another object was divided"
            new = set(np.unique(now[changed]))
            assert not new & {0, *np.unique(was).tolist()}, "parts are lost, or have ids of others"

        self.session.objects.split(chosen, plane_only=number % 2 == 0)
        return rule

    # -- undo -------------------------------------------------------------------------------------

    def undo(self, _number):
        return self._moved(self.session.undo, 1)

    def redo(self, _number):
        return self._moved(self.session.redo, 2)

    def _moved(self, command, which):
        """Undo or redo: what the labels held before or since that step is back, but for what was painted by hand."""
        old, depths = self._done(), {each: len(each._undo_history) for each in self._layers()}
        command()
        self.session.wait()
        new = self._done()
        longer, shorter = (old, new) if which == 1 else (new, old)
        moved = [write for write in longer if all(write is not one for one in shorter)]
        assert len(moved) <= 1, "more than one step at a time"
        known = self.writes.get(id(moved[0])) if moved else None

        def rule(layer, was, now):
            if not moved and not np.array_equal(was, now):
                self._last_before_the_dock(layer, depths, was, now)
            if known is None or not known[3]:
                return
            expected = known[which].get(layer)
            expected = np.zeros_like(now) if expected is None else expected
            own = ~self.touched.get(layer, np.zeros(now.shape, bool))
            np.testing.assert_array_equal(now[own], expected[own])
            np.testing.assert_array_equal(now[~own & (was == now)], was[~own & (was == now)])

        return rule

    def _last_before_the_dock(self, layer, depths, was, now):
        """What a dock that was closed has written goes back by the layer's own step: exactly that, of the target."""
        assert self.reopened, "labels changed without a step"
        assert layer is self.session.target, "another layer than the target changed"
        assert len(layer._undo_history) == depths[layer] - 1, "not one step of the layer"
        layer.redo()
        np.testing.assert_array_equal(layer.data, was)
        layer.undo()
        np.testing.assert_array_equal(layer.data, now)

    def napari_and_back(self, number):
        """Undo with napari's own keys and redo: nothing is lost by it."""
        layers = self._layers()
        layer = layers[number % len(layers)]
        steps = len(layer._undo_history)
        layer.undo()
        if steps:
            layer.redo()

    def paint(self, number):
        layers = self._layers()
        layer = layers[number % len(layers)]
        place = tuple(np.array([number // 5 % (side - 2), number // 5 % (side - 2) + 1]) for side in layer.data.shape)
        expected = layer.data.copy()
        expected[place] = number % 7
        layer.data_setitem(place, number % 7)
        self.touched.setdefault(layer, np.zeros(layer.data.shape, bool))[place] = True

        def rule(each, was, now):
            if each is layer:
                np.testing.assert_array_equal(now, expected)
            else:
                unchanged(each, was, now)

        return rule

    # -- choices ----------------------------------------------------------------------------------

    def policy(self, number):
        self.session.write_policy = ("empty", "overwrite", "protect", "overlap")[number % 4]

    def tempo(self, number):
        self.session.tempo = ("careful", "turbo", "batch")[number % 3]

    def level(self, number):
        self.session.level = ("best", "whole", "part", "subpart")[number % 4]

    def choose_target(self, number):
        layers = self._layers()
        self.session.target = layers[number % len(layers)]

    def reopen(self, _number):
        self.session.close()
        self._open()
        self.reopened = True


def unchanged(layer, was, now):
    assert np.array_equal(was, now), f"pixels of {layer.name} changed: {np.argwhere(was != now)[:5].tolist()}"


WEIGHTS = {
    "click": 20,
    "click_background": 5,
    "draw_box": 5,
    "click_and_accept": 6,
    "next_candidate": 4,
    "clear": 2,
    "escape": 2,
    "scroll": 4,
    "accept": 18,
    "make_batch": 4,
    "accept_all": 4,
    "pick": 6,
    "leave": 2,
    "delete": 4,
    "merge": 3,
    "split": 4,
    "undo": 12,
    "redo": 7,
    "napari_and_back": 2,
    "paint": 3,
    "policy": 3,
    "tempo": 3,
    "level": 2,
    "choose_target": 1.5,
    "reopen": 0.4,
}
