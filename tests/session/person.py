"""A person who does anything at any time."""

from __future__ import annotations

import numpy as np
from bench import Bench, picture
from label_model import Accept, Step


class Person(Bench):
    """Every action takes one whole number, in which all its choices are; so names and numbers are all it takes to redo.

    What is chosen among n things is the rest after division by n.
    """

    # -- prompts ----------------------------------------------------------------------------------

    def _spot(self, number):
        """A place on the plane on screen, in data pixels; None where there is no plane."""
        index = self._index()
        if index is None:
            return None
        place = []
        for at, side in zip(index, self.session.image.data.shape, strict=True):
            if at is None:
                number, rest = divmod(number, side)
                # No two clicks at the same place, so that each can be told from all others.
                at = rest + self._count % 397 / 1000 - 0.198
            place.append(float(at))
        return place

    def _tool(self, name):
        self.session.use_tool(name)
        self._note()

    def click(self, number, positive=True):
        if (place := self._spot(number)) is not None:
            self._tool("positive" if positive else "negative")
            self.session.points.add(place)
            self._drew()

    def click_background(self, number):
        self.click(number, positive=False)

    def click_more(self, number):
        """Correct the mask on the screen, and see what comes of it."""
        if self.session.state.candidates and not self.session.state.asking:
            self.click(number, positive=number % 3 > 0)
            self._note()
            self.rest(number)

    def draw_box(self, number):
        if (place := self._spot(number)) is None:
            return
        self._tool("box")
        y, x = (axis for axis, at in enumerate(self._index()) if at is None)
        corners = np.array([place] * 4)
        corners[2:, y] += 5 + number % 7
        corners[1:3, x] += 5 + number % 5
        self.session.shapes.add([corners], shape_type="rectangle")
        self._drew()

    def move_point(self, number):
        points, place = self._prompts.points, self._spot(number)
        if place is None or points is None or not len(points.data):
            return
        data = points.data.copy()
        row = number % len(data)
        data[row] = place
        points.data = data
        self._drew()

    def move_box(self, number):
        shapes, place = self._prompts.shapes, self._spot(number)
        if place is None or shapes is None or not len(shapes.data):
            return
        data = [corners.copy() for corners in shapes.data]
        data[number % len(data)] += np.array(place) - data[number % len(data)][0]
        shapes.data = data
        self._drew()

    def turn_polarity(self, number):
        points = self._prompts.points
        if points is None or not len(points.data):
            return
        features = points.features.copy()
        row = number % len(features)
        features.loc[row, "polarity"] = "positive" if features.loc[row, "polarity"] == "negative" else "negative"
        points.features = features
        self._drew()

    def remove_prompt(self, number):
        layers = [
            layer for layer in (self._prompts.points, self._prompts.shapes) if layer is not None and len(layer.data)
        ]
        if layers:
            layer = layers[number % len(layers)]
            layer.selected_data = {number // 2 % len(layer.data)}
            layer.remove_selected()
            self._drew()

    # -- commands ---------------------------------------------------------------------------------

    def clear(self, _number):
        before, image = self._drawn(), self.session.image
        self.session.clear()
        # Where nothing is drawn any more, prompts of an object that was not written may be back.
        gone = any(one not in now for then, now in zip(before, self._drawn(), strict=True) for one in then)
        if image is not None and gone:
            hand = self.model.hands.get(image)
            self.model.do(image, Step(None, hand, hand))

    def next_candidate(self, _number):
        state = self.session.state
        self._skips += state.asking
        self._picked = self._picked or (bool(state.candidates) and not state.asking)
        self.session.next_candidate()

    def accept(self, _number):
        session, state, index, key = self.session, self.session.state, self._index(), self._question()
        if index is None or key is None or not (state.asking or state.candidates):
            session.accept()
            return
        said, image, target = self._said(), session.image, session.target
        # Presses of N before the answer count from the first that would be shown; a candidate that is seen is that.
        choice, level = (self._skips, self.model.level) if state.asking else (state.selected, "best")
        picked = self._skips > 0 if state.asking else self._picked
        accept = Accept(image, index, said, key, self.engine.right, choice, level, target, state.only_empty, picked)
        if state.asking:
            accept.undecided = True
            self.model.press(accept)
            session.accept()
            return
        hand = self.model.hands.get(image)
        if hand is not None and hand.layer is target and self.model.belongs(hand, accept):
            accept.again = hand
        if state.waiting:
            if accept.mask.any():
                self.model.press(accept)
            session.accept()
            return
        session.accept()
        if target is None and (made := session.target) is not None:
            accept.layer = made
            self.model.arrays[made] = np.zeros(made.data.shape, int)
        self.model.accept(accept)

    def undo(self, _number):
        image, target = self.session.image, self.session.target
        if image is not None and not self.model.undo(image) and target is not None:
            return self._earlier(target, self.session.undo, -1)
        self.session.undo()

    def redo(self, _number):
        image, target = self.session.image, self.session.target
        if image is not None and not self.model.redo(image) and target is not None:
            return self._earlier(target, self.session.redo, 1)
        self.session.redo()

    def _earlier(self, layer, command, change):
        """Undo or redo what was done before the dock was opened: what napari does is right, if it does one step."""
        steps = len(layer._undo_history)
        command()
        if len(layer._undo_history) == steps + change:
            self.model.arrays[layer] = layer.data.astype(int)
            self.model.newest.pop(layer, None)

    def escape(self, _number):
        self._stopped = self._failing = True
        self._skips = 0
        self.model.unwritten += self.model.waiting
        self.model.waiting.clear()
        self.session.cancel()

    def only_empty(self, number):
        self.session.only_empty = bool(number % 2)

    def reopen(self, _number):
        self.session.close()
        self._open()
        self._stopped = True

    # -- answers ----------------------------------------------------------------------------------

    def begin(self, _number):
        self.worker.begin()

    def finish(self, _number):
        self.worker.finish()

    def deliver(self, _number):
        self.worker.deliver()

    def step(self, _number):
        self.worker.step()

    def rest(self, _number):
        while self.worker.step():
            self._note()
        self.worker.deliver()

    def fail(self, _number):
        self.engine.fails = self._stopped = self._failing = True
        self.worker.step()
        self.engine.fails = False
        self._skips *= self.session.state.asking  # it may have been other work that failed

    # -- the viewer -------------------------------------------------------------------------------

    def scroll(self, number):
        dims = self.viewer.dims
        if dims.not_displayed:
            axis = dims.not_displayed[number % len(dims.not_displayed)]
            dims.set_current_step(axis, number // 3 % dims.nsteps[axis])

    def roll(self, _number):
        self.viewer.dims.roll()

    def transpose(self, _number):
        self.viewer.dims.transpose()

    def volume(self, _number):
        """Look at the volume for a moment."""
        self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay
        self._note()
        self.check()
        self.viewer.dims.ndisplay = 2
        self._skips = 0  # what is seen anew is asked anew

    def contrast(self, number):
        if self.session.image is not None:
            self.session.image.contrast_limits = (0, 100 + 50 * (number % 4))

    def other_pixels(self, number):
        if (image := self.session.image) is not None:
            image.data = picture(image.data.shape, number)

    def choose_image(self, number):
        if there := [image for image in self.images if image in self.viewer.layers]:
            self.session.image = there[number % len(there)]

    def select_layer(self, number):
        if len(self.viewer.layers):
            self.viewer.layers.selection.active = self.viewer.layers[number % len(self.viewer.layers)]

    def follow(self, _number):
        self.session.image = None

    def choose_target(self, number):
        if self.session.image is not None:
            choices = [None, *self.session.target_choices()]
            self.session.target = wanted = choices[number % len(choices)]
            assert self.session.target is wanted

    def new_target(self, _number):
        self.session.new_target()

    # -- layers -----------------------------------------------------------------------------------

    def add_labels(self, number):
        """Open labels with an object in them."""
        if len(self._labels()) < 3:
            data = np.zeros(self.images[number % 2].data.shape, np.int32)
            data[..., : number % 11, : number % 7] = number % 3 * 4
            layer = self.viewer.add_labels(data)
            self.model.arrays[layer] = data.astype(int)

    def paint(self, number):
        """Paint, as the brush does; 0 erases."""
        if labels := self._labels():
            layer = labels[number % len(labels)]
            first = tuple(number // 5 % (side - 2) for side in layer.data.shape)
            place = tuple(np.array([at, at, at + 1]) for at in first)
            layer.data_setitem(place, number % 4)
            self.model.paint(layer, place, number % 4)

    def napari_undo(self, number):
        """Undo in a labels layer with napari's own keys."""
        if labels := self._labels():
            layer = labels[number % len(labels)]
            known = self.model.napari_undo(layer)
            layer.undo()
            if not known:
                self.model.arrays[layer] = layer.data.astype(int)

    def napari_redo(self, number):
        if labels := self._labels():
            layer = labels[number % len(labels)]
            self.model.newest.pop(layer, None)
            layer.redo()
            self.model.arrays[layer] = layer.data.astype(int)

    def delete_preview(self, _number):
        if (preview := self.session._components.preview.layer) is not None:
            self._skips *= not self.session.state.candidates  # its mask is asked for again
            self.viewer.layers.remove(preview)

    def delete_prompts(self, number):
        layers = [layer for layer in (self._prompts.points, self._prompts.shapes) if layer is not None]
        if layers:
            self._remove(layers[number % len(layers)])
            self._drew()

    def delete_labels(self, number):
        if labels := self._labels():
            self._remove(labels[number % len(labels)])

    def delete_image(self, number):
        there = [image for image in self.images if image in self.viewer.layers]
        if there and number % 3 == 0:
            self._remove(there[number // 3 % len(there)])

    def bring_back(self, number):
        """Add a layer again that was deleted."""
        if self._closet:
            layer = self._closet.pop(number % len(self._closet))
            if layer in self.images or len(self.viewer.layers) < 7:
                self.viewer.layers.append(layer)

    def clear_layers(self, number):
        if number % 5 == 0:
            self._closet += [one for one in self.viewer.layers if one in self.images or one in self._labels()]
            self.viewer.layers.clear()
            for image in self.images:
                if image in self._closet:
                    self._closet.remove(image)
                    self.viewer.layers.append(image)

    def _remove(self, layer):
        self._closet.append(layer)
        self.viewer.layers.remove(layer)


WEIGHTS = {
    "click": 22,
    "click_background": 6,
    "click_more": 14,
    "draw_box": 5,
    "move_point": 5,
    "move_box": 2,
    "turn_polarity": 1,
    "remove_prompt": 4,
    "clear": 2,
    "next_candidate": 6,
    "accept": 22,
    "undo": 8,
    "redo": 5,
    "escape": 4,
    "only_empty": 2,
    "reopen": 0.5,
    "begin": 5,
    "finish": 5,
    "deliver": 4,
    "step": 14,
    "rest": 6,
    "fail": 3,
    "scroll": 6,
    "roll": 0.7,
    "transpose": 0.7,
    "volume": 0.4,
    "contrast": 0.7,
    "other_pixels": 0.4,
    "choose_image": 1.2,
    "select_layer": 1,
    "follow": 0.4,
    "choose_target": 2,
    "new_target": 0.6,
    "add_labels": 0.5,
    "paint": 2,
    "napari_undo": 2,
    "napari_redo": 1,
    "delete_preview": 1.2,
    "delete_prompts": 0.8,
    "delete_labels": 0.5,
    "delete_image": 1,
    "bring_back": 2.5,
    "clear_layers": 0.3,
}
