"""Engines of which the right answer is known to whoever looks on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy.ndimage import distance_transform_edt

from napari_sam.errors import InputError
from napari_sam.geometry import longest_side_frame
from napari_sam.progress import no_progress
from napari_sam.prompts import PromptSet

RADII = (5, 3, 9)
BRANCHES = 10
"""Area in squares of the greatest depth of a mask that further clicks add to; see `MaskShaping.correction`."""
REFUSAL = "The engine was told to fail."


def key_of(pixels, limits, said):
    """Name a question."""
    return pixels.tobytes(), pixels.shape, tuple(limits), said


def candidates(pixels, limits, said):
    """Answer the prompts of a person: masks, (n, H, W) bool, best first."""
    y, x = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    inside, seed = np.ones(pixels.shape, bool), None
    if said.box is not None:
        (top, left), (bottom, right) = said.box.start, said.box.stop
        inside = (y >= top) & (y <= bottom) & (x >= left) & (x <= right)
        seed = ((top + bottom) / 2, (left + right) / 2)
    positive = [point.position for point in said.points if point.positive]
    # As models do, it takes away with one click what an earlier one gave.
    seed = positive[-1] if positive else seed
    row, column = (min(max(round(at), 0), side - 1) for at, side in zip(seed, pixels.shape, strict=True))
    alike = np.abs(pixels.astype(int) - int(pixels[row, column])) < (limits[1] - limits[0]) / 2
    masks = []
    for radius in RADII[: 3 if said.ambiguous else 1]:
        mask = inside & alike
        if positive:
            mask &= np.any([_disc(y, x, at, radius) for at in positive], axis=0)
        for point in said.points:
            if not point.positive:
                mask &= ~_disc(y, x, point.position, 4)
        masks.append(mask)
    return np.stack(masks)


def _disc(y, x, centre, radius):
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius * radius


def has_branches(mask):
    """Tell whether a mask, (h, w) bool, is that of an object with branches."""
    depth = distance_transform_edt(np.pad(mask, 1)).max()
    return bool(mask.any()) and mask.sum() >= BRANCHES * depth**2


def goes_on(logits, earlier, more):
    """Let an answer go on from an earlier one, if the person only added more to an object with branches, or only less.

    Parameters
    ----------
    logits : numpy.ndarray
        Of the answer, (n, h, w).
    earlier : numpy.ndarray
        Of the one before it, (h, w).
    more : set of bool
        Whether each of the clicks since then is positive; None for what is no click.

    Returns
    -------
    numpy.ndarray or None
        The logits that hold then, (n, h, w); None where the answer holds as it is.
    """
    if len(more) != 1 or None in more or not has_branches(earlier > 0):
        return None
    return np.stack([np.where((one > earlier) == (True in more), one, earlier) for one in logits])


class KnownEngine:
    """An engine that fails when it is told to, and checks that earlier answers go to the same object only."""

    device_text, notice = "CPU", ""

    def __init__(self, predictor):
        self.predictor = predictor
        self.fails = False
        self.failed = {}
        """Whether the last answer to a question was a failure."""
        self.corrections = 0
        """How many answers went on from the one before them."""
        self._given = []
        self._corrected = {}

    def embed(self, plane, progress=no_progress):
        progress(0.5)

    def prepare(self, plane, progress=no_progress):
        progress(0.5)

    def predict(self, plane, prompts, *, multimask=None, progress=no_progress):
        progress(0.1)
        said = PromptSet(tuple(prompt for prompt in prompts if prompt is not prompts.mask))
        key = key_of(plane.pixels, plane.contrast_limits, said)
        earlier, before = None, PromptSet()
        if prompts.mask is not None:
            earlier = prompts.mask.logits
            # What takes nothing away leaves the logits as they were: then they are the answer to two questions.
            told = [key for key, given in self._given if any(np.array_equal(earlier, one) for one in given)]
            told = [asked for *picture, asked in told if tuple(picture) == key[:3]]
            assert told, "an earlier answer was given with another picture"
            before = next((asked for asked in told if set(asked) < set(said)), None)
            assert before is not None, "an earlier answer was given with prompts that it is no answer to a part of"
        self.failed[key] = self.fails
        if self.fails:
            raise InputError(REFUSAL)
        answer = self._answer(plane, prompts, key)
        added = {getattr(prompt, "positive", None) for prompt in set(said) - set(before)}
        together = None if earlier is None else goes_on(answer.logits, earlier, added)
        self._corrected.pop(key, None)
        if together is not None:
            self._corrected[key] = self.masks(plane, together)
            self.corrections += 1
        self._given = [(key, answer.logits if together is None else together), *self._given][:50]
        return answer

    def right(self, key):
        """Return the masks that are the right answer to a question, (n, H, W) bool, best first."""
        corrected = self._corrected.get(key)
        return self._right(key) if corrected is None else corrected


class PureEngine(KnownEngine):
    """Answers that follow from picture and prompts alone."""

    def __init__(self):
        super().__init__(SimpleNamespace(prompt_kinds=frozenset({"point", "box", "mask"})))
        self._count = 0

    def masks(self, _plane, logits, threshold=0.0):
        return logits > threshold

    def _right(self, key):
        pixels, shape, limits, said = key
        return candidates(np.frombuffer(pixels, np.uint8).reshape(shape), limits, said)

    def _answer(self, _plane, _prompts, key):
        masks = self._right(key)
        self._count += 1
        # Numbered, so that each can be told from all others.
        number = (3 * self._count + np.arange(len(masks), dtype=np.float32)) / 2**20
        logits = np.where(masks, np.float32(8), np.float32(-8)) + number[:, None, None]
        return SimpleNamespace(masks=masks, scores=np.linspace(0.9, 0.7, len(masks), dtype=np.float32), logits=logits)


class RecordedEngine(KnownEngine):
    """A real engine; what it answered last to a question is the right answer to it."""

    def __init__(self, engine):
        super().__init__(engine.predictor)
        self._engine = engine
        self._answers = {}

    def masks(self, plane, logits, threshold=0.0):
        return self._engine.masks(plane, logits, threshold)

    def _right(self, key):
        return self._answers[key]

    def embed(self, plane, progress=no_progress):
        self._engine.embed(plane, progress=progress)

    def _answer(self, plane, prompts, key):
        answer = self._engine.predict(plane, prompts)
        self._answers[key] = answer.masks
        return answer


class FloodEngine:
    """Answers with what is about as bright as the place that is pointed at; its canvas has 512 pixels."""

    device_text, notice = "CPU", ""

    def __init__(self):
        self.predictor = SimpleNamespace(
            prompt_kinds=frozenset({"point", "box", "mask"}), canvas_side=512, grid=self._grid
        )
        self.embedded, self.asked, self.planes = [], [], []

    def embed(self, plane, progress=None):
        self.embedded.append(plane)

    def prepare(self, plane, progress=None):
        self.embedded.append(plane)

    def predict(self, plane, prompts, *, multimask=None, progress=None):
        self.asked.append(prompts)
        self.planes.append(plane)
        at = next(p.position for p in prompts.points if p.positive)
        picture = plane.rendered[..., 0].astype(int)
        mask = abs(picture - picture[round(at[0]), round(at[1])]) < 30
        number = np.full((1, 128, 128), len(self.asked), np.float32)
        return SimpleNamespace(masks=mask[None], scores=np.array([0.9], np.float32), logits=number)

    @staticmethod
    def _grid(plane):
        return longest_side_frame(plane.shape, 512, plane.spacing), (128, 128)
