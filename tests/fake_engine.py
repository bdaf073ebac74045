"""An engine without a network: an object is what is about as bright as the place that is pointed at, and near it."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np

from napari_sam.geometry import Frame
from napari_sam.progress import no_progress
from napari_sam.prompts import MaskPrompt
from napari_sam.prompts.model_prompts import model_prompts

RADII = (8, 4, 16)
SCORES = (0.9, 0.8, 0.7)


class FakeEngine:
    """Remembers what it was asked; its answers are numbered in their logits."""

    def __init__(self, model="bundled", device="auto", kinds=("point", "box", "mask")):
        self.model = model
        self.predictor = SimpleNamespace(
            prompt_kinds=frozenset(kinds),
            has_dense_head=True,
            dense_views=4,
            predict_many=self._predict_many,
            mask_prompt=mask_prompt,
            grid=lambda plane: (Frame(plane.shape, plane.shape, plane.shape), (4, 4)),
        )
        self.batches = []
        self.device_text = f"CPU ({device})"
        self.notice = ""
        self.embedded = []
        self.prepared = []
        self.asked = []
        self.planes = []
        self.error = None
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    def is_cached(self, plane):
        return any(plane is other for other in self.embedded)

    def embed(self, plane, progress=no_progress):
        self.embedded.append(plane)
        progress(0.5)
        return plane

    def prepare(self, plane, progress=no_progress):
        self.prepared.append(plane)
        for step in range(100):
            assert self.gate.wait(60)
            progress(step / 100)

    def _predict_many(self, embedding, prompt_sets, *, multimask=False, most=None):
        """Answer in one call; a rough mask becomes what is about as bright as its deepest pixel."""
        sets = list(prompt_sets)
        self.batches.append(sets)
        for prompts in sets:
            answer = self.predict(embedding, prompts)
            yield SimpleNamespace(
                masks=answer.masks[:most], scores=answer.scores[:most], logits=np.where(answer.masks[:most], 8.0, -8.0)
            )

    def masks(self, plane, logits, threshold=0.0):
        """Bring logits, (n, h, w), to the plane: the nearest one for each of its pixels."""
        rows, columns = (
            np.arange(size) * have // size for size, have in zip(plane.shape, logits.shape[1:], strict=True)
        )
        return logits[:, rows][:, :, columns] > threshold

    def predict(self, plane, prompts, *, multimask=None, progress=no_progress):
        self.asked.append(prompts)
        self.planes.append(plane)
        self.started.set()
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        prompts, excluded = as_clicks(prompts, plane.shape)
        picture = plane.rendered[..., 0].astype(int)
        y, x = np.ogrid[: plane.shape[0], : plane.shape[1]]
        count = 3 if prompts.ambiguous else 1
        if prompts.box is not None:
            (y0, x0), (y1, x1) = prompts.box.start, prompts.box.stop
            masks = [(y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)]
        elif not any(point.positive for point in prompts.points):  # background alone goes with a mask
            masks = [prompts.mask.logits > 0]
        else:
            at = next(p.position for p in prompts.points if p.positive)
            alike = np.abs(picture - picture[round(at[0]), round(at[1])]) < 40
            masks = [alike & ((y - at[0]) ** 2 + (x - at[1]) ** 2 <= r * r) for r in RADII[:count]]
        for point in prompts.points:
            if not point.positive:
                masks = [m & ((y - point.position[0]) ** 2 + (x - point.position[1]) ** 2 > 9) for m in masks]
        masks = [m & ~excluded for m in masks]
        logits = np.stack([np.full((4, 4), 10 * len(self.asked) + i, np.float32) for i in range(count)])
        return SimpleNamespace(masks=np.stack(masks), scores=np.array(SCORES[:count], np.float32), logits=logits)


def mask_prompt(_plane, mask):
    """Make a prompt of a mask, as a real predictor does: the more certain, the farther from zero."""
    return MaskPrompt(np.where(mask, 8.0, -8.0).astype(np.float32))


def as_clicks(prompts, shape):
    """Say with points and a box what is drawn by hand; and which pixels it rules out."""
    taken = model_prompts(prompts, Frame(shape, shape, shape), {"point", "box"}, shape)
    return taken.prompts, np.zeros(shape, bool) if taken.excluded is None else taken.excluded


def answer_number(prompt):
    """Tell which answer, and which of its candidates, a mask prompt comes from."""
    return divmod(int(prompt.logits[0, 0]), 10)
