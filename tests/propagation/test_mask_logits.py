"""From a mask on a plane to the logits that a model takes as a prompt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fakes import BrightnessModel
from napari_sam.errors import InputError
from napari_sam.geometry import Frame, longest_side_frame, stretched_frame
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor
from napari_sam.prompts.model_prompts import SURE
from stack_scenery import disc

SHAPE = (48, 60)


class TestOntoGrid:
    def test_cells_of_whole_pixels_are_averages(self):
        values = np.random.default_rng(0).random((8, 12))
        frame = Frame((8, 12), (8, 12), (8, 12))
        found = frame.onto_grid(values, (4, 3))
        assert found == pytest.approx(values.reshape(4, 2, 3, 4).mean((1, 3)), abs=1e-6)
        assert found.dtype == np.float32

    def test_cells_of_one_pixel_are_the_pixels(self):
        values = np.random.default_rng(0).random((8, 12))
        assert Frame((8, 12), (16, 24), (16, 24)).onto_grid(values, (8, 12)) == pytest.approx(values, abs=1e-6)

    def test_cells_finer_than_pixels_are_interpolated(self):
        found = Frame((1, 3), (4, 12), (4, 12)).onto_grid([[0, 1, 0]], (2, 6))
        assert found == pytest.approx(np.array([[0, 0.25, 0.75, 0.75, 0.25, 0]] * 2))

    def test_padding_is_empty(self):
        found = Frame((10, 20), (10, 20), (16, 32)).onto_grid(np.ones((10, 20)), (8, 16))
        assert found[:5, :10] == pytest.approx(1)
        assert not found[5:].any()
        assert not found[:, 10:].any()

    @pytest.mark.parametrize(
        "frame",
        [longest_side_frame(SHAPE, 256), longest_side_frame(SHAPE, 256, (3.0, 1.0)), stretched_frame(SHAPE, 256)],
    )
    def test_a_model_that_upscales_what_it_was_told_gives_the_mask_back(self, frame):
        mask = disc(20, 30, 11, SHAPE)
        cells = torch.from_numpy(frame.onto_grid(mask, (64, 64)))[None, None]
        canvas = torch.nn.functional.interpolate(cells, frame.canvas, mode="bilinear")
        content = canvas[..., : frame.content[0], : frame.content[1]]
        back = torch.nn.functional.interpolate(content, SHAPE, mode="bilinear")[0, 0].numpy() > 0.5
        assert (back & mask).sum() / (back | mask).sum() > 0.93


class TestMaskPrompt:
    predictor = Predictor(BrightnessModel(), "weights")

    def test_is_taken_by_the_model(self):
        plane = Plane(np.where(disc(20, 30, 11, SHAPE), 200, 0).astype(np.uint8))
        prompt = self.predictor.mask_prompt(plane, disc(20, 30, 11, SHAPE))
        assert (prompt.logits.max(), prompt.logits.min()) == (SURE, -SURE)
        assert prompt.logits[10, 15] == SURE
        embedding = self.predictor.embed(plane)
        from napari_sam.prompts import PointPrompt

        assert self.predictor.predict(embedding, [PointPrompt((20, 30)), prompt]).masks.any()

    def test_of_another_shape_is_refused(self):
        with pytest.raises(InputError, match="48 x 60"):
            self.predictor.mask_prompt(Plane(np.zeros(SHAPE, np.uint8)), np.ones((5, 5), bool))
