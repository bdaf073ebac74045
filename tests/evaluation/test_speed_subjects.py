from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_sam import predictor
from napari_sam.errors import InputError
from napari_sam.evaluation.speed.agreement import compare_answers
from napari_sam.evaluation.speed.contender import SubjectTasks, peak_memory, serve
from napari_sam.evaluation.speed.grid_points import grid_points
from napari_sam.evaluation.speed.subjects import arithmetic, inputs
from napari_sam.evaluation.speed.subjects.ours import OurHalfSam, OurSam
from napari_sam.evaluation.speed.subjects.protocol import Place
from napari_sam.model import precision
from napari_sam.predictor import Predictor
from sam_reference import tiny_sam


class NotedSubject:
    """Does nothing, and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.untimed = {"prepare": lambda **given: {"given": sorted(given)}}

    def start(self):
        self.asked.append("start")

    def load(self):
        self.asked.append("load")

    def embed(self, image):
        self.asked.append(f"embed {image.shape}")

    def predict(self, point):
        self.asked.append(f"predict {point}")

    def predict_many(self, points):
        self.asked.append(f"predict {len(points)}")

    def everything(self, image, side):
        return side * side


@pytest.fixture
def tasks(tmp_path):
    np.save(tmp_path / "8.npy", np.zeros((8, 8, 3), np.uint8))
    return SubjectTasks(NotedSubject(), Place("bundled", tmp_path, "cpu"), torch.get_num_threads(), time.time())


def test_first_mask_is_imported_loaded_embedded_and_predicted(tasks, tmp_path):
    answer = tasks({"task": "fresh", "image": str(tmp_path / "8.npy"), "point": [1, 2]})
    assert tasks._subject.asked == ["start", "load", "embed (8, 8, 3)", "predict [1, 2]"]
    assert set(answer) == {"import", "load", "embed", "predict", "first mask", "peak memory"}
    assert sum(answer[key] for key in ("import", "load", "embed", "predict")) <= answer["first mask"]


def test_tasks_are_told_to_the_subject(tasks, tmp_path):
    image = str(tmp_path / "8.npy")
    assert tasks({"task": "predict_many", "points": [[1, 2]] * 5})["seconds"] >= 0
    assert tasks({"task": "everything", "image": image, "side": 3})["count"] == 9
    assert tasks({"task": "prepare", "image": image}) == {"given": ["image"]}
    assert tasks._subject.asked == ["predict 5"]


def test_errors_are_answers_and_the_next_line_is_read():
    written = []

    def answer(request):
        if request["task"] == "bad":
            raise ValueError("no")
        return {"fine": 1}

    serve(answer, ['{"task": "bad"}', '{"task": "good"}'], written.append)
    assert [json.loads(line) for line in written] == [{"error": "ValueError: no"}, {"fine": 1}]


@pytest.mark.skipif(peak_memory() is None, reason="the system does not tell")
def test_peak_memory_holds_what_was_freed():
    before = peak_memory()
    np.ones(before // 8 * 2).sum()
    assert peak_memory() > 1.5 * before


def test_points_are_centres_of_cells():
    assert grid_points((4, 8), 2) == [(0.5, 1.5), (0.5, 5.5), (2.5, 1.5), (2.5, 5.5)]


class TestHalfPrecision:
    @pytest.fixture
    def subject(self, tmp_path, monkeypatch):
        monkeypatch.setenv(precision.VARIABLE, "auto")  # and back again afterwards
        monkeypatch.setattr(predictor, "load_predictor", lambda weights, device: Predictor(tiny_sam(), "weights"))
        return OurHalfSam(Place("sam_vit_b", tmp_path, "cpu"))

    def test_the_encoder_computes_in_it(self, subject, monkeypatch):
        monkeypatch.setattr(precision, "faster_in_bfloat16", lambda: True)
        subject.load()
        assert subject.predictor.device_text.endswith("bfloat16)")

    def test_where_it_does_not_pay_nothing_is_measured(self, subject, monkeypatch):
        monkeypatch.setattr(precision, "faster_in_bfloat16", lambda: False)
        with pytest.raises(InputError, match="no less time"):
            subject.load()


class TestArithmetic:
    def test_products_count_two_for_each_multiply_add(self):
        rows, weight = torch.ones(300, 20), torch.ones(30, 20)
        assert arithmetic.counted(lambda: F.linear(rows, weight)) == 2 * 300 * 20 * 30

    @pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
    def test_convolutions_of_onednn_count_as_much(self):
        image, weight = torch.ones(1, 20, 300, 1), torch.ones(30, 20, 1, 1)
        options = {"padding": [0, 0], "stride": [1, 1], "dilation": [1, 1], "groups": 1}
        counted = arithmetic.counted(lambda: torch.ops.aten.mkldnn_convolution(image, weight, None, **options))
        assert counted == 2 * 300 * 20 * 30

    def test_encoders_count_what_papers_say(self):
        # SAM ViT-B: 371 billion multiply-adds and more with attention; TinyViT at 1024 pixels: some 40.
        assert arithmetic.counted_for("sam_vit_b") == pytest.approx(0.946e12, rel=0.02)
        assert arithmetic.counted_for("mobile_sam") == pytest.approx(77.5e9, rel=0.02)


def test_images_are_colour_in_every_size(tmp_path):
    inputs.write_images(tmp_path, [32, 48])
    image = np.load(tmp_path / "48.npy")
    assert image.shape == (48, 48, 3) and image.dtype == np.uint8 and image.std() > 5
    assert np.load(tmp_path / "32.npy").shape == (32, 32, 3)


@pytest.mark.slow
def test_the_authors_code_answers_as_ours_does_with_the_same_weights(tmp_path):
    pytest.importorskip("mobile_sam")
    from napari_sam.evaluation.speed.subjects.authors import AuthorsSam

    inputs.write_weights(tmp_path, "mobile_sam")
    image, points = inputs.sample(256), grid_points((256, 256), 2)
    scores = {}
    for module, made in (("", OurSam), ("mobile_sam", AuthorsSam)):
        subject = made(Place("mobile_sam", tmp_path, "cpu", module))
        subject.start()
        subject.load()
        subject.embed(image)
        masks, logits = zip(*(subject.answers(point) for point in points), strict=True)
        np.savez(tmp_path / f"{module}.npz", masks=np.stack(masks), logits=np.stack(logits))
        subject.predict_many(points)
        scores[module] = subject.everything(image, 2)
    found = compare_answers(tmp_path / ".npz", tmp_path / "mobile_sam.npz", "theirs")
    assert found.iou > 0.99 and found.logits < 0.01 * found.largest
    assert scores[""] == scores["mobile_sam"]
