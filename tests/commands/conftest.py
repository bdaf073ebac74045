"""A command line with a predictor that answers at once."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_sam.batch.finding import forget_predictors
from napari_sam.batch.matching.finders import forget_encoders
from napari_sam.cli import app
from napari_sam.geometry import Frame, stretched_frame
from napari_sam.predictor import Embedding, Prediction
from napari_sam.prompts import MaskPrompt
from napari_sam.prompts.model_prompts import model_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

    from napari_sam.planes.plane import Plane
    from napari_sam.prompts import PromptSet


class DiscPredictor:
    """Answers with a disc around the last positive point, or with the inside of the box."""

    notes = ()
    device_text = "CPU (fake)"
    canvas_side = 1024
    device = torch.device("cpu")
    prompt_kinds = frozenset({"point", "box", "mask"})

    def __init__(self) -> None:
        self.planes: list[Plane] = []
        self.prompts: list[PromptSet] = []
        self.radius = 5.0
        self.score = 0.875

    def embed(self, image: Plane, *, progress: Callable[[float], None]) -> Embedding:
        self.planes.append(image)
        progress(1.0)
        return Embedding(self.key(image), "weights", stretched_frame(image.shape, 64), (torch.zeros(1),))

    def grid(self, plane: Plane) -> tuple[Frame, tuple[int, int]]:
        return stretched_frame(plane.shape, 64), (4, 4)

    def key(self, plane: Plane) -> str:
        return f"disc {plane.digest}"

    def predict(self, embedding: Embedding, prompts: PromptSet, *, multimask: bool | None = None) -> Prediction:
        self.prompts.append(prompts)
        frame = embedding.frame
        prompts = model_prompts(prompts, frame, {"point", "box"}, frame.canvas).prompts
        y, x = np.indices(embedding.shape)
        mask = np.zeros(embedding.shape, bool)
        if prompts.box is not None:
            (y0, x0), (y1, x1) = prompts.box.start, prompts.box.stop
            mask |= (y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)
        for point in prompts.points:
            near = np.hypot(y - point.position[0], x - point.position[1]) <= self.radius
            mask = (mask | near) if point.positive else (mask & ~near)
        return Prediction(mask[None], np.array([self.score], np.float32), np.zeros((1, 4, 4), np.float32))

    def predict_many(
        self, embedding: Embedding, prompt_sets: list[PromptSet], *, multimask: bool = False, most: int | None = None
    ) -> Iterator[Prediction]:
        for prompts in prompt_sets:
            yield self.predict(embedding, prompts)

    def mask_prompt(self, plane: Plane, mask: np.ndarray) -> MaskPrompt:
        return MaskPrompt(np.where(mask, 8.0, -8.0))


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Iterator[DiscPredictor]:
    import napari_sam.predictor as module

    fake = DiscPredictor()
    fake.loaded = []

    def load(model: str, device: str, *, progress: object) -> DiscPredictor:
        fake.loaded.append((model, device))
        return fake

    monkeypatch.setattr(module, "load_predictor", load)
    # What earlier tests have loaded is not asked here, nor this one there.
    forget_predictors()
    forget_encoders()
    yield fake
    forget_predictors()
    forget_encoders()


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run `napari-sam` with these arguments."""

    def call(*arguments: object, **options: Any) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], **options)

    return call


@pytest.fixture
def read_json() -> Callable[[str], Any]:
    return json.loads


@pytest.fixture
def blob() -> bytes:
    """A small file that passes for a checkpoint of the old torch format."""
    return b"\x80\x02" + random.Random(3).randbytes(3000)
